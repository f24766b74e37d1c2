import { setTimeout as sleep } from "node:timers/promises";
import { checkIstio } from "../../plan/checks/istio";
import { checkLinkerd } from "../../plan/checks/linkerd";
import type { Stage } from "../../plan/checks/table";
import { judgeAfter, type Verdict } from "../../plan/checks/verdict";
import { KubeApi } from "../api";
import type { Connection } from "../connection";
import { observeDataPlane } from "../dataPlane";
import { observeIstio } from "../istio/observe";
import { istioPods } from "../istio/pods";
import { observeLinkerd } from "../linkerd";
import { observeIstioHealth } from "./istio";
import { observeHealth, type HealthQuestion } from "./linkerd";

/** Pods that were just made, leases of kubelets and aggregated APIs settle within it. */
const SETTLE_MS = 30_000;
const AGAIN_MS = 3_000;

/** What is asked after something was changed. */
export interface ChangedMesh extends Pick<HealthQuestion, "expected" | "viz"> {
    readonly ignore: readonly string[];
}

export interface ChangedIstio {
    /** Of the control planes. */
    readonly namespace: string;
    /** Of the stack. */
    readonly namespaces: readonly string[];
    /** Whether the stack file names a default revision. */
    readonly validates: boolean;
    readonly ignore: readonly string[];
}

/** Reads the mesh anew and judges it; what fails is looked at again for a while. */
export function checkChangedLinkerd(
    connection: Connection,
    { expected, viz, ignore }: ChangedMesh,
    stage: Exclude<Stage, "before">,
): Promise<Verdict[]> {
    const api = new KubeApi(connection);
    const since = new Date();
    return settled(async () => {
        const live = await observeLinkerd(connection);
        const question = { expected, viz, install: undefined, since };
        const health = await observeHealth(api, live, question);
        return judgeAfter(checkLinkerd(health, stage), ignore);
    }).finally(() => api.close());
}

/** The same for Istio. */
export function checkChangedIstio(
    connection: Connection,
    { namespace, namespaces, validates, ignore }: ChangedIstio,
    stage: Exclude<Stage, "before">,
): Promise<Verdict[]> {
    const api = new KubeApi(connection);
    return settled(async () => {
        const [live, dataPlane] = await Promise.all([
            observeIstio(connection, api, namespace, []),
            observeDataPlane(api, istioPods(new Set(namespaces))),
        ]);
        const health = await observeIstioHealth(api, live, dataPlane, { namespace, validates });
        return judgeAfter(checkIstio(health, stage), ignore);
    }).finally(() => api.close());
}

async function settled(ask: () => Promise<Verdict[]>): Promise<Verdict[]> {
    const deadline = Date.now() + SETTLE_MS;
    for (;;) {
        const verdicts = await ask();
        if (!verdicts.some(({ refuses }) => refuses) || Date.now() > deadline) {
            return verdicts;
        }
        await sleep(AGAIN_MS);
    }
}
