import { nameOf } from "../plan/dataPlane";
import type { BlastRadius, StaleRadius, WaveRadius, WorkloadRadius } from "../plan/review";

/** How many workloads of a wave are listed one by one where the list is short; more are counted. */
const MOST_WORKLOADS = 40;

/** `short`: the first workloads of each wave, and what stands in their way; `all`: all of them, with all that is known. */
export type Length = "short" | "all";

/** A wave runs once for each target; what became stale since then waits for the next, or for this command. */
const UNCHANGED =
    "  the version line did not change: unless its wave is listed as replaced, a stale workload waits; to restart it now: npm run rollout -- --help";

/** What restarts, and what does not. */
export function blastRadiusLines(radius: BlastRadius, length: Length = "short"): string[] {
    const { unknown, waiting, target, pods, current, stale, waves } = radius;
    const controlPlane = controlPlaneLines(radius, length);
    if (unknown !== undefined) {
        return [...controlPlane, `data plane: unknown: ${unknown}`];
    }
    if (pods === 0) {
        return [...controlPlane, "data plane: no meshed pods"];
    }
    return [
        ...controlPlane,
        `data plane: ${current} of ${pods} pods run ${target}; ${stale} workloads to restart`,
        ...(waiting === "unchanged" && stale > 0 ? [UNCHANGED] : []),
        ...waves.flatMap((wave) => waveLines(wave, length)),
        ...totalLines(radius),
    ];
}

function controlPlaneLines(
    { controlPlane: { workloads, minutes, source } }: BlastRadius,
    length: Length,
): string[] {
    if (workloads.length === 0) {
        return [];
    }
    const counted = (["restarts", "new", "goes"] as const)
        .map((change) => [change, workloads.filter((one) => one.change === change)] as const)
        .filter(([, some]) => some.length > 0)
        .map(([change, some]) => `${some.length} ${change === "restarts" ? "restart" : change}`);
    const took = minutes.most > 0 ? `, ${minutes.least} to ${minutes.most} min (${source})` : "";
    return [
        `control plane: of its workloads ${counted.join(", ")}${took}`,
        ...(length === "short"
            ? [`  ${workloads.map(nameOf).join(", ")}`]
            : workloads.map(
                  (one) =>
                      `  ${nameOf(one)}: ${one.change}, ${one.pods} pods, ${one.from ?? "nothing"} -> ${one.to ?? "nothing"}`,
              )),
    ];
}

function totalLines({ totals, waiting }: BlastRadius): string[] {
    const { workloads, pods, minutes, stalePods } = totals;
    if (waiting !== "none" || (workloads === 0 && stalePods === 0)) {
        return [];
    }
    const took =
        minutes.least === minutes.most ? minutes.least : `${minutes.least} to ${minutes.most}`;
    return [
        `in all: ${workloads} workloads, ${pods} pods restart, about ${took} min; ${stalePods} pods stay stale`,
    ];
}

/** What a wave will do, workload by workload. */
export function waveLines(wave: WaveRadius, length: Length = "short"): string[] {
    const { name, workloads, restarts, pods, minutes, pace } = wave;
    const most = length === "all" ? Infinity : MOST_WORKLOADS;
    const rest = workloads.length - most;
    const atLeast =
        minutes === null || restarts === 0
            ? ""
            : `, about ${minutes} min at ${pace ?? "any number of"} pods a minute`;
    const heading =
        pods === 0
            ? `wave ${name}: has no meshed pods`
            : `wave ${name}: ${workloads.length} workloads, ${restarts} pods to restart${atLeast}`;
    const left = wave.stale.filter(({ state }) => state !== "passed over");
    return [
        heading,
        ...workloads.slice(0, most).flatMap((one) => workloadLines(one, length)),
        ...(rest > 0 ? [`  and ${rest} workloads more`] : []),
        ...left.slice(0, most).map(staleLine),
        ...(left.length > most ? [`  and ${left.length - most} more that stay stale`] : []),
    ];
}

function staleLine(one: StaleRadius): string {
    return `  ${one.state}: ${nameOf(one)} (${one.pods} pods, proxy ${one.proxy}): ${one.reason}`;
}

function workloadLines(one: WorkloadRadius, length: Length): string[] {
    const { from, to, pods, notes, outdated, blocked, by } = one;
    const why = outdated.length > 0 ? `, new ${outdated.join(" and ")}` : "";
    const byViz = by === "viz release" ? " (by the viz release)" : "";
    return [
        `  ${nameOf(one)}: ${pods} pods, proxy ${from.join(", ")} -> ${to}${why}${byViz}`,
        ...(length === "all" ? detailLines(one) : []),
        ...notes.map((note) => `    ${note}`),
        ...(blocked
            ? [`    blocked ${blocked.forever ? "for ever" : "now"}: ${blocked.reason}`]
            : []),
    ];
}

function detailLines({ replicas, takesDown, surge, minutes, budgets }: WorkloadRadius): string[] {
    const took = minutes === null ? "" : `, about ${minutes} min`;
    return [
        `    ${replicas} replicas; ${takesDown} down and ${surge} more at a time${took}`,
        ...budgets.map(
            (one) =>
                `    PodDisruptionBudget ${one.name}: ${one.allowed} of ${one.expected} pods may go down (${one.healthy} healthy, ${one.desired} needed)`,
        ),
    ];
}
