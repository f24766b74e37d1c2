import { afterEach, describe, expect, it } from "vitest";
import type { Connection } from "../../cluster/connection";
import type { MetricRule, MetricsGate } from "../../plan/gates";
import { metricsGate, recordMetrics } from "../../rollout/gates/metrics";
import { playPrometheus, type Loopback } from "./support/loopback";

const nowhere = undefined as unknown as Connection;
const rate: MetricRule = { name: "success rate", query: "rate[$window]", min: 0.99, maxDrop: 0.01 };
const latency: MetricRule = { name: "p95", query: "p95[$window]", maxRise: 1.5 };

let server: Loopback | undefined;

afterEach(async () => {
    await server?.close();
    server = undefined;
});

type Reply = Parameters<typeof playPrometheus>[0];

/** Data cover `steps` of 20 parts of the window; the clock of Prometheus shows `time`. */
interface Scene {
    time: number;
    steps: number | [];
    values: Record<string, number | []>;
}

function reply(scene: Scene): Reply {
    return (query) => {
        if (query === "time()") return scene.time;
        if (query.startsWith("count_over_time")) return scene.steps;
        return scene.values[query.slice(0, query.indexOf("["))] ?? [];
    };
}

async function gateOn(
    valueOf: Reply,
    options: { rules?: MetricRule[]; limitSeconds?: number; namespaces?: string[] } = {},
): Promise<{ failures: string[]; lines: string[] }> {
    server = await playPrometheus(valueOf);
    const gate: MetricsGate = {
        prometheus: { kind: "url", url: server.url },
        windowSeconds: 20,
        limitSeconds: options.limitSeconds ?? 0,
        rules: options.rules ?? [rate],
    };
    const lines: string[] = [];
    const before = { values: { "success rate": 0.999 }, problems: { p95: "503" } };
    const say = (line: string) => void lines.push(line);
    const namespaces = options.namespaces ?? ["shop"];
    const since = new Date(1_000_000);
    const failures = await metricsGate(nowhere, gate, namespaces, before, since, say);
    return { failures, lines };
}

describe("the gate on metrics", { timeout: 60_000 }, () => {
    const healthy = { time: 1_020, steps: 20, values: { rate: 0.9985, p95: 20 } };

    it("passes with the numbers in the log", async () => {
        expect(await gateOn(reply(healthy))).toEqual({
            failures: [],
            lines: ["success rate 0.9985: at least 0.99; recorded 0.999, at most 0.01 less"],
        });
    });

    it("does not judge a window that began before the pods were ready", async () => {
        const { failures, lines } = await gateOn(reply({ ...healthy, time: 1_019 }));
        expect(failures).toEqual([
            "success rate: data for 19 of 20 s since the new pods became ready, within 0 s",
        ]);
        expect(lines).toEqual([]);
    });

    it("does not judge a window that Prometheus has seen in part", async () => {
        const { failures } = await gateOn(reply({ ...healthy, time: 2_000, steps: 19 }));
        expect(failures).toEqual([
            "success rate: data for 19 of 20 s since the new pods became ready, within 0 s",
        ]);
    });

    it("takes no data for a failure", async () => {
        const { failures } = await gateOn(reply({ ...healthy, steps: [] }));
        expect(failures[0]).toContain("data for 0 of 20 s");
    });

    it("takes no traffic for a failure", async () => {
        const { failures } = await gateOn(reply({ ...healthy, values: {} }));
        expect(failures).toEqual([
            "success rate: no value (no such series, or no traffic), within 0 s",
        ]);
    });

    it("waits, and tells for how long", async () => {
        const scene: Scene = { ...healthy, time: 1_010, steps: 5 };
        const { failures, lines } = await gateOn(
            (query) => {
                const value = reply(scene)(query);
                // As if the time passed while the gate waits.
                if (query.startsWith("count_over_time")) Object.assign(scene, healthy);
                return value;
            },
            { limitSeconds: 60 },
        );
        expect(failures).toEqual([]);
        expect(lines[0]).toMatch(
            /^success rate: data for 5 of 20 s since the new pods became ready; about 15 s left; gives up in (59|60) s$/,
        );
    });

    it("rides out what passes", async () => {
        let trouble = 2;
        const { failures, lines } = await gateOn(
            (query) => (trouble-- > 0 ? { status: 503, body: "" } : reply(healthy)(query)),
            { limitSeconds: 60 },
        );
        expect(failures).toEqual([]);
        expect(lines[0]).toMatch(/^Prometheus at \S+: HTTP 503; gives up in (59|60) s$/);
    });

    it("names what did not pass until the limit", async () => {
        const { failures } = await gateOn(() => ({ status: 503, body: "" }));
        expect(failures).toEqual([`Prometheus at ${server?.url}: HTTP 503, within 0 s`]);
    });

    it("does not wait for a query that cannot be read", async () => {
        const body = '{"status":"error","errorType":"bad_data","error":"1:2: parse error"}';
        const { failures } = await gateOn(
            (query) => (query === "time()" ? 1_020 : { status: 400, body }),
            { limitSeconds: 3_600 },
        );
        expect(failures).toHaveLength(1);
        expect(failures[0]).toMatch(/bad_data: 1:2: parse error; asked: count_over_time/);
    });

    it("fails at once with a rule that is broken while another has no data yet", async () => {
        const { failures, lines } = await gateOn(reply({ ...healthy, values: { rate: 0.9312 } }), {
            rules: [latency, rate],
            limitSeconds: 3_600,
        });
        expect(failures).toEqual([
            "success rate 0.9312: below 0.99; below the recorded 0.999 by 0.0678, at most 0.01 allowed",
        ]);
        expect(lines).toEqual(failures);
    });

    it("fails where there is nothing to compare with, and says why", async () => {
        const { failures } = await gateOn(reply(healthy), { rules: [rate, latency] });
        expect(failures).toEqual([
            "p95 20: nothing was recorded before the upgrade (503), so there is nothing to compare it with",
        ]);
    });

    it("has nothing to look at in a wave without namespaces", async () => {
        const { failures } = await gateOn(() => ({ status: 500, body: "" }), { namespaces: [] });
        expect(failures).toEqual([]);
    });

    it("ends when the rollout does", async () => {
        server = await playPrometheus(() => ({ status: 503, body: "" }));
        const gate = {
            prometheus: { kind: "url", url: server.url } as const,
            windowSeconds: 20,
            limitSeconds: 60,
            rules: [rate],
        };
        const stop = new AbortController();
        const reason = new Error("the lease was lost");
        const say = () => stop.abort(reason);
        const run = metricsGate(nowhere, gate, ["a"], undefined, new Date(), say, stop.signal);
        await expect(run).rejects.toBe(reason);
    });
});

it("what is recorded before an upgrade has a value or a reason for each rule", async () => {
    server = await playPrometheus((query) =>
        query === "rate[60s]" ? 0.998 : query === "p95[60s]" ? "NaN" : [1, 2],
    );
    const rules = [rate, latency, { name: "many", query: "many", max: 1 }];
    const prometheus = { kind: "url", url: server.url } as const;
    const gate = { prometheus, windowSeconds: 60, limitSeconds: 60, rules };
    expect(await recordMetrics(nowhere, gate, ["shop"])).toEqual({
        values: { "success rate": 0.998 },
        problems: {
            p95: "no value (no such series, or no traffic)",
            many: `Prometheus at ${server.url}: the query gives 2 series, not one number; sum(...) or max(...) makes one`,
        },
    });
    expect(await recordMetrics(nowhere, gate, [])).toEqual({ values: {}, problems: {} });
});
