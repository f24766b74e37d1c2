import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import { isFault } from "../versions";
import { REST, type Wave, type WaveSettings } from "../waves";
import type { ForeignRevision, IstioConfig, IstioGateway, IstioRevision } from "./config";
import { optionWarnings } from "./config";
import type { KubeObject, ObjectName, SplitManifests } from "./manifests";
import type { Planned } from "./target";
import { usesOfRevision } from "./use";
import {
    compareIstio,
    isFrom,
    kubernetesFaults,
    latestIstio,
    parseIstioVersion,
    pathFaults,
    type IstioVersion,
} from "./versions";

/** What a wave moves: the namespaces that choose anew in it. */
export interface IstioWave {
    readonly name: string;
    readonly namespaces: readonly string[];
    /** The newest version that one of them chooses. */
    readonly version: string;
    /** What they choose, with the versions behind it, as text: another choice is another run. */
    readonly trigger: string;
}

export interface PlannedTag {
    readonly tag: string;
    readonly revision: string;
    /** The wave before which it moves, the first with a namespace that chooses it; undefined: before all of them. */
    readonly wave: string | undefined;
}

/** A chart by version, with its values, or objects rendered elsewhere. */
export type PlannedSource =
    | { readonly version: string; readonly values: Readonly<Record<string, unknown>> }
    | { readonly objects: readonly KubeObject[] };

/** `moved`: it goes over to the newest revision, when that serves and before the control plane without a name goes. */
export interface PlannedService {
    readonly object: KubeObject;
    readonly moved: boolean;
}

/** What an update will do, decided. */
export interface IstioPlan {
    /** Version of the chart base; undefined where every revision comes from rendered manifests. */
    readonly base: string | undefined;
    /** CRDs and shared objects of rendered manifests, but for Service istiod. */
    readonly shared: readonly KubeObject[];
    /** Service istiod of rendered manifests, which the shared validator calls. */
    readonly service: PlannedService | undefined;
    /** What somebody else may have made that becomes the stack's, fields that a later release drops included. */
    readonly adopted: readonly ObjectName[];
    readonly revisions: readonly { readonly name: string; readonly source: PlannedSource }[];
    readonly tags: readonly PlannedTag[];
    /** Those that take the place of a foreign control plane, after it has gone. */
    readonly lateTags: readonly { readonly tag: string; readonly revision: string }[];
    readonly namespaces: string[];
    readonly waves: readonly IstioWave[];
    readonly wave: (name: string) => IstioWave;
    /** How workloads restart whose namespace leaves the stack. */
    readonly settings: WaveSettings;
    readonly gateways: readonly (IstioGateway & { readonly source: PlannedSource })[];
    /** The newest version that a namespace chooses. */
    readonly newest: string;
    /** What each namespace will choose. */
    readonly planned: ReadonlyMap<string, Planned>;
    readonly faults: readonly Fault[];
    readonly lines: readonly string[];
}

/** Rendered manifests by revision; those of a foreign one too, for the way back. */
export type Manifests = ReadonlyMap<string, SplitManifests>;

const DEFAULT = "default";
/** Pods that are listed one by one; more are counted. */
const MOST_PODS = 20;

export function planIstio(
    config: IstioConfig,
    waves: readonly Wave[],
    live: LiveIstio,
    stack: string,
    manifests: Manifests,
): IstioPlan {
    const assigned = assignWaves(config, waves);
    const planned = waves.map(({ name }) => waveOf(name, assigned, config, live));
    const empty: IstioWave = { name: "", namespaces: [], version: "", trigger: "" };
    const late = foreignDefault(config)?.remove === true;
    const fromCharts = config.revisions.filter((one) => one.manifests === undefined);
    const rendered = config.revisions.filter((one) => one.manifests !== undefined);
    const newest = latestOf(rendered);
    const base = fromCharts.length === 0 ? undefined : baseVersion(fromCharts, live).text;
    const shared = sharedObjects(config, newest, manifests).filter(
        (one) => base === undefined || !isOfBase(one),
    );
    const gateways = config.gateways.map((one) => {
        const split = manifests.get(one.revision);
        return {
            ...one,
            source: split
                ? { objects: gatewayObjects(one.name, split) }
                : { version: one.version.text, values: one.values },
        };
    });
    const { name: _name, select: _select, ...settings } = rest(waves);
    const findings = findingsOf(config, waves, live, stack, manifests);
    return {
        base,
        shared: shared.filter((one) => !isService(one)),
        service: newest && plannedService(shared.find(isService), newest.name, config, live),
        adopted: [
            ...[...shared, ...gateways.flatMap(({ source }) => objectsOf(source))]
                .filter(({ kind }) => kind !== "CustomResourceDefinition")
                .map(nameOf),
            ...gateways.flatMap((one) => ("version" in one.source ? chartGatewayNames(one) : [])),
        ],
        revisions: config.revisions.map((one) => ({
            name: one.name,
            source:
                one.manifests === undefined
                    ? { version: one.version.text, values: revisionValues(one, config.namespace) }
                    : { objects: manifests.get(one.name)?.own ?? [] },
        })),
        tags: [
            ...[...config.tags].map(([tag, revision]) => ({
                tag,
                revision,
                wave: firstWave(tag, assigned, config, waves),
            })),
            ...(config.defaultRevision !== undefined && foreignDefault(config) === undefined
                ? [
                      {
                          tag: DEFAULT,
                          revision: config.defaultRevision,
                          wave: firstWave(DEFAULT, assigned, config, waves),
                      },
                  ]
                : []),
        ],
        lateTags:
            late && config.defaultRevision !== undefined
                ? [{ tag: DEFAULT, revision: config.defaultRevision }]
                : [],
        namespaces: [...config.target.keys()].sort(),
        waves: planned,
        wave: (name) => planned.find((one) => one.name === name) ?? { ...empty, name },
        settings: { ...settings, gates: { pause: false } },
        gateways,
        planned: new Map(
            [...config.target].map(([namespace, { revision }]) => [
                namespace,
                { revision, version: versionText(revision, config, live) },
            ]),
        ),
        newest: planned
            .map((one) => one.version)
            .reduce((best, one) => (newer(one, best) ? one : best), ""),
        ...findings,
    };
}

