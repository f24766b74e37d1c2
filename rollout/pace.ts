const MINUTE_MS = 60_000;
/** Sums of fractions of a pod are off by less. */
const TINY = 1e-6;
/** Of a minute's pods: how much of a pause is caught up at once. */
const BURST = 1 / 6;

/**
 * A token bucket over pods. A workload starts when the bucket is not in debt, and its pods are taken off at once, so
 * over any longer time pods come at the pace, whatever the size of the workloads.
 */
export class Pace {
    private tokens = 0;
    private at: number;

    constructor(
        private readonly podsPerMinute: number | "unlimited",
        private readonly now: () => number = () => performance.now(),
    ) {
        this.at = now();
    }

    /** Milliseconds until the next workload may start; 0: now. */
    wait(): number {
        if (this.podsPerMinute === "unlimited") {
            return 0;
        }
        this.fill(this.podsPerMinute);
        return this.tokens > -TINY ? 0 : Math.ceil((-this.tokens / this.podsPerMinute) * MINUTE_MS);
    }

    charge(pods: number): void {
        this.tokens -= pods;
    }

    private fill(podsPerMinute: number): void {
        const at = this.now();
        const earned = ((at - this.at) / MINUTE_MS) * podsPerMinute;
        this.tokens = Math.min(podsPerMinute * BURST, this.tokens + earned);
        this.at = at;
    }
}
