import { setTimeout as sleep } from "node:timers/promises";

/** Between two lines of progress. */
export const PROGRESS_MS = 15_000;

/** @throws the signal's reason */
export async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal }).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw error;
    });
}

/** Passes a line on when the last one is 15 s old; the line is made only then. */
export function steadily(say: (line: string) => void): (line: () => string) => void {
    let told = -Infinity;
    return (line) => {
        if (performance.now() - told >= PROGRESS_MS) {
            told = performance.now();
            say(line());
        }
    };
}
