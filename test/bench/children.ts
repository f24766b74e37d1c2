import { spawn } from "node:child_process";
import type { PeakMemory } from "./memory";

export interface Start {
    readonly command: string;
    readonly args: readonly string[];
    /** Beside PATH and what else is usual. */
    readonly environment: NodeJS.ProcessEnv;
    readonly folder: string;
    readonly memory: PeakMemory;
    readonly signal: AbortSignal;
}

/** How much of what a program wrote is shown when it fails. */
const KEPT = 4_000;

/**
 * Runs a program to its end. Returns the end of its stdout.
 * @throws where it fails, with the end of what it wrote; the signal's reason
 */
export async function runProgram(start: Start): Promise<string> {
    const { command, args, environment, folder, memory, signal } = start;
    signal.throwIfAborted();
    const { KUBECONFIG: _, ...usual } = process.env;
    const child = spawn(command, args, {
        cwd: folder,
        env: { ...usual, HOME: folder, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => child.kill("SIGKILL");
    signal.addEventListener("abort", kill);
    process.once("exit", kill);
    const pid = child.pid;
    if (pid !== undefined) memory.follow(pid);
    let stdout = "";
    let both = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout = `${stdout}${text}`.slice(-KEPT);
        both = `${both}${text}`.slice(-KEPT);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
        both = `${both}${text}`.slice(-KEPT);
    });
    try {
        const code = await new Promise<number>((resolve, reject) => {
            child.once("error", reject);
            child.once("close", (status) => resolve(status ?? -1));
        });
        signal.throwIfAborted();
        if (code !== 0) {
            throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${both}`);
        }
        return stdout;
    } finally {
        if (pid !== undefined) memory.forget(pid);
        signal.removeEventListener("abort", kill);
        process.removeListener("exit", kill);
    }
}
