import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../cluster/api";
import type { Connection } from "../cluster/connection";
import type { DataPlane } from "../cluster/dataPlane";
import { LiveDataPlane } from "../cluster/liveDataPlane";
import {
    behind,
    isStale,
    nameOf,
    planDataPlane,
    podsInWave,
    selectables,
    STALE_BEFORE,
    verifyDataPlane,
    withBudgets,
    type DataPlanePlan,
    type Target,
} from "../plan/dataPlane";
import { milliseconds } from "../plan/durations";
import { formatFaults, RefusedError } from "../plan/faults";
import { overlapFaults } from "../plan/waves";
import type { Emit } from "./events";
import { runGate, runGates } from "./gates/gates";
import { healthGate } from "./gates/health";
import type { WaveInput } from "./input";
import { takeLease } from "./lease";
import { isRevert, meshOf } from "./mesh";
import type { PodVerdict, WaveReport, WorkloadResult } from "./report";
import { schedule } from "./schedule";

/** How often the summary is told. */
const SUMMARY_MS = 15_000;
/** An API server that is restarted or upgraded comes back within it. */
const LEASE_SECONDS = 60;
/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;
/** Clocks of this machine and of the API server may be so far apart. */
const CLOCKS_APART_MS = 30_000;
const LOOK_MS = 1_000;

/** A wave's report, and what is too long for a stack output. */
export interface WaveOutcome {
    readonly report: WaveReport;
    readonly pods: readonly PodVerdict[];
}

/**
 * Runs one wave: asks the control plane, restarts every stale workload of the wave, verifies each pod and passes the
 * gates. While it runs it holds a Lease, so that no other rollout runs in the cluster.
 * @param stop ends the beginning of new work; what rolls is waited for
 * @throws RefusedError before anything was restarted; ClusterError, ApiError where the cluster cannot be read
 */
export async function runWave(
    input: WaveInput,
    connection: Connection,
    emit: Emit,
    stop: AbortSignal,
): Promise<WaveOutcome> {
    const note = (text: string) => emit({ type: "note", text });
    // A server that is too busy for one request is as good as a workload without progress.
    const patienceMs = milliseconds(input.settings.timeout);
    const api = new KubeApi(connection, { onRetry: note, patienceMs });
    const ended = new AbortController();
    const lost: string[] = [];
    // Connections of its own: a renewal must not wait behind hundreds of restarts.
    const leaseApi = new KubeApi(connection, { onRetry: note });
    const mesh = meshOf(input.target);
    const lease = await takeLease(leaseApi, {
        namespace: mesh.namespace,
        seconds: LEASE_SECONDS,
        say: note,
        onLost: (reason) => {
            lost.push(`the lease was lost: ${reason}`);
            ended.abort();
        },
    });
    const evictions = new KubeApi(connection, { patienceMs: 0 });
    const live = new LiveDataPlane(api, note, mesh.pods);
    const limit = input.settings.limit;
    const timer =
        limit &&
        setTimeout(
            () => {
                lost.push(`the wave's limit of ${limit} is over`);
                ended.abort();
            },
            Math.min(milliseconds(limit), LONGEST_MS),
        );
    try {
        (await mesh.bind(connection)).forEach(note);
        await live.start();
        const target = await mesh.target(connection);
        const checks = await mesh.check(connection, live.snapshot(), input.checks);
        checks.passed.forEach((passed) => emit({ type: "check", passed }));
        if (checks.faults.length > 0) {
            throw new RefusedError(checks.faults);
        }
        const wave = new WaveRun(
            { input, target, connection, api, evictions, live, emit, stop },
            ended.signal,
        );
        return await wave.run(lost);
    } finally {
        clearTimeout(timer);
        await live.stop();
        await lease.release();
        [api, evictions, leaseApi].forEach((one) => one.close());
    }
}

interface WaveContext {
    readonly input: WaveInput;
    /** What new pods get. */
    readonly target: Target;
    readonly connection: Connection;
    readonly api: KubeApi;
    readonly evictions: KubeApi;
    readonly live: LiveDataPlane;
    readonly emit: Emit;
    /** Nothing new begins. */
    readonly stop: AbortSignal;
}