/** The charts that a plan needs. */
export function chartsOf({ base, revisions, gateways }: IstioPlan) {
    const named = (name: string, source: PlannedSource) =>
        "version" in source ? [{ name, version: source.version }] : [];
    const all = [
        ...(base === undefined ? [] : [{ name: "base", version: base }]),
        ...revisions.flatMap(({ source }) => named("istiod", source)),
        ...gateways.flatMap(({ source }) => named("gateway", source)),
    ];
    return [...new Map(all.map((one) => [`${one.name} ${one.version}`, one])).values()];
}

function rest(waves: readonly Wave[]): Wave {
    const last = waves.find(({ name }) => name === REST);
    if (!last) {
        throw new Error("the rollout has no last wave");
    }
    return last;
}

/** Values of the chart istiod; what decides whose objects it makes is not the user's. */
function revisionValues({ name, values }: IstioRevision, namespace: string) {
    const global = (values["global"] ?? {}) as Record<string, unknown>;
    return {
        ...values,
        revision: name,
        revisionTags: [],
        global: { ...global, istioNamespace: namespace },
    };
}

/** The wave of each namespace: the one whose select names it, else the rest. */
function assignWaves({ target }: IstioConfig, waves: readonly Wave[]): ReadonlyMap<string, string> {
    return new Map(
        [...target.keys()]
            .sort()
            .map((namespace) => [
                namespace,
                waves.find(({ select }) =>
                    select.some((one) => one.namespaces?.includes(namespace)),
                )?.name ?? REST,
            ]),
    );
}

function waveOf(
    name: string,
    assigned: ReadonlyMap<string, string>,
    config: IstioConfig,
    live: LiveIstio,
): IstioWave {
    const namespaces = [...assigned].filter(([, wave]) => wave === name).map(([one]) => one);
    const choices = namespaces.map((namespace) => {
        const target = config.target.get(namespace);
        const revision = target?.revision ?? "";
        return [namespace, target?.choice ?? "", revision, versionText(revision, config, live)];
    });
    return {
        name,
        namespaces,
        version: choices
            .map(([, , , version = ""]) => version)
            .reduce((best, one) => (newer(one, best) ? one : best), ""),
        trigger: JSON.stringify(choices),
    };
}

function versionText(revision: string, config: IstioConfig, live: LiveIstio): string {
    return (
        config.revisions.find(({ name }) => name === revision)?.version.text ??
        config.foreign.find((one) => one.revision === revision)?.version?.text ??
        live.istiods.find((one) => one.revision === revision)?.version ??
        ""
    );
}

function newer(a: string, b: string): boolean {
    const [one, other] = [parseIstioVersion(a, "a"), parseIstioVersion(b, "b")];
    return !isFault(one) && (isFault(other) || compareIstio(one, other) > 0);
}

function firstWave(
    choice: string,
    assigned: ReadonlyMap<string, string>,
    { target }: IstioConfig,
    waves: readonly Wave[],
): string | undefined {
    const used = new Set(
        [...target].filter(([, one]) => one.choice === choice).map(([name]) => assigned.get(name)),
    );
    return waves.find(({ name }) => used.has(name))?.name;
}

function foreignDefault({ foreign }: IstioConfig): ForeignRevision | undefined {
    return foreign.find(({ revision }) => revision === DEFAULT);
}

