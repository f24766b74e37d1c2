import { setTimeout as sleep } from "node:timers/promises";

const INTERRUPTED = 130;

export interface Session {
    /** Ends what runs: a signal, or the limit. */
    readonly signal: AbortSignal;
    /** Tells a line on stderr, with the seconds since the start. */
    readonly say: (line: string) => void;
    /** Called at the end, however it comes, the latest first. */
    readonly atEnd: (cleanUp: () => Promise<void>) => void;
}

/** Runs a benchmark to the end of its process: cleans up after a failure, Ctrl-C, SIGTERM or the limit as well. */
export async function session(
    limitMinutes: number,
    run: (session: Session) => Promise<void>,
): Promise<void> {
    const started = Date.now();
    const say = (line: string) => {
        const seconds = Math.round((Date.now() - started) / 1000);
        process.stderr.write(`[${String(seconds).padStart(4)} s] ${line}\n`);
    };
    const stop = new AbortController();
    let interrupted = false;
    const cleanUps: (() => Promise<void>)[] = [];
    for (const name of ["SIGINT", "SIGTERM"] as const) {
        process.on(name, () => {
            interrupted = true;
            stop.abort(new Error(`${name}: what runs is ended, and removed`));
        });
    }
    const limit = setTimeout(
        () => stop.abort(new Error(`not done within the limit of ${limitMinutes} min`)),
        limitMinutes * 60_000,
    );
    const aborted = new Promise<never>((_, reject) => {
        stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error));
    });
    const work = run({ signal: stop.signal, say, atEnd: (one) => void cleanUps.unshift(one) });
    try {
        await Promise.race([work, aborted]);
    } catch (error) {
        say(textOf(error));
        process.exitCode = interrupted ? INTERRUPTED : 1;
        stop.abort(error);
        // What runs may be starting something that has to be ended, too.
        await Promise.race([work.catch(() => undefined), sleep(20_000)]);
    } finally {
        clearTimeout(limit);
        for (const cleanUp of cleanUps) await cleanUp();
    }
    // What is kept alive for later use need not hold the process up.
    process.exit();
}

/** With its causes. */
function textOf(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    return error.cause === undefined ? error.message : `${error.message}: ${textOf(error.cause)}`;
}
