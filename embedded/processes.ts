import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The command line of a live process; undefined for one that is gone or a zombie. */
function commandOf(pid: number): string | undefined {
    if (process.platform === "linux") {
        try {
            // A zombie's is empty. kill(pid, 0) would call it alive for ever where nothing reaps.
            return readFileSync(`/proc/${pid}/cmdline`, "utf8") || undefined;
        } catch {
            return undefined;
        }
    }
    try {
        return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    } catch {
        return undefined;
    }
}

/**
 * Whether `pid` is still a process of the cluster in `directory`. A pid alone proves nothing: the
 * system may have given it to somebody else's process since it was written down.
 */
export function belongsTo(directory: string, pid: number): boolean {
    return commandOf(pid)?.includes(directory) ?? false;
}

/** The pids that kwokctl wrote down, by component, for the clusters under its work directory. */
export async function recordedPids(kwokDirectory: string): Promise<Map<string, number>> {
    const pids = new Map<string, number>();
    const clusters = await readdir(join(kwokDirectory, "clusters")).catch(() => []);
    for (const cluster of clusters) {
        const folder = join(kwokDirectory, "clusters", cluster, "pids");
        for (const file of await readdir(folder).catch(() => [])) {
            const pid = Number(await readFile(join(folder, file), "utf8").catch(() => ""));
            if (Number.isInteger(pid) && pid > 1) pids.set(file.replace(/\.pid$/, ""), pid);
        }
    }
    return pids;
}

/** Ends those of the pids that belong to the cluster, and returns when they are gone. */
export async function endProcesses(directory: string, pids: Iterable<number>): Promise<void> {
    const ours = [...pids].filter((pid) => belongsTo(directory, pid));
    // Nothing is worth a graceful end: the data goes with the directory.
    for (const pid of ours) signal(pid, "SIGKILL");
    if (!(await gone(directory, ours, 10_000))) {
        throw new Error(
            `Processes ${ours.join(", ")} of the embedded cluster in ${directory} did not end. ` +
                `Its directory was left; end them and remove it.`,
        );
    }
}

/** Waits until none of the pids belongs to the cluster any more; false after the limit. */
export async function gone(
    directory: string,
    pids: readonly number[],
    limit: number,
): Promise<boolean> {
    const deadline = Date.now() + limit;
    while (pids.some((pid) => belongsTo(directory, pid))) {
        if (Date.now() > deadline) return false;
        await sleep(20);
    }
    return true;
}

/** Sends a signal; a process that ended meanwhile is as good. */
export function signal(pid: number, name: NodeJS.Signals): void {
    try {
        process.kill(pid, name);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
}
