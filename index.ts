import * as pulumi from "@pulumi/pulumi";
import { locateCharts, readDefaults } from "./charts/source";
import { KubeApi } from "./cluster/api";
import { readManifests } from "./charts/manifests";
import { ClusterError, connect, reasonOf, type Connection } from "./cluster/connection";
import { linkerdPodsWithAnchors, meshedProxies, observeDataPlane } from "./cluster/dataPlane";
import { observeIstio } from "./cluster/istio/observe";
import { istioPods } from "./cluster/istio/pods";
import { observeLinkerd } from "./cluster/linkerd";
import { failure } from "./components/failure";
import { declareIstio } from "./components/istio/istio";
import { declareLinkerd } from "./components/linkerd/linkerd";
import { readConfig, type IstioStackConfig, type LinkerdStackConfig } from "./config";
import { runningCharts } from "./plan/adoption";
import { selectables } from "./plan/dataPlane";
import { formatFaults, RefusedError } from "./plan/faults";
import { chartsOf, planIstio } from "./plan/istio/plan";
import { plannedTarget } from "./plan/istio/target";
import { chartFaults, crdVersion, planLinkerd } from "./plan/linkerd";
import { overlapFaults } from "./plan/waves";
import { backupLines } from "./report/backup";
import { dataPlaneLines, previewLines } from "./report/preview";
import { backupFaults } from "./rollout/backup/faults";

async function program() {
    const config = await readConfig();
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    const connection = await connect(config);
    return config.mesh === "istio"
        ? istio(config, stack, connection)
        : linkerd(config, stack, connection);
}

async function istio(config: IstioStackConfig, stack: string, connection: Connection) {
    const { rollout, charts: source } = config;
    const { namespace, gateways } = config.istio;
    const api = new KubeApi(connection);
    const live = await observeIstio(connection, api, namespace, gateways).catch(
        forbidden("the installation"),
    );
    const dataPlane = await observeDataPlane(
        api,
        istioPods(new Set(config.istio.target.keys())),
    ).catch(unknownInPreview);
    const manifests = await readManifests(config.istio, live.serverVersion);
    const plan = planIstio(config.istio, rollout.waves, live, stack, manifests.split);
    const charts = await locateCharts(source, chartsOf(plan));
    const faults = [...plan.faults, ...manifests.faults, ...charts.faults];
    if (faults.length > 0) {
        throw new RefusedError(faults);
    }
    const target = plannedTarget(plan.planned);
    for (const line of [...plan.lines, ...dataPlaneLines(dataPlane, target, rollout.waves)]) {
        await pulumi.log.info(line);
    }
    return declareIstio({ config, stack, plan, live, charts: charts.located, connection });
}

async function linkerd(config: LinkerdStackConfig, stack: string, connection: Connection) {
    const live = await observeLinkerd(connection).catch(forbidden("the installation"));
    const bundles = new Map<string, string>();
    const dataPlane = await observeDataPlane(
        new KubeApi(connection),
        linkerdPodsWithAnchors(bundles),
    ).catch(unknownInPreview);
    const trustRoots = live.identity.issuer?.trustAnchors;
    const running =
        typeof dataPlane === "string"
            ? undefined
            : { dataPlane, proxies: meshedProxies(dataPlane.pods, bundles, trustRoots) };

    const version = config.linkerdVersion;
    const [backup, charts, before] = await Promise.all([
        backupFaults(config.backup, stack),
        locateCharts(config.charts, [
            { name: "linkerd-crds", version: crdVersion(version, live).chartVersion },
            { name: "linkerd-control-plane", version: version.chartVersion },
            { name: "linkerd-viz", version: version.chartVersion },
        ]),
        // Only its defaults are looked at, and the plan tells what it means that it is not to be had.
        locateCharts(config.charts, runningCharts(config, live)),
    ]);
    const defaults = await readDefaults([...charts.located, ...before.located]);
    const plan = await planLinkerd(config, live, { stack, now: new Date(), defaults, running });
    const { waves } = config.rollout;
    const faults = [
        ...backup,
        ...charts.faults,
        ...chartFaults(charts.located, live.serverVersion),
        ...(typeof dataPlane === "string"
            ? []
            : overlapFaults(waves, selectables(dataPlane), dataPlane.namespaceLabels)),
    ];
    if (!("version" in plan) || faults.length > 0) {
        throw new RefusedError([...("version" in plan ? [] : plan), ...faults]);
    }
    const lines = [
        ...previewLines(plan, dataPlane, waves),
        ...backupLines(config.backup, stack, live.linkerdVersion),
    ];
    for (const line of lines) {
        await pulumi.log.info(line);
    }

    return declareLinkerd({ config, stack, plan, charts: charts.located, connection });
}

/** Preview may go on without the list of workloads; an update may not. */
function unknownInPreview(error: unknown): string {
    const reason = reasonOf(error);
    return pulumi.runtime.isDryRun() ? reason : forbidden("the data plane")(error);
}

/** Turns an API server's refusal into a refusal of ours. */
function forbidden(what: string) {
    return (error: unknown): never => {
        throw new RefusedError([
            {
                subject: `reading ${what}`,
                rule: `the API server does not answer it: ${reasonOf(error)}`,
                next: "kubectl auth can-i --list, and ask for the missing permission",
            },
        ]);
    };
}

/** Refusals are for people: their text, without a stack trace. */
export = async () => {
    try {
        return await program();
    } catch (error) {
        if (error instanceof RefusedError) {
            throw failure(error.message);
        }
        if (error instanceof ClusterError) {
            throw failure(formatFaults([error]));
        }
        throw error;
    }
};