function latestOf(revisions: readonly IstioRevision[]): IstioRevision | undefined {
    const latest = latestIstio(revisions.map(({ version }) => version));
    return revisions.find(({ version }) => version === latest);
}

/** CRDs move forward only, and serve the newest istiod that is there. */
function baseVersion(revisions: readonly IstioRevision[], live: LiveIstio): IstioVersion {
    const versions = [
        ...revisions.map(({ version }) => version),
        ...crdVersions(live),
        ...live.istiods
            .map(({ version }) => parseIstioVersion(version ?? "", "istiod"))
            .filter((one): one is IstioVersion => !isFault(one) && one.kind === "istio"),
    ];
    return latestIstio(versions) as IstioVersion;
}

/** Of the charts that the live CRDs came with, as far as they tell. */
function crdVersions({ crds }: LiveIstio): IstioVersion[] {
    return crds
        .map(({ chartVersion }) => parseIstioVersion(chartVersion ?? "", "base"))
        .filter((one): one is IstioVersion => !isFault(one));
}

/**
 * CRDs and shared objects of the newest rendered revision. Where the stack has no revision left, everybody went back to a
 * foreign one: then what that one shares comes back, but CRDs move forward only.
 */
function sharedObjects(
    { revisions, foreign }: IstioConfig,
    newest: IstioRevision | undefined,
    manifests: Manifests,
): readonly KubeObject[] {
    const split = manifests.get(newest?.name ?? "");
    if (split || revisions.length > 0) {
        return [...(split?.crds ?? []), ...(split?.shared ?? [])];
    }
    // Its Service stays as it is: with fewer labels in the selector it would take the pods of revisions that still go.
    return foreign
        .filter(({ remove }) => !remove)
        .flatMap(({ revision }) => manifests.get(revision)?.shared ?? [])
        .filter((one) => !isService(one));
}

/** What the chart base brings too; CRDs of both would be declared twice. */
function isOfBase({ kind, metadata }: KubeObject): boolean {
    return (
        kind === "CustomResourceDefinition" ||
        (kind === "ServiceAccount" && metadata.name === "istio-reader-service-account")
    );
}

