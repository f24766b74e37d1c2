import type { ReviewedCheck } from "../plan/review";

/**
 * Nothing without checks; else one line of counts, and one for each check that did not pass: warnings, failures that do not
 * refuse, unknown ones.
 */
export function checkLines(checks: readonly ReviewedCheck[]): string[] {
    if (checks.length === 0) {
        return [];
    }
    const count = (test: (one: ReviewedCheck) => boolean) => checks.filter(test).length;
    const failures = (severity: string) =>
        count((one) => one.result === "failed" && one.severity === severity);
    const parts = [
        [count(({ result }) => result === "ok"), "ok"],
        [failures("warning"), "warning"],
        [failures("fatal"), "failed"],
        [count(({ result }) => result === "unknown"), "unknown"],
        [count(({ result }) => result === "skipped"), "skipped"],
    ] as const;
    return [
        `health checks: ${parts
            .filter(([number]) => number > 0)
            .map(
                ([number, name]) =>
                    `${number} ${name === "warning" && number > 1 ? "warnings" : name}`,
            )
            .join(", ")}`,
        ...checks
            .filter(({ result }) => result === "failed" || result === "unknown")
            .map(checkLine),
    ];
}

function checkLine({
    id,
    category,
    severity,
    message,
    hint,
    because,
    result,
}: ReviewedCheck): string {
    const kind = result === "unknown" ? "unknown" : severity === "warning" ? "warning" : "failed";
    return [
        `  ${kind}: ${id} (${category}): ${message}`,
        ...(because === undefined ? [] : [`it does not refuse: ${because}`]),
        ...(hint === undefined ? [] : [hint]),
    ].join("; ");
}
