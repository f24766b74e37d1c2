import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pace } from "../../rollout/pace";

const MINUTE = 60_000;

/** A pace with a clock of its own, in ms. */
function paced(podsPerMinute: number | "unlimited") {
    const clock = { ms: 1_000_000 };
    return { clock, pace: new Pace(podsPerMinute, () => clock.ms) };
}

/** Starts workloads of these sizes as early as allowed; when each began, in ms from the start. */
function starts(podsPerMinute: number, sizes: readonly number[]): number[] {
    const { clock, pace } = paced(podsPerMinute);
    const begun = clock.ms;
    return sizes.map((pods) => {
        clock.ms += pace.wait();
        const at = clock.ms - begun;
        expect(pace.wait()).toBe(0);
        pace.charge(pods);
        return at;
    });
}

describe("workloads begin at the pace", () => {
    it.each([
        ["one pod each", 60, [1, 1, 1, 1], [0, 1_000, 2_000, 3_000]],
        ["three pods each", 100, [3, 3, 3], [0, 1_800, 3_600]],
        ["a big one is paid off before the next", 60, [120, 1, 1], [0, 120_000, 121_000]],
        ["a workload without new pods costs nothing", 60, [0, 0, 2, 0], [0, 0, 0, 2_000]],
        ["a slow pace", 1, [2, 1], [0, 2 * MINUTE]],
    ])("%s", (_, podsPerMinute, sizes, expected) => {
        expect(starts(podsPerMinute, sizes)).toEqual(expected);
    });

    it("over a longer time as fast as the pace, and no faster, whatever the sizes", () => {
        fc.assert(
            fc.property(
                fc.integer({ min: 1, max: 1_000 }),
                fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2 }),
                (podsPerMinute, sizes) => {
                    const last = starts(podsPerMinute, sizes).at(-1) ?? 0;
                    const before = sizes.slice(0, -1).reduce((sum, one) => sum + one, 0);
                    const ideal = (before / podsPerMinute) * MINUTE;
                    expect(last).toBeGreaterThanOrEqual(ideal - 0.001);
                    // A start is late by less than the 1 ms that timers count in; the next makes up for it.
                    expect(last).toBeLessThan(ideal + 2);
                },
            ),
            // A sum that is off by less than 1e-15 once cost a millisecond.
            { examples: [[7, [45, 32, 1, 1]]] },
        );
    });
});

describe("after a pause", () => {
    it("no more than the pods of 10 s are caught up at once", () => {
        const { clock, pace } = paced(60);
        clock.ms += 100 * MINUTE;
        let begun = 0;
        while (pace.wait() === 0) {
            pace.charge(1);
            begun += 1;
        }
        // 10 that were saved up, and the one that goes into debt.
        expect(begun).toBe(11);
        expect(pace.wait()).toBe(1_000);
    });

    it("less than 10 s are caught up in full", () => {
        const { clock, pace } = paced(60);
        pace.charge(1);
        clock.ms += 6_000;
        expect(pace.wait()).toBe(0);
        pace.charge(6);
        expect(pace.wait()).toBe(1_000);
    });
});

it("pods that come on top, as an autoscaler's do, delay what follows", () => {
    const { pace } = paced(60);
    pace.charge(2);
    pace.charge(3);
    expect(pace.wait()).toBe(5_000);
});

it("unlimited never waits", () => {
    const { pace } = paced("unlimited");
    pace.charge(1_000_000);
    expect(pace.wait()).toBe(0);
});
