import { ApiError, passes, type KubeApi } from "../cluster/api";
import type { MeshedPod } from "../cluster/dataPlane";
import type { LiveDataPlane, WorkloadView } from "../cluster/liveDataPlane";
import { podReason } from "../cluster/podReason";
import { RESTARTED_AT } from "../cluster/pods";
import {
    isAlive,
    isStale,
    keyOf,
    nameOf,
    textOf,
    type Target,
    type WorkloadPlan,
} from "../plan/dataPlane";
import type { Emit } from "./events";

/** A workload does not come to the end of its rollout. */
export class StuckError extends Error {}

export interface RollContext {
    readonly api: KubeApi;
    /** One without patience: a budget's refusal of an eviction looks like a server that is busy. */
    readonly evictions: KubeApi;
    readonly live: LiveDataPlane;
    /** Proxy that new pods must get. */
    readonly target: Target;
    /** How long a workload may go without progress. */
    readonly timeoutMs: number;
    readonly emit: Emit;
    /** Ends the waiting. */
    readonly signal: AbortSignal;
    /** Told how many of its pods are new, and how many are wanted. */
    readonly onPods: (workload: string, updated: number, wanted: number) => void;
}

/** What a look at a workload found. */
interface Finding {
    readonly done: boolean;
    /** Changes with each step of progress. */
    readonly mark: string;
    /** Pods that are new; undefined until the controller has seen the change. */
    readonly updated: number | undefined;
}

/** Kubernetes' own events may come in another order than they happened in: so long may watches be apart. */
const WATCHES_APART_MS = 5_000;
const LOOK_MS = 1_000;
/** A pod that is broken, as opposed to one that is on its way. */
const BROKEN = /CrashLoopBackOff|ErrImage|ImagePull|InvalidImage|CreateContainer|Unschedulable/;

/**
 * Carries out the plan for one workload and waits until all its pods run the target.
 * @returns false where the workload was deleted meanwhile
 * @throws StuckError with pod and reason after `timeoutMs` without progress, or as soon as the controller gives up;
 * ApiError where the API server refuses the change.
 */
export async function roll(plan: WorkloadPlan, context: RollContext): Promise<boolean> {
    if (plan.action === "evict") {
        return evictStale(plan, context);
    }
    const generation = plan.action === "wait" ? 0 : await change(plan, context.api);
    let wrongSince: number | undefined;
    let gaveUpBefore: boolean | undefined;
    const removed = new Set<string>();
    return until(plan, context, ({ workload, pods }) => {
        const { status } = workload;
        const seen = workload.observed && workload.generation >= generation;
        const alive = pods.filter(isAlive);
        const stale = alive.filter((pod) => isStale(pod, context.target));
        if (seen) {
            // What was given up before this restart says nothing about it, and may be mended since.
            gaveUpBefore ??= status.givenUp !== undefined;
            if (status.givenUp === undefined) {
                gaveUpBefore = false;
            } else if (!gaveUpBefore) {
                throw new StuckError(`${status.givenUp}${podsInTrouble(pods)}`);
            }
            unblock(workload.kind, alive, removed, context);
        }
        const rolled = seen && status.done;
        const wrong = rolled && stale.some((pod) => pod.currentRevision);
        wrongSince = wrong ? (wrongSince ?? Date.now()) : undefined;
        if (wrongSince !== undefined && Date.now() - wrongSince > WATCHES_APART_MS) {
            const proxies = [...new Set(stale.map((pod) => pod.proxy ?? "unknown"))].join(", ");
            throw new StuckError(
                `its new pods run proxy ${proxies}, not ${textOf(stale, context.target)}`,
            );
        }
        return {
            done: rolled && stale.length === 0,
            mark: `${seen}/${status.updated}/${status.available}/${status.wanted}/${stale.length}`,
            updated: seen ? status.updated : undefined,
        };
    });
}

/** Path of a workload in the API. */
export function pathOf({ kind, namespace, name }: WorkloadPlan["workload"]): string {
    const group = kind === "Rollout" ? "argoproj.io/v1alpha1" : "apps/v1";
    return `/apis/${group}/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`;
}

