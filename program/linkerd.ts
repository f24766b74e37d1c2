import * as pulumi from "@pulumi/pulumi";
import { readRendered, wrapManifests } from "../charts/rendered";
import { locateCharts, readDefaults, type ChartRequest, type LocatedChart } from "../charts/source";
import { KubeApi } from "../cluster/api";
import { reasonOf, type Connection } from "../cluster/connection";
import { linkerdPodsWithAnchors, meshedProxies, observeDataPlane } from "../cluster/dataPlane";
import { observeExtensions } from "../cluster/extensions";
import { readCni } from "../cluster/health/cni";
import { observeHealth } from "../cluster/health/linkerd";
import { observeLinkerd } from "../cluster/linkerd";
import { meshCliVersion } from "../cluster/meshCli";
import { readEvidence } from "../cluster/notices";
import { readProxySettings } from "../cluster/proxySettings";
import { readRunningVersions } from "../cluster/runningVersions";
import { declareLinkerd } from "../components/linkerd/linkerd";
import type { LinkerdStackConfig } from "../config";
import { runningCharts } from "../plan/adoption";
import { questionBefore, updateOf } from "../plan/checks/before";
import { gatewayApiOf } from "../plan/checks/gatewayApi";
import { checkLinkerd } from "../plan/checks/linkerd";
import { LINKERD_CHECKS } from "../plan/checks/table";
import { checkFaults, judgeBefore, repairWith } from "../plan/checks/verdict";
import { CNI_CHART, cniFaults, usesCni } from "../plan/cni";
import { meshedLabels, selectables } from "../plan/dataPlane";
import { extensionLines } from "../plan/extensions";
import { RefusedError } from "../plan/faults";
import { highAvailabilityFaults } from "../plan/highAvailability";
import { chartFaults, crdVersion, planLinkerd, type LinkerdPlan } from "../plan/linkerd";
import { linkerdReview } from "../plan/linkerdReview";
import { linkerdNotices, linkerdPolicy } from "../plan/policy/linkerd";
import { renderedLines, withRendered, withStacksOwn, write, type Rendered } from "../plan/rendered";
import type { LinkerdVersion } from "../plan/versions";
import { lossLines, metricsLoss } from "../plan/vizBackends";
import { overlapFaults } from "../plan/waves";
import { backupLines } from "../report/backup";
import { cliLines } from "../report/policy";
import { previewLines } from "../report/preview";
import { backupFaults } from "../rollout/backup/faults";
import { forbidden, outputOf, reviewed, tell, unknownInPreview } from "./review";

/** A stack of Linkerd: observes, plans, shows, declares; its outputs. */
export async function linkerd(file: LinkerdStackConfig, stack: string, connection: Connection) {
    const api = new KubeApi(connection);
    const [seen, sources] = await observe(file, stack, api, connection);
    const config = withRendered(file, sources.rendered);
    const { live, dataPlane, running } = seen;
    const { charts } = sources;
    const preview = pulumi.runtime.isDryRun();
    const { defaults } = sources;
    const planned = await planLinkerd(config, live, {
        stack,
        now: new Date(),
        defaults,
        running,
        namespaces: seen.namespaces,
    });
    const plan = "version" in planned ? planned : undefined;
    const policy = linkerdPolicy(config, live, {
        pods: running?.dataPlane.pods,
        images: seen.images,
        evidence: seen.evidence,
        values: plan?.values,
        acting: !preview,
    });
    const verdicts = judgeBefore(
        checkLinkerd({ ...seen.health, gatewayApi: gatewayApiOf(config, live, plan) }, "before"),
        LINKERD_CHECKS,
        updateOf(config, live, plan, preview),
    );
    const { waves } = config.rollout;
    const cni = plan && usesCni(plan.values) ? await readCni(api) : undefined;
    const refusals = [
        ...("version" in planned ? [] : planned),
        ...policy.faults,
        ...sources.faults,
        ...charts.faults,
        ...chartFaults(charts.located, live.serverVersion),
        ...(plan && cni && !(preview && "unknown" in cni)
            ? cniFaults(config, live, stack, cni)
            : []),
        ...(plan ? highAvailabilityFaults(plan, live, seen.health, config.viz.enabled) : []),
        ...checkFaults(verdicts, repairWith({ running: live.linkerdVersion })),
        ...(typeof dataPlane === "string"
            ? []
            : overlapFaults(waves, selectables(dataPlane), dataPlane.namespaceLabels)),
    ];
    const { path, notices } = policy;
    const found = { config, stack, live, plan, dataPlane, refusals, path, notices, verdicts };
    const review = await reviewed(api, config, linkerdReview(found));
    if (!plan) {
        throw new RefusedError(refusals);
    }
    const values = config.viz.enabled ? plan.values.viz : undefined;
    const ours = live.namespaces.some((one) => one.name === "linkerd-viz" && one.stack === stack);
    await tell([
        ...policy.lines,
        ...cliLines("linkerd", seen.cli, config.linkerdVersion.tag),
        ...renderedLines(config),
        ...previewLines(plan, review, config.report.workloads),
        // Without viz in the stack file somebody else's stays.
        ...(config.viz.enabled || ours
            ? lossLines(metricsLoss(live.installation, { ...review, values }))
            : []),
        ...extensionLines(seen.extensions, {
            own: new Set(config.viz.enabled ? ["linkerd-viz"] : []),
            from: live.linkerdVersion,
            to: config.linkerdVersion.tag,
        }),
        ...backupLines(config.backup, stack, live.linkerdVersion),
    ]);
    const { ran } = policy;
    const located = [...charts.located, ...(await wrapRendered(config, sources.rendered, plan))];
    return {
        ...declareLinkerd({ config, stack, plan, ran, charts: located, connection }),
        ...outputOf(review),
    };
}

