import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { CommandInputs } from "./commandInputs";
import { LineLog } from "./lineLog";

export interface CommandOutputs {
    readonly stdout: string;
    readonly stderr: string;
}

export interface CommandRun {
    readonly command: string;
    readonly inputs: CommandInputs;
    /** What the run before printed; empty for the first. */
    readonly previous: CommandOutputs;
    /** Gets each line of output, at once, as far as `inputs.logging` asks for it. */
    readonly log: (line: string) => void;
    /** Kills the command. */
    readonly signal: AbortSignal;
}

/**
 * Runs a command as the official provider's `run` does (pulumi-command v1.2.1,
 * provider/pkg/provider/local/commandOutputs.go).
 *
 * @returns what it printed, each without one newline at the end.
 * @throws Error with the exit status, the command and what it printed.
 */
export async function runCommand(run: CommandRun): Promise<CommandOutputs> {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const both: Buffer[] = [];
    const fail = (reason: string): Error =>
        new Error(`${reason}: running ${quote(run.command)}:\n${text(both)}`);

    if (run.signal.aborted) throw fail("context canceled");
    const overflow = new AbortController();
    const lines = new LineLog(run.log, () => overflow.abort());
    const collect = (own: Buffer[], logged: boolean) => (chunk: Buffer) => {
        own.push(chunk);
        both.push(chunk);
        if (logged) lines.write(chunk);
    };
    const logs = (stream: string): boolean =>
        [undefined, stream, "stdoutAndStderr"].includes(run.inputs.logging);

    const ending = await new Promise<string | undefined>((resolve) => {
        let child: ChildProcess;
        try {
            child = start(run);
        } catch (error) {
            resolve(error instanceof Error ? error.message : String(error));
            return;
        }
        child.stdout?.on("data", collect(stdout, logs("stdout")));
        child.stderr?.on("data", collect(stderr, logs("stderr")));
        feed(child, run.inputs.stdin);
        killOnAbort(child, AbortSignal.any([run.signal, overflow.signal]));
        child.on("error", (error: NodeJS.ErrnoException) => resolve(startFailure(run, error)));
        // Not "exit": like the official one, this waits until nobody can write any more.
        child.on("close", (code, signal) => resolve(describeEnd(code, signal)));
    });
    lines.end();

    if (overflow.signal.aborted) throw fail(LineLog.tooLong);
    if (ending !== undefined) throw fail(ending);
    const trim = (chunks: Buffer[]): string => text(chunks).replace(/\n$/, "");
    return { stdout: trim(stdout), stderr: trim(stderr) };
}

function start(run: CommandRun): ChildProcess {
    const { interpreter = [], dir, stdin = "" } = run.inputs;
    const [program = "", ...first] = interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"];
    if (dir !== undefined && !statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
        throw new Error(`chdir ${dir}: no such file or directory`);
    }
    // Same process group as the provider: when the engine closes it, whatever is left dies too.
    return spawn(findProgram(program), [...first, run.command], {
        argv0: program,
        cwd: dir,
        env: environment(run),
        stdio: [stdin === "" ? "ignore" : "pipe", "pipe", "pipe"],
    });
}

function environment(run: CommandRun): NodeJS.ProcessEnv {
    const { environment: own, addPreviousOutputInEnv = true } = run.inputs;
    const { stdout, stderr } = run.previous;
    return {
        ...process.env,
        ...own,
        ...(addPreviousOutputInEnv && stdout !== "" && { PULUMI_COMMAND_STDOUT: stdout }),
        ...(addPreviousOutputInEnv && stderr !== "" && { PULUMI_COMMAND_STDERR: stderr }),
    };
}

/** Looks on the provider's own PATH, as Go does; Node would use the command's. */
function findProgram(program: string): string {
    if (program.includes("/")) return program;
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
        const path = join(folder, program);
        try {
            accessSync(path, constants.X_OK);
            if (statSync(path).isFile()) return path;
        } catch {
            // Not here.
        }
    }
    throw new Error(`exec: ${quote(program)}: executable file not found in $PATH`);
}

function feed(child: ChildProcess, stdin: string | undefined): void {
    // A command that does not read its input to the end is fine.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(stdin);
}

function killOnAbort(child: ChildProcess, signal: AbortSignal): void {
    const kill = (): void => {
        child.kill("SIGKILL");
        // A grandchild can hold the pipes open; it dies with the provider's process group.
        setTimeout(() => {
            child.stdout?.destroy();
            child.stderr?.destroy();
        }, 2000).unref();
    };
    signal.addEventListener("abort", kill);
    child.on("close", () => signal.removeEventListener("abort", kill));
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string | undefined {
    if (code === 0) return undefined;
    if (code !== null) return `exit status ${code}`;
    return `signal: ${signalNames[signal ?? ""] ?? signal ?? "unknown"}`;
}

const signalNames: Readonly<Record<string, string>> = {
    SIGHUP: "hangup",
    SIGINT: "interrupt",
    SIGABRT: "aborted",
    SIGKILL: "killed",
    SIGSEGV: "segmentation fault",
    SIGPIPE: "broken pipe",
    SIGTERM: "terminated",
};

function startFailure(run: CommandRun, error: NodeJS.ErrnoException): string {
    const reasons: Readonly<Record<string, string>> = {
        ENOENT: "no such file or directory",
        EACCES: "permission denied",
        E2BIG: "argument list too long",
    };
    const program = run.inputs.interpreter?.[0] ?? "/bin/sh";
    return `fork/exec ${program}: ${reasons[error.code ?? ""] ?? error.message}`;
}

function text(chunks: Buffer[]): string {
    return Buffer.concat(chunks).toString("utf8");
}

function quote(value: string): string {
    return JSON.stringify(value);
}
