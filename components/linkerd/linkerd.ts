import * as command from "@pulumi/command";
import type { LocatedChart } from "../../charts/source";
import { checkChangedLinkerd } from "../../cluster/health/check";
import type { Connection } from "../../cluster/connection";
import type { LiveLinks } from "../../cluster/links";
import type { LinkerdStackConfig } from "../../config";
import { CNI_CHART, CNI_NAMESPACE } from "../../plan/cni";
import type { LocatedExtension } from "../../plan/extensions";
import type { LinkerdPlan } from "../../plan/linkerd";
import { settingsDigest } from "../../plan/proxySettings";
import { controlPlaneValues, crdValues, vizValues } from "../../plan/values";
import { firstExpiry } from "../../plan/webhooks";
import type { ServedInput } from "../../rollout/input";
import { declareBackup } from "../backup";
import { declareBegun } from "../begun";
import { checkDeclared } from "../check";
import { providerFor } from "../cluster";
import { DataPlaneRollout, declareBaseline } from "../dataPlane/rollout";
import { collectDeclared } from "../declared";
import { programCommand } from "../programCommand";
import { reportsOf } from "../reports";
import { LinkerdCni } from "./cni";
import { LinkerdControlPlane } from "./controlPlane";
import { LinkerdCrds } from "./crds";
import { declareExtensions } from "./extensions";
import { declareGuard } from "./guard";
import { exemptKubeSystem } from "./highAvailability";
import { beginProxySettings, declareProxySettings } from "./proxySettings";
import { renderViz } from "./renderedViz";
import { pruneUndeclared, tellTakenOver } from "./undeclared";
import { LinkerdViz } from "./viz";

export interface LinkerdDeclaration {
    readonly config: LinkerdStackConfig;
    readonly stack: string;
    readonly plan: LinkerdPlan;
    /** Versions that ran here, for the record. */
    readonly ran: string;
    readonly charts: readonly LocatedChart[];
    /** Beside viz. */
    readonly extensions: readonly LocatedExtension[];
    /** The CRD of Links, where it is of a later release. */
    readonly keptLinks: LiveLinks | undefined;
    readonly connection: Connection;
}

