import { nameOf, type Unrestartable, type WorkloadPlan } from "../plan/dataPlane";

/** What became of one workload. */
export interface WorkloadResult {
    /** `shop/Deployment/web`. */
    readonly workload: string;
    readonly action: WorkloadPlan["action"];
    /** Proxy versions before. */
    readonly from: readonly string[];
    readonly pods: number;
    /**
     * `gone`: deleted meanwhile. `current`: its pods were new before its turn came. `held`: paused or pinned before
     * its turn came.
     */
    readonly result: "done" | "failed" | "gone" | "current" | "held";
    readonly seconds: number;
    /** Why it failed; absent on success. */
    readonly failure?: string;
}

/** What became of one pod. */
export interface PodVerdict {
    /** `shop/web-7d9f-abcde`. */
    readonly pod: string;
    readonly proxy: string;
    /** `current`, or why it is not: `stale: a bare pod: ...`. */
    readonly verdict: string;
}

/** What a wave did; as JSON a stack output. */
export interface WaveReport {
    readonly wave: string;
    /** Proxy version that every restartable pod must run. */
    readonly target: string;
    readonly workloads: readonly WorkloadResult[];
    readonly unrestartable: readonly Unrestartable[];
    /** Pods of the mesh, and how many of them run the target. */
    readonly pods: number;
    readonly current: number;
    readonly seconds: number;
    readonly failures: readonly string[];
}

/** The engine passes a command's output on in an environment variable; one is limited to 128 KiB. */
const MOST_BYTES = 60_000;

/** The report as JSON of less than 60,000 bytes: long lists are cut, with the number left out. */
export function reportJson(report: WaveReport): string {
    let most = Math.max(report.workloads.length, report.unrestartable.length);
    let text = JSON.stringify(report);
    while (Buffer.byteLength(text) > MOST_BYTES && most > 0) {
        most = Math.floor(most / 2);
        const workloads = report.workloads.slice(0, most);
        const unrestartable = report.unrestartable.slice(0, most);
        text = JSON.stringify({
            ...report,
            workloads,
            unrestartable,
            leftOut: {
                workloads: report.workloads.length - workloads.length,
                unrestartable: report.unrestartable.length - unrestartable.length,
            },
        });
    }
    return text;
}

/** A table of the workloads and a line for what could not be restarted. */
export function tableLines(report: WaveReport): string[] {
    const rows = report.workloads.map((one) => [
        one.workload,
        one.action,
        one.from.join(", "),
        report.target,
        `${one.seconds} s`,
        one.failure === undefined ? one.result : "FAILED",
    ]);
    const header = ["workload", "action", "from", "to", "took", "result"];
    const widths = header.map((title, column) =>
        Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
    );
    const line = (row: readonly string[]) =>
        row
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join("  ")
            .trimEnd();
    return [
        ...(rows.length > 0 ? [line(header), ...rows.map(line)] : []),
        ...report.unrestartable.map(
            (one) =>
                `not restarted: ${nameOf(one)} (${one.pods} pods, proxy ${one.proxy}): ${one.reason}`,
        ),
    ];
}

/** The closing line of a wave. */
export function summaryLine(report: WaveReport): string {
    return `wave ${report.wave}: ${report.current} of ${report.pods} pods run ${report.target} after ${report.seconds} s`;
}

const MOST_FAILURES = 20;

/** What a wave that failed tells: why, what is untouched, and the next step. `path`: of the whole report. */
export function failureLines(
    { wave, failures }: WaveReport,
    path: string,
    next = "mend what is named, then `pulumi up` goes on at this wave; or revert linkerdVersion and `pulumi up`",
): string[] {
    const left = failures.length - MOST_FAILURES;
    return [
        `wave ${wave} failed; other workloads and later waves stay as they are (${path}):`,
        ...failures.slice(0, MOST_FAILURES).map((failure) => `  ${failure}`),
        ...(left > 0 ? [`  and ${left} more`] : []),
        `next: ${next}`,
    ];
}
