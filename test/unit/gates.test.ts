import { describe, expect, it } from "vitest";
import { coverageQuery, DEFAULT_RULES, judge, queryOf, type MetricRule } from "../../plan/gates";

type Limits = Omit<MetricRule, "name" | "query">;

const rule = (limits: Limits, name = "success rate"): MetricRule => ({
    name,
    query: "q",
    ...limits,
});

describe("a verdict on a metric tells the numbers and the limits", () => {
    const cases: [string, Limits, number | undefined, number | undefined, boolean, string][] = [
        [
            "within all limits",
            { min: 0.99, maxDrop: 0.01 },
            0.9951,
            0.9991,
            true,
            "at least 0.99; recorded 0.9991, at most 0.01 less",
        ],
        ["better than before", { maxDrop: 0.01 }, 1, 0.5, true, "recorded 0.5, at most 0.01 less"],
        [
            "a drop of exactly as much as is allowed",
            { maxDrop: 0.01 },
            0.99,
            1,
            true,
            "recorded 1, at most 0.01 less",
        ],
        [
            "a drop",
            { maxDrop: 0.01 },
            0.9312,
            0.9991,
            false,
            "below the recorded 0.9991 by 0.0679, at most 0.01 allowed",
        ],
        ["too little", { min: 0.99 }, 0.9312, undefined, false, "below 0.99"],
        ["exactly enough", { min: 0.99 }, 0.99, undefined, true, "at least 0.99"],
        ["too much", { max: 250 }, 1234.56, undefined, false, "above 250"],
        [
            "a rise",
            { maxRise: 1.5 },
            36,
            20,
            false,
            "1.8 times the recorded 20, at most 1.5 times allowed",
        ],
        [
            "a rise that is allowed",
            { maxRise: 1.5 },
            30,
            20,
            true,
            "recorded 20, at most 1.5 times as much",
        ],
        [
            "a rise from nothing",
            { maxRise: 1.5 },
            3,
            0,
            false,
            "more than the recorded 0, at most 1.5 times allowed",
        ],
        ["still nothing", { maxRise: 1.5 }, 0, 0, true, "recorded 0, at most 1.5 times as much"],
        [
            "two failures",
            { min: 0.99, maxDrop: 0.01 },
            0.9,
            1,
            false,
            "below 0.99; below the recorded 1 by 0.1, at most 0.01 allowed",
        ],
        [
            "nothing recorded, and an absolute limit that holds",
            { min: 0.99, maxDrop: 0.01 },
            1,
            undefined,
            true,
            "at least 0.99; nothing was recorded before the upgrade (503)",
        ],
        [
            "nothing recorded, and an absolute limit that does not hold",
            { min: 0.99, maxDrop: 0.01 },
            0.5,
            undefined,
            false,
            "below 0.99",
        ],
        [
            "nothing recorded, and no absolute limit",
            { maxRise: 1.5 },
            1,
            undefined,
            false,
            "nothing was recorded before the upgrade (503), so there is nothing to compare it with",
        ],
        [
            "no limit at all",
            {},
            1,
            1,
            false,
            "the rule has no limit: give it min, max, maxDrop or maxRise",
        ],
    ];
    it.each(cases)("%s", (_, limits, now, before, ok, text) => {
        const shown = now === 1234.56 ? "1234.6" : now;
        expect(judge(rule(limits), now, before, "503")).toEqual({
            ok,
            line: `success rate ${shown}: ${text}`,
        });
    });

    it("no value is a failure, whatever was recorded", () => {
        expect(judge(rule({ min: 0 }), undefined, 1)).toEqual({
            ok: false,
            line: "success rate: no value (no such series, or no traffic)",
        });
    });
});

describe("the queries", () => {
    it("name the wave's namespaces and the window wherever the rule does", () => {
        const query = 'a{namespace=~"$namespaces"}[$window] / b{x=~"($namespaces)-$&"}[$window]';
        expect(queryOf({ name: "r", query }, ["shop", "batch"], 300)).toBe(
            'a{namespace=~"shop|batch"}[300s] / b{x=~"(shop|batch)-$&"}[300s]',
        );
        expect(queryOf({ name: "r", query: "[$window]" }, [], 2.5)).toBe("[2500ms]");
    });

    it("count the steps through the window that have data of their own", () => {
        const one = { name: "r", query: "rate(a[$window]) # mine" };
        expect(coverageQuery(one, [], 300)).toBe(
            "count_over_time((rate(a[75s]) # mine\n)[300000ms:15000ms])",
        );
        // Two samples of a Prometheus that scrapes every 10 s lie in it.
        expect(coverageQuery(one, [], 60)).toContain("rate(a[30s])");
        expect(coverageQuery(one, [], 10)).toContain("rate(a[10s])");
    });

    it("of the default rules look at what comes in, and not at the proxies' own port", () => {
        expect(DEFAULT_RULES.map((one) => [one.name, queryOf(one, ["a", "b"], 60)])).toEqual([
            [
                "success rate",
                '1 - (sum(rate(response_total{classification="failure",direction="inbound",target_port!="4191",namespace=~"a|b"}[60s])) or vector(0)) / sum(rate(response_total{direction="inbound",target_port!="4191",namespace=~"a|b"}[60s]))',
            ],
            [
                "p95 latency ms",
                'histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{direction="inbound",target_port!="4191",namespace=~"a|b"}[60s])) by (le))',
            ],
        ]);
    });
});
