import { describe, expect, it } from "vitest";
import { limitedLog } from "../../rollout/log";
import {
    failureLines,
    reportJson,
    summaryLine,
    tableLines,
    type WaveReport,
} from "../../rollout/report";

const report = (count: number, length: number): WaveReport => ({
    wave: "rest",
    target: "edge-24.7.5",
    workloads: Array.from({ length: count }, (_, index) => ({
        workload: `${"n".repeat(length)}/Deployment/${index}`,
        action: "restart" as const,
        from: ["edge-24.5.3"],
        pods: 3,
        result: "done" as const,
        seconds: 1.5,
    })),
    unrestartable: Array.from({ length: count }, (_, index) => ({
        namespace: "n".repeat(length),
        kind: "Pod",
        name: `${index}`,
        proxy: "edge-24.5.3",
        pods: 1,
        reason: "a bare pod: nothing makes it anew when it is deleted",
    })),
    pods: 4 * count,
    current: 3 * count,
    seconds: 12,
    failures: [],
});

describe("a wave's report stays short enough for the engine to hand on", () => {
    it.each([
        [0, 5],
        [150, 63],
        [5_000, 5],
        [5_000, 250],
    ])("%i workloads with names of %i characters", (count, length) => {
        const text = reportJson(report(count, length));
        expect(Buffer.byteLength(text)).toBeLessThan(64 * 1024);
        const result = JSON.parse(text) as WaveReport & { leftOut?: { workloads: number } };
        expect(result.workloads.length + (result.leftOut?.workloads ?? 0)).toBe(count);
        expect(result.pods).toBe(4 * count);
    });

    it("also in bytes, where names and reasons are very long and not in ASCII", () => {
        const long = "\u{1f680}".repeat(2_000);
        const some = report(200, 63);
        const text = reportJson({
            ...some,
            workloads: some.workloads.map((one) => ({ ...one, from: [long] })),
            unrestartable: some.unrestartable.map((one) => ({ ...one, reason: long })),
        });
        expect(Buffer.byteLength(text)).toBeLessThan(64 * 1024);
        const result = JSON.parse(text) as WaveReport & { leftOut: Record<string, number> };
        expect(result.workloads.length).toBeGreaterThan(0);
        expect(result.leftOut["workloads"]).toBe(200 - result.workloads.length);
        expect(result.leftOut["unrestartable"]).toBe(200 - result.unrestartable.length);
    });

    it("and is whole, with nothing said to be left out, where it fits", () => {
        const small = report(50, 63);
        expect(JSON.parse(reportJson(small))).toEqual(small);
    });

    it("and its log too, with progress and summary to the end", () => {
        const lines: string[] = [];
        let now = 0;
        const log = limitedLog(
            (line) => lines.push(line),
            () => now,
        );
        for (let index = 0; index < 20_000; index++) {
            now += 100;
            log(`shop/Deployment/web-${index}: restart (3 pods, proxy edge-24.5.3)`);
            log(`wave rest: ${index} of 20000 workloads`, "progress");
        }
        log("the end", "summary");
        expect(Buffer.byteLength(lines.join("\n"))).toBeLessThan(100 * 1024);
        expect(lines.at(-1)).toBe("the end");
        expect(lines.filter((line) => line.includes("left out"))).toHaveLength(1);
        // 2,000 s went by: the reader still sees the wave move.
        expect(lines.at(-2)).toMatch(/^wave rest: 19\d{3} of 20000 workloads$/);
    });
});

it("the table names each workload, what became of it, and what was not restarted", () => {
    expect(tableLines(report(1, 4))).toEqual([
        "workload           action   from         to           took   result",
        "nnnn/Deployment/0  restart  edge-24.5.3  edge-24.7.5  1.5 s  done",
        "not restarted: nnnn/Pod/0 (1 pods, proxy edge-24.5.3): a bare pod: nothing makes it anew when it is deleted",
    ]);
    expect(summaryLine(report(1, 4))).toBe("wave rest: 3 of 4 pods run edge-24.7.5 after 12 s");
});

it("the table marks what failed, and a wave without work has no table", () => {
    const [one] = report(1, 4).workloads;
    const failed = { ...one, seconds: 300, from: ["edge-24.3.1", "edge-24.5.3"], failure: "stuck" };
    const workloads = [failed, one] as WaveReport["workloads"];
    expect(tableLines({ ...report(1, 4), workloads, unrestartable: [] })).toEqual([
        "workload           action   from                      to           took   result",
        "nnnn/Deployment/0  restart  edge-24.3.1, edge-24.5.3  edge-24.7.5  300 s  FAILED",
        "nnnn/Deployment/0  restart  edge-24.5.3               edge-24.7.5  1.5 s  done",
    ]);
    expect(tableLines(report(0, 4))).toEqual([]);
});

it("a wave that failed tells why, where the whole report is, and the next step", () => {
    const failures = (count: number) =>
        failureLines(
            { ...report(0, 4), failures: Array.from({ length: count }, (_, i) => `failure ${i}`) },
            ".rollout/rest.json",
        );
    const next =
        "next: mend what is named, then `pulumi up` goes on at this wave; or revert linkerdVersion and `pulumi up`";
    expect(failures(1)).toEqual([
        "wave rest failed; other workloads and later waves stay as they are (.rollout/rest.json):",
        "  failure 0",
        next,
    ]);
    expect(failures(23).slice(-3)).toEqual(["  failure 19", "  and 3 more", next]);
});

it("a report names what became of a workload that was not restarted", () => {
    const [one] = report(1, 4).workloads;
    const workloads = (["gone", "current"] as const).map((result) => ({ ...one, result }));
    const lines = tableLines({ ...report(0, 4), workloads } as WaveReport);
    expect(lines.slice(1).map((line) => line.split("  ").at(-1))).toEqual(["gone", "current"]);
});