class WaveRun {
    private readonly started = Date.now();

    constructor(
        private readonly context: WaveContext,
        /** Nothing is waited for any more. */
        private readonly ended: AbortSignal,
    ) {}

    async run(lost: readonly string[]): Promise<WaveOutcome> {
        const { input, target, live, emit } = this.context;
        const { scope, settings } = input;
        const before = live.snapshot();
        const select = { ...scope.others, [scope.wave]: scope.select };
        const overlaps = overlapFaults(
            Object.entries(select).map(([name, entries]) => ({ name, select: entries })),
            selectables(before),
            before.namespaceLabels,
        );
        if (overlaps.length > 0) {
            throw new RefusedError(overlaps);
        }
        const held = input.baseline.takesOver ? STALE_BEFORE : undefined;
        const plan = planDataPlane(withBudgets(before, settings), target, scope, held);
        emit({
            type: "wave",
            wave: scope.wave,
            target: plan.target,
            workloads: plan.workloads.length,
            pods: plan.pods,
            current: plan.current,
            podsToGo: plan.workloads.reduce((sum, one) => sum + one.pods, 0),
            pace: settings.pace,
            atOnce: settings.atOnce,
        });
        for (const { workload, notes } of plan.workloads) {
            notes.forEach((text) => emit({ type: "note", text: `${nameOf(workload)}: ${text}` }));
        }
        const results = await this.roll(plan);
        const failures = [
            ...lost,
            ...results.flatMap((one) => (one.failure === undefined ? [] : [one.failure])),
        ];
        if (failures.length === 0 && settings.jobs === "wait" && !this.context.stop.aborted) {
            failures.push(...(await this.waitForJobs()));
        }
        const data = await live.verified();
        const after = planDataPlane(data, target, scope, held);
        failures.push(...this.staleFailures(after, results));
        if (failures.length === 0 && this.context.stop.aborted) {
            failures.push(`ended on request; ${after.workloads.length} workloads are still stale`);
        }
        if (failures.length === 0 && after.pods > 0) {
            failures.push(...(await this.interruptibleGates(after)));
        }
        return {
            report: {
                wave: scope.wave,
                target: after.target,
                workloads: results,
                unrestartable: this.told(after),
                pods: after.pods,
                current: after.current,
                seconds: Math.round((Date.now() - this.started) / 1000),
                failures: [...failures, ...lost.filter((one) => !failures.includes(one))],
            },
            pods: this.verdicts(data, after),
        };
    }

    private roll(plan: DataPlanePlan): Promise<WorkloadResult[]> {
        const { api, evictions, live, emit, input, target, stop } = this.context;
        const { settings, scope } = input;
        return schedule(
            plan.workloads,
            live,
            {
                api,
                evictions,
                live,
                target,
                timeoutMs: milliseconds(settings.timeout),
                emit,
                signal: this.ended,
            },
            {
                wave: scope.wave,
                pace: settings.pace,
                atOnce: settings.atOnce,
                respectBudgets: settings.disruptionBudgets === "respect",
                summaryMs: SUMMARY_MS,
            },
            AbortSignal.any([stop, this.ended]),
        );
    }

    /** Workloads that should have been restarted, or were, and still have stale pods. */
    private staleFailures(after: DataPlanePlan, results: readonly WorkloadResult[]): string[] {
        const failed = new Set(results.filter((one) => one.failure).map((one) => one.workload));
        if (failed.size > 0 || this.context.stop.aborted || this.ended.aborted) {
            return [];
        }
        return verifyDataPlane(after).map(
            (fault) => `${fault.subject}: ${fault.rule} (${fault.value})`,
        );
    }

    /** Pods of Jobs are not told where the stack file passes them over. */
    private told(after: DataPlanePlan): DataPlanePlan["unrestartable"] {
        return this.context.input.settings.jobs === "skip"
            ? after.unrestartable.filter((one) => one.kind !== "Job")
            : after.unrestartable;
    }

