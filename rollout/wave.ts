import * as k8s from "@kubernetes/client-node";
import { mkdir, writeFile } from "node:fs/promises";
import { connect, reasonOf, type Connection } from "../cluster/connection";
import { observeDataPlane, RESTARTED_AT } from "../cluster/dataPlane";
import { StuckError, untilRolledOut } from "../cluster/rolloutStatus";
import { nameOf, planDataPlane, verifyDataPlane, type WorkloadPlan } from "../plan/dataPlane";
import { readInput, waveInput, type WaveInput } from "./input";
import { limitedLog, type Log } from "./log";
import {
    reportJson,
    summaryLine,
    tableLines,
    type WaveReport,
    type WorkloadResult,
} from "./report";

const MOST_FAILURES = 20;

/** Workloads that roll at the same time. */
const AT_ONCE = 4;

/** Restarts every stale workload, waits for each, and verifies what runs afterwards. */
export async function runWave(
    input: WaveInput,
    connection: Connection,
    say: Log,
): Promise<WaveReport> {
    const { wave, target } = input;
    const started = Date.now();
    const before = planDataPlane(await observeDataPlane(connection), target.proxy);
    say(
        `wave ${wave}: ${before.current} of ${before.pods} pods run ${target.proxy}; ${before.workloads.length} workloads to go`,
    );
    const results: WorkloadResult[] = [];
    const queue = [...before.workloads];
    const worker = async () => {
        // A workload that fails stops what has not begun; what rolls is waited for.
        for (let next = queue.shift(); next; next = queue.shift()) {
            const result = await roll(next, input, connection, say);
            results.push(result);
            const done = results.length;
            const estimate = ((Date.now() - started) / done) * (before.workloads.length - done);
            say(
                `wave ${wave}: ${done} of ${before.workloads.length} workloads, about ${Math.ceil(estimate / 1000)} s left`,
                "progress",
            );
            if (result.failure !== undefined) {
                queue.length = 0;
            }
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const after = planDataPlane(await observeDataPlane(connection), target.proxy);
    const failed = new Set(results.filter((one) => one.failure).map((one) => one.workload));
    return {
        wave,
        target: target.proxy,
        workloads: results,
        unrestartable: after.unrestartable,
        pods: after.pods,
        current: after.current,
        seconds: Math.round((Date.now() - started) / 1000),
        failures: [
            ...results.flatMap((one) => (one.failure === undefined ? [] : [one.failure])),
            ...verifyDataPlane(after)
                .filter((fault) => !failed.has(fault.subject))
                .map((fault) => `${fault.subject}: ${fault.rule} (${fault.value})`),
        ],
    };
}

async function roll(
    plan: WorkloadPlan,
    input: WaveInput,
    connection: Connection,
    say: (line: string) => void,
): Promise<WorkloadResult> {
    const name = nameOf(plan.workload);
    const started = Date.now();
    const result = { workload: name, action: plan.action, from: plan.from, pods: plan.pods };
    try {
        say(`${name}: ${plan.action} (${plan.pods} pods, proxy ${plan.from.join(", ")})`);
        if (plan.action === "restart") {
            await annotate(connection, plan, new Date().toISOString().replace(/\.\d+Z/, "Z"));
        } else if (plan.action === "return") {
            await annotate(connection, plan, plan.restartedAt ?? null);
        }
        await untilRolledOut(connection, plan.workload, input.timeoutSeconds * 1000, (status) =>
            say(
                `${name}: ${status.updated} of ${status.wanted} new, ${status.available} available`,
            ),
        );
        return { ...result, seconds: secondsSince(started) };
    } catch (error) {
        const failure = error instanceof StuckError ? error.message : `${name}: ${reasonOf(error)}`;
        say(`FAILED ${failure}`);
        return { ...result, seconds: secondsSince(started), failure };
    }
}

/** Sets the annotation that `kubectl rollout restart` sets; null takes it away. */
async function annotate(
    connection: Connection,
    { workload }: WorkloadPlan,
    restartedAt: string | null,
): Promise<void> {
    const patch = {
        apiVersion: "apps/v1",
        kind: workload.kind,
        metadata: { name: workload.name, namespace: workload.namespace },
        spec: { template: { metadata: { annotations: { [RESTARTED_AT]: restartedAt } } } },
    };
    await connection.objects.patch(
        patch,
        undefined,
        undefined,
        "mesh-upgrade",
        undefined,
        k8s.PatchStrategy.MergePatch,
    );
}

function secondsSince(started: number): number {
    return Math.round((Date.now() - started) / 100) / 10;
}

/** A failed command leaves no output in the state, so the report goes to a file as well. */
async function keep(report: WaveReport): Promise<string> {
    await mkdir(".rollout", { recursive: true });
    const path = `.rollout/${report.wave}.json`;
    await writeFile(path, `${JSON.stringify(report, undefined, 4)}\n`);
    return path;
}

async function main(): Promise<void> {
    const input = await readInput(waveInput);
    const log = limitedLog((line) => process.stderr.write(`${line}\n`));
    const report = await runWave(input, await connect(input.cluster), log);
    const path = await keep(report);
    const say = (line: string) => log(line, "summary");
    tableLines(report).forEach((line) => log(line));
    say(summaryLine(report));
    if (report.failures.length > 0) {
        say(`wave ${report.wave} failed; other workloads stay as they are (${path}):`);
        report.failures.slice(0, MOST_FAILURES).forEach((failure) => say(`  ${failure}`));
        say(
            "next: mend what is named, then `pulumi up` goes on; or revert linkerdVersion and `pulumi up`",
        );
        process.exitCode = 1;
        return;
    }
    process.stdout.write(reportJson(report));
}

if (require.main === module) {
    main().catch((error: unknown) => {
        process.stderr.write(`${reasonOf(error)}\n`);
        process.exitCode = 1;
    });
}
