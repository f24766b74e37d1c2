import type * as k8s from "@kubernetes/client-node";
import type { WorkloadKind } from "./workloads";

/** How far a workload's rollout has come. */
export interface RolloutStatus {
    readonly done: boolean;
    /** Pods of the new template, and how many are wanted. */
    readonly updated: number;
    readonly available: number;
    readonly wanted: number;
    /** The controller's own verdict that the rollout does not go on (`progressDeadlineSeconds`). */
    readonly givenUp: string | undefined;
    /** Why it can make no pods, such as a quota. */
    readonly problem: string | undefined;
}

/** An Argo Rollout, as far as a restart concerns it. */
export interface ArgoRollout {
    readonly metadata?: k8s.V1ObjectMeta;
    readonly spec?: {
        readonly replicas?: number;
        readonly paused?: boolean;
        readonly restartAt?: string;
        readonly template?: k8s.V1PodTemplateSpec;
        readonly workloadRef?: { readonly kind: string; readonly name: string };
    };
    readonly status?: {
        readonly restartedAt?: string;
        readonly replicas?: number;
        readonly updatedReplicas?: number;
        readonly availableReplicas?: number;
        readonly phase?: string;
        readonly message?: string;
    };
}

export type Live = k8s.V1Deployment | k8s.V1StatefulSet | k8s.V1DaemonSet | ArgoRollout;

/** The same tests that `kubectl rollout status` makes, and for an Argo Rollout those of its restart. */
export function rolloutStatus(kind: WorkloadKind, live: Live): RolloutStatus {
    switch (kind) {
        case "Deployment":
            return ofDeployment(live as k8s.V1Deployment);
        case "StatefulSet":
            return ofStatefulSet(live as k8s.V1StatefulSet);
        case "DaemonSet":
            return ofDaemonSet(live as k8s.V1DaemonSet);
        case "Rollout":
            return ofRollout(live as ArgoRollout);
    }
}

function isObserved(live: k8s.V1Deployment | k8s.V1StatefulSet | k8s.V1DaemonSet): boolean {
    return (live.status?.observedGeneration ?? 0) >= (live.metadata?.generation ?? 0);
}

function ofDeployment(live: k8s.V1Deployment): RolloutStatus {
    const { spec, status = {} } = live;
    const observed = isObserved(live);
    const wanted = spec?.replicas ?? 1;
    const updated = observed ? (status.updatedReplicas ?? 0) : 0;
    const available = status.availableReplicas ?? 0;
    const old = (status.replicas ?? 0) - updated;
    const progressing = status.conditions?.find((one) => one.type === "Progressing");
    return {
        done: observed && updated >= wanted && old <= 0 && available >= updated,
        updated,
        available,
        wanted,
        givenUp:
            observed && progressing?.reason === "ProgressDeadlineExceeded"
                ? (progressing.message ?? progressing.reason)
                : undefined,
        problem: status.conditions?.find(
            (one) => one.type === "ReplicaFailure" && one.status === "True",
        )?.message,
    };
}

function ofStatefulSet(live: k8s.V1StatefulSet): RolloutStatus {
    const { spec, status } = live;
    const observed = isObserved(live);
    const wanted = spec?.replicas ?? 1;
    const available = status?.readyReplicas ?? 0;
    const settled = observed && status?.updateRevision === status?.currentRevision;
    return {
        done: settled && available >= wanted,
        updated: settled ? wanted : observed ? (status?.updatedReplicas ?? 0) : 0,
        available,
        wanted,
        givenUp: undefined,
        problem: undefined,
    };
}

function ofDaemonSet(live: k8s.V1DaemonSet): RolloutStatus {
    const { status } = live;
    const observed = isObserved(live);
    const wanted = status?.desiredNumberScheduled ?? 0;
    const updated = observed ? (status?.updatedNumberScheduled ?? 0) : 0;
    const available = status?.numberAvailable ?? 0;
    return {
        done: observed && updated >= wanted && available >= wanted,
        updated,
        available,
        wanted,
        givenUp: undefined,
        problem: undefined,
    };
}

/** The controller sets status.restartedAt when every pod is newer than spec.restartAt (argo-rollouts.readthedocs.io). */
function ofRollout(live: ArgoRollout): RolloutStatus {
    const { spec, status } = live;
    const wanted = spec?.replicas ?? 1;
    const available = status?.availableReplicas ?? 0;
    const asked = spec?.restartAt === undefined ? 0 : Date.parse(spec.restartAt);
    const restarted = status?.restartedAt === undefined ? 0 : Date.parse(status.restartedAt);
    return {
        done: restarted >= asked && available >= wanted,
        updated: restarted >= asked ? wanted : 0,
        available,
        wanted,
        givenUp: status?.phase === "Degraded" ? (status.message ?? "it is degraded") : undefined,
        problem: undefined,
    };
}
