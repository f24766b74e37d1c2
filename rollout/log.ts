/**
 * One line for people. `detail` lines come while there is room; `progress` lines, at least 15 s apart once that room
 * is used up; `summary` lines always.
 */
export type Log = (line: string, kind?: "detail" | "progress" | "summary") => void;

/** Of 128 KiB, the length that Linux allows one environment variable. */
const ROOM = 64 * 1024;
const LINE = 500;
const PACE_MS = 15_000;

/**
 * A log that stays short however many workloads there are. The command provider hands what a command wrote on to its
 * next run in one environment variable, and a longer one keeps that run from starting.
 */
export function limitedLog(write: (line: string) => void, now = Date.now): Log {
    let left = ROOM;
    let told = 0;
    return (line, kind = "detail") => {
        const text = line.length > LINE ? `${line.slice(0, LINE)} ...` : line;
        const size = Buffer.byteLength(text) + 1;
        if (left < size) {
            if (left > 0) {
                write("(more lines are left out; the report has every workload)");
                left = 0;
            }
            if (kind === "detail" || (kind === "progress" && now() - told < PACE_MS)) {
                return;
            }
        }
        left = Math.max(0, left - size);
        told = now();
        write(text);
    };
}
