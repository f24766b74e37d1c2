import * as pulumi from "@pulumi/pulumi";
import { KubeApi } from "../cluster/api";
import { reasonOf, type Connection } from "../cluster/connection";
import { linkerdPodsWithAnchors, meshedProxies, observeDataPlane } from "../cluster/dataPlane";
import { observeExtensions } from "../cluster/extensions";
import { readCni } from "../cluster/health/cni";
import { observeHealth } from "../cluster/health/linkerd";
import { observeLinkerd } from "../cluster/linkerd";
import { observeLinks } from "../cluster/links";
import { meshCliVersion } from "../cluster/meshCli";
import { readEvidence } from "../cluster/notices";
import { readProxySettings } from "../cluster/proxySettings";
import { readRunningVersions } from "../cluster/runningVersions";
import { observeTrafficSplits } from "../cluster/trafficSplits";
import { declareLinkerd } from "../components/linkerd/linkerd";
import type { LinkerdStackConfig } from "../config";
import { questionBefore, updateOf } from "../plan/checks/before";
import { gatewayApiOf } from "../plan/checks/gatewayApi";
import { checkLinkerd } from "../plan/checks/linkerd";
import { LINKERD_CHECKS } from "../plan/checks/table";
import { checkFaults, judgeBefore, repairWith } from "../plan/checks/verdict";
import { cniFaults, usesCni } from "../plan/cni";
import { meshedLabels, selectables } from "../plan/dataPlane";
import {
    extensionConfigFaults,
    extensionFaults,
    keptLinks,
    leavingJaegerFaults,
    plannedExtensions,
    storedLinksFaults,
    type SeenExtensions,
} from "../plan/extensions";
import { extensionLines, ownExtensionLines } from "../plan/extensionLines";
import { RefusedError } from "../plan/faults";
import { highAvailabilityFaults } from "../plan/highAvailability";
import { chartFaults, planLinkerd } from "../plan/linkerd";
import { linkerdReview } from "../plan/linkerdReview";
import { linkerdNotices, linkerdPolicy } from "../plan/policy/linkerd";
import { renderedLines, withRendered } from "../plan/rendered";
import { lossLines, metricsLoss } from "../plan/vizBackends";
import { overlapFaults } from "../plan/waves";
import { backupLines } from "../report/backup";
import { cliLines } from "../report/policy";
import { previewLines } from "../report/preview";
import { sourcesOf, wrapRendered } from "./linkerdSources";
import { forbidden, outputOf, reviewed, tell, unknownInPreview } from "./review";

/** A stack of Linkerd: observes, plans, shows, declares; its outputs. */
export async function linkerd(file: LinkerdStackConfig, stack: string, connection: Connection) {
    const api = new KubeApi(connection);
    const [seen, sources] = await observe(file, stack, api, connection);
    const config = withRendered(file, sources.rendered);
    const { live, dataPlane, running } = seen;
    const { charts } = sources;
    const extensions = plannedExtensions(config);
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
    const way = { from: live.linkerdVersion, to: config.linkerdVersion.tag };
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
        ...sources.extensions.faults,
        ...extensionConfigFaults(config),
        ...extensionFaults(extensions, seen.extensions, { stack, acting: !preview }),
        ...storedLinksFaults(seen.extensions, extensions, defaults, way.to),
        ...leavingJaegerFaults(seen.extensions, {
            ...{ ...way, stack, asked: config.extensions.jaeger !== undefined },
        }),
        ...chartFaults(
            [...charts.located, ...sources.extensions.located.map((one) => one.located)],
            live.serverVersion,
        ),
        ...(plan && cni && !(preview && "unknown" in cni)
            ? cniFaults(config, stack, cni, plan.change)
            : []),
        ...(plan ? highAvailabilityFaults(plan, live, seen.health, config.viz.enabled) : []),
        ...checkFaults(verdicts, repairWith({ running: live.linkerdVersion })),
        ...(typeof dataPlane === "string"
            ? []
            : overlapFaults(waves, selectables(dataPlane), dataPlane.namespaceLabels)),
    ];
    const { path, notices } = policy;
    const found = { config, stack, live, plan, dataPlane, refusals, path, notices, verdicts, cni };
    const review = await reviewed(
        api,
        config,
        linkerdReview({ ...found, extensions: seen.extensions }),
    );
    if (!plan) {
        throw new RefusedError(refusals);
    }
    const values = config.viz.enabled ? plan.values.viz : undefined;
    const ours = live.namespaces.some((one) => one.name === "linkerd-viz" && one.stack === stack);
    await tell([
        ...policy.lines,
        ...cliLines("linkerd", seen.cli, config.linkerdVersion.tag),
        ...renderedLines(config, sources.rendered),
        ...previewLines(plan, review, config.report.workloads),
        // Without viz in the stack file somebody else's stays.
        ...(config.viz.enabled || ours
            ? lossLines(metricsLoss(live.installation, { ...review, values }))
            : []),
        ...ownExtensionLines(extensions, seen.extensions, way),
        ...extensionLines(seen.extensions.live, {
            ...way,
            stack,
            own: new Set([
                ...(config.viz.enabled ? ["linkerd-viz"] : []),
                ...extensions.map(({ namespace }) => namespace),
            ]),
        }),
        ...backupLines(config.backup, stack, live.linkerdVersion),
    ]);
    const { ran } = policy;
    const located = [...charts.located, ...(await wrapRendered(config, sources.rendered, plan))];
    return {
        ...declareLinkerd({
            ...{ config, stack, plan, ran, charts: located, connection },
            extensions: sources.extensions.located,
            keptLinks: keptLinks(seen.extensions, way.to),
        }),
        ...outputOf(review),
    };
}

async function observe(
    config: LinkerdStackConfig,
    stack: string,
    api: KubeApi,
    connection: Connection,
) {
    const live = await observeLinkerd(connection, config.extensions).catch(
        forbidden("the installation"),
    );
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
        readEvidence(api, linkerdNotices(live, version.tag), {
            meshed: running && meshedLabels(running.dataPlane),
            stack,
        }),
        meshCliVersion("linkerd"),
        observeHealth(api, live, questionBefore(config, live, stack)),
        seeExtensions(api, config),
        sourcesOf(config, stack, live, api),
        readProxySettings(connection.core).catch(unknownInPreview),
    ]);
    return [
        { live, dataPlane, running, images, evidence, cli, health, extensions, namespaces },
        sources,
    ] as const;
}

async function seeExtensions(api: KubeApi, config: LinkerdStackConfig): Promise<SeenExtensions> {
    const { smi, multicluster } = config.extensions;
    const [live, trafficSplits, links] = await Promise.all([
        observeExtensions(api).catch(reasonOf),
        smi && observeTrafficSplits(api).catch(reasonOf),
        multicluster && observeLinks(api).catch(reasonOf),
    ]);
    return { live, trafficSplits, links };
}
