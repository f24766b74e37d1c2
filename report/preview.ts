import type { DataPlane } from "../cluster/dataPlane";
import { asksBudgets, blockedBy } from "../plan/budgets";
import {
    nameOf,
    planDataPlane,
    STALE_BEFORE,
    withBudgets,
    type DataPlanePlan,
    type Target,
    type WorkloadPlan,
} from "../plan/dataPlane";
import { targetOf, type LinkerdPlan } from "../plan/linkerd";
import { scopeOf, type Wave } from "../plan/waves";
import { certificateLines } from "./certificates";

/** Workloads that are listed one by one; more are counted. */
const MOST_WORKLOADS = 40;

/** A wave runs once for each target; what became stale since then waits for the next, or for this command. */
const UNCHANGED =
    "  the version line did not change: unless its wave is listed as replaced, a stale workload waits; to restart it now: npm run rollout -- --help";

/**
 * What preview and update say before the engine's own list of changes. `dataPlane` is a reason, as text, where the
 * data plane could not be read.
 */
export function previewLines(
    plan: LinkerdPlan,
    dataPlane: DataPlane | string,
    waves: readonly Wave[],
): string[] {
    const unchanged = plan.change === "none" && plan.identity.lines.length === 0;
    const waiting = plan.takesOver ? "held" : unchanged ? "unchanged" : "none";
    return [
        ...plan.lines,
        ...certificateLines([
            ...plan.certificates,
            ...plan.renewedCertificates,
            ...plan.leavingCertificates,
        ]),
        ...dataPlaneLines(dataPlane, targetOf(plan), waves, waiting),
    ];
}

/**
 * What will become of the data plane, wave by wave.
 * @param waiting why stale workloads may wait. `unchanged`: the waves will not run by themselves; `held`: they will restart
 * nothing, since the mesh is taken over as it runs
 */
export function dataPlaneLines(
    dataPlane: DataPlane | string,
    target: Target,
    waves: readonly Wave[],
    waiting: "none" | "unchanged" | "held" = "none",
): string[] {
    if (typeof dataPlane === "string") {
        return [`data plane: unknown: ${dataPlane}`];
    }
    const held = waiting === "held" ? STALE_BEFORE : undefined;
    const all = planDataPlane(dataPlane, target, undefined, held);
    if (all.pods === 0) {
        return ["data plane: no meshed pods"];
    }
    return [
        `data plane: ${all.current} of ${all.pods} pods run ${all.target}; ${all.workloads.length} workloads to restart`,
        ...(waiting === "unchanged" && all.workloads.length > 0 ? [UNCHANGED] : []),
        ...waves.flatMap((wave) =>
            waveLines(
                wave,
                planDataPlane(
                    withBudgets(dataPlane, wave),
                    target,
                    scopeOf(waves, wave.name),
                    held,
                ),
                dataPlane,
            ),
        ),
    ];
}

/** What a wave will do, workload by workload. */
export function waveLines(wave: Wave, plan: DataPlanePlan, dataPlane: DataPlane): string[] {
    const { workloads, unrestartable, pods } = plan;
    const shown = workloads.slice(0, MOST_WORKLOADS);
    const rest = workloads.length - shown.length;
    const toGo = workloads.reduce((sum, one) => sum + one.pods, 0);
    const atLeast =
        wave.pace === "unlimited" || toGo === 0
            ? ""
            : `, about ${Math.ceil(toGo / wave.pace)} min at ${wave.pace} pods a minute`;
    const heading =
        pods === 0
            ? `wave ${wave.name}: has no meshed pods`
            : `wave ${wave.name}: ${workloads.length} workloads, ${toGo} pods to restart${atLeast}`;
    const skipped = wave.jobs === "skip" ? ["Job"] : [];
    const left = unrestartable.filter((one) => !skipped.includes(one.kind));
    return [
        heading,
        ...shown.flatMap((one) => workloadLines(one, wave, dataPlane)),
        ...(rest > 0 ? [`  and ${rest} workloads more`] : []),
        ...left
            .slice(0, MOST_WORKLOADS)
            .map(
                (one) =>
                    `  ${wave.jobs === "wait" && one.kind === "Job" ? "waited for" : "stays stale"}: ${nameOf(one)} (${one.pods} pods, proxy ${one.proxy}): ${one.reason}`,
            ),
        ...(left.length > MOST_WORKLOADS
            ? [`  and ${left.length - MOST_WORKLOADS} more that stay stale`]
            : []),
    ];
}

function workloadLines(plan: WorkloadPlan, wave: Wave, { budgets }: DataPlane): string[] {
    const { workload, from, to, pods, notes, outdated = [] } = plan;
    const why = outdated.length > 0 ? `, new ${outdated.join(" and ")}` : "";
    const byViz = workload.namespace === "linkerd-viz" ? " (by the viz release)" : "";
    const blocked =
        wave.disruptionBudgets === "respect" && asksBudgets(plan)
            ? blockedBy(workload, budgets)
            : undefined;
    return [
        `  ${nameOf(workload)}: ${pods} pods, proxy ${from.join(", ")} -> ${to}${why}${byViz}`,
        ...notes.map((note) => `    ${note}`),
        ...(blocked
            ? [`    blocked ${blocked.forever ? "for ever" : "now"}: ${blocked.reason}`]
            : []),
    ];
}
