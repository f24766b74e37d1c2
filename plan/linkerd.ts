import * as semver from "semver";
import type { LinkerdStackConfig } from "../config";
import type { HelmRecords } from "../cluster/adoption";
import type { LiveLinkerd } from "../cluster/linkerd";
import type { LocatedChart } from "../charts/source";
import { CHARTS, planAdoption, runningChart, type Adoption, type Defaults } from "./adoption";
import type { Fault } from "./faults";
import { externalCertificateFaults } from "./externalCertificates";
import { certificateReport, type CertificateEntry } from "./certificateReport";
import { certManagerFaults, handBackFaults, planByCertManager } from "./certManager";
import { chartTrustRootHash } from "./certificates";
import { cniValueFaults } from "./cni";
import type { DataPlane } from "../cluster/dataPlane";
import { proxyTarget, type Target } from "./dataPlane";
import { spanMilliseconds } from "./durations";
import { plannedExtensions } from "./extensions";
import { proxyTagOf, takesOverAsItRuns } from "./given";
import {
    planIdentity,
    type Identity,
    type IdentityByCertManager,
    type LiveIssuer,
} from "./identity";
import { isGatewayApi, leftLines, routeFaults } from "./gatewayApi";
import { highAvailabilityValues } from "./highAvailability";
import { plannedEnd } from "./plannedEnd";
import { podSecurityLabels, type PodSecurity } from "./podSecurity";
import { unknownToTarget } from "./movedSettings";
import { RULES, ruled } from "./policy/rules";
import {
    planProxySettings,
    type ConfiguredNamespace,
    type ProxySettingsPlan,
} from "./proxySettings";
import { compareReleases, releaseOf } from "./releases";
import type { Section, Settings } from "./settings";
import type { MeshedProxy } from "./trust";
import { at, merge, valueFaults } from "./values";
import { backendFaults } from "./vizBackends";
import { claimFaults } from "./vizSettings";
import { latest, versionOfChart, type LinkerdVersion } from "./versions";
import { releaseFaults, releaseKeyFaults } from "./vizRelease";
import { planWebhookCertificates, type WebhookCertificates } from "./webhooks";

/** What this update makes of the installation. */
export interface LinkerdPlan {
    readonly version: LinkerdVersion;
    /** Version of the CRDs: the greater of config and live. */
    readonly crds: LinkerdVersion;
    readonly change: "install" | "upgrade" | "revert" | "none";
    /** Image tag that the injector gives new pods. */
    readonly proxy: string;
    readonly identity: Identity | IdentityByCertManager;
    /** Domain of the mesh's identities: `cluster.local`. */
    readonly trustDomain: string;
    readonly webhooks: WebhookCertificates;
    readonly adoption: Adoption;
    /** The user's values, over those that are taken over. */
    readonly values: Settings;
    /** Those to be declared; dates, not days left. */
    readonly certificates: readonly CertificateEntry[];
    /** Live ones that go with this update. */
    readonly leavingCertificates: readonly CertificateEntry[];
    /** Live ones that cert-manager renews: another one each time, which is no change of the stack's. */
    readonly renewedCertificates: readonly CertificateEntry[];
    /** Hash of the trust anchors that the injector gives new pods. */
    readonly trustRoot: string;
    readonly proxySettings: ProxySettingsPlan;
    /** Since when the declared issuer is served; undefined: it never changed. Infinity: it comes with this update. */
    readonly issuerSince: number | undefined;
    /** Whether it takes over what runs, and the data plane stays as it is. */
    readonly takesOver: boolean;
    readonly podSecurity: PodSecurity;
    /** Lines for the preview. */
    readonly lines: readonly string[];
}

/** CRDs move forward only: the API server refuses a set that lacks a stored version. */
export function crdVersion(config: LinkerdVersion, live: LiveLinkerd): LinkerdVersion {
    const versions = live.crds.map((crd) => versionOfChart(CHARTS.crds, crd.chartVersion ?? ""));
    return latest([config, ...versions.filter((one) => one !== undefined)]) ?? config;
}

