import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../cluster/api";
import type { Connection } from "../cluster/connection";
import { checkControlPlane } from "../cluster/controlPlane";
import type { DataPlane } from "../cluster/dataPlane";
import { LiveDataPlane } from "../cluster/liveDataPlane";
import {
    behind,
    nameOf,
    planDataPlane,
    podsInWave,
    selectables,
    verifyDataPlane,
    withBudgets,
    type DataPlanePlan,
} from "../plan/dataPlane";
import { milliseconds } from "../plan/durations";
import { formatFaults, RefusedError } from "../plan/faults";
import { compareVersions, isFault, parseLinkerdVersion } from "../plan/versions";
import { overlapFaults } from "../plan/waves";
import type { Emit } from "./events";
import { runGate, runGates } from "./gates/gates";
import { healthGate } from "./gates/health";
import type { WaveInput } from "./input";
import { takeLease } from "./lease";
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
    const lease = await takeLease(leaseApi, {
        namespace: "linkerd",
        seconds: LEASE_SECONDS,
        say: note,
        onLost: (reason) => {
            lost.push(`the lease was lost: ${reason}`);
            ended.abort();
        },
    });
    const evictions = new KubeApi(connection, { patienceMs: 0 });
    const live = new LiveDataPlane(api, note);
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
        await live.start();
        const checks = await checkControlPlane(connection, input.target, live.snapshot());
        checks.passed.forEach((passed) => emit({ type: "check", passed }));
        if (checks.faults.length > 0) {
            throw new RefusedError(checks.faults);
        }
        const wave = new WaveRun(input, connection, api, evictions, live, emit, stop, ended.signal);
        return await wave.run(lost);
    } finally {
        clearTimeout(timer);
        await live.stop();
        await lease.release();
        [api, evictions, leaseApi].forEach((one) => one.close());
    }
}

class WaveRun {
    private readonly started = Date.now();

    constructor(
        private readonly input: WaveInput,
        private readonly connection: Connection,
        private readonly api: KubeApi,
        private readonly evictions: KubeApi,
        private readonly live: LiveDataPlane,
        private readonly emit: Emit,
        /** Nothing new begins. */
        private readonly stop: AbortSignal,
        /** Nothing is waited for any more. */
        private readonly ended: AbortSignal,
    ) {}

    async run(lost: readonly string[]): Promise<WaveOutcome> {
        const { input, live, emit } = this;
        const { scope, settings, target } = input;
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
        const plan = planDataPlane(withBudgets(before, settings), target.proxy, scope);
        emit({
            type: "wave",
            wave: scope.wave,
            target: target.proxy,
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
        if (failures.length === 0 && settings.jobs === "wait" && !this.stop.aborted) {
            failures.push(...(await this.waitForJobs()));
        }
        const data = await live.verified();
        const after = planDataPlane(data, target.proxy, scope);
        failures.push(...this.staleFailures(after, results));
        if (failures.length === 0 && this.stop.aborted) {
            failures.push(`ended on request; ${after.workloads.length} workloads are still stale`);
        }
        if (failures.length === 0 && after.pods > 0) {
            failures.push(...(await this.interruptibleGates(after)));
        }
        return {
            report: {
                wave: scope.wave,
                target: target.proxy,
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
        const { api, evictions, live, emit, input } = this;
        const { settings, scope, target } = input;
        return schedule(
            plan.workloads,
            live,
            {
                api,
                evictions,
                live,
                target: target.proxy,
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
            AbortSignal.any([this.stop, this.ended]),
        );
    }

    /** Workloads that should have been restarted, or were, and still have stale pods. */
    private staleFailures(after: DataPlanePlan, results: readonly WorkloadResult[]): string[] {
        const failed = new Set(results.filter((one) => one.failure).map((one) => one.workload));
        if (failed.size > 0 || this.stop.aborted || this.ended.aborted) {
            return [];
        }
        return verifyDataPlane(after).map(
            (fault) => `${fault.subject}: ${fault.rule} (${fault.value})`,
        );
    }

    /** Pods of Jobs are not told where the stack file passes them over. */
    private told(after: DataPlanePlan): DataPlanePlan["unrestartable"] {
        return this.input.settings.jobs === "skip"
            ? after.unrestartable.filter((one) => one.kind !== "Job")
            : after.unrestartable;
    }

    private async waitForJobs(): Promise<string[]> {
        const { settings, scope, target } = this.input;
        const deadline = Date.now() + milliseconds(settings.timeout);
        let told = "";
        for (;;) {
            const plan = planDataPlane(this.live.snapshot(), target.proxy, scope);
            const jobs = plan.unrestartable.filter((one) => one.kind === "Job").map(nameOf);
            const names = jobs.slice(0, 5).join(", ");
            if (jobs.length === 0 || this.stop.aborted) {
                return [];
            }
            if (Date.now() > deadline) {
                return [
                    `${jobs.length} Jobs run an old proxy and have not finished within ${settings.timeout}: ${names}`,
                ];
            }
            if (told !== names) {
                told = names;
                this.emit({
                    type: "note",
                    text: `waits for ${jobs.length} Jobs to finish: ${names}`,
                });
            }
            await sleep(LOOK_MS);
        }
    }

    private async interruptibleGates(after: DataPlanePlan): Promise<string[]> {
        const signal = AbortSignal.any([this.stop, this.ended]);
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
        const { input, live, emit, connection } = this;
        const { settings, scope, target, baseline } = input;
        const since = Date.parse(baseline.at) - CLOCKS_APART_MS;
        const newPods = () =>
            podsInWave(live.snapshot(), scope).filter(
                (pod) => pod.proxy === target.proxy && pod.createdAt >= since,
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
        if (isRevert(baseline.from, target.version)) {
            emit({ type: "note", text: "a revert: metrics, probes and pauses do not hold it up" });
            return [];
        }
        const ready = newPods().map((pod) => pod.readySince ?? 0);
        return runGates(settings.gates, {
            connection,
            wave: scope.wave,
            version: target.version,
            namespaces: after.namespaces,
            since: new Date(Math.max(Date.parse(baseline.at), ...ready)),
            recorded: baseline.metrics[recordKey(scope)],
            emit,
            signal,
        });
    }

    private verdicts(data: DataPlane, after: DataPlanePlan): PodVerdict[] {
        const reasons = new Map(after.unrestartable.map((one) => [nameOf(one), one.reason]));
        return podsInWave(data, this.input.scope).map((pod) => ({
            pod: `${pod.namespace}/${pod.name}`,
            proxy: pod.proxy ?? "unknown",
            verdict:
                pod.proxy === this.input.target.proxy
                    ? "current"
                    : `stale: ${reasons.get(nameOf(behind(pod))) ?? "its workload was not restarted"}`,
        }));
    }
}

/** Under which `baseline` keeps a wave's metrics: its entries, so that a new name loses nothing. */
export function recordKey({ select, others }: WaveInput["scope"]): string {
    return JSON.stringify(select.length > 0 ? select : ["rest", ...Object.values(others)]);
}

function isRevert(from: string | undefined, to: string): boolean {
    const [before, after] = [parseLinkerdVersion(from ?? ""), parseLinkerdVersion(to)];
    return !isFault(before) && !isFault(after) && compareVersions(after, before) < 0;
}

/** What a wave refuses before it restarts anything. */
export function refusalText(wave: string, error: RefusedError): string {
    return formatFaults(
        error.faults,
        `mesh-upgrade refused; no workload of wave ${wave} was restarted`,
    );
}
