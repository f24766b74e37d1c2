import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pulumiEnvironment } from "../../../embedded/pulumi";
import type { StandIn } from "../../../embedded/standIns/shims";
import { ensureToolchain } from "../../../toolchain/index";

export interface CliResult {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
}

export interface RunOptions {
    /** Without it a non-zero exit code throws. */
    readonly allowFailure?: boolean;
    /** Standard input. */
    readonly input?: string;
}

/** A `pulumi` under way. */
export interface CliProcess {
    readonly done: Promise<CliResult>;
    /** What it has printed so far, both streams. */
    output(): string;
    signal(signal: NodeJS.Signals): void;
}

export interface PulumiCli {
    /** Runs to the end; without a user's answers (`--non-interactive`). */
    run(arguments_: string[], options?: RunOptions): Promise<CliResult>;
    /** Starts and lets the test act meanwhile. */
    start(arguments_: string[]): CliProcess;
    /** Holds the passphrase: never print it. */
    readonly environment: NodeJS.ProcessEnv;
    readonly stateDirectory: string;
    readonly standIns: readonly StandIn[];
    /** Kills what still runs and removes the state. */
    dispose(): Promise<void>;
}

/** A Pulumi CLI with a file backend, a home and a passphrase of its own in a temporary folder. */
export async function createPulumiCli(options: {
    projectDirectory: string;
    extraPath?: string[];
}): Promise<PulumiCli> {
    const toolchain = await ensureToolchain();
    const directory = await mkdtemp(join(tmpdir(), "mesh-pulumi-"));
    const remove = (): Promise<void> =>
        rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    const { pulumi, environment, stateDirectory, standIns } = await pulumiEnvironment({
        toolchain,
        directory,
        passphrase: randomBytes(16).toString("hex"),
        extraPath: options.extraPath ?? [],
    }).catch(async (error) => {
        await remove();
        throw error;
    });
    const running = new Set<CliProcess>();

    const launch = (arguments_: string[], input?: string): CliProcess => {
        const child = spawn(pulumi, ["--non-interactive", ...arguments_], {
            cwd: options.projectDirectory,
            env: environment,
        });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        child.stdin.on("error", () => undefined);
        child.stdin.end(input);
        const done = new Promise<CliResult>((resolve, reject) => {
            child.on("error", reject);
            child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
        });
        const process: CliProcess = {
            done: done.finally(() => running.delete(process)),
            output: () => stdout + stderr,
            signal: (signal) => void child.kill(signal),
        };
        running.add(process);
        return process;
    };

    return {
        environment,
        stateDirectory,
        standIns,
        start: (arguments_) => launch(arguments_),
        run: async (arguments_, { allowFailure = false, input } = {}) => {
            const result = await launch(arguments_, input).done;
            if (result.code === 0 || allowFailure) return result;
            throw new Error(
                `pulumi ${arguments_.join(" ")} ended with ${result.code}:\n` +
                    result.stdout +
                    result.stderr,
            );
        },
        dispose: async () => {
            await endAll(running);
            await remove();
        },
    };
}

/** Interrupts, as that lets the plugins end their commands; kills what does not listen. */
async function endAll(running: ReadonlySet<CliProcess>): Promise<void> {
    const all = [...running];
    const ended = Promise.allSettled(all.map(({ done }) => done));
    for (const process of all) process.signal("SIGINT");
    const kill = setTimeout(() => {
        for (const process of all) process.signal("SIGKILL");
    }, 15_000);
    await ended;
    clearTimeout(kill);
}