/** What the chart gateway makes of a gateway; a name that is not there is passed over. */
function chartGatewayNames({ name, namespace }: IstioGateway): ObjectName[] {
    const rbac = "rbac.authorization.k8s.io/v1";
    return [
        { apiVersion: "apps/v1", kind: "Deployment", namespace, name },
        { apiVersion: "v1", kind: "Service", namespace, name },
        { apiVersion: "v1", kind: "ServiceAccount", namespace, name },
        { apiVersion: rbac, kind: "Role", namespace, name },
        { apiVersion: rbac, kind: "RoleBinding", namespace, name },
        { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", namespace, name },
        { apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespace, name },
    ];
}

function isService({ kind, metadata }: KubeObject): boolean {
    return kind === "Service" && metadata.name === "istiod";
}

/**
 * The default validator of ASM 1.6 calls Service istiod, whose selector in the manifests matches no revisioned pod: it is for
 * the control plane without a name, as long as there is one that stays.
 */
function plannedService(
    object: KubeObject | undefined,
    revision: string,
    config: IstioConfig,
    live: LiveIstio,
): PlannedService | undefined {
    if (!object) {
        return undefined;
    }
    const goes = foreignDefault(config)?.remove === true;
    if (!goes && live.istiods.some((one) => one.revision === DEFAULT)) {
        return { object, moved: false };
    }
    const selector = { app: "istiod", "istio.io/rev": revision };
    return {
        object: { ...object, spec: { ...(object["spec"] as object), selector } },
        moved: true,
    };
}

/** Of one gateway: the manifests may hold several. */
function gatewayObjects(name: string, { gateways }: SplitManifests): KubeObject[] {
    return gateways.filter(
        ({ metadata }) => metadata.name === name || metadata.name.startsWith(`${name}-`),
    );
}

function objectsOf(source: PlannedSource): readonly KubeObject[] {
    return "objects" in source ? source.objects : [];
}

function nameOf({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): ObjectName {
    return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

function findingsOf(
    config: IstioConfig,
    waves: readonly Wave[],
    live: LiveIstio,
    stack: string,
    manifests: Manifests,
): Pick<IstioPlan, "faults" | "lines"> {
    const running = live.istiods
        .map((one) => parseIstioVersion(one.version ?? "", one.name))
        .filter((one): one is IstioVersion => !isFault(one));
    const installed = new Set(live.istiods.map(({ revision }) => revision));
    const added = config.revisions.filter(({ name }) => !installed.has(name));
    const findings = added.flatMap(({ version }) => [
        pathFaults({ from: running, to: version, overrides: config.overrides }),
        kubernetesFaults(version, live.serverVersion, config.overrides),
    ]);
    return {
        faults: [
            ...ownershipFaults(config, live, stack),
            ...findings.flatMap(({ faults }) => faults),
            ...inPlaceFaults(config, live),
            ...valueFaults(config),
            ...waveFaults(waves),
            ...gateFaults(waves),
            ...sharedNamespaceFaults(waves),
            ...namespaceFaults(config, live),
            ...gatewayFaults(config, live, stack),
            ...foreignFaults(config, live),
            ...renderedFaults(config, live, manifests),
            ...defaultFaults(config, live),
            ...leavingFaults(config, live),
            ...[...manifests.values()].flatMap(({ faults }) => faults),
        ],
        lines: [
            ...revisionLines(config, live, stack),
            ...tagLines(config, live),
            ...namespaceLines(config, live),
            ...gatewayLines(config, live, manifests),
            ...findings.flatMap(({ warnings }) => warnings.map((text) => `warning: ${text}`)),
            ...optionWarnings([...foreignOptions(config), ...config.revisions]).map(
                (text) => `warning: ${text}`,
            ),
            ...podLabelLines(config, live),
            ...validatorLines(config, live, stack),
        ],
    };
}

function ownershipFaults(config: IstioConfig, live: LiveIstio, stack: string): Fault[] {
    const faults: Fault[] = [];
    const { namespace, base, revisions } = config;
    if (live.namespaceStack !== undefined && live.namespaceStack !== stack) {
        faults.push({
            subject: `Namespace ${namespace}`,
            value: live.namespaceStack,
            rule: "holds the installation of another stack",
            next: `pulumi stack select ${live.namespaceStack}; after a rename of the stack: kubectl annotate namespace ${namespace} mesh-upgrade/stack=${stack} --overwrite`,
        });
    }
    const foreignCrds = live.crds.filter((one) => one.stack !== stack);
    if (foreignCrds.length > 0 && !base.adopt && faults.length === 0) {
        faults.push({
            subject: "CustomResourceDefinitions",
            value: `${foreignCrds[0]?.name} and ${foreignCrds.length - 1} more`,
            rule: "exist already and were not made by this stack",
            next: "set istio.base.adopt: true to take over what all revisions share (CRDs, accounts, the default validator)",
        });
    }
    faults.push(...(base.adopt ? [] : sharedFaults(config, live)));
    for (const { name } of revisions) {
        const found = live.istiods.find(({ revision }) => revision === name);
        if (found && found.stack !== stack) {
            faults.push({
                subject: `istio revision ${name}`,
                value: `Deployment ${namespace}/${found.name}`,
                rule: "is in the cluster and was not made by this stack",
                next: `name it in istio.foreign (revision: ${name}) and give the new one another name`,
            });
        }
    }
    return faults;
}

const DEFAULT_VALIDATOR = "istiod-default-validator";

/** Tags and the default validator that somebody else made: they would be moved, and gone after the way back. */
function sharedFaults({ tags, defaultRevision, foreign }: IstioConfig, live: LiveIstio): Fault[] {
    const wanted = new Map([...tags].map(([tag]) => [`istio-revision-tag-${tag}`, `tag ${tag}`]));
    if (defaultRevision !== undefined) {
        wanted.set(DEFAULT_VALIDATOR, "the default validator");
        if (!foreign.some(({ revision }) => revision === DEFAULT)) {
            wanted.set(`istio-revision-tag-${DEFAULT}`, `tag ${DEFAULT}`);
        }
    }
    return live.webhooks
        .filter((one) => wanted.has(one.name) && one.stack === undefined)
        .map(({ kind, name, revision }) => ({
            subject: `${kind} ${name}`,
            value: revision,
            rule: `${wanted.get(name)} is in the cluster and was not made by this stack`,
            next: `set istio.base.adopt: true to take it over; the way back is then to let it point to ${revision ?? "what it points to now"} again (named in istio.foreign), not to take the line out`,
        }));
}

/** A revision whose version is edited is upgraded in place, under its running proxies. */
function inPlaceFaults({ revisions }: IstioConfig, live: LiveIstio): Fault[] {
    return revisions.flatMap(({ name, version }) => {
        const found = live.istiods.find(({ revision }) => revision === name);
        const from = parseIstioVersion(found?.version ?? "", name);
        return found && !isFault(from) && from.minor !== version.minor
            ? [
                  {
                      subject: `istio.revisions ${name}`,
                      value: `${from.text} -> ${version.text}`,
                      rule: "another minor under the same name would change the control plane under its proxies",
                      next: "add a revision of its own for the new version, and keep the old one until nothing uses it",
                  },
              ]
            : [];
    });
}

const OURS = ["revision", "revisionTags", "defaultRevision"];

function valueFaults({ revisions, base }: IstioConfig): Fault[] {
    const sections = [
        ...revisions.map(({ name, values }) => ({
            key: `istio.revisions ${name}: values`,
            values,
        })),
        { key: "istio.base.values", values: base.values },
    ];
    return sections.flatMap(({ key, values }) =>
        OURS.filter((one) => one in values).map((one) => ({
            subject: `${key}.${one}`,
            value: JSON.stringify(values[one]),
            rule: "is set by the program, from the name of the revision, tags and defaultRevision",
            next: "remove it",
        })),
    );
}

/** Labels move a namespace as a whole, so a wave takes whole namespaces, by name. */
function waveFaults(waves: readonly Wave[]): Fault[] {
    return waves
        .filter(({ select }) =>
            select.some(
                (one) =>
                    one.namespaces === undefined ||
                    one.workloads !== undefined ||
                    one.workloadLabels !== undefined ||
                    one.namespaceLabels !== undefined,
            ),
        )
        .map(({ name }) => ({
            subject: `rollout.waves ${name}: select`,
            rule: "must name namespaces and nothing else: with Istio a namespace moves as a whole, by its label",
            next: `select: [{ namespaces: [...] }]`,
        }));
}

function sharedNamespaceFaults(waves: readonly Wave[]): Fault[] {
    const claims = waves.map(({ name, select }) => ({
        name,
        namespaces: new Set(select.flatMap((one) => one.namespaces ?? [])),
    }));
    return [...new Set(claims.flatMap((one) => [...one.namespaces]))].flatMap((namespace) => {
        const by = claims.filter((one) => one.namespaces.has(namespace)).map(({ name }) => name);
        return by.length > 1
            ? [
                  {
                      subject: "rollout.waves",
                      value: namespace,
                      rule: `the namespace is in the select of ${by.join(" and ")}`,
                      next: "leave it in one of them",
                  },
              ]
            : [];
    });
}

/** viz is Linkerd's: its Prometheus knows nothing of Istio's sidecars. */
function gateFaults(waves: readonly Wave[]): Fault[] {
    return waves
        .filter(({ gates }) => gates.metrics?.prometheus === "viz")
        .map(({ name }) => ({
            subject: `rollout.waves ${name}: gates.metrics.prometheus`,
            value: "viz",
            rule: "is the Prometheus of linkerd-viz; Istio's sidecars are scraped by another",
            next: "set the URL of the Prometheus that scrapes them (https://...)",
        }));
}

/** Gateways come last: what they lack is told before anything changes. */
function gatewayFaults(config: IstioConfig, live: LiveIstio, stack: string): Fault[] {
    const { users } = live;
    const missing = config.gateways
        .filter((one) => one.namespace !== config.namespace && !users.namespaces.has(one.namespace))
        .map((one) => ({
            subject: `istio.gateways ${one.name}: namespace`,
            value: one.namespace,
            rule: "the cluster has no such namespace",
            next: `kubectl create namespace ${one.namespace}`,
        }));
    const foreign = live.gateways
        .filter((one) => one.stack !== stack && !config.base.adopt)
        .map((one) => ({
            subject: `istio.gateways ${one.name}`,
            value: `Deployment ${one.namespace}/${one.name}`,
            rule: "is in the cluster and was not made by this stack",
            next: "set istio.base.adopt: true to take it over, or give the gateway another name",
        }));
    return [
        ...missing,
        ...foreign,
        ...config.gateways.flatMap((one) => gatewayLabelFaults(one, config, users)),
    ];
}

/** A namespace that the stack does not list goes before its pods too (istio/istio#42654). */
function gatewayLabelFaults(
    { name, namespace, choice, revision }: IstioGateway,
    { target, tags, defaultRevision }: IstioConfig,
    { namespaces }: LiveIstio["users"],
): Fault[] {
    const { "istio-injection": injection, "istio.io/rev": named } = namespaces.get(namespace) ?? {};
    const label = injection === undefined ? named : injection === "enabled" ? DEFAULT : injection;
    const served =
        label === DEFAULT ? (defaultRevision ?? DEFAULT) : (tags.get(label ?? "") ?? label);
    return target.has(namespace) || label === undefined || served === revision
        ? []
        : [
              {
                  subject: `istio.gateways ${name}: revision`,
                  value: choice,
                  rule: `namespace ${namespace} has the label ${injection === undefined ? `istio.io/rev=${named}` : `istio-injection=${injection}`}, which goes before what its pods choose`,
                  next: `kubectl label namespace ${namespace} istio-injection- istio.io/rev-, or map it in istio.namespaces to the same revision`,
              },
          ];
}

function namespaceFaults({ target }: IstioConfig, { users }: LiveIstio): Fault[] {
    return [...target.keys()].flatMap((name): Fault[] => {
        const labels = users.namespaces.get(name);
        if (!labels) {
            return [
                {
                    subject: `istio.namespaces.${name}`,
                    rule: "the cluster has no such namespace",
                    next: `kubectl create namespace ${name}, or take it out of the stack file`,
                },
            ];
        }
        const { "istio-injection": injection, "istio.io/rev": revision } = labels;
        return injection !== undefined && revision !== undefined
            ? [
                  {
                      subject: `Namespace ${name}`,
                      value: `istio-injection=${injection}, istio.io/rev=${revision}`,
                      rule: "has both labels: the second is ignored as long as the first is there",
                      next: `kubectl label namespace ${name} istio.io/rev- (what it runs now stays), then pulumi up`,
                  },
              ]
            : [];
    });
}

function foreignFaults({ foreign, namespace }: IstioConfig, live: LiveIstio): Fault[] {
    return foreign.flatMap(({ revision, version, remove }, index): Fault[] => {
        const subject = `istio.foreign.${index}`;
        const found = live.istiods.find((one) => one.revision === revision);
        if (!found) {
            return remove
                ? []
                : [
                      {
                          subject: `${subject}.revision`,
                          value: revision,
                          rule: `namespace ${namespace} has no istiod of this revision`,
                          next: `kubectl -n ${namespace} get deployments -l app=istiod --show-labels; then correct or remove the entry`,
                      },
                  ];
        }
        return version && found.version !== version.text
            ? [
                  {
                      subject: `${subject}.version`,
                      value: version.text,
                      rule: `Deployment ${namespace}/${found.name} runs ${found.version}`,
                      next: `set version: ${found.version}, if that is the one that is meant`,
                  },
              ]
            : [];
    });
}

/** What installing from rendered manifests asks for beforehand. */
function renderedFaults(config: IstioConfig, live: LiveIstio, manifests: Manifests): Fault[] {
    const rendered = config.revisions.filter((one) => one.manifests !== undefined);
    const asm = rendered.find(({ version }) => version.kind === "asm");
    const permission: Fault = {
        subject: "permission",
        value: "no * on *",
        rule: "Anthos Service Mesh is installed by a cluster administrator only",
        next: "kubectl auth can-i '*' '*' --all-namespaces; ask for ClusterRole cluster-admin",
    };
    return [
        ...(asm && !live.clusterAdmin ? [permission] : []),
        ...(rendered.length > 0 ? foreignManifestFaults(config, live) : []),
        ...removalFaults(config, latestOf(rendered), live),
        ...renderedCrdFaults(config, latestOf(rendered), live, manifests),
        ...config.gateways.flatMap(({ name, namespace, revision }, index): Fault[] => {
            const split = manifests.get(revision);
            const has = split?.gateways.some(
                (one) => one.kind === "Deployment" && one.metadata.name === name,
            );
            return split && !has
                ? [
                      {
                          subject: `istio.gateways.${index}.name`,
                          value: name,
                          rule: `the manifests of revision ${revision} have no gateway Deployment ${namespace}/${name}`,
                          next: "render them again with the gateway, or take it out of istio.gateways",
                      },
                  ]
                : [];
        }),
    ];
}

/** CRDs move forward only, also those of manifests; and beside a chart they are the chart's, which has to be as new. */
function renderedCrdFaults(
    { revisions }: IstioConfig,
    newest: IstioRevision | undefined,
    live: LiveIstio,
    manifests: Manifests,
): Fault[] {
    if (!newest || manifests.get(newest.name)?.crds.length === 0) {
        return [];
    }
    const subject = `istio.revisions ${newest.name}: manifests`;
    const fromCharts = latestOf(revisions.filter((one) => one.manifests === undefined));
    if (fromCharts) {
        return compareIstio(newest.version, fromCharts.version) > 0
            ? [
                  {
                      subject,
                      value: newest.version.text,
                      rule: `is newer than what the chart base brings (${fromCharts.version.text}), and CRDs come from one of them`,
                      next: "install the newest revision from the charts too, or render the others as well",
                  },
              ]
            : [];
    }
    const installed = latestIstio(crdVersions(live));
    return installed && compareIstio(installed, newest.version) > 0
        ? [
              {
                  subject,
                  value: newest.version.text,
                  rule: `its CRDs are older than the live ones (${installed.text}), which move forward only`,
                  next: "take the CustomResourceDefinitions out of the manifests: the live ones stay as they are",
              },
          ]
        : [];
}

/** What is upgraded in place goes back with the manifests of before only: they are asked for before the way forward. */
function foreignManifestFaults({ foreign }: IstioConfig, { istiods }: LiveIstio): Fault[] {
    return foreign.flatMap(({ revision, version, remove, manifests }, index): Fault[] => {
        const running = istiods.find((one) => one.revision === revision)?.version;
        const text = version?.text ?? running ?? "";
        return manifests === undefined && !remove && text.includes("-asm.")
            ? [
                  {
                      subject: `istio.foreign.${index}.manifests`,
                      rule: `must be at hand before the way forward: going back to ${text} takes the manifests and the options with which it was installed`,
                      next: `istioctl manifest generate of the verified ${text}, with its overlays and --set; name the file there`,
                  },
              ]
            : [];
    });
}

/** Service istiod goes over to a revision that serves already. */
function removalFaults(
    config: IstioConfig,
    newest: IstioRevision | undefined,
    { istiods }: LiveIstio,
): Fault[] {
    const found = istiods.some(({ revision }) => revision === DEFAULT);
    const serves = istiods.some(({ revision }) => revision === newest?.name);
    return newest && !serves && found && foreignDefault(config)?.remove
        ? [
              {
                  subject: "istio.foreign: remove",
                  value: DEFAULT,
                  rule: `Service istiod goes over to revision ${newest.name} first, which is not installed yet`,
                  next: "install it beside, move everybody, and remove the old control plane in an update of its own",
              },
          ]
        : [];
}

function foreignOptions({ foreign }: IstioConfig) {
    const none = { overlays: [], set: [] };
    return foreign.map(({ revision, manifests, options = none }) => ({
        name: revision,
        manifests,
        options,
    }));
}

/**
 * Something has to validate Istio's objects when a control plane without a name goes; and as long as it is there, tag
 * `default` would inject the same namespaces a second time.
 */
function defaultFaults(config: IstioConfig, live: LiveIstio): Fault[] {
    const { revisions, defaultRevision } = config;
    if (!live.istiods.some(({ revision }) => revision === DEFAULT)) {
        return [];
    }
    const foreign = foreignDefault(config);
    if (!foreign && defaultRevision !== undefined) {
        return [
            {
                subject: "istio.defaultRevision",
                value: defaultRevision,
                rule: "the control plane without a revision name is still there and injects the namespaces that choose default: two would inject them",
                next: "name it in istio.foreign (revision: default; remove: true, if it is to go), or leave defaultRevision out",
            },
        ];
    }
    const modern = revisions.some(({ version }) => isFrom(version, "1.10"));
    return foreign?.remove && modern && defaultRevision === undefined
        ? [
              {
                  subject: "istio.defaultRevision",
                  rule: "must be set before the control plane without a revision name goes: the default validator calls it, and without it no object of Istio could be written",
                  next: `istio.defaultRevision: ${revisions.at(-1)?.name}`,
              },
          ]
        : [];
}

/** The tag `default` is made after the removal only: until then these stay with the control plane that goes. */
function leavingFaults(config: IstioConfig, { istiods }: LiveIstio): Fault[] {
    const leaves =
        foreignDefault(config)?.remove === true &&
        istiods.some(({ revision }) => revision === DEFAULT);
    const bound = [...config.target].filter(([, { choice }]) => choice === DEFAULT);
    return leaves
        ? bound.map(([namespace]) => ({
              subject: `istio.namespaces.${namespace}`,
              value: DEFAULT,
              rule: "is injected by the control plane without a revision name, which would go last and only if nothing uses it",
              next: "choose a tag or a revision; default may be chosen again once that control plane has gone",
          }))
        : [];
}

function revisionLines(config: IstioConfig, live: LiveIstio, stack: string): string[] {
    const { revisions, foreign } = config;
    const named = new Set([
        ...revisions.map(({ name }) => name),
        ...foreign.map((f) => f.revision),
    ]);
    return [
        ...revisions.map(({ name, version }) => {
            const found = live.istiods.find(({ revision }) => revision === name);
            const change = !found
                ? "new"
                : found.version === version.text
                  ? "unchanged"
                  : `in place from ${found.version}`;
            return `istio revision ${name}: ${version.text} (${change})`;
        }),
        ...foreign.flatMap(({ revision, remove }) => {
            const found = live.istiods.find((one) => one.revision === revision);
            return found
                ? [
                      `istio revision ${revision}: ${found.version}, not made by this stack (${remove ? "goes at the end, if nothing uses it" : "stays"})`,
                  ]
                : [];
        }),
        ...live.istiods
            .filter(({ revision }) => !named.has(revision))
            .map(({ revision, version, stack: owner }) =>
                owner === stack
                    ? `istio revision ${revision}: ${version} goes, if nothing uses it then; used now by: ${usesText(revision, live)}`
                    : `istio revision ${revision}: ${version} was not made by this stack and is not in istio.foreign: it is left alone`,
            ),
    ];
}

function usesText(revision: string, { users }: LiveIstio): string {
    return usesOfRevision(revision, users).join("; ") || "nothing";
}

function tagLines(config: IstioConfig, { injection }: LiveIstio): string[] {
    const { tags, defaultRevision } = config;
    const before = new Map(
        injection.injectors.flatMap(({ tag, revision }) =>
            tag === undefined ? [] : [[tag, revision] as const],
        ),
    );
    const stays = foreignDefault(config)?.remove === false;
    const after = new Map([
        ...tags,
        ...(defaultRevision === undefined || stays ? [] : [[DEFAULT, defaultRevision] as const]),
    ]);
    const lines = [...after].map(([tag, revision]) => {
        const from = before.get(tag);
        return from === revision
            ? `tag ${tag}: ${revision}`
            : `tag ${tag}: ${from ?? "none"} -> ${revision}`;
    });
    const others = [...before].filter(([tag]) => !after.has(tag));
    return [
        ...lines,
        ...others.map(([tag, revision]) => `tag ${tag}: ${revision} -> not in the stack file`),
    ];
}

function namespaceLines(config: IstioConfig, { users, injection }: LiveIstio): string[] {
    return [...config.target]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, { choice, revision }]) => {
            const labels = users.namespaces.get(name) ?? {};
            const now =
                labels["istio-injection"] === undefined
                    ? labels["istio.io/rev"]
                    : labels["istio-injection"] === "enabled"
                      ? DEFAULT
                      : undefined;
            const by = now === undefined ? undefined : resolveLive(now, injection.injectors);
            const before = now === undefined ? "nobody" : named(now, by ?? "nobody");
            const after = named(choice, revision);
            return before === after
                ? `namespace ${name}: injected by ${after}`
                : `namespace ${name}: injected by ${before} -> ${after}`;
        });
}

