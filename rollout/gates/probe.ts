import { spawn, type ChildProcess } from "node:child_process";
import { exchange, httpAddress, httpProblem } from "../../cluster/http";
import { PROGRESS_MS, steadily, wait } from "./waiting";

/** A program of the user's that says whether all is well. */
export interface CommandGate {
    /** Program and arguments; no shell takes part. */
    readonly run: readonly string[];
    readonly limitSeconds: number;
}

/** An address that answers right where all is well. */
export interface HttpGate {
    readonly url: string;
    /** Defaults to any of 2xx. */
    readonly status?: number | undefined;
    /** Text that the answer must hold, in its first MiB. Defaults to none. */
    readonly contains?: string | undefined;
    readonly limitSeconds: number;
}

const LAST_LINES = 20;
const LONGEST_LINE = 500;
const GRACE_MS = 5_000;
/** How long output may come after a command has ended. */
const OUTPUT_MS = 1_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const REQUEST_MS = 10_000;

/**
 * Runs the command once, in the current directory, with `environment` added to this process's own. It passes when it
 * ends with 0; at the limit, or when the signal is aborted, it is ended with all that it started.
 * @returns failures, with the last lines that it printed; none: passed
 * @throws the signal's reason, once nothing of the command runs any more
 */
export async function commandGate(
    { run, limitSeconds }: CommandGate,
    environment: Readonly<Record<string, string>>,
    say: (line: string) => void,
    signal?: AbortSignal,
): Promise<string[]> {
    signal?.throwIfAborted();
    const [program = "", ...parameters] = run;
    const name = `command ${run.map((one) => JSON.stringify(one)).join(" ")}`;
    const tail = new Tail();
    const child = spawn(program, parameters, {
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
        // A process group of its own, so that what it starts can be ended with it.
        detached: true,
    });
    child.stdout.on("data", (chunk: Buffer) => tail.add(chunk));
    child.stderr.on("data", (chunk: Buffer) => tail.add(chunk));
    const ended = outcome(child);
    const killNow = () => kill(child, "SIGKILL");
    process.on("exit", killNow);
    const stop = new AbortController();
    const either = signal ? AbortSignal.any([stop.signal, signal]) : stop.signal;
    const timer = setTimeout(() => stop.abort(), limitSeconds * 1000);
    child.once("exit", () => clearTimeout(timer));
    const started = performance.now();
    const ticker = setInterval(() => {
        const seconds = Math.round((performance.now() - started) / 1000);
        say(`${name}: runs for ${seconds} s, at most ${limitSeconds} s`);
    }, PROGRESS_MS);
    const onStop = () => void endGroup(child, ended);
    either.addEventListener("abort", onStop);
    try {
        const result = await ended;
        signal?.throwIfAborted();
        const words = stop.signal.aborted ? `did not end within ${limitSeconds} s` : result;
        return words === undefined ? [] : [`${name} ${words}${tail.text()}`];
    } finally {
        clearTimeout(timer);
        clearInterval(ticker);
        either.removeEventListener("abort", onStop);
        process.removeListener("exit", killNow);
        child.stdout.destroy();
        child.stderr.destroy();
    }
}

/** How it ended, in words; undefined for well. */
function outcome(child: ChildProcess): Promise<string | undefined> {
    return new Promise((resolve) => {
        child.once("error", (error: NodeJS.ErrnoException) => {
            const missing = error.code === "ENOENT";
            resolve(
                `could not be started: ${missing ? "there is no such program" : error.message}`,
            );
        });
        child.once("exit", (code, killer) => {
            const words = code === 0 ? undefined : `ended with ${killer ?? `code ${code}`}`;
            // Something that it left in the background may hold the pipes open for ever.
            const late = setTimeout(() => resolve(words), OUTPUT_MS);
            child.once("close", () => {
                clearTimeout(late);
                resolve(words);
            });
        });
    });
}

async function endGroup(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
    kill(child, "SIGTERM");
    const timer = setTimeout(() => kill(child, "SIGKILL"), GRACE_MS);
    // What ignores the first signal must not outlive its parent.
    child.once("exit", () => kill(child, "SIGKILL"));
    await ended;
    clearTimeout(timer);
}

function kill({ pid }: ChildProcess, killer: NodeJS.Signals): void {
    try {
        if (pid !== undefined) process.kill(-pid, killer);
    } catch {
        // All of it has ended.
    }
}

/** The last lines of an output, and no more of it in memory. */
class Tail {
    private kept = "";

    add(chunk: Buffer): void {
        this.kept = (this.kept + chunk.toString()).slice(-LAST_LINES * LONGEST_LINE);
    }

    text(): string {
        const lines = this.kept.trimEnd().split("\n").slice(-LAST_LINES);
        const shown = lines.map((line) => `\n    ${line.trimEnd().slice(0, LONGEST_LINE)}`);
        return this.kept.trim() === ""
            ? "; it printed nothing"
            : `; its last lines:${shown.join("")}`;
    }
}

/**
 * Asks until the answer is right, with growing pauses.
 * @returns failures, with the last answer; none: passed
 * @throws the signal's reason
 */
export async function httpGate(
    { url, status, contains, limitSeconds }: HttpGate,
    say: (line: string) => void,
    signal?: AbortSignal,
): Promise<string[]> {
    if (!URL.canParse(url)) {
        return ["the address is no URL"];
    }
    const address = httpAddress(url);
    const deadline = performance.now() + limitSeconds * 1000;
    const progress = steadily(say);
    let pause = FIRST_PAUSE_MS;
    for (let attempts = 1; ; attempts++) {
        const time = Math.min(REQUEST_MS, Math.max(FIRST_PAUSE_MS, deadline - performance.now()));
        const limit = AbortSignal.timeout(Math.ceil(time));
        let problem: string | undefined;
        try {
            const either = signal ? AbortSignal.any([signal, limit]) : limit;
            problem = problemOf(await exchange(address, { signal: either }), status, contains);
        } catch (error) {
            signal?.throwIfAborted();
            problem = httpProblem(error);
        }
        if (problem === undefined) {
            return [];
        }
        // The last attempt needs some time as well.
        const left = deadline - FIRST_PAUSE_MS - performance.now();
        const last = `${address.shown}: ${problem}`;
        if (left <= 0) {
            return [`${last}; the last of ${attempts} attempts in ${limitSeconds} s`];
        }
        progress(() => `${last}; gives up in ${Math.ceil(left / 1000)} s`);
        await wait(Math.min(pause, left), signal);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
}

function problemOf(
    answer: { status: number; text: string; location?: string | undefined },
    status: number | undefined,
    contains: string | undefined,
): string | undefined {
    const right =
        status === undefined
            ? answer.status >= 200 && answer.status < 300
            : answer.status === status;
    if (!right) {
        const to = answer.location === undefined ? "" : ` (a redirect to ${answer.location})`;
        return `HTTP ${answer.status}${to}, not ${status ?? "any of 2xx"}`;
    }
    return contains === undefined || answer.text.includes(contains)
        ? undefined
        : `HTTP ${answer.status}, but without the text ${JSON.stringify(contains)}`;
}
