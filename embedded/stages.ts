/**
 * How kwok plays the kubelet: the stages that nodes and pods go through. kwok brings stages of its
 * own, of which any that is given here turns off all; these also let a pod's annotations slow it
 * down or break it.
 */
import { nodeStatus, podStatuses, restartEvery } from "./stageStatus";

/**
 * Annotations that steer a simulated pod; durations as Go writes them ("500ms", "5s"). A change of
 * the pod while one runs starts it anew.
 */
export const podAnnotations = {
    /** Running and Ready that long after it was scheduled, ContainerCreating until then. */
    readyAfter: "mesh-upgrade.embedded/ready-after",
    /**
     * "true": the container `main` (the last one beside the proxy where none has that name) ends
     * with exit code 1 and waits in CrashLoopBackOff, its restartCount growing every 10 s from 1.
     * A version such as "edge-24.7.5": the same, with a proxy of that version only.
     */
    crashLoop: "mesh-upgrade.embedded/crash-loop",
    /** With `crashLoop`: Ready first, for that long. Never Ready without it. */
    crashAfter: "mesh-upgrade.embedded/crash-after",
    /** A Job's pod runs that long before it has succeeded. */
    completeAfter: "mesh-upgrade.embedded/complete-after",
    /** A deleted pod stays that long, terminating. */
    terminateAfter: "mesh-upgrade.embedded/terminate-after",
} as const;

/** Annotation of a simulated node that never gets ready, as one whose kubelet does not run. */
export const NODE_DOWN = "mesh-upgrade.embedded/down";

/** The documents for kwok's configuration. */
export function stages(): object[] {
    const { readyAfter, crashAfter, completeAfter, terminateAfter } = podAnnotations;
    const alive = ".metadata.deletionTimestamp == null";
    const crashLoop = `(${annotation(podAnnotations.crashLoop)} // "false")`;
    const crashing = `(${crashLoop} == "true" or ${crashLoop} == ${annotation("linkerd.io/proxy-version")})`;
    const waiting = `${alive} and .status.phase == "Pending"`;
    const running = `${alive} and .status.phase == "Running"`;
    // A pod that starts at once is spared a status of its own for the time before.
    const created = `(.status.startTime != null or ${annotation(readyAfter)} == null)`;
    const neverReady = `(${crashing} and ${annotation(crashAfter)} == null)`;
    const isReady = `any(.status.conditions[]?; .type == "Ready" and .status == "True")`;
    return [
        stage("Node", "node-ready", {
            when: `((${isReady}) | not) and ${annotation(NODE_DOWN)} == null`,
            next: status(nodeStatus),
        }),
        stage("Node", "node-heartbeat", {
            when: isReady,
            // The lease, which kwok renews by itself, says that a node lives.
            after: `"10m"`,
            next: status(nodeStatus),
        }),
        stage("Pod", "pod-create", {
            when: `${waiting} and (${created} | not)`,
            next: status(podStatuses.creating),
        }),
        stage("Pod", "pod-ready", {
            when: `${waiting} and ${created} and (${neverReady} | not)`,
            after: annotation(readyAfter),
            next: status(podStatuses.started),
        }),
        stage("Pod", "pod-crash", {
            when: `${waiting} and ${created} and ${neverReady}`,
            after: annotation(readyAfter),
            next: status(podStatuses.crashed),
        }),
        stage("Pod", "pod-crash-again", {
            when: `${running} and ${crashing}`,
            after: `if ${isReady} then ${annotation(crashAfter)} else "${restartEvery}" end`,
            next: status(podStatuses.crashedAgain),
        }),
        stage("Pod", "pod-complete", {
            when: `${running} and (${crashing} | not) and any(.metadata.ownerReferences[]?; .kind == "Job")`,
            after: annotation(completeAfter),
            next: status(podStatuses.completed),
        }),
        stage("Pod", "pod-delete", {
            when: ".metadata.deletionTimestamp != null",
            // A grace of 0 is kwok's own deletion under way: to repeat it at once would ask for a
            // pod that is gone.
            after: `if .metadata.deletionGracePeriodSeconds == 0 then "5s" else ${annotation(terminateAfter)} end`,
            next: { finalizers: { empty: true }, delete: true },
        }),
    ];
}

function annotation(name: string): string {
    return `.metadata.annotations["${name}"]`;
}

/** `when` and `after` are expressions of jq: a truth and a duration, at once where it is null. */
function stage(
    kind: "Node" | "Pod",
    name: string,
    { when, after, next }: { when: string; after?: string; next: object },
): object {
    return {
        apiVersion: "kwok.x-k8s.io/v1alpha1",
        kind: "Stage",
        metadata: { name },
        spec: {
            resourceRef: { apiGroup: "v1", kind },
            selector: {
                matchExpressions: [{ jq: { key: when, operator: "In", values: ["true"] } }],
            },
            ...(after !== undefined && {
                delay: { durationMilliseconds: 0, durationFrom: { jq: { expression: after } } },
            }),
            next,
        },
    };
}

function status(template: string): object {
    return { patches: [{ subresource: "status", root: "status", template }] };
}