const ADOPT = "to take it over: pulumi config set adopt true, then: pulumi preview";

/** Reasons why the installation that is there must not be touched by `stack`. */
export function ownershipFaults(
    live: LiveLinkerd,
    stack: string,
    config: Pick<LinkerdStackConfig, "viz" | "crds" | "linkerdVersion" | "adopt">,
): readonly Fault[] {
    const faults: Fault[] = [];
    const { viz, release } = live.installation;
    const inUse = new Map([
        ["linkerd", live.installed || live.identity.issuer !== undefined],
        ...(config.viz.enabled
            ? [["linkerd-viz", viz.length > 0 || release !== undefined] as const]
            : []),
    ]);
    const owner = (name: string) => live.namespaces.find((one) => one.name === name)?.stack;
    for (const [name, used] of inUse) {
        const found = owner(name);
        if (found !== undefined && found !== stack) {
            faults.push({
                subject: `Namespace ${name}`,
                value: found,
                rule: `is owned by another stack, not by ${stack}`,
                next: `pulumi stack select ${found}; after a rename of the stack: kubectl annotate namespace ${name} mesh-upgrade/stack=${stack} --overwrite`,
            });
        } else if (found === undefined && used && !config.adopt) {
            faults.push({
                subject: `Namespace ${name}`,
                rule: "holds an installation that this stack did not make (by the linkerd CLI or Helm)",
                next: ADOPT,
            });
        }
    }
    const foreign = live.crds.filter((crd) => crd.stack !== stack);
    // What Linkerd's own installer made is taken over; routes that somebody else brought are not.
    const refused = config.adopt
        ? foreign.filter((crd) => crd.stack !== undefined || !crd.linkerd)
        : foreign;
    const own = refused.filter((crd) => !isGatewayApi(crd.name));
    const names = refused.map(({ name }) => name);
    if (own.length > 0 && faults.length === 0) {
        faults.push({
            subject: "CustomResourceDefinitions",
            value: own.map((crd) => crd.name).join(", "),
            rule: "exist already and were not made by this stack",
            next: ADOPT,
        });
    }
    const linkerdVersion = crdVersion(config.linkerdVersion, live);
    return [...faults, ...routeFaults(names, { ...config, linkerdVersion })];
}

/** Faults of charts that do not run on this API server. Helm would refuse them too, so no override helps. */
export function chartFaults(
    charts: readonly LocatedChart[],
    serverVersion: string,
): readonly Fault[] {
    return charts
        .filter((chart) => chart.kubeVersion !== undefined)
        .filter((chart) => !semver.satisfies(baseVersion(serverVersion), rangeOf(chart)))
        .flatMap((chart) => {
            const fault = {
                subject: `chart ${chart.name} ${chart.version}`,
                value: serverVersion,
                rule: `the chart asks for Kubernetes ${chart.kubeVersion}`,
                next: "upgrade the cluster first, or choose an older linkerdVersion",
            };
            return ruled(RULES.linkerdKubernetes, fault, new Set()).faults;
        });
}

/** Helm takes commas between the parts of a range (helm.sh/docs/topics/charts), semver takes spaces. */
function rangeOf(chart: LocatedChart): string {
    return (chart.kubeVersion ?? "*").replaceAll(",", " ");
}

/** `v1.30.4-eks-1` -> `1.30.4`: a vendor's suffix is no pre-release. */
function baseVersion(serverVersion: string): string {
    return semver.coerce(serverVersion)?.version ?? "0.0.0";
}

/** What new pods get. */
export function targetOf(
    plan: Pick<LinkerdPlan, "proxy" | "trustRoot" | "issuerSince" | "proxySettings">,
): Target {
    return proxyTarget(plan.proxy, { ...plan, settingsSince: plan.proxySettings.since });
}

