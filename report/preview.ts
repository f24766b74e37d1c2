import { nameOf, type DataPlanePlan } from "../plan/dataPlane";
import type { LinkerdPlan } from "../plan/linkerd";

/** Workloads that are listed one by one; more are counted. */
const MOST_WORKLOADS = 40;

/** A wave runs once for each target; what became stale since then waits for the next, or for this command. */
const UNCHANGED =
    "  the version line did not change: unless command `rest` is listed as replaced, these wait; to restart them now, pulumi up --replace with the URN of `rest` (pulumi stack --show-urns)";

/**
 * What preview and update say before the engine's own list of changes. `dataPlane` is a reason, as text, where the
 * data plane could not be read.
 */
export function previewLines(plan: LinkerdPlan, dataPlane: DataPlanePlan | string): string[] {
    if (typeof dataPlane === "string") {
        return [...plan.lines, `data plane: unknown: ${dataPlane}`];
    }
    const { workloads, unrestartable, pods, current, target } = dataPlane;
    if (pods === 0) {
        return [...plan.lines, "data plane: no meshed pods"];
    }
    const shown = workloads.slice(0, MOST_WORKLOADS);
    const rest = workloads.length - shown.length;
    return [
        ...plan.lines,
        `data plane: ${current} of ${pods} pods run ${target}; ${workloads.length} workloads to restart`,
        ...(plan.change === "none" && workloads.length > 0 ? [UNCHANGED] : []),
        ...shown.map(
            ({ workload, from, pods: count }) =>
                `  ${nameOf(workload)}: ${count} pods, proxy ${from.join(", ")} -> ${target}${workload.namespace === "linkerd-viz" ? " (by the viz release)" : ""}`,
        ),
        ...(rest > 0 ? [`  and ${rest} workloads more`] : []),
        ...unrestartable.map(
            (one) =>
                `  stays stale: ${one.namespace}/${one.what} (${one.pods} pods, proxy ${one.proxy}): ${one.reason}`,
        ),
    ];
}