    private async waitForJobs(): Promise<string[]> {
        const { input, target, live, emit, stop } = this.context;
        const { settings, scope } = input;
        const deadline = Date.now() + milliseconds(settings.timeout);
        let told = "";
        for (;;) {
            const plan = planDataPlane(live.snapshot(), target, scope);
            const jobs = plan.unrestartable.filter((one) => one.kind === "Job").map(nameOf);
            const names = jobs.slice(0, 5).join(", ");
            if (jobs.length === 0 || stop.aborted) {
                return [];
            }
            if (Date.now() > deadline) {
                return [
                    `${jobs.length} Jobs run an old proxy and have not finished within ${settings.timeout}: ${names}`,
                ];
            }
            if (told !== names) {
                told = names;
                emit({
                    type: "note",
                    text: `waits for ${jobs.length} Jobs to finish: ${names}`,
                });
            }
            await sleep(LOOK_MS);
        }
    }

    private async interruptibleGates(after: DataPlanePlan): Promise<string[]> {
        const signal = AbortSignal.any([this.context.stop, this.ended]);
        try {
            return await this.gates(after, signal);
        } catch (error) {
            if (!signal.aborted) {
                throw error;
            }
            return this.ended.aborted ? [] : ["ended on request before its gates had passed"];
        }
    }

    private async gates(after: DataPlanePlan, signal: AbortSignal): Promise<string[]> {
        const { input, target, live, emit, connection } = this.context;
        const { settings, scope, baseline } = input;
        const since = Date.parse(baseline.at) - CLOCKS_APART_MS;
        const newPods = () =>
            podsInWave(live.snapshot(), target, scope).filter(
                (pod) => !isStale(pod, target) && pod.createdAt >= since,
            );
        const soakMs = milliseconds(settings.soak);
        const unhealthy = await runGate(
            `soak ${settings.soak}`,
            (say) =>
                healthGate(newPods, {
                    soakMs,
                    timeoutMs: milliseconds(settings.timeout),
                    say,
                    signal,
                }),
            emit,
        );
        if (unhealthy.length > 0) {
            return unhealthy.map((failure) => `gate soak: ${failure}`);
        }
        // Going back is the cure, so nothing but the pods' own health holds it up.
        if (isRevert(baseline.from, input.target)) {
            emit({ type: "note", text: "a revert: metrics, probes and pauses do not hold it up" });
            return [];
        }
        const ready = newPods().map((pod) => pod.readySince ?? 0);
        return runGates(settings.gates, {
            connection,
            wave: scope.wave,
            version: input.target.version,
            namespaces: after.namespaces,
            since: new Date(Math.max(Date.parse(baseline.at), ...ready)),
            rules: meshOf(input.target).rules,
            recorded: baseline.metrics[recordKey(scope)],
            emit,
            signal,
        });
    }

    private verdicts(data: DataPlane, after: DataPlanePlan): PodVerdict[] {
        const reasons = new Map(after.unrestartable.map((one) => [nameOf(one), one.reason]));
        const { input, target } = this.context;
        return podsInWave(data, target, input.scope).map((pod) => ({
            pod: `${pod.namespace}/${pod.name}`,
            proxy: pod.proxy ?? "unknown",
            verdict: !isStale(pod, target)
                ? "current"
                : `stale: ${reasons.get(nameOf(behind(pod))) ?? "its workload was not restarted"}`,
        }));
    }
}

/** Under which `baseline` keeps a wave's metrics: its entries, so that a new name loses nothing. */
export function recordKey({ select, others }: WaveInput["scope"]): string {
    return JSON.stringify(select.length > 0 ? select : ["rest", ...Object.values(others)]);
}

/** What a wave refuses before it restarts anything. */
export function refusalText(wave: string, error: RefusedError): string {
    return formatFaults(
        error.faults,
        `mesh-upgrade refused; no workload of wave ${wave} was restarted`,
    );
}
