import { spawn } from "node:child_process";
import { onInterruption } from "./interruption";

export interface ChildResult {
    /** null when a signal ended it. */
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly timedOut: boolean;
    /** Standard output and error together, the last 16 KiB. */
    readonly output: string;
}

export interface ChildOptions {
    readonly environment: NodeJS.ProcessEnv;
    readonly directory?: string;
    readonly timeout?: number;
    readonly signal?: AbortSignal | undefined;
}

const outputLimit = 16_384;

/**
 * Runs a program to its end, without a shell and without input. It and all its descendants are
 * killed at the time limit, at an abort, and when this process is interrupted. Throws when it
 * cannot be started or the signal aborts.
 */
export async function run(
    file: string,
    parameters: readonly string[],
    options: ChildOptions,
): Promise<ChildResult> {
    options.signal?.throwIfAborted();
    // A group of its own, so that the compilers that `go build` starts can be killed with it.
    const child = spawn(file, parameters, {
        env: options.environment,
        cwd: options.directory,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => {
        if (child.pid !== undefined) {
            try {
                process.kill(-child.pid, "SIGKILL");
            } catch {
                // Already gone.
            }
        }
    };
    // Before the folders that it writes to are removed: the latest registered runs first.
    const release = onInterruption(kill);
    let timedOut = false;
    const timer =
        options.timeout === undefined
            ? undefined
            : setTimeout(() => {
                  timedOut = true;
                  kill();
              }, options.timeout);
    options.signal?.addEventListener("abort", kill);
    let output = "";
    const collect = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-outputLimit);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    try {
        const end = await new Promise<Pick<ChildResult, "code" | "signal">>((resolve, reject) => {
            child.once("error", reject);
            child.once("close", (code, signal) => resolve({ code, signal }));
        });
        options.signal?.throwIfAborted();
        return { ...end, timedOut, output };
    } finally {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", kill);
        release();
    }
}
