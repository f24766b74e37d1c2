import type { DataPlane, MeshedPod, Workload } from "../cluster/dataPlane";
import type { Fault } from "./faults";

/** What a wave does with one workload. */
export interface WorkloadPlan {
    readonly workload: Workload;
    /**
     * `restart`: new pods from the same template. `wait`: an earlier run restarted it, its pods are still
     * coming. `return`: an earlier restart got stuck half-way and the revision before it runs the target.
     */
    readonly action: "restart" | "wait" | "return";
    /** For `return`: restartedAt of the revision to go back to; undefined: it has none. */
    readonly restartedAt?: string | undefined;
    /** Proxy versions that its pods run now, sorted. */
    readonly from: readonly string[];
    readonly pods: number;
}

/** Pods whose proxy is stale and stays so, with the reason. */
export interface Unrestartable {
    readonly namespace: string;
    /** `Deployment/web`, or `Pod/name` for a pod without a workload. */
    readonly what: string;
    readonly proxy: string;
    readonly pods: number;
    readonly reason: string;
}

export interface DataPlanePlan {
    readonly target: string;
    readonly workloads: readonly WorkloadPlan[];
    readonly unrestartable: readonly Unrestartable[];
    /** Pods of the mesh that have not finished. */
    readonly pods: number;
    /** Of those, pods whose proxy is the target. */
    readonly current: number;
}

/** Which workloads run a proxy other than `target` (an image tag) and what can be done about each. */
export function planDataPlane(dataPlane: DataPlane, target: string): DataPlanePlan {
    const alive = dataPlane.pods.filter((pod) => !isFinished(pod) && !pod.terminating);
    const stale = alive.filter((pod) => pod.proxy !== target);
    const known = new Map(
        dataPlane.workloads.map((one) => [`${one.kind}/${one.namespace}/${one.name}`, one]),
    );
    const podsByOwner = groupBy(alive, ownerOf);
    const workloads: WorkloadPlan[] = [];
    const unrestartable: Unrestartable[] = [];
    for (const [, pods] of groupBy(stale, ownerOf)) {
        const [first] = pods;
        if (!first) {
            continue;
        }
        const workload = known.get(ownerOf(first));
        const from = [...new Set(pods.map((pod) => pod.proxy ?? "unknown"))].sort();
        const reason = whyNot(first, pods, workload, target);
        if (!workload || reason !== undefined) {
            unrestartable.push({
                namespace: first.namespace,
                what: `${first.owner?.kind ?? "Pod"}/${first.owner?.name ?? first.name}`,
                proxy: from.join(", "),
                pods: pods.length,
                reason: reason ?? "its owner is unknown",
            });
            continue;
        }
        workloads.push({
            workload,
            ...actionFor(workload, pods, podsByOwner.get(ownerOf(first)) ?? []),
            from,
            pods: pods.length,
        });
    }
    return {
        target,
        workloads: workloads.sort((a, b) => nameOf(a.workload).localeCompare(nameOf(b.workload))),
        unrestartable: unrestartable.sort((a, b) =>
            `${a.namespace}/${a.what}`.localeCompare(`${b.namespace}/${b.what}`),
        ),
        pods: alive.length,
        current: alive.length - stale.length,
    };
}

/** `shop/Deployment/web`: namespace first, so that lists read by namespace. */
export function nameOf(workload: Workload): string {
    return `${workload.namespace}/${workload.kind}/${workload.name}`;
}

function isFinished(pod: MeshedPod): boolean {
    return pod.phase === "Succeeded" || pod.phase === "Failed";
}

function ownerOf(pod: MeshedPod): string {
    return pod.owner
        ? `${pod.owner.kind}/${pod.namespace}/${pod.owner.name}`
        : `Pod/${pod.namespace}/${pod.name}`;
}

function whyNot(
    pod: MeshedPod,
    pods: readonly MeshedPod[],
    workload: Workload | undefined,
    target: string,
): string | undefined {
    if (!pod.owner) {
        return "a bare pod: nothing makes it anew when it is deleted";
    }
    if (pod.owner.kind === "Job") {
        return "a Job: its pod keeps its proxy until it has finished";
    }
    if (!workload) {
        return `pods of a ${pod.owner.kind} are not restarted`;
    }
    if (workload.manuallyInjected) {
        return "manually injected: the proxy stands in the workload's own template (run linkerd inject again)";
    }
    // Pods of an older template go anyway; what they were pinned to says nothing about those that follow.
    const pin = pods.find((one) => one.currentRevision && one.pin !== undefined)?.pin;
    if (pin !== undefined && pin !== target) {
        return `pinned by config.linkerd.io/proxy-version: ${pin}`;
    }
    if (workload.strategy === "OnDelete") {
        return "update strategy OnDelete: delete its pods one by one";
    }
    if (workload.partition > 0) {
        return `update strategy with partition ${workload.partition}: ordinals below it stay`;
    }
    if (workload.paused) {
        return "its rollout is paused: kubectl rollout resume";
    }
    return undefined;
}

function actionFor(
    workload: Workload,
    stale: readonly MeshedPod[],
    all: readonly MeshedPod[],
): Pick<WorkloadPlan, "action" | "restartedAt"> {
    const currentStale = stale.filter((pod) => pod.currentRevision);
    if (currentStale.length === 0) {
        return { action: "wait" };
    }
    // A restart that never got ready leaves the revision before it running. Where that one is just what is
    // wanted, going back needs no new pod, which could not get ready either.
    const now = workload.revisions.find((revision) => revision.current);
    const running = all.filter((pod) => !pod.currentRevision);
    const before = workload.revisions.find(
        (revision) =>
            !revision.current &&
            revision.fingerprint === now?.fingerprint &&
            running.some((pod) => pod.ready && pod.restartedAt === revision.restartedAt),
    );
    return before && running.every((pod) => !stale.includes(pod))
        ? { action: "return", restartedAt: before.restartedAt }
        : { action: "restart" };
}

function groupBy<T>(items: readonly T[], by: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
        const group = groups.get(by(item)) ?? [];
        group.push(item);
        groups.set(by(item), group);
    }
    return groups;
}

/** A fault for each workload that was restarted, or should have been, and still runs another proxy. */
export function verifyDataPlane(plan: DataPlanePlan): readonly Fault[] {
    return plan.workloads.map(({ workload, from, pods }) => ({
        subject: nameOf(workload),
        value: from.join(", "),
        rule: `${pods} pod(s) still run this proxy, not ${plan.target}`,
        next: "kubectl -n linkerd get pods -l linkerd.io/control-plane-component=proxy-injector, then: pulumi up",
    }));
}
