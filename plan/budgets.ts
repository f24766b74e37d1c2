import type { Budget } from "../cluster/budgets";
import type { WorkloadRecord } from "../cluster/workloads";

/** Whether a budget has to be asked beforehand: what rolls already is not stopped, and an eviction asks for itself. */
export function asksBudgets({
    action,
    workload,
}: {
    readonly action: string;
    readonly workload: Pick<WorkloadRecord, "kind">;
}): boolean {
    return action === "restart" && workload.kind !== "Rollout";
}

/** A budget that does not let a workload roll now. */
export interface Blocked {
    readonly budget: Budget;
    /** Never as long as workload and budget stay as they are, however healthy its pods. */
    readonly forever: boolean;
    /** Pods that it allows to go down when all are healthy. */
    readonly most: number;
    readonly reason: string;
}

/** Those that cover a workload's pods. */
export function budgetsOf(
    { namespace, podLabels }: Pick<WorkloadRecord, "namespace" | "podLabels">,
    budgets: Iterable<Budget>,
): Budget[] {
    return [...budgets].filter((one) => one.namespace === namespace && one.covers(podLabels));
}

/**
 * The first budget that does not allow the pods which the workload's own strategy takes down at a time. A rolling
 * restart does not go through the eviction API, so nobody else asks. `reserved`: pods that workloads which roll
 * already may take down under the same budget, by its `namespace/name`.
 */
export function blockedBy(
    workload: Pick<WorkloadRecord, "namespace" | "podLabels" | "maxUnavailable">,
    budgets: Iterable<Budget>,
    reserved: ReadonlyMap<string, number> = new Map(),
): Blocked | undefined {
    const down = workload.maxUnavailable;
    for (const budget of down === 0 ? [] : budgetsOf(workload, budgets)) {
        const name = `${budget.namespace}/${budget.name}`;
        const most = Math.max(0, budget.expected - budget.desired);
        // Without expected pods its controller has not looked at it yet.
        const forever = budget.expected > 0 && most < down;
        // A pod that is down already counts twice, as reserved and as not healthy: late is safer than early.
        if (forever || budget.allowed - (reserved.get(name) ?? 0) < down) {
            return {
                budget,
                forever,
                most,
                reason: `PodDisruptionBudget ${name} allows ${budget.allowed} of its ${budget.expected} pods to go down (${budget.healthy} healthy, ${budget.desired} needed); a restart takes down ${down} at a time`,
            };
        }
    }
    return undefined;
}
