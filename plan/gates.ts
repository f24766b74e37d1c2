import type { PrometheusAddress } from "../cluster/prometheus";

/** What a metric of a wave must be for the next wave to begin. At least one limit is set. */
export interface MetricRule {
    readonly name: string;
    /**
     * PromQL that gives an instant vector with one element. `$namespaces` stands for the wave's namespaces, as
     * alternatives of a regular expression (`namespace=~"$namespaces"`), and `$window` for a range such as 300s.
     */
    readonly query: string;
    readonly min?: number | undefined;
    readonly max?: number | undefined;
    /** At most this much less than the recorded value (absolute). */
    readonly maxDrop?: number | undefined;
    /** At most this factor of the recorded value: 1.5 is half as much again. */
    readonly maxRise?: number | undefined;
}

export interface MetricsGate {
    readonly prometheus: PrometheusAddress;
    /** Over which the rules look. At least three scrape intervals (viz's own Prometheus: 10 s each). */
    readonly windowSeconds: number;
    /** How long to wait for data that span the window, from the gate's beginning on; more than the window. */
    readonly limitSeconds: number;
    readonly rules: readonly MetricRule[];
}

/** What was measured before the upgrade, by the names of the rules. */
export interface Recorded {
    readonly values: Readonly<Record<string, number>>;
    /** Why there is no value. */
    readonly problems: Readonly<Record<string, string>>;
}

// Port 4191 is the proxy's own: scrapes and probes come in there, always succeed, and would hide a failing workload
// with little traffic.
const INBOUND = `direction="inbound",target_port!="4191",namespace=~"$namespaces"`;

/** On the metrics of Linkerd's proxies, under the names and labels that viz's Prometheus gives them. */
export const DEFAULT_RULES: readonly MetricRule[] = [
    {
        name: "success rate",
        // A class of responses that never came has no series, so a rate of success would be missing rather than 0.
        query:
            `1 - (sum(rate(response_total{classification="failure",${INBOUND}}[$window])) or vector(0))` +
            ` / sum(rate(response_total{${INBOUND}}[$window]))`,
        min: 0.99,
        maxDrop: 0.01,
    },
    {
        name: "p95 latency ms",
        query: `histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{${INBOUND}}[$window])) by (le))`,
        maxRise: 1.5,
    },
];

const AT_DESTINATION = `reporter="destination",destination_workload_namespace=~"$namespaces"`;

/** On Istio's standard metrics, as the sidecars of the wave's own workloads report them. */
export const ISTIO_RULES: readonly MetricRule[] = [
    {
        name: "success rate",
        query:
            `1 - (sum(rate(istio_requests_total{response_code=~"5..",${AT_DESTINATION}}[$window])) or vector(0))` +
            ` / sum(rate(istio_requests_total{${AT_DESTINATION}}[$window]))`,
        min: 0.99,
        maxDrop: 0.01,
    },
    {
        name: "p95 latency ms",
        query: `histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{${AT_DESTINATION}}[$window])) by (le))`,
        maxRise: 1.5,
    },
];

/** The rule's query over the last `windowSeconds`. */
export function queryOf(
    { query }: MetricRule,
    namespaces: readonly string[],
    windowSeconds: number,
): string {
    return query
        .replaceAll("$namespaces", () => namespaces.join("|"))
        .replaceAll("$window", () => range(windowSeconds));
}

/** Into how many parts `coverageQuery` cuts the window. */
export const PARTS = 20;

/** Below this a `rate` may find a single sample of viz's Prometheus, and give nothing. */
const SHORTEST_SECONDS = 30;

/**
 * A query that counts at how many of the last PARTS steps through the window the rule had data of then. A Prometheus
 * that was emptied, or that found the new pods late, has fewer.
 */
export function coverageQuery(
    rule: MetricRule,
    namespaces: readonly string[],
    windowSeconds: number,
): string {
    const recent = Math.max(windowSeconds / 4, Math.min(windowSeconds, SHORTEST_SECONDS));
    const step = Math.max(1, Math.round((windowSeconds * 1000) / PARTS));
    // The query may end with a comment.
    return `count_over_time((${queryOf(rule, namespaces, recent)}\n)[${step * PARTS}ms:${step}ms])`;
}

export interface Judgement {
    readonly ok: boolean;
    /** The numbers and the limits in words. */
    readonly line: string;
}

/**
 * Holds a value against the limits of its rule. No value is a failure. Without a recorded one the limits that refer to
 * it fail, unless the rule has `min` or `max` as well, which decide then.
 * @param why nothing was recorded
 */
export function judge(
    rule: MetricRule,
    now: number | undefined,
    before: number | undefined,
    why?: string,
): Judgement {
    const { name, min, max, maxDrop, maxRise } = rule;
    if (now === undefined) {
        return { ok: false, line: `${name}: no value (no such series, or no traffic)` };
    }
    const failures: string[] = [];
    const limits: string[] = [];
    const check = (holds: boolean, limit: string, failure: string) => {
        limits.push(limit);
        if (!holds) {
            failures.push(failure);
        }
    };
    if (min !== undefined) {
        check(now >= min - TINY, `at least ${shown(min)}`, `below ${shown(min)}`);
    }
    if (max !== undefined) {
        check(now <= max + TINY, `at most ${shown(max)}`, `above ${shown(max)}`);
    }
    const absolute = limits.length > 0;
    const relative = maxDrop !== undefined || maxRise !== undefined;
    if (before === undefined && relative) {
        const nothing = `nothing was recorded before the upgrade${why === undefined ? "" : ` (${why})`}`;
        check(absolute, nothing, `${nothing}, so there is nothing to compare it with`);
    }
    if (before !== undefined && maxDrop !== undefined) {
        check(
            before - now <= maxDrop + TINY,
            `recorded ${shown(before)}, at most ${shown(maxDrop)} less`,
            `below the recorded ${shown(before)} by ${shown(before - now)}, at most ${shown(maxDrop)} allowed`,
        );
    }
    if (before !== undefined && maxRise !== undefined) {
        check(
            now <= before * maxRise + TINY,
            `recorded ${shown(before)}, at most ${shown(maxRise)} times as much`,
            `${before > 0 ? `${shown(now / before)} times ` : "more than "}the recorded ${shown(before)}, ` +
                `at most ${shown(maxRise)} times allowed`,
        );
    }
    if (limits.length === 0) {
        failures.push("the rule has no limit: give it min, max, maxDrop or maxRise");
    }
    const ok = failures.length === 0;
    return { ok, line: `${name} ${shown(now)}: ${(ok ? limits : failures).join("; ")}` };
}

/** 1 - 0.99 is a little more than 0.01. */
const TINY = 1e-9;

function shown(value: number): string {
    return String(Number(value.toFixed(Math.abs(value) < 100 ? 4 : 1)));
}

function range(seconds: number): string {
    return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1000)}ms`;
}