/** Restarts, or returns to an earlier restart; the generation that this made. */
async function change(plan: WorkloadPlan, api: KubeApi): Promise<number> {
    const now = new Date().toISOString().replace(/\.\d+Z/, "Z");
    const at = plan.action === "return" ? (plan.restartedAt ?? null) : now;
    const body =
        plan.workload.kind === "Rollout"
            ? { spec: { restartAt: at } }
            : // What `kubectl rollout restart` sets; null takes it away.
              { spec: { template: { metadata: { annotations: { [RESTARTED_AT]: at } } } } };
    const changed = await api.mergePatch(pathOf(plan.workload), body);
    return (changed["metadata"] as { generation?: number }).generation ?? 0;
}

/**
 * Deletes a broken pod of an older revision, for which the controller of a StatefulSet would wait for ever
 * (kubernetes/kubernetes#67250). It serves nobody.
 */
function unblock(
    kind: string,
    alive: readonly MeshedPod[],
    /** uids: the watch shows a moment later that they go. */
    removed: Set<string>,
    context: RollContext,
): void {
    if (kind !== "StatefulSet") {
        return;
    }
    for (const pod of alive) {
        const broken = !pod.ready && !pod.currentRevision && BROKEN.test(pod.trouble ?? "");
        if (broken && !removed.has(pod.uid)) {
            removed.add(pod.uid);
            context.emit({
                type: "note",
                text: `${pod.namespace}/${pod.name}: deleted, because it is broken (${pod.trouble}) and its StatefulSet would wait for it`,
            });
            void removePod(pod, context.api).catch(() => removed.delete(pod.uid));
        }
    }
}

function removePod(pod: MeshedPod, api: KubeApi): Promise<unknown> {
    return api.send("DELETE", `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`, {
        body: { preconditions: { uid: pod.uid } },
    });
}

/** The highest ordinal first, `atOnce` at a time, each new one ready before the next goes. */
async function evictStale(plan: WorkloadPlan, context: RollContext): Promise<boolean> {
    const { atOnce = 1 } = plan;
    const gone = new Set<string>();
    let busy = false;
    let failure: unknown;
    return until(plan, context, ({ workload, pods }) => {
        if (failure !== undefined) {
            throw failure as Error;
        }
        const alive = pods.filter(isAlive);
        const stale = alive.filter((pod) => isStale(pod, context.target) && !gone.has(pod.uid));
        const ready = alive.filter((pod) => pod.ready && !gone.has(pod.uid));
        const missing = workload.replicas - ready.length;
        // A stale pod that is not ready may go whatever the others do: it serves nobody.
        const next =
            stale.find((pod) => !pod.ready) ??
            (missing < atOnce ? stale.sort(byOrdinal).at(-1) : undefined);
        if (next && !busy) {
            busy = true;
            gone.add(next.uid);
            evict(next, context)
                .catch((error: unknown) => {
                    gone.delete(next.uid);
                    // A budget says no for now, or the server is busy: the next look asks again, until the limit.
                    if (!passes(error)) {
                        failure = error;
                    }
                })
                .finally(() => (busy = false));
        }
        return {
            done: stale.length === 0 && !busy && missing <= 0,
            mark: `${stale.length}/${ready.length}/${pods.length}`,
            // Those on their way out are neither stale nor new.
            updated: alive.filter((pod) => !isStale(pod, context.target)).length,
        };
    });
}

async function evict(pod: MeshedPod, { evictions, emit }: RollContext): Promise<void> {
    try {
        await evictions.send(
            "POST",
            `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/eviction`,
            {
                body: {
                    apiVersion: "policy/v1",
                    kind: "Eviction",
                    metadata: { name: pod.name, namespace: pod.namespace },
                    deleteOptions: { preconditions: { uid: pod.uid } },
                },
            },
        );
        emit({ type: "note", text: `${pod.namespace}/${pod.name}: evicted (proxy ${pod.proxy})` });
    } catch (error) {
        // Gone already, or made anew since.
        if (!(error instanceof ApiError && [404, 409].includes(error.status))) {
            throw error;
        }
    }
}

