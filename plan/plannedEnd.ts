import type { DataPlane } from "../cluster/dataPlane";
import { podsInWave, proxyTarget } from "./dataPlane";
import { milliseconds } from "./durations";
import { scopeOf, type Wave } from "./waves";

const MINUTE_MS = 60_000;
const EVERY_POD = proxyTarget("any");

/**
 * When an update that begins now ends at the latest, as far as its waves go: as if every meshed pod were restarted, at each
 * wave's pace, with its soak time after. What takes its own time (gates, budgets, the control plane) is left to the margin
 * certificates.refuseBefore. An unknown data plane counts as empty.
 */
export function plannedEnd(
    now: Date,
    dataPlane: DataPlane | undefined,
    waves: readonly Wave[],
): Date {
    const pods = ({ name }: Wave) =>
        dataPlane ? podsInWave(dataPlane, EVERY_POD, scopeOf(waves, name)).length : 0;
    const ms = waves.reduce(
        (sum, wave) =>
            sum +
            milliseconds(wave.soak) +
            (wave.pace === "unlimited" ? 0 : (pods(wave) / wave.pace) * MINUTE_MS),
        0,
    );
    return new Date(now.getTime() + ms);
}
