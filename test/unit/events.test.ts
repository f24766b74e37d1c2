import { describe, expect, it } from "vitest";
import { durationText, linesOf, toLog, type RolloutEvent } from "../../rollout/events";

const web = { type: "workload", workload: "shop/Deployment/web" } as const;
const wave = {
    type: "wave",
    wave: "shop",
    target: "edge-24.7.5",
    workloads: 3,
    pods: 12,
    current: 2,
    podsToGo: 10,
    pace: 100,
    atOnce: 50,
} as const;
const summary = {
    type: "summary",
    wave: "shop",
    workloadsDone: 1,
    workloads: 3,
    podsDone: 4,
    pods: 10,
    podsPerMinute: 96,
    secondsLeft: undefined,
} as const;

describe("each event is a line that a reader understands alone", () => {
    const cases: [event: RolloutEvent, ...lines: string[]][] = [
        [
            wave,
            "wave shop: 2 of 12 pods run edge-24.7.5; 3 workloads (10 pods) to go, 100 pods a minute, up to 50 workloads at once",
        ],
        [
            { ...wave, pace: "unlimited", atOnce: "unlimited" },
            "wave shop: 2 of 12 pods run edge-24.7.5; 3 workloads (10 pods) to go, no limit of pace, all at once",
        ],
        [{ type: "check", passed: "the injector is ready" }, "check: the injector is ready"],
        [{ type: "note", text: "shop/web-1: evicted" }, "shop/web-1: evicted"],
        [
            {
                ...web,
                state: "started",
                action: "restart",
                pods: 3,
                from: ["edge-24.3.1", "edge-24.5.3"],
            },
            "shop/Deployment/web: restart (3 pods, proxy edge-24.3.1, edge-24.5.3)",
        ],
        [
            { ...web, state: "waits", reason: "Canary shop/web of Flagger is Progressing" },
            "shop/Deployment/web: waits: Canary shop/web of Flagger is Progressing",
        ],
        [
            { ...web, state: "rolling", updated: 1, available: 2, wanted: 3 },
            "shop/Deployment/web: 1 of 3 new, 2 available",
        ],
        [{ ...web, state: "done", seconds: 12.3 }, "shop/Deployment/web: done after 12.3 s"],
        [{ ...web, state: "gone", seconds: 1 }, "shop/Deployment/web: was deleted meanwhile"],
        [
            { ...web, state: "current", seconds: 0 },
            "shop/Deployment/web: is current by now; not restarted",
        ],
        [
            { ...web, state: "failed", reason: "no progress for 600 s: pod web-1: Unschedulable" },
            "shop/Deployment/web: FAILED: no progress for 600 s: pod web-1: Unschedulable",
        ],
        [summary, "wave shop: 1 of 3 workloads, 4 of 10 pods, 96 pods a minute"],
        [
            { ...summary, secondsLeft: 300 },
            "wave shop: 1 of 3 workloads, 4 of 10 pods, 96 pods a minute, about 5 min left",
        ],
        [{ type: "gate", gate: "soak 10s", state: "begins" }, "gate soak 10s: begins"],
        [{ type: "gate", gate: "http", state: "passed" }, "gate http: passed"],
        [
            { type: "gate", gate: "metrics", state: "waits", text: "data span 2m of 5m" },
            "gate metrics: data span 2m of 5m",
        ],
        [
            { type: "gate", gate: "metrics", state: "failed", failures: ["a is 1", "b is 2"] },
            "gate metrics: FAILED: a is 1",
            "gate metrics: FAILED: b is 2",
        ],
    ];
    it.each(cases)("%j", (event, ...lines) => {
        expect(linesOf(event)).toEqual(lines);
    });

    it("and of a log that grows too long, the summary lines stay", () => {
        const kinds: unknown[] = [];
        const emit = toLog((_line, kind) => kinds.push(kind));
        [summary, wave, { ...web, state: "done", seconds: 1 } as const].forEach(emit);
        expect(kinds).toEqual(["progress", "detail", "detail"]);
    });
});

it.each([
    [0, "0 s"],
    [39.2, "40 s"],
    [119, "119 s"],
    [120, "2 min"],
    [7_199, "2 h 0 min"],
    [11_100, "3 h 5 min"],
])("%d seconds read as %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
});
