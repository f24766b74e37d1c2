import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Result {
    /** Exit code; null where a signal ended it. */
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
}

/** The rollout program while it runs. */
export interface Program {
    readonly pid: number;
    readonly ended: Promise<Result>;
    /** What stderr shows so far. */
    readonly lines: readonly string[];
    /** The first line on stderr that matches, once it is there. @throws where the program ends without it. */
    says(pattern: RegExp): Promise<string>;
    signal(name: NodeJS.Signals): void;
}

const project = join(import.meta.dirname, "../../..");
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
// Stdin is a pipe from here, which closes however this process ends: then nothing of it may stay behind.
const leash = `data:text/javascript,import { kill, pid, stdin } from "node:process";
stdin.on("end", () => kill(pid, "SIGKILL")).resume().unref();`;

const running = new Map<ChildProcess, Promise<Result>>();

/** Kills what a test that failed left running; for `afterEach`. */
export async function endPrograms(): Promise<void> {
    for (const child of running.keys()) {
        child.kill("SIGKILL");
    }
    await Promise.allSettled(running.values());
}

/** Starts `rollout/main.ts` as a shell in `folder` would, without the environment of this process. */
export function startProgram(folder: string, args: readonly string[]): Program {
    const main = join(project, "rollout", "main.ts");
    const child = spawn(
        process.execPath,
        ["--import", leash.replaceAll("\n", ""), "--import", tsx, main, ...args],
        { cwd: folder, env: { PATH: process.env["PATH"], HOME: folder } },
    );
    const lines: string[] = [];
    const waiting = new Set<() => void>();
    let stdout = "";
    let stderr = "";
    let over = false;
    const tell = () => [...waiting].forEach((look) => look());
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
        lines.splice(0, lines.length, ...stderr.split("\n").slice(0, -1));
        tell();
    });
    const ended = once(child, "close")
        .then(([code]) => ({ code: code as number | null, stdout, stderr }))
        .finally(() => {
            over = true;
            running.delete(child);
            tell();
        });
    running.set(child, ended);
    return {
        pid: child.pid ?? 0,
        ended,
        lines,
        says: (pattern) =>
            new Promise((resolve, reject) => {
                const look = () => {
                    const line = lines.find((one) => pattern.test(one));
                    if (line === undefined && !over) {
                        return;
                    }
                    waiting.delete(look);
                    if (line === undefined) {
                        reject(new Error(`the program ended without ${pattern}:\n${stderr}`));
                    } else {
                        resolve(line);
                    }
                };
                waiting.add(look);
                look();
            }),
        signal: (name) => child.kill(name),
    };
}
