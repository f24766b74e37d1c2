/** Time limits and intervals, all in milliseconds. */
export interface Limits {
    /** Name look-up, connection and TLS handshake together. */
    readonly connect: number;
    /** The longest time without a byte in a download. */
    readonly stall: number;
    /** How long a program may take to tell its version. */
    readonly probe: number;
    readonly lockPoll: number;
    /** A lock that its owner has not refreshed for so long is free. */
    readonly lockStale: number;
    /** Between two progress lines of a download. */
    readonly downloadTick: number;
    /** Between two progress lines of a build or of a wait for another process. */
    readonly tick: number;
    /** How long an optional program that could not be had is not asked for again. */
    readonly absence: number;
}

export const defaultLimits: Limits = {
    connect: 5_000,
    stall: 20_000,
    probe: 10_000,
    lockPoll: 300,
    lockStale: 60_000,
    downloadTick: 5_000,
    tick: 15_000,
    absence: 3_600_000,
};