/** What a plan depends on beside the stack file and what is installed. */
export interface Circumstances {
    /** The stack that plans: `organization/mesh-upgrade/prod`. */
    readonly stack: string;
    readonly now: Date;
    /** Of the charts of target and live version. Defaults to none. */
    readonly defaults?: Defaults;
    /** Namespaces, as they configure proxies. Defaults to none. */
    readonly namespaces?: readonly ConfiguredNamespace[] | string;
    /** undefined where the data plane could not be read, which only a preview survives. */
    readonly running?:
        { readonly dataPlane: DataPlane; readonly proxies: readonly MeshedProxy[] } | undefined;
}

/** The plan, or every fault that stands in its way. */
export async function planLinkerd(
    config: LinkerdStackConfig,
    live: LiveLinkerd,
    { stack, now, defaults = new Map(), namespaces = [], running }: Circumstances,
): Promise<LinkerdPlan | readonly Fault[]> {
    const ha = highAvailabilityValues(config, defaults);
    const adoption = planAdoption(
        {
            ...config,
            controlPlane: {
                ...config.controlPlane,
                values: merge(ha.values.controlPlane, config.controlPlane.values),
            },
            viz: { ...config.viz, values: merge(ha.values.viz, config.viz.values) },
        },
        live,
        stack,
        defaults,
    );
    const base = isFaults(adoption) ? undefined : adoption.base;
    // What is rendered has its settings in it; nothing that is taken over could still get there.
    const settings = (section: "crds" | "controlPlane") =>
        config[section].manifests === undefined
            ? merge(
                  ha.values[section],
                  base?.[section] ?? {},
                  section === "controlPlane" && config.cni.enabled ? { cniEnabled: true } : {},
                  config[section].values,
              )
            : config[section].values;
    const all: Settings = {
        crds: settings("crds"),
        controlPlane: settings("controlPlane"),
        viz: merge(ha.values.viz, base?.viz ?? {}, config.viz.values),
    };
    const sameVersion = live.linkerdVersion === config.linkerdVersion.tag;
    const proxySettings = planProxySettings(
        config.proxy,
        all.controlPlane,
        namespaces,
        config.controlPlane.manifests === undefined
            ? undefined
            : sameVersion
              ? live.installation.values
              : {},
    );
    const ownership = ownershipFaults(live, stack, {
        ...config,
        crds: { ...config.crds, values: all.crds },
    });
    if (ownership.length > 0) {
        return ownership;
    }
    const values = all.controlPlane;
    const trustDomain =
        stringAt(values, "identityTrustDomain") ??
        stringAt(values, "clusterDomain") ??
        "cluster.local";
    const end = plannedEnd(now, running?.dataPlane, config.rollout.waves).getTime();
    const margin = spanMilliseconds(config.certificates.refuseBefore);
    const moment = { now, until: new Date(end + margin) };
    const surroundings = { ...moment, trustDomain, proxies: running?.proxies };
    const { source } = config.identity;
    const byCertManager = source === "cert-manager";
    const [identity, webhooks] = await Promise.all([
        config.identity.source === "cert-manager"
            ? planByCertManager(live.identity, surroundings)
            : planIdentity(config.identity, live.identity, surroundings),
        planWebhookCertificates(live.webhooks, {
            ...moment,
            stage: config.certificates.webhooks,
            renewBefore: spanMilliseconds(config.certificates.renewWebhooksBefore),
            namespaces: [
                "linkerd",
                ...(config.viz.enabled ? ["linkerd-viz"] : []),
                ...(config.extensions.jaeger ? ["linkerd-jaeger"] : []),
            ],
            by: byCertManager ? "cert-manager" : "stack",
        }),
    ]);
    const version = config.linkerdVersion;
    const crds = crdVersion(version, live);
    const change = changeOf(version, live);
    const chartsOf = (section: Section) => ({
        before: change === "none" ? undefined : runningChart(section, live),
        target: {
            name: CHARTS[section],
            version: (section === "crds" ? crds : version).charts[CHARTS[section]],
        },
    });
    const unknown = unknownToTarget(
        config,
        { crds: chartsOf("crds"), controlPlane: chartsOf("controlPlane"), viz: chartsOf("viz") },
        defaults,
        change,
    );
    const faults = [
        ...unknown.faults,
        ...valueFaults({
            crds: config.crds.values,
            controlPlane: config.controlPlane.values,
            viz: config.viz.values,
        }),
        ...ha.faults,
        ...cniValueFaults(config),
        ...proxySettings.faults,
        ...(isFaults(adoption) ? adoption : []),
        ...externalCertificateFaults(config, live.installation),
        ...(config.viz.enabled
            ? [
                  ...backendFaults(all.viz),
                  ...releaseFaults(live.installation),
                  ...claimFaults(live.installation, all.viz),
              ]
            : []),
        ...(byCertManager
            ? certManagerFaults(live.certManager, stack, config.adopt)
            : handBackFaults(live.certManager, source, stack)),
        ...(config.viz.enabled && config.adopt ? releaseKeyFaults(live.installation.release) : []),
        ...(isFaults(identity) ? identity : []),
        ...(isFaults(webhooks) ? webhooks : []),
    ];
    if (isFaults(identity) || isFaults(webhooks) || isFaults(adoption) || faults.length > 0) {
        return faults;
    }
    const { declared, leaving, renewed } = certificateReport({ identity, webhooks }, live, moment);
    const given = {
        proxy: proxyTagOf(values, version.tag),
        trustRoot: chartTrustRootHash(identity.trustAnchors),
    };
    return {
        version,
        crds,
        change,
        ...given,
        identity,
        trustDomain,
        webhooks,
        adoption,
        values: all,
        proxySettings,
        certificates: declared,
        leavingCertificates: leaving,
        renewedCertificates: renewed,
        takesOver: takesOverAsItRuns(
            { ...given, version: version.tag, issuedAt: identity.issuedAt },
            {
                foreign: live.installation.foreign,
                version: live.linkerdVersion,
                values: live.installation.values,
                trustRoots: live.identity.issuer?.trustAnchors,
            },
        ),
        issuerSince: issuerSince(identity, live.identity.issuer),
        podSecurity: podSecurityLabels(
            plannedExtensions(config),
            live.namespaces,
            running?.dataPlane.namespaceLabels,
            values,
        ),
        lines: [
            `linkerd: ${live.linkerdVersion ?? "not installed"} -> ${version.tag} (${change})`,
            ...(compareReleases(crds, version) > 0
                ? [
                      `CRDs stay at ${crds.tag}: they move forward only (linkerdVersion is ${version.tag}; the API server refuses to drop a stored version)`,
                  ]
                : []),
            ...(change === "upgrade"
                ? leftLines({ crds: { values: all.crds }, linkerdVersion: crds }, live, stack)
                : []),
            ...proxySettings.lines,
            ...adoption.lines,
            ...unknown.lines,
            ...live.installation.records.map(recordLine),
            ...identity.lines,
        ],
    };
}

