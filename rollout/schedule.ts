import type { Canary } from "../cluster/canaries";
import { reasonOf } from "../cluster/connection";
import type { LiveDataPlane } from "../cluster/liveDataPlane";
import { asksBudgets, blockedBy, budgetsOf } from "../plan/budgets";
import {
    heldBack,
    keyOf,
    nameOf,
    planWorkload,
    progressingCanary,
    type WorkloadPlan,
} from "../plan/dataPlane";
import type { Progress } from "./events";
import { Pace } from "./pace";
import type { WorkloadResult } from "./report";
import { roll, StuckError, type RollContext } from "./roll";

export interface ScheduleOptions {
    readonly wave: string;
    /** Pods per minute. */
    readonly pace: number | "unlimited";
    /** Workloads that roll at the same time. */
    readonly atOnce: number | "unlimited";
    readonly respectBudgets: boolean;
    /** How often the summary is told. */
    readonly summaryMs: number;
}

/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

const NEXT_FOR_BUDGETS =
    "It can never be restarted as it is: let the budget allow a pod, or set rollout.disruptionBudgets to ignore";

interface Running {
    readonly plan: WorkloadPlan;
    updated: number;
    /** Pods that are still to come. */
    left: number;
}

/** Why a workload that waits cannot start now. */
interface Obstacle {
    readonly reason: string;
    readonly forever: boolean;
}

/**
 * Rolls all workloads: as many at once as allowed, pods at the pace, the longest rollouts first, and none where a budget
 * or a canary stands in the way. The first failure, or the end of `stop`, keeps what has not begun from beginning;
 * what rolls is waited for.
 */
export async function schedule(
    plans: readonly WorkloadPlan[],
    live: LiveDataPlane,
    context: Omit<RollContext, "onPods">,
    options: ScheduleOptions,
    stop: AbortSignal,
): Promise<WorkloadResult[]> {
    return new Schedule(plans, live, context, options, stop).run();
}

class Schedule {
    private readonly waiting: WorkloadPlan[];
    private readonly running = new Map<string, Running>();
    private readonly results: WorkloadResult[] = [];
    private readonly pace: Pace;
    private readonly begun = Date.now();
    private readonly total: number;
    private readonly told = new Map<string, string>();
    /** Since when nothing could start although there was room. */
    private blockedSince: number | undefined;
    private failed = false;
    private wake: () => void = () => undefined;

    constructor(
        plans: readonly WorkloadPlan[],
        private readonly live: LiveDataPlane,
        private readonly context: Omit<RollContext, "onPods">,
        private readonly options: ScheduleOptions,
        private readonly stop: AbortSignal,
    ) {
        this.waiting = [...plans].sort((a, b) => steps(b) - steps(a));
        this.total = plans.reduce((sum, one) => sum + one.pods, 0);
        this.pace = new Pace(options.pace);
    }

    async run(): Promise<WorkloadResult[]> {
        const { live, stop, options, context } = this;
        const wake = () => this.wake();
        const unsubscribe = live.onBudgetChange(() => {
            // A canary that steps on, or a budget that moves, is progress.
            this.blockedSince = undefined;
            this.wake();
        });
        stop.addEventListener("abort", wake);
        const summary = setInterval(
            () => context.emit({ type: "summary", ...this.progress() }),
            options.summaryMs,
        );
        try {
            while (this.running.size > 0 || (this.waiting.length > 0 && !this.ended())) {
                const pause = this.ended() ? Number.POSITIVE_INFINITY : this.startWhatCan();
                if (this.running.size > 0 || (this.waiting.length > 0 && !this.ended())) {
                    await this.somethingHappens(pause);
                }
            }
            return this.results;
        } finally {
            clearInterval(summary);
            unsubscribe();
            stop.removeEventListener("abort", wake);
        }
    }

    private ended(): boolean {
        return this.failed || this.stop.aborted;
    }