/** Without a default revision nobody checks objects that name none. */
function validatorLines(config: IstioConfig, live: LiveIstio, stack: string): string[] {
    const goes =
        config.defaultRevision === undefined &&
        live.webhooks.some((one) => one.name === DEFAULT_VALIDATOR && one.stack === stack);
    return goes
        ? [
              "warning: the default validator goes: Istio's objects without a revision's label are then written unchecked; istio.defaultRevision keeps it",
          ]
        : [];
}

/** A gateway of rendered manifests is not brought up beside the old one. */
function gatewayLines({ gateways }: IstioConfig, live: LiveIstio, manifests: Manifests): string[] {
    return gateways.map(({ name, namespace, revision }) => {
        const now = live.users.pods.find(
            (pod) => pod.namespace === namespace && pod.name.startsWith(`${name}-`),
        )?.running;
        const moves = now !== undefined && now !== revision && manifests.has(revision);
        return `gateway ${namespace}/${name}: ${moves ? `${now} -> ` : ""}${revision}, in place${moves ? ", after the sidecars: plan downtime for it" : ""}`;
    });
}

/** `tag stable (1-27-1)`, or `1-27-1` where it is a revision itself. */
function named(choice: string, revision: string): string {
    return choice === revision ? revision : `${choice} (${revision})`;
}

