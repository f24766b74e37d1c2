import type { DataPlane } from "../cluster/dataPlane";
import { asksBudgets, blockedBy, budgetsOf } from "./budgets";
import {
    nameOf,
    planDataPlane,
    STALE_BEFORE,
    withBudgets,
    type DataPlanePlan,
    type Target,
    type Unrestartable,
    type WorkloadPlan,
} from "./dataPlane";
import { milliseconds } from "./durations";
import type {
    BlastRadius,
    ControlPlaneRadius,
    StaleRadius,
    WaveRadius,
    WorkloadRadius,
} from "./review";
import { scopeOf, type Wave } from "./waves";

const MINUTE_MS = 60_000;

/** What a blast radius is made of. */
export interface Surroundings {
    /** A reason, as text, where it could not be read. */
    readonly dataPlane: DataPlane | string;
    readonly target: Target;
    readonly waves: readonly Wave[];
    /**
     * Why stale workloads may wait. `unchanged`: the waves will not run by themselves; `held`: they will restart nothing,
     * since the mesh is taken over as it runs. Defaults to none.
     */
    readonly waiting?: BlastRadius["waiting"];
    readonly controlPlane: ControlPlaneRadius;
}

/** Everything that this update restarts, and what stays as it is. */
export function blastRadius({
    dataPlane,
    target,
    waves,
    waiting = "none",
    controlPlane,
}: Surroundings): BlastRadius {
    const held = waiting === "held" ? STALE_BEFORE : undefined;
    const known = typeof dataPlane === "string" ? undefined : dataPlane;
    const all = known && planDataPlane(known, target, undefined, held);
    const others = new Set(controlPlane.workloads.map(nameOf));
    const planned = known
        ? waves.map((wave) =>
              waveRadius(
                  wave,
                  planDataPlane(withBudgets(known, wave), target, scopeOf(waves, wave.name), held),
                  known,
                  others,
              ),
          )
        : [];
    return {
        ...(typeof dataPlane === "string" ? { unknown: dataPlane } : {}),
        waiting,
        target: all?.target ?? target.text,
        pods: all?.pods ?? 0,
        current: all?.current ?? 0,
        stale: all?.workloads.length ?? 0,
        controlPlane,
        waves: planned,
        totals: totalsOf(controlPlane, planned),
    };
}

/** What a wave will do. `others`: workloads that something else restarts, as `namespace/kind/name`. */
export function waveRadius(
    wave: Wave,
    { workloads, unrestartable, pods, current }: DataPlanePlan,
    { budgets }: Pick<DataPlane, "budgets">,
    others: ReadonlySet<string> = new Set(),
): WaveRadius {
    const restarts = workloads.reduce((sum, one) => sum + one.pods, 0);
    return {
        name: wave.name,
        pods,
        current,
        restarts,
        pace: wave.pace === "unlimited" ? null : wave.pace,
        soak: wave.soak,
        minutes: minutesAt(wave.pace, restarts),
        workloads: workloads.map((one) => workloadRadius(one, wave, budgets, others)),
        stale: unrestartable.map((one) => staleRadius(one, wave)),
    };
}

function workloadRadius(
    plan: WorkloadPlan,
    wave: Wave,
    budgets: DataPlane["budgets"],
    others: ReadonlySet<string>,
): WorkloadRadius {
    const { workload, action, from, to, pods, outdated = [], notes } = plan;
    const { namespace, kind, name, replicas, maxUnavailable, surge } = workload;
    const blocked =
        wave.disruptionBudgets === "respect" && asksBudgets(plan)
            ? blockedBy(workload, budgets)
            : undefined;
    const evicts = action === "evict" || kind === "Rollout";
    return {
        ...{ namespace, kind, name, replicas, pods, action },
        by: others.has(nameOf(workload)) ? "viz release" : "wave",
        from: [...from],
        to,
        outdated: [...outdated],
        takesDown: evicts ? (plan.atOnce ?? 1) : maxUnavailable,
        surge: evicts ? 0 : surge,
        budgets: budgetsOf(workload, budgets)
            .map(({ name, allowed, healthy, desired, expected }) => ({
                ...{ name, allowed, healthy, desired, expected },
            }))
            .sort((a, b) => a.name.localeCompare(b.name)),
        ...(blocked
            ? {
                  blocked: {
                      budget: blocked.budget.name,
                      forever: blocked.forever,
                      reason: blocked.reason,
                  },
              }
            : {}),
        minutes: minutesAt(wave.pace, pods),
        notes: [...notes],
    };
}

function staleRadius(
    { namespace, kind, name, pods, proxy, reason }: Unrestartable,
    { jobs }: Wave,
): StaleRadius {
    const ofJob = { report: "stays stale", wait: "waited for", skip: "passed over" } as const;
    return {
        ...{ namespace, kind, name, pods, proxy, reason },
        state: kind === "Job" ? ofJob[jobs] : "stays stale",
    };
}

function minutesAt(pace: Wave["pace"], pods: number): number | null {
    return pace === "unlimited" ? null : Math.ceil(pods / pace);
}

/** A workload of viz is both of the control plane's part and of a wave. */
function totalsOf(
    controlPlane: ControlPlaneRadius,
    waves: readonly WaveRadius[],
): BlastRadius["totals"] {
    const restarting = new Map(
        [
            ...controlPlane.workloads.filter(({ change }) => change === "restarts"),
            ...waves.flatMap(({ workloads }) => workloads),
        ].map((one) => [nameOf(one), one.pods]),
    );
    const ofWaves = waves
        .filter(({ restarts }) => restarts > 0)
        .reduce((sum, { minutes, soak }) => sum + (minutes ?? 0) + soakMinutes(soak), 0);
    const { least, most } = controlPlane.minutes;
    return {
        workloads: restarting.size,
        pods: [...restarting.values()].reduce((sum, pods) => sum + pods, 0),
        stalePods: waves.flatMap(({ stale }) => stale).reduce((sum, { pods }) => sum + pods, 0),
        minutes: { least: Math.ceil(least + ofWaves), most: Math.ceil(most + ofWaves) },
    };
}

function soakMinutes(soak: string): number {
    return milliseconds(soak as Wave["soak"]) / MINUTE_MS;
}
