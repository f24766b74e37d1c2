import type {
    KubernetesObject,
    V1DaemonSet,
    V1Deployment,
    V1Job,
    V1Pod,
    V1StatefulSet,
} from "@kubernetes/client-node";

/** The kinds whose progress is known here. */
export type WorkloadKind = "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "Pod";

/** What an object lacks, in words; nothing where it is as it should be. */
export function shortfall(kind: WorkloadKind, object: KubernetesObject): string[] {
    switch (kind) {
        case "Deployment": {
            const { metadata, spec, status } = object as V1Deployment;
            const failure = status?.conditions?.find(
                (one) => one.type === "ReplicaFailure" && one.status === "True",
            );
            return rollout(metadata, status, spec?.replicas ?? 1, {
                updated: status?.updatedReplicas,
                ready: status?.readyReplicas,
                total: status?.replicas,
                why: failure?.message,
            });
        }
        case "StatefulSet": {
            const { metadata, spec, status } = object as V1StatefulSet;
            return rollout(metadata, status, spec?.replicas ?? 1, {
                updated: status?.updatedReplicas,
                ready: status?.readyReplicas,
                total: status?.replicas,
            });
        }
        case "DaemonSet": {
            const { metadata, status } = object as V1DaemonSet;
            return rollout(metadata, status, status?.desiredNumberScheduled ?? 0, {
                updated: status?.updatedNumberScheduled,
                ready: status?.numberReady,
                total: status?.currentNumberScheduled,
            });
        }
        case "Job": {
            const { spec, status } = object as V1Job;
            const wanted = spec?.completions ?? 1;
            const done = status?.succeeded ?? 0;
            return done >= wanted ? [] : [`${done} of ${wanted} completed`];
        }
        case "Pod":
            return podShortfall(object);
    }
}

function rollout(
    metadata: KubernetesObject["metadata"],
    status: { observedGeneration?: number | undefined } | undefined,
    wanted: number,
    counts: {
        updated: number | undefined;
        ready: number | undefined;
        total: number | undefined;
        why?: string | undefined;
    },
): string[] {
    if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 1)) {
        return ["the controller has not seen it yet"];
    }
    const { updated = 0, ready = 0, total = 0, why } = counts;
    if (updated === wanted && ready === wanted && total === wanted) return [];
    const reason = why === undefined ? "" : ` (${why})`;
    return [`${ready} of ${wanted} ready, ${updated} up to date, ${total} in all${reason}`];
}

function podShortfall({ metadata, status }: V1Pod): string[] {
    if (metadata?.deletionTimestamp !== undefined) return ["is being deleted"];
    if (status?.phase === "Succeeded") return [];
    const conditions = status?.conditions ?? [];
    if (conditions.some((one) => one.type === "Ready" && one.status === "True")) return [];
    const reason = conditions.find((one) => one.status === "False")?.message;
    return [`${status?.phase ?? "not started"}${reason === undefined ? "" : `: ${reason}`}`];
}
