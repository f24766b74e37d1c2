import type * as k8s from "@kubernetes/client-node";

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