    private progress(): Progress {
        const done = this.results.reduce((sum, one) => sum + one.pods, 0);
        const half = [...this.running.values()].reduce(
            (sum, { plan, left }) => sum + Math.max(0, plan.pods - left),
            0,
        );
        const minutes = (Date.now() - this.begun) / 60_000;
        const rate = (done + half) / minutes;
        const left = this.total - done - half;
        const { pace } = this.options;
        const speed = pace === "unlimited" ? rate : Math.min(pace, rate);
        return {
            wave: this.options.wave,
            workloadsDone: this.results.length,
            workloads: this.results.length + this.running.size + this.waiting.length,
            podsDone: done + half,
            pods: this.total,
            podsPerMinute: Math.round(rate),
            secondsLeft: speed > 0 ? (left / speed) * 60 : undefined,
        };
    }

    /** Starts all that can start; milliseconds until it makes sense to try again. */
    private startWhatCan(): number {
        const { atOnce } = this.options;
        while (this.waiting.length > 0) {
            if (atOnce !== "unlimited" && this.running.size >= atOnce) {
                return Number.POSITIVE_INFINITY;
            }
            const pause = this.pace.wait();
            if (pause > 0) {
                return pause;
            }
            const next = this.firstWithoutObstacle();
            if (this.failed) {
                return Number.POSITIVE_INFINITY;
            }
            if (!next) {
                return this.nothingCanStart();
            }
            this.blockedSince = undefined;
            this.waiting.splice(this.waiting.indexOf(next), 1);
            this.start(next);
        }
        return Number.POSITIVE_INFINITY;
    }

    private firstWithoutObstacle(): WorkloadPlan | undefined {
        const canaries = [...this.live.canaries.values()];
        const reserved = this.reserved();
        for (const plan of this.waiting) {
            const obstacle = this.obstacle(plan, canaries, reserved);
            if (!obstacle) {
                return plan;
            }
            if (obstacle.forever) {
                this.waiting.splice(this.waiting.indexOf(plan), 1);
                this.fail(plan, Date.now(), `${obstacle.reason}. ${NEXT_FOR_BUDGETS}`);
                return undefined;
            }
            this.tellObstacle(plan, obstacle);
        }
        return undefined;
    }

    /** Once for each reason. */
    private tellObstacle({ workload }: WorkloadPlan, { reason }: Obstacle): void {
        const name = nameOf(workload);
        if (this.told.get(name) !== reason) {
            this.told.set(name, reason);
            this.context.emit({ type: "workload", workload: name, state: "waits", reason });
        }
    }

    private obstacle(
        plan: WorkloadPlan,
        canaries: readonly Canary[],
        reserved: ReadonlyMap<string, number>,
    ): Obstacle | undefined {
        const canary = progressingCanary(plan.workload, canaries);
        if (canary) {
            return {
                reason: `Canary ${canary.namespace}/${canary.name} of Flagger is ${canary.phase}`,
                forever: false,
            };
        }
        return this.options.respectBudgets && asksBudgets(plan)
            ? blockedBy(plan.workload, this.live.budgets.values(), reserved)
            : undefined;
    }

    /** Pods that workloads which roll may take down, by budget. */
    private reserved(): Map<string, number> {
        const reserved = new Map<string, number>();
        if (this.live.budgets.size > 0) {
            for (const { plan } of this.running.values()) {
                for (const { namespace, name } of budgetsOf(
                    plan.workload,
                    this.live.budgets.values(),
                )) {
                    const key = `${namespace}/${name}`;
                    const down = plan.workload.maxUnavailable;
                    reserved.set(key, (reserved.get(key) ?? 0) + down);
                }
            }
        }
        return reserved;
    }

