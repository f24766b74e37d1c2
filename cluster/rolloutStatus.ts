import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf, statusOf, type Connection } from "./connection";
import type { Workload } from "./dataPlane";

type Live = k8s.V1Deployment | k8s.V1StatefulSet | k8s.V1DaemonSet;

/** How far a workload's rollout has come. */
export interface RolloutStatus {
    readonly done: boolean;
    /** Pods of the new template, and how many are wanted. */
    readonly updated: number;
    readonly available: number;
    readonly wanted: number;
}

/** A rollout made no progress for the whole limit. */
export class StuckError extends Error {
    constructor(
        readonly workload: string,
        readonly reason: string,
    ) {
        super(`${workload}: ${reason}`);
        this.name = "StuckError";
    }
}

/** The same tests that `kubectl rollout status` makes. */
export function rolloutStatus(kind: Workload["kind"], live: Live): RolloutStatus {
    const observed = (live.status?.observedGeneration ?? 0) >= (live.metadata?.generation ?? 0);
    if (kind === "Deployment") {
        const { spec, status = {} }: k8s.V1Deployment = live;
        const wanted = spec?.replicas ?? 1;
        const updated = observed ? (status.updatedReplicas ?? 0) : 0;
        const available = status.availableReplicas ?? 0;
        const old = (status.replicas ?? 0) - updated;
        return {
            done: observed && updated >= wanted && old <= 0 && available >= updated,
            updated,
            available,
            wanted,
        };
    }
    if (kind === "StatefulSet") {
        const { spec, status } = live as k8s.V1StatefulSet;
        const wanted = spec?.replicas ?? 1;
        const available = status?.readyReplicas ?? 0;
        const settled = observed && status?.updateRevision === status?.currentRevision;
        return {
            done: settled && available >= wanted,
            updated: settled ? wanted : observed ? (status?.updatedReplicas ?? 0) : 0,
            available,
            wanted,
        };
    }
    const { status } = live as k8s.V1DaemonSet;
    const wanted = status?.desiredNumberScheduled ?? 0;
    const updated = observed ? (status?.updatedNumberScheduled ?? 0) : 0;
    const available = status?.numberAvailable ?? 0;
    return {
        done: observed && updated >= wanted && available >= wanted,
        updated,
        available,
        wanted,
    };
}

/**
 * Waits by a watch until the workload's rollout is complete. Answers of the API server that pass (a dropped watch,
 * an expired resourceVersion, 429, 5xx, no connection) are ridden out within the same limit.
 * @throws StuckError after `limitMs` without a change in the counts, with pod and reason.
 */
export async function untilRolledOut(
    connection: Connection,
    workload: Pick<Workload, "kind" | "namespace" | "name">,
    limitMs: number,
    onChange: (status: RolloutStatus) => void = () => undefined,
): Promise<void> {
    const { kind, namespace, name } = workload;
    let seen = "";
    let deadline = Date.now() + limitMs;
    let lastError: unknown;
    const look = (live: Live): boolean => {
        const status = rolloutStatus(kind, live);
        const text = JSON.stringify(status);
        if (text !== seen) {
            seen = text;
            deadline = Date.now() + limitMs;
            onChange(status);
        }
        return status.done;
    };
    for (let pause = 250; Date.now() < deadline; pause = Math.min(pause * 2, 5_000)) {
        try {
            const live = await read(connection, workload);
            if (look(live)) {
                return;
            }
            const version = live.metadata?.resourceVersion ?? "";
            if (await watchOnce(connection, workload, version, look, () => deadline)) {
                return;
            }
            pause = 250;
        } catch (error) {
            if (statusOf(error) === 404) {
                throw new StuckError(`${namespace}/${kind}/${name}`, "it was deleted meanwhile");
            }
            lastError = error;
        }
        await sleep(Math.min(pause, Math.max(0, deadline - Date.now())));
    }
    const reason = await reasonWhyStuck(connection, workload).catch(
        (error: unknown) => `unknown: ${reasonOf(lastError ?? error)}`,
    );
    throw new StuckError(
        `${namespace}/${kind}/${name}`,
        `no progress for ${Math.round(limitMs / 1000)} s: ${reason}`,
    );
}