function byOrdinal(a: MeshedPod, b: MeshedPod): number {
    return a.name.localeCompare(b.name, "en", { numeric: true });
}

/** Looks at each change until a look says done. */
function until(
    plan: WorkloadPlan,
    context: RollContext,
    look: (view: WorkloadView) => Finding,
): Promise<boolean> {
    const { live, timeoutMs, signal, emit } = context;
    const key = keyOf(plan.workload);
    const name = nameOf(plan.workload);
    return new Promise((resolve, reject) => {
        let mark = "";
        let told = "";
        let deadline = Date.now() + timeoutMs;
        let ended = false;
        const end = (finish: () => void) => {
            ended = true;
            clearInterval(timer);
            unsubscribe();
            signal.removeEventListener("abort", abort);
            finish();
        };
        const abort = () => end(() => reject(new StuckError("left as it is: the wave was ended")));
        const check = () => {
            if (ended) {
                return;
            }
            try {
                const view = live.view(key);
                if (!view) {
                    return end(() => resolve(false));
                }
                const finding = look(view);
                if (finding.mark !== mark) {
                    mark = finding.mark;
                    deadline = Date.now() + timeoutMs;
                    const { available, wanted } = view.workload.status;
                    const { updated } = finding;
                    const numbers = `${updated}/${available}/${wanted}`;
                    if (updated !== undefined && told !== numbers) {
                        told = numbers;
                        context.onPods(name, updated, wanted);
                        emit({
                            type: "workload",
                            workload: name,
                            state: "rolling",
                            updated,
                            available,
                            wanted,
                        });
                    }
                }
                if (finding.done) {
                    end(() => resolve(true));
                }
            } catch (error) {
                const reason = error instanceof Error ? error : new Error(String(error));
                end(() => reject(reason));
            }
        };
        const timer = setInterval(() => {
            // What the API server does not tell is no lack of progress.
            if (live.isOutOfTouch()) {
                deadline += LOOK_MS;
            }
            check();
            if (!ended && Date.now() > deadline) {
                const limit = `no progress for ${Math.round(timeoutMs / 1000)} s`;
                void reasonWhyStuck(plan, context).then((reason) =>
                    end(() => reject(new StuckError(`${limit}: ${reason}`))),
                );
                deadline = Number.POSITIVE_INFINITY;
            }
        }, LOOK_MS);
        const unsubscribe = live.onChange(key, check);
        signal.addEventListener("abort", abort);
        if (signal.aborted) {
            abort();
        }
        check();
    });
}

function podsInTrouble(pods: readonly MeshedPod[]): string {
    const texts = pods
        .filter((pod) => isAlive(pod) && pod.trouble !== undefined)
        .map((pod) => `pod ${pod.name}: ${pod.trouble}`);
    return texts.length > 0 ? `: ${texts.slice(0, 3).join("; ")}` : "";
}

/** The pods that hold the rollout up and why, also those that got no proxy; else what the controller says. */
async function reasonWhyStuck(plan: WorkloadPlan, { api, live }: RollContext): Promise<string> {
    const view = live.view(keyOf(plan.workload));
    const { namespace, podLabels } = plan.workload;
    if (Object.keys(podLabels).length === 0) {
        // The template stands elsewhere (an Argo Rollout with workloadRef).
        return podsInTrouble(view?.pods ?? []).replace(/^: /, "") || "its pods are ready";
    }
    const labelSelector = Object.entries(podLabels)
        .map(([key, value]) => `${key}=${value}`)
        .join(",");
    try {
        const { items } = await api.list(
            `/api/v1/namespaces/${namespace}/pods`,
            (pod) => {
                const { name } = pod["metadata"] as { name: string };
                const { phase } = pod["status"] as { phase?: string };
                const reason = phase === "Succeeded" ? undefined : podReason(pod);
                return reason === undefined ? undefined : `pod ${name}: ${reason}`;
            },
            { labelSelector },
        );
        if (items.length > 0) {
            return items.slice(0, 3).join("; ");
        }
    } catch (error) {
        return `unknown: ${(error as Error).message}`;
    }
    return (
        view?.workload.status.problem ??
        "all of its pods are ready, but its controller does not go on"
    );
}
