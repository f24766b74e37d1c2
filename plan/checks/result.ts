import type { CheckResult } from "../review";

/** What a check finds; the rest of its result stands in the table. */
export type Finding = Pick<CheckResult, "result" | "message">;

/** Something that was read from the cluster, or the API server's reason why not. */
export type Read<T> = { readonly value: T } | { readonly unknown: string };

export const ok = (message: string): Finding => ({ result: "ok", message });
export const failed = (message: string): Finding => ({ result: "failed", message });
export const skipped = (message: string): Finding => ({ result: "skipped", message });

/** Judges what was read; what could not be read stays unknown. */
export function given<T>(read: Read<T>, judge: (value: T) => Finding): Finding {
    return "unknown" in read ? { result: "unknown", message: read.unknown } : judge(read.value);
}

/** The problem as a failure; where there is none, all is well. */
export function unless(problem: string | undefined, message: string): Finding {
    return problem === undefined ? ok(message) : failed(problem);
}

/** Names that a message tells; more are counted. */
const MOST_NAMES = 5;

/** `a, b and 3 more`. */
export function names(all: readonly string[]): string {
    const rest = all.length - MOST_NAMES;
    const shown = all.slice(0, MOST_NAMES).join(", ");
    return rest > 0 ? `${shown} and ${rest} more` : shown;
}

/** A failure that names them, unless there are none. */
export function noneOf(all: readonly string[], problem: string, message: string): Finding {
    return all.length === 0 ? ok(message) : failed(`${problem}: ${names(all)}`);
}

/** A failure for each wanted name that is not there. */
export function allOf(wanted: readonly string[], found: readonly string[], kind: string): Finding {
    const missing = wanted.filter((one) => !found.includes(one));
    return noneOf(missing, `${kind} missing`, `${wanted.length} ${kind}s exist`);
}