async function read(
    { apps }: Connection,
    { kind, namespace, name }: Pick<Workload, "kind" | "namespace" | "name">,
): Promise<Live> {
    switch (kind) {
        case "Deployment":
            return apps.readNamespacedDeployment({ namespace, name });
        case "StatefulSet":
            return apps.readNamespacedStatefulSet({ namespace, name });
        case "DaemonSet":
            return apps.readNamespacedDaemonSet({ namespace, name });
    }
}

/** One watch, until `look` says done (true), the server ends it or the deadline passes (false). */
async function watchOnce(
    connection: Connection,
    { kind, namespace, name }: Pick<Workload, "kind" | "namespace" | "name">,
    resourceVersion: string,
    look: (live: Live) => boolean,
    deadline: () => number,
): Promise<boolean> {
    const watch = new k8s.Watch(connection.kubeconfig);
    let controller: AbortController | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
        return await new Promise<boolean>((resolve, reject) => {
            const tick = () => {
                const left = deadline() - Date.now();
                if (left <= 0) {
                    resolve(false);
                } else {
                    timer = setTimeout(tick, left);
                }
            };
            tick();
            watch
                .watch(
                    `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s`,
                    { fieldSelector: `metadata.name=${name}`, resourceVersion },
                    (phase, live: Live) => {
                        if (phase === "DELETED" || phase === "ERROR" || look(live)) {
                            resolve(phase !== "DELETED" && phase !== "ERROR");
                        }
                    },
                    (error: unknown) => {
                        if (error && !(error as Error).name.includes("Abort")) {
                            reject(error instanceof Error ? error : new Error(reasonOf(error)));
                        } else {
                            resolve(false);
                        }
                    },
                )
                .then((one) => (controller = one), reject);
        });
    } finally {
        clearTimeout(timer);
        controller?.abort();
    }
}

/** The pod that holds the rollout up and why; else what the workload's own conditions say. */
async function reasonWhyStuck(
    connection: Connection,
    workload: Pick<Workload, "kind" | "namespace" | "name">,
): Promise<string> {
    const live = await read(connection, workload);
    const labels = Object.entries(live.spec?.selector.matchLabels ?? {});
    const pods = await connection.core.listNamespacedPod({
        namespace: workload.namespace,
        labelSelector: labels.map(([key, value]) => `${key}=${value}`).join(","),
    });
    const reasons = pods.items
        .filter((pod) => pod.status?.phase !== "Succeeded")
        .map((pod) => ({ pod: pod.metadata?.name ?? "", reason: podReason(pod) }))
        .filter(({ reason }) => reason !== undefined);
    if (reasons.length > 0) {
        return reasons
            .slice(0, 3)
            .map(({ pod, reason }) => `pod ${pod}: ${reason}`)
            .join("; ");
    }
    const conditions = live.status?.conditions ?? [];
    const failed =
        conditions.find((one) => one.type === "ReplicaFailure" && one.status === "True") ??
        conditions.find((one) => one.status === "False");
    return failed?.message ?? "all of its pods are ready, but its controller does not go on";
}

/** Why a pod is not ready, the most telling reason first; undefined for a ready pod. */
export function podReason(pod: k8s.V1Pod): string | undefined {
    const condition = (type: string) =>
        pod.status?.conditions?.find((one) => one.type === type && one.status === "False");
    const scheduled = condition("PodScheduled");
    if (scheduled) {
        return `${scheduled.reason ?? "not scheduled"}: ${scheduled.message ?? ""}`;
    }
    const containers = [
        ...(pod.status?.initContainerStatuses ?? []),
        ...(pod.status?.containerStatuses ?? []),
    ];
    for (const { name, state, restartCount } of containers) {
        const waiting = state?.waiting;
        if (waiting?.reason && waiting.reason !== "PodInitializing") {
            return `container ${name}: ${waiting.reason}${waiting.message ? ` (${waiting.message})` : ""}, ${restartCount} restarts`;
        }
        const terminated = state?.terminated;
        if (terminated && terminated.exitCode !== 0) {
            return `container ${name}: ${terminated.reason ?? "ended"}, exit code ${terminated.exitCode}`;
        }
    }
    if (pod.metadata?.deletionTimestamp) {
        return "is being deleted";
    }
    const ready = condition("Ready");
    return ready ? `${ready.reason ?? "not ready"}: ${ready.message ?? ""}` : undefined;
}
