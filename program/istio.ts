import * as pulumi from "@pulumi/pulumi";
import { readManifests } from "../charts/manifests";
import { locateCharts } from "../charts/source";
import { KubeApi } from "../cluster/api";
import type { Connection } from "../cluster/connection";
import { observeDataPlane } from "../cluster/dataPlane";
import { observeIstioHealth } from "../cluster/health/istio";
import { observeIstio } from "../cluster/istio/observe";
import { istioPods } from "../cluster/istio/pods";
import { meshCliVersion } from "../cluster/meshCli";
import { readEvidence } from "../cluster/notices";
import { declareIstio } from "../components/istio/istio";
import type { IstioStackConfig } from "../config";
import { istioUpdateOf } from "../plan/checks/before";
import { checkIstio } from "../plan/checks/istio";
import { ISTIO_CHECKS } from "../plan/checks/table";
import { checkFaults, judgeBefore, repairWith } from "../plan/checks/verdict";
import { chartsOf, planIstio } from "../plan/istio/plan";
import { istioReview } from "../plan/istio/review";
import { istioNotices } from "../plan/policy/istio";
import { noticeFaults, noticeResults } from "../plan/policy/notices";
import { cliLines } from "../report/policy";
import { previewLines } from "../report/preview";
import { forbidden, outputOf, reviewed, tell, unknownInPreview } from "./review";

/** A stack of Istio: observes, plans, shows, declares; its outputs. */
export async function istio(config: IstioStackConfig, stack: string, connection: Connection) {
    const api = new KubeApi(connection);
    const seen = await observe(config, api, connection);
    const preview = pulumi.runtime.isDryRun();
    const { live, dataPlane, manifests } = seen;
    const { istio: asked, policy, rollout } = config;
    const plan = planIstio(asked, rollout.waves, live, stack, manifests.split, policy.override);
    const charts = await locateCharts(config.charts, chartsOf(plan), process.cwd(), config.verify);
    const notices = noticeResults(seen.crossed, {
        evidence: seen.evidence,
        values: {},
        acknowledge: policy.acknowledge,
        acting: !preview,
    });
    const verdicts = judgeBefore(
        checkIstio(seen.health, "before"),
        ISTIO_CHECKS,
        istioUpdateOf(config, live, plan, preview),
    );
    const refusals = [
        ...plan.faults,
        ...manifests.faults,
        ...charts.faults,
        ...noticeFaults(notices),
        ...checkFaults(verdicts, repairWith({ running: undefined })),
    ];
    const found = { config, stack, live, plan, dataPlane, refusals, notices, verdicts };
    const review = await reviewed(api, config, istioReview(found));
    await tell([
        ...(plan.newest === "" ? [] : cliLines("istioctl", seen.cli, plan.newest)),
        ...previewLines(plan, review, config.report.workloads),
    ]);
    return {
        ...declareIstio({ config, stack, plan, live, charts: charts.located, connection }),
        ...outputOf(review),
    };
}

async function observe(config: IstioStackConfig, api: KubeApi, connection: Connection) {
    const { namespace, gateways, target, defaultRevision } = config.istio;
    const live = await observeIstio(connection, api, namespace, gateways).catch(
        forbidden("the installation"),
    );
    const dataPlane = await observeDataPlane(api, istioPods(new Set(target.keys()))).catch(
        unknownInPreview,
    );
    const crossed = istioNotices(live, config.istio);
    const [manifests, evidence, cli, health] = await Promise.all([
        readManifests(config.istio, live.serverVersion),
        readEvidence(api, crossed),
        meshCliVersion("istioctl"),
        observeIstioHealth(api, live, dataPlane, {
            namespace,
            validates: defaultRevision !== undefined,
        }),
    ]);
    return { live, dataPlane, crossed, manifests, evidence, cli, health };
}