/** Helm believes in them: its next upgrade, rollback or uninstall would be of what is the stack's by then. */
function recordLine({ name, secrets }: HelmRecords): string {
    return `Helm's records of release linkerd/${name} are no longer true after a take-over (${secrets.join(", ")}): do not use helm on it; after pulumi up: kubectl -n linkerd delete secret -l owner=helm,name=${name}`;
}

function issuerSince(
    identity: { readonly issuedAt?: string | undefined },
    live: LiveIssuer | undefined,
): number | undefined {
    if (identity.issuedAt === undefined) {
        return undefined;
    }
    return identity.issuedAt === live?.issuedAt ? (live.servedSince ?? Infinity) : Infinity;
}

/** What the version line asks for. */
export function changeOf(version: LinkerdVersion, live: LiveLinkerd): LinkerdPlan["change"] {
    if (!live.installed) {
        return "install";
    }
    const from = releaseOf(live.linkerdVersion);
    const order = from ? compareReleases(version, from) : 1;
    return order === 0 ? "none" : order > 0 ? "upgrade" : "revert";
}

function stringAt(values: unknown, path: string): string | undefined {
    const value = at(values, path);
    return typeof value === "string" && value !== "" ? value : undefined;
}

function isFaults(value: object): value is readonly Fault[] {
    return Array.isArray(value);
}