    /** Everything that waits has an obstacle; after the limit that is a failure. */
    private nothingCanStart(): number {
        if (this.running.size > 0) {
            this.blockedSince = undefined;
            return Number.POSITIVE_INFINITY;
        }
        this.blockedSince ??= Date.now();
        const left = this.blockedSince + this.context.timeoutMs - Date.now();
        if (left <= 0) {
            for (const plan of this.waiting.splice(0)) {
                const reason = this.told.get(nameOf(plan.workload)) ?? "it could not start";
                this.fail(
                    plan,
                    this.blockedSince,
                    `${reason}, for ${Math.round(this.context.timeoutMs / 1000)} s`,
                );
            }
        }
        return Math.max(left, 0);
    }

    private start(plan: WorkloadPlan): void {
        const { context, live } = this;
        const key = keyOf(plan.workload);
        const name = nameOf(plan.workload);
        const started = Date.now();
        const view = live.view(key);
        // At a slow pace hours may have passed since the plan was made.
        const now =
            view &&
            planWorkload(view.workload, view.pods, context.target, {
                canaries: [...live.canaries.values()],
                budgets: this.options.respectBudgets ? [...live.budgets.values()] : [],
            });
        if (!now) {
            const reason = view && heldBack(view.workload, view.pods, context.target);
            const result = !view ? "gone" : reason === undefined ? "current" : "held";
            context.emit(
                reason === undefined || result !== "held"
                    ? {
                          type: "workload",
                          workload: name,
                          state: view ? "current" : "gone",
                          seconds: 0,
                      }
                    : { type: "workload", workload: name, state: "held", reason },
            );
            this.results.push(resultOf(plan, result, started));
            return;
        }
        this.pace.charge(now.action === "wait" || now.action === "return" ? 0 : now.pods);
        const running: Running = { plan: now, updated: 0, left: now.pods };
        this.running.set(key, running);
        context.emit({
            type: "workload",
            workload: name,
            state: "started",
            action: now.action,
            pods: now.pods,
            from: now.from,
        });
        const onPods = (_workload: string, updated: number, wanted: number) => {
            running.left = Math.max(0, wanted - updated);
            if (now.action === "restart") {
                // An autoscaler may ask for more pods than were planned.
                const more = Math.max(updated, now.pods) - Math.max(running.updated, now.pods);
                this.pace.charge(Math.max(0, more));
            }
            running.updated = updated;
        };
        roll(now, { ...context, onPods })
            .then(
                (isThere) => {
                    const state = isThere ? "done" : "gone";
                    const result = resultOf(now, state, started);
                    this.results.push(result);
                    context.emit({
                        type: "workload",
                        workload: name,
                        state,
                        seconds: result.seconds,
                    });
                },
                (error: unknown) =>
                    this.fail(
                        now,
                        started,
                        error instanceof StuckError ? error.message : reasonOf(error),
                    ),
            )
            .finally(() => {
                this.running.delete(key);
                this.wake();
            });
    }

    private fail(plan: WorkloadPlan, started: number, reason: string): void {
        const workload = nameOf(plan.workload);
        this.failed = true;
        this.results.push({
            ...resultOf(plan, "failed", started),
            failure: `${workload}: ${reason}`,
        });
        this.context.emit({ type: "workload", workload, state: "failed", reason });
    }

    private somethingHappens(ms: number): Promise<void> {
        return new Promise((resolve) => {
            const timer = Number.isFinite(ms)
                ? setTimeout(resolve, Math.min(ms, LONGEST_MS))
                : undefined;
            this.wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }
}

/** How many times a workload waits for new pods: the longest go first, so that the end is not one of them alone. */
function steps({ workload, action, pods, atOnce = 1 }: WorkloadPlan): number {
    return pods / (action === "evict" ? atOnce : Math.max(1, workload.step));
}

function resultOf(
    plan: WorkloadPlan,
    result: WorkloadResult["result"],
    started: number,
): WorkloadResult {
    return {
        workload: nameOf(plan.workload),
        action: plan.action,
        from: plan.from,
        pods: plan.pods,
        result,
        seconds: Math.round((Date.now() - started) / 100) / 10,
    };
}
