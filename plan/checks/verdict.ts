import type { Fault } from "../faults";
import type { CheckResult, ReviewedCheck } from "../review";
import { rowOf, type CheckRow } from "./table";

/** What an update is to the mesh that was looked at. */
export interface Update {
    readonly change: "install" | "upgrade" | "revert" | "none";
    /** Version of an update that began and did not end; undefined: the last one did. */
    readonly unfinished: string | undefined;
    /** Version that this one brings. */
    readonly target: string;
    /** Ids whose failure is only listed: config `checks.ignore`. */
    readonly ignore: readonly string[];
    /** Ids of what this update replaces as a whole, as a renewed certificate. */
    readonly replaced: readonly string[];
    /** Version that runs; undefined: none. */
    readonly running: string | undefined;
    /** Only an update is refused for what could not be looked at. */
    readonly preview: boolean;
}

/** A result, and what it means. */
export interface Verdict {
    readonly result: CheckResult;
    readonly refuses: boolean;
    /** Why a fatal one does not refuse. */
    readonly because?: string;
}

/** Whether a check would refuse, if nothing excused it. */
function counts({ severity, result }: CheckResult): boolean {
    return severity === "fatal" && (result === "failed" || result === "unknown");
}

/**
 * Which results refuse the update before anything changes. A refusal must not stand in the way of the cure: what an update
 * will itself put right is listed only, see Cure.
 */
export function judgeBefore(
    results: readonly CheckResult[],
    table: readonly CheckRow[],
    update: Update,
): Verdict[] {
    return results.map((result) => {
        if (!counts(result)) {
            return { result, refuses: false };
        }
        const because = excuse(result, rowOf(table, result)?.cure ?? "user", update);
        return because === undefined ? { result, refuses: true } : excused(result, because);
    });
}

/** Which results stand in the way of a restart, or of the end of an update. */
export function judgeAfter(results: readonly CheckResult[], ignore: readonly string[]): Verdict[] {
    return results.map((result) =>
        counts(result) && ignore.includes(result.id)
            ? excused(result, IGNORED)
            : { result, refuses: counts(result) },
    );
}

const IGNORED = "checks.ignore names it";

function excused(result: CheckResult, because: string): Verdict {
    return { result, refuses: false, because };
}

function excuse(
    { id, result }: CheckResult,
    cure: CheckRow["cure"],
    { change, unfinished, target, ignore, replaced, preview }: Update,
): string | undefined {
    if (ignore.includes(id)) {
        return IGNORED;
    }
    if (cure === "plan") {
        return "what this update declares is judged by itself";
    }
    if (replaced.includes(id)) {
        return "this update replaces it";
    }
    if (change === "revert") {
        return "going back is a way out";
    }
    if (preview && result === "unknown") {
        return "a preview may go on, an update would be refused";
    }
    if (cure === "user") {
        return undefined;
    }
    if (change === "none") {
        return "the version stays, so this update is a repair";
    }
    return unfinished === target
        ? `the update to ${target} did not finish, and this one goes on`
        : undefined;
}

/** The faults of verdicts that refuse. `next` is what to do beside reading the check's page. */
export function checkFaults(verdicts: readonly Verdict[], next: string): Fault[] {
    return verdicts
        .filter(({ refuses }) => refuses)
        .map(({ result: { id, category, result, message, hint } }) => ({
            subject: `check ${id} (${category})`,
            rule: result === "unknown" ? `could not be made: ${message}` : message,
            next: [
                ...(hint === undefined ? [] : [hint]),
                result === "unknown" ? PERMISSION : next,
                `or name it in checks.ignore`,
            ].join("; "),
        }));
}

const PERMISSION = "kubectl auth can-i --list, and ask for the missing permission";

/** What to do where the stack could repair what it declares. */
export function repairWith({ running }: Pick<Update, "running">): string {
    return running === undefined
        ? "mend it"
        : `mend it; what the stack declares it repairs at the version that runs: pulumi config set linkerdVersion ${running}, then: pulumi up --refresh`;
}

/** As the review has them. */
export function reviewedChecks(verdicts: readonly Verdict[]): ReviewedCheck[] {
    return verdicts.map(({ result, because }) => ({
        ...result,
        ...(because === undefined ? {} : { because }),
    }));
}
