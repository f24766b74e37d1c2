import type { Connection } from "../../cluster/connection";
import { PrometheusError, queryPrometheus } from "../../cluster/prometheus";
import {
    coverageQuery,
    judge,
    PARTS,
    queryOf,
    type Judgement,
    type MetricRule,
    type MetricsGate,
    type Recorded,
} from "../../plan/gates";
import { steadily, wait } from "./waiting";

const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
const ATTEMPTS = 3;
const NO_VALUE = "no value (no such series, or no traffic)";

/**
 * Measures each rule as things are now. What cannot be measured is noted with the reason, after three attempts where
 * the trouble may pass.
 * @throws only the signal's reason
 */
export async function recordMetrics(
    connection: Connection,
    gate: MetricsGate,
    namespaces: readonly string[],
    signal?: AbortSignal,
): Promise<Recorded> {
    const values: Record<string, number> = {};
    const problems: Record<string, string> = {};
    const record = async (rule: MetricRule) => {
        const query = queryOf(rule, namespaces, gate.windowSeconds);
        for (let attempt = 1; ; attempt++) {
            try {
                const value = await queryPrometheus(connection, gate.prometheus, query, signal);
                if (value === undefined) {
                    problems[rule.name] = NO_VALUE;
                } else {
                    values[rule.name] = value;
                }
                return;
            } catch (error) {
                if (!(error instanceof PrometheusError)) {
                    throw error;
                }
                if (!error.transient || attempt === ATTEMPTS) {
                    problems[rule.name] = `${error.place}: ${error.reason}`;
                    return;
                }
                await wait(attempt * SHORTEST_PAUSE_MS, signal);
            }
        }
    };
    if (namespaces.length > 0) {
        await Promise.all(gate.rules.map(record));
    }
    return { values, problems };
}

/**
 * Holds each rule against its limits as soon as Prometheus has data newer than `since` for the whole window. Trouble
 * that may pass is ridden out until the gate's limit.
 * @param since when the last of the wave's new pods became ready, on the cluster's clock
 * @param say progress with an estimate, at most every 15 s, and each rule's verdict
 * @returns failures with numbers; none: passed
 * @throws the signal's reason
 */
export async function metricsGate(
    connection: Connection,
    gate: MetricsGate,
    namespaces: readonly string[],
    before: Recorded | undefined,
    since: Date,
    say: (line: string) => void,
    signal?: AbortSignal,
): Promise<string[]> {
    if (namespaces.length === 0) {
        return [];
    }
    const { windowSeconds, limitSeconds, prometheus, rules } = gate;
    const deadline = performance.now() + limitSeconds * 1000;
    const progress = steadily(say);
    const measure: Measure = {
        ask: (query) => queryPrometheus(connection, prometheus, query, signal),
        namespaces,
        windowSeconds,
        since: since.getTime() / 1000,
        judge: (rule, value) =>
            judge(rule, value, before?.values[rule.name], before?.problems[rule.name]),
    };
    for (;;) {
        const { judged, waiting, secondsLeft, final } = await look(measure, rules);
        const failed = judged.filter(({ ok }) => !ok);
        const left = deadline - performance.now();
        if (final || failed.length > 0 || waiting.length === 0 || left <= 0) {
            judged.forEach(({ line }) => say(line));
            const late = final ? waiting : waiting.map((one) => `${one}, within ${limitSeconds} s`);
            // What has not been decided is no failure yet, where another rule has failed in time.
            return [...failed.map(({ line }) => line), ...(final || left <= 0 ? late : [])];
        }
        progress(() => {
            const estimate = secondsLeft && `about ${Math.ceil(secondsLeft)} s left; `;
            return `${waiting[0]}; ${estimate || ""}gives up in ${Math.ceil(left / 1000)} s`;
        });
        const pause = Math.min(LONGEST_PAUSE_MS, (windowSeconds * 1000) / PARTS);
        await wait(Math.min(left, Math.max(SHORTEST_PAUSE_MS, pause)), signal);
    }
}

interface Measure {
    readonly ask: (query: string) => Promise<number | undefined>;
    readonly namespaces: readonly string[];
    readonly windowSeconds: number;
    /** Seconds since 1970. */
    readonly since: number;
    readonly judge: (rule: MetricRule, value: number) => Judgement;
}

interface Look {
    /** Rules with enough data. */
    readonly judged: readonly Judgement[];
    /** Why the others, or all, cannot be judged. */
    readonly waiting: readonly string[];
    /** Until there may be enough data; absent where nobody knows. */
    readonly secondsLeft?: number;
    /** Waiting would not help. */
    readonly final?: boolean;
}

async function look(measure: Measure, rules: readonly MetricRule[]): Promise<Look> {
    const { ask, namespaces, windowSeconds, since } = measure;
    const judged: Judgement[] = [];
    const waiting: string[] = [];
    let secondsLeft = 0;
    try {
        // Prometheus' own clock: the one that its data are stamped with.
        const age = ((await ask("time()")) ?? 0) - since;
        for (const rule of rules) {
            const steps = (await ask(coverageQuery(rule, namespaces, windowSeconds))) ?? 0;
            const seconds = Math.max(0, Math.min((windowSeconds * steps) / PARTS, age));
            if (seconds < windowSeconds) {
                const have = `${Math.floor(seconds)} of ${windowSeconds} s`;
                waiting.push(`${rule.name}: data for ${have} since the new pods became ready`);
                secondsLeft = Math.max(secondsLeft, windowSeconds - seconds);
                continue;
            }
            const value = await ask(queryOf(rule, namespaces, windowSeconds));
            if (value === undefined) {
                waiting.push(`${rule.name}: ${NO_VALUE}`);
            } else {
                judged.push(measure.judge(rule, value));
            }
        }
        return { judged, waiting, secondsLeft };
    } catch (error) {
        if (!(error instanceof PrometheusError)) {
            throw error;
        }
        const { transient, message, place, reason } = error;
        return transient
            ? { judged, waiting: [`${place}: ${reason}`] }
            : { judged, waiting: [message], final: true };
    }
}
