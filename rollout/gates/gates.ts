import type { Connection } from "../../cluster/connection";
import type { PrometheusAddress } from "../../cluster/prometheus";
import { milliseconds } from "../../plan/durations";
import type { MetricRule, MetricsGate, Recorded } from "../../plan/gates";
import type { MetricsSettings, WaveSettings } from "../../plan/waves";
import type { Emit } from "../events";
import { metricsGate } from "./metrics";
import { commandGate, httpGate } from "./probe";

/** Namespace of the viz extension, with its own Prometheus. */
const VIZ = "linkerd-viz";

/** What a wave's gates look at. */
export interface GateContext {
    readonly connection: Connection;
    readonly wave: string;
    /** Version that the wave brings. */
    readonly version: string;
    /** In which the wave has pods. */
    readonly namespaces: readonly string[];
    /** When the last of the new pods became ready. */
    readonly since: Date;
    readonly recorded: Recorded | undefined;
    /** Where the stack file has none. */
    readonly rules: readonly MetricRule[];
    readonly emit: Emit;
    readonly signal: AbortSignal;
}

/** The gate as it is run, from the stack file's settings. */
export function metricsGateOf(
    settings: NonNullable<MetricsSettings>,
    defaults: readonly MetricRule[],
): MetricsGate {
    const { prometheus, window, limit, rules } = settings;
    const address: PrometheusAddress =
        prometheus === "viz" ? { kind: "viz", namespace: VIZ } : { kind: "url", url: prometheus };
    return {
        prometheus: address,
        windowSeconds: milliseconds(window) / 1000,
        limitSeconds: milliseconds(limit) / 1000,
        rules: rules ?? defaults,
    };
}

/** Runs the gates in the order metrics, command, http, pause; the first that fails ends it. Returns its failures. */
export async function runGates(
    { metrics, command, http, pause, continueFor }: WaveSettings["gates"],
    context: GateContext,
): Promise<string[]> {
    const { connection, wave, version, namespaces, since, recorded, emit, signal } = context;
    const gates: [string, (say: (text: string) => void) => Promise<string[]>][] = [];
    if (metrics) {
        gates.push([
            "metrics",
            (say) =>
                metricsGate(
                    connection,
                    metricsGateOf(metrics, context.rules),
                    namespaces,
                    recorded,
                    since,
                    say,
                    signal,
                ),
        ]);
    }
    if (command) {
        const { run, limit } = command;
        const environment = { MESH_UPGRADE_WAVE: wave, MESH_UPGRADE_TARGET: version };
        const gate = { run, limitSeconds: milliseconds(limit) / 1000 };
        gates.push(["command", (say) => commandGate(gate, environment, say, signal)]);
    }
    if (http) {
        const { limit, ...rest } = http;
        const gate = { ...rest, limitSeconds: milliseconds(limit) / 1000 };
        gates.push(["http", (say) => httpGate(gate, say, signal)]);
    }
    if (pause && continueFor !== version) {
        gates.push([
            "pause",
            () =>
                Promise.resolve([
                    `the stack file asks for a pause after wave ${wave}; to go on, set continueFor: ${version} beside pause, then pulumi up`,
                ]),
        ]);
    }
    for (const [gate, run] of gates) {
        const failures = await runGate(gate, run, emit);
        if (failures.length > 0) {
            return failures.map((failure) => `gate ${gate}: ${failure}`);
        }
    }
    return [];
}

/** Runs one gate and tells how it goes. */
export async function runGate(
    gate: string,
    run: (say: (text: string) => void) => Promise<string[]>,
    emit: Emit,
): Promise<string[]> {
    emit({ type: "gate", gate, state: "begins" });
    const failures = await run((text) => emit({ type: "gate", gate, state: "waits", text }));
    emit(
        failures.length > 0
            ? { type: "gate", gate, state: "failed", failures }
            : { type: "gate", gate, state: "passed" },
    );
    return failures;
}
