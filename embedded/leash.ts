import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

// The shell holds a pipe from us. It closes when we end, however that happens, and then the
// program is killed: nothing that it has stored is worth a graceful end. A shell gives what runs
// in the background no stdin of its own accord, hence the third descriptor.
const leash =
    'exec 3<&0; "$@" </dev/null 3<&- & child=$!; ' +
    "{ cat <&3; kill -9 $child; } >/dev/null 2>&1 & wait $child";

/** A program that ends with this process, however that ends. */
export interface Leashed {
    readonly ended: boolean;
    /** The end of what it wrote to stderr. */
    readonly log: string;
    /** Ends it. Safe to repeat. */
    end(): Promise<void>;
}

/** Starts the program; whether it runs well is for the caller to find out. */
export function startLeashed(path: string, parameters: readonly string[]): Leashed {
    const child: ChildProcessByStdio<Writable, null, Readable> = spawn(
        "/bin/sh",
        ["-c", leash, "sh", path, ...parameters],
        // A session of its own: Ctrl-C in the terminal is for us.
        { stdio: ["pipe", "ignore", "pipe"], detached: true },
    );
    let log = "";
    child.stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4_000)));
    child.stdin.on("error", () => undefined);
    // What still waits for the pipe's end must not outlive the program.
    child.once("exit", () => child.stdin.destroy());
    const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
    return {
        get ended() {
            return hasEnded();
        },
        get log() {
            return log.trim().split("\n").slice(-5).join("\n");
        },
        end: async () => {
            child.stdin.end();
            if (!hasEnded()) await once(child, "exit");
        },
    };
}