function resolveLive(
    choice: string,
    injectors: LiveIstio["injection"]["injectors"],
): string | undefined {
    return injectors.find(({ tag, revision }) => (tag ?? revision) === choice)?.revision;
}

/**
 * Pods that choose by their own label do not move with a namespace: somebody has to edit their template, or, where they
 * choose a tag that moves, make them anew. Those that choose the newest revision are where they should be.
 */
function podLabelLines(config: IstioConfig, live: LiveIstio): string[] {
    const { namespaces, pods } = live.users;
    const isLabelled = (namespace: string) => {
        const labels = namespaces.get(namespace) ?? {};
        return labels["istio.io/rev"] !== undefined || labels["istio-injection"] !== undefined;
    };
    const newest = latestOf(config.revisions)?.name;
    const lines = pods.flatMap(
        ({ namespace, name, asked: named, asksDefault, running, gateway }) => {
            const asked = asksDefault ? DEFAULT : named;
            // The namespace's own choice goes before its pods'.
            const moves = config.target.has(namespace) || isLabelled(namespace);
            if (asked === undefined || gateway || moves || asked === newest) {
                return [];
            }
            const version = parseIstioVersion(versionText(running ?? "", config, live), "running");
            // 1.6 to 1.10 write the label themselves.
            if (asked === running && !isFault(version) && !isFrom(version, "1.11")) {
                return [];
            }
            const tagged = asked === DEFAULT ? config.defaultRevision : config.tags.get(asked);
            if (tagged !== undefined && tagged === running) {
                return [];
            }
            const next =
                tagged === undefined
                    ? "edit the template of its workload to move it"
                    : "no wave restarts it; restart its workload once the tag has moved";
            const label = asksDefault ? "sidecar.istio.io/inject=true" : "istio.io/rev";
            return [`pod ${namespace}/${name} chooses ${asked} by its own label ${label}: ${next}`];
        },
    );
    const more = lines.length - MOST_PODS;
    return [
        ...lines.slice(0, MOST_PODS),
        ...(more > 0 ? [`${more} more pods choose by their own label`] : []),
    ];
}