/** Declares the whole of Linkerd in its order: CRDs, control plane, viz and other extensions, data plane, check. */
export function declareLinkerd({
    config,
    stack,
    plan,
    ran,
    charts,
    extensions,
    keptLinks,
    connection,
}: LinkerdDeclaration) {
    const declared = collectDeclared();
    const chart = (name: string) =>
        charts.find((one) => one.name === name)?.path ?? missingChart(name);
    const { provider, address } = providerFor(config);

    const { issuedAt } = plan.identity;
    const target = {
        mesh: "linkerd" as const,
        version: plan.version.tag,
        proxy: plan.proxy,
        trustRoot: plan.trustRoot,
        ...(issuedAt === undefined ? {} : { issuedAt }),
    };
    const { rollout } = config;
    const settings = settingsDigest(plan.proxySettings);
    const triggers = [
        ...[target.version, target.proxy, target.trustRoot, issuedAt ?? "unchanged"],
        ...(settings === undefined ? [] : [settings]),
    ];
    const baseline = declareBaseline({ rollout, target, triggers, cluster: address });
    const backup =
        config.backup &&
        declareBackup({ ...config.backup, cluster: address, stack, to: target.version }, [
            ...triggers,
            ...(config.adopt ? ["adopt"] : []),
        ]);
    const begun = declareBegun(
        { cluster: address, namespace: "linkerd", version: target.version },
        triggers,
        [baseline, ...(backup ? [backup] : [])],
    );
    const crds = new LinkerdCrds(
        "linkerd-crds",
        {
            chart: chart("linkerd-crds"),
            values: crdValues(plan.values.crds, plan.crds),
            version: plan.crds.charts["linkerd-crds"],
            cluster: address,
            stack,
        },
        { provider, dependsOn: begun },
    );
    const { digest, namespaces, uids } = plan.proxySettings;
    const proxies = { cluster: address, declared: { digest, namespaces, uids } };
    const proxiesBegin = beginProxySettings(proxies, [begun]);
    const exempt = config.highAvailability ? [exemptKubeSystem(provider)] : [];
    const cni = config.cni.enabled
        ? [
              new LinkerdCni(
                  "linkerd-cni",
                  {
                      ...{ chart: chart(CNI_CHART), values: config.cni.values },
                      ...{ version: plan.version.tag, cluster: address, stack },
                  },
                  { provider, dependsOn: crds },
              ),
          ]
        : [];
    const controlPlane = new LinkerdControlPlane(
        "linkerd-control-plane",
        {
            chart: chart("linkerd-control-plane"),
            values: controlPlaneValues(
                plan.values.controlPlane,
                plan.version,
                plan.identity,
                plan.webhooks,
                config.clusterUid,
            ),
            identity: plan.identity,
            trustDomain: plan.trustDomain,
            version: plan.version.tag,
            webhooks: plan.webhooks,
            adopt: config.adopt,
            adoption: plan.adoption,
            podSecurity: plan.podSecurity.linkerd,
            jaeger: config.extensions.jaeger !== undefined,
            cluster: address,
            stack,
            ran,
        },
        { provider, dependsOn: [crds, ...cni, ...exempt, proxiesBegin] },
    );
    const served = new command.local.Command(
        "linkerd-issuer-served",
        {
            ...programCommand,
            create: "rollout/served.ts",
            stdin: JSON.stringify({ cluster: address } satisfies ServedInput),
            triggers: [issuedAt ?? "unchanged"],
        },
        { dependsOn: controlPlane },
    );
    const vizChart = {
        chart: chart("linkerd-viz"),
        values: vizValues(plan.values.viz, plan.version, plan.webhooks),
    };
    const viz = config.viz.enabled
        ? new LinkerdViz(
              "linkerd-viz",
              {
                  ...vizChart,
                  webhooks: plan.webhooks,
                  issuedBy: plan.identity.issuer === undefined ? "cert-manager" : "stack",
                  trustDomain: plan.trustDomain,
                  version: plan.version.tag,
                  adopt: config.adopt,
                  importRelease: plan.adoption.importViz,
                  podSecurity: plan.podSecurity["linkerd-viz"],
                  cluster: address,
                  stack,
              },
              { provider, dependsOn: controlPlane },
          )
        : undefined;
    const others = declareExtensions(
        extensions,
        { cluster: address, stack, plan, keptLinks },
        { provider, begun, controlPlane },
    );
    const rendered = { declared, by: [crds.chart, controlPlane.chart] };
    tellTakenOver(connection, rendered, {
        adopt: config.adopt,
        prune: config.prune,
        markViz: plan.adoption.markViz,
        ...(plan.adoption.compareViz ? { viz: () => renderViz(vizChart, provider) } : {}),
    });
    const installed = [crds, ...cni, controlPlane, ...(viz ? [viz] : []), ...others];
    const own = [
        "linkerd",
        ...(viz ? ["linkerd-viz"] : []),
        ...(config.cni.enabled ? [CNI_NAMESPACE] : []),
        ...extensions.map(({ namespace }) => namespace),
    ];
    const pruned = config.prune
        ? [pruneUndeclared(address, rendered, target.version, { dependsOn: installed })]
        : [];
    const proxySettings = declareProxySettings(proxies, proxiesBegin, installed);
    // Also what has a delete of its own waits for the guard.
    declareGuard({ cluster: address, own }, [...installed, proxySettings]);
    const health = { viz: config.viz.enabled, ignore: [...config.checks.ignore] };
    const dataPlane = new DataPlaneRollout("data-plane", {
        rollout,
        target: () => ({ target, triggers }),
        cluster: address,
        baseline,
        checks: health,
        after: [...installed, served, proxySettings, ...pruned],
    });
    const { reports, parsed } = reportsOf(dataPlane);
    return {
        linkerdVersion: plan.version.tag,
        crdVersion: plan.crds.tag,
        webhookCertificatesUntil: firstExpiry(plan.webhooks),
        certificates: plan.certificates,
        rollout: parsed,
        ...(backup ? { backup: backup.stdout.apply((text) => JSON.parse(text) as unknown) } : {}),
        declaredObjects: checkDeclared(connection, declared, reports, {
            release: viz?.release,
            health: () =>
                checkChangedLinkerd(
                    connection,
                    { expected: { version: plan.version.tag, proxy: plan.proxy }, ...health },
                    "end",
                ),
            namespace: "linkerd",
        }),
    };
}

function missingChart(name: string): never {
    throw new Error(`the plan has no chart ${name}`);
}
