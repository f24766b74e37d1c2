import type { Figures } from "./measure";

type Rows = readonly (readonly [string, Figures | undefined])[];

/** Each contender's figures under keys that begin with its name: `rolloutSeconds` ... null: not measured. */
export function keysOf(contenders: Rows): Record<string, number | null> {
    return Object.fromEntries(
        contenders.flatMap(([name, figures]) => [
            [`${name}Seconds`, figures?.seconds ?? null],
            [`${name}Requests`, figures?.requests ?? null],
            [`${name}PeakMemoryMiB`, figures?.peakMemoryMiB ?? null],
            [`${name}PeakUnavailable`, figures?.peakUnavailable ?? null],
        ]),
    );
}

/** A table of contenders, a line each. */
export function tableOf(rows: Rows): string {
    const lines = [
        ["", "seconds", "requests", "peak memory", "peak unavailable pods"],
        ...rows.map(([title, figures]) => [
            title,
            text(figures?.seconds),
            text(figures?.requests),
            text(figures?.peakMemoryMiB, " MiB"),
            text(figures?.peakUnavailable),
        ]),
    ];
    const widths = (lines[0] ?? []).map((_, column) =>
        Math.max(...lines.map((line) => line[column]?.length ?? 0)),
    );
    return lines
        .map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
        .map((line) => `${line.trimEnd()}\n`)
        .join("");
}

/** Null where one of the two is missing. */
export function ratio(a: number | undefined, b: number | undefined): number | null {
    return a === undefined || b === undefined || b === 0 ? null : round(a / b);
}

export function round(value: number): number {
    return Math.round(value * 1000) / 1000;
}

function text(value: number | undefined, unit = ""): string {
    return value === undefined ? "not measured" : `${value}${unit}`;
}
