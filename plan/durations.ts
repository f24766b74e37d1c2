/** A length of time as users write it: `90s`, `10m`, `1h`. */
export type Duration = `${number}${"s" | "m" | "h"}`;

const UNIT = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** Whole units only: `10m` is a duration, `1.5h` and `10` are not. */
export function isDuration(text: string): text is Duration {
    return /^[1-9]\d{0,5}[smh]$/.test(text);
}

/** Milliseconds. */
export function milliseconds(duration: Duration): number {
    return Number(duration.slice(0, -1)) * UNIT[duration.slice(-1) as keyof typeof UNIT];
}

/** A long time, in hours or days: `24h`, `60d`. */
export type Span = `${number}${"h" | "d"}`;

/** `0h` is one as well: no time at all. */
export function isSpan(text: string): text is Span {
    return /^(0|[1-9]\d{0,4})[hd]$/.test(text);
}

/** Milliseconds. */
export function spanMilliseconds(span: Span): number {
    return Number(span.slice(0, -1)) * (span.endsWith("d") ? 24 : 1) * UNIT.h;
}
