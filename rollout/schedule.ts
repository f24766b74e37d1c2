import { reasonOf } from "../cluster/connection";
import type { LiveDataPlane } from "../cluster/liveDataPlane";
import { blockedBy, budgetsOf } from "../plan/budgets";
import {
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

interface Running {
    readonly plan: WorkloadPlan;
    updated: number;
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
        const unsubscribe = live.onBudgetChange(wake);
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
            (sum, { plan, updated }) => sum + Math.min(updated, plan.pods),
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
            const index = this.waiting.findIndex((plan) => this.canStart(plan));
            if (this.failed) {
                return Number.POSITIVE_INFINITY;
            }
            if (index < 0) {
                return this.nothingCanStart();
            }
            this.blockedSince = undefined;
            const [next] = this.waiting.splice(index, 1);
            if (next) {
                this.start(next);
            }
        }
        return Number.POSITIVE_INFINITY;
    }

    private canStart(plan: WorkloadPlan): boolean {
        const obstacle = this.obstacle(plan);
        const name = nameOf(plan.workload);
        if (!obstacle) {
            return true;
        }
        if (obstacle.forever) {
            this.waiting.splice(this.waiting.indexOf(plan), 1);
            this.fail(
                plan,
                Date.now(),
                `${obstacle.reason}, so it can never be restarted as it is: allow more in the budget, lower the workload's maxUnavailable, or set rollout.disruptionBudgets to ignore`,
            );
        } else if (this.told.get(name) !== obstacle.reason) {
            this.told.set(name, obstacle.reason);
            this.context.emit({
                type: "workload",
                workload: name,
                state: "waits",
                reason: obstacle.reason,
            });
        }
        return false;
    }

    private obstacle({ workload, action }: WorkloadPlan): Obstacle | undefined {
        const canary = progressingCanary(workload, [...this.live.canaries.values()]);
        if (canary) {
            return {
                reason: `Canary ${canary.namespace}/${canary.name} of Flagger is ${canary.phase}`,
                forever: false,
            };
        }
        // What rolls already is not stopped by a budget, and an eviction asks for itself.
        const asks = action === "restart" && workload.kind !== "Rollout";
        return asks && this.options.respectBudgets
            ? blockedBy(workload, this.live.budgets.values(), this.reserved())
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
                const reason = this.obstacle(plan)?.reason ?? "it could not start";
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
            planWorkload(view.workload, view.pods, context.target, [...live.canaries.values()]);
        if (!now) {
            context.emit({ type: "workload", workload: name, state: "current", seconds: 0 });
            this.results.push(resultOf(plan, "current", started));
            return;
        }
        this.pace.charge(now.action === "wait" || now.action === "return" ? 0 : now.pods);
        const running: Running = { plan: now, updated: 0 };
        this.running.set(key, running);
        context.emit({
            type: "workload",
            workload: name,
            state: "started",
            action: now.action,
            pods: now.pods,
            from: now.from,
        });
        const onPods = (_workload: string, updated: number) => {
            // An autoscaler may ask for more pods than were planned.
            const more = Math.max(updated, now.pods) - Math.max(running.updated, now.pods);
            this.pace.charge(Math.max(0, more));
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
            const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
            this.wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }
}

/** How many times a workload waits for new pods: the longest go first, so that the end is not one of them alone. */
function steps({ workload, action, pods }: WorkloadPlan): number {
    return pods / (action === "evict" ? 1 : Math.max(1, workload.step));
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
