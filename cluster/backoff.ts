const SHORTEST_MS = 250;
const LONGEST_MS = 8_000;

/** Pauses between tries: twice as long each time, from 250 ms to 8 s, with jitter so that clients do not come together. */
export class Backoff {
    private tries = 0;

    /** The next pause in ms; not below `atLeastMs`, what the server asked for. */
    next(atLeastMs = 0): number {
        const longest = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** ++this.tries);
        return Math.max(jittered(longest / 2, 1), jittered(atLeastMs, 0.25));
    }

    reset(): void {
        this.tries = 0;
    }
}

function jittered(ms: number, share: number): number {
    return ms * (1 + Math.random() * share);
}