async function observe(
    config: LinkerdStackConfig,
    stack: string,
    api: KubeApi,
    connection: Connection,
) {
    const live = await observeLinkerd(connection).catch(forbidden("the installation"));
    const bundles = new Map<string, string>();
    const dataPlane = await observeDataPlane(api, linkerdPodsWithAnchors(bundles)).catch(
        unknownInPreview,
    );
    const trustRoots = live.identity.issuer?.trustAnchors;
    const running =
        typeof dataPlane === "string"
            ? undefined
            : { dataPlane, proxies: meshedProxies(dataPlane.pods, bundles, trustRoots) };
    const version = config.linkerdVersion;
    const [images, evidence, cli, health, extensions, sources, namespaces] = await Promise.all([
        readRunningVersions(api).catch(reasonOf),
        readEvidence(
            api,
            linkerdNotices(live, version.tag),
            running && meshedLabels(running.dataPlane),
        ),
        meshCliVersion("linkerd"),
        observeHealth(api, live, questionBefore(config, live, stack)),
        observeExtensions(api).catch(reasonOf),
        sourcesOf(config, stack, live),
        readProxySettings(connection.core).catch(forbidden("the namespaces")),
    ]);
    return [
        { live, dataPlane, running, images, evidence, cli, health, extensions, namespaces },
        sources,
    ] as const;
}

/** The charts of target and live version, and whether the backup has a place. */
async function sourcesOf(
    config: LinkerdStackConfig,
    stack: string,
    live: Awaited<ReturnType<typeof observeLinkerd>>,
) {
    const crds = crdVersion(config.linkerdVersion, live);
    const [faults, { rendered, faults: unrendered }, charts, before] = await Promise.all([
        backupFaults(config.backup, stack),
        readRendered(config, crds),
        locateCharts(config.charts, chartsOf(config, crds), process.cwd(), config.verify),
        // Only its defaults are looked at, and the plan tells what it means that it is not to be had.
        locateCharts(config.charts, runningCharts(config, live)),
    ]);
    const defaults = await readDefaults([...charts.located, ...before.located]);
    return { faults: [...faults, ...unrendered], charts, defaults, rendered };
}

/** The charts that the stack's parts come from; those of rendered YAML left out. */
function chartsOf(
    { linkerdVersion, crds, controlPlane, cni, viz }: LinkerdStackConfig,
    crdsAt: LinkerdVersion,
): readonly ChartRequest[] {
    const version = linkerdVersion.chartVersion;
    const ofCrds = { name: "linkerd-crds", version: crdsAt.chartVersion, source: crds.charts };
    const ofControlPlane = { name: "linkerd-control-plane", version, source: controlPlane.charts };
    return [
        ...(crds.manifests === undefined ? [ofCrds] : []),
        ...(controlPlane.manifests === undefined ? [ofControlPlane] : []),
        { name: "linkerd-viz", version, source: viz.charts },
        ...(cni.enabled ? [{ name: CNI_CHART, version, source: cni.charts }] : []),
    ];
}

/** Rendered YAML as charts, with what the stack makes itself in it. */
function wrapRendered(
    { clusterUid }: LinkerdStackConfig,
    { crds, controlPlane }: Rendered,
    plan: LinkerdPlan,
): Promise<LocatedChart[]> {
    return Promise.all([
        ...(crds
            ? [
                  wrapManifests(
                      { name: "linkerd-crds", version: plan.crds.chartVersion },
                      write(crds.documents),
                  ),
              ]
            : []),
        ...(controlPlane
            ? [
                  wrapManifests(
                      { name: "linkerd-control-plane", version: plan.version.chartVersion },
                      withStacksOwn(controlPlane.documents, plan, clusterUid),
                  ),
              ]
            : []),
    ]);
}
