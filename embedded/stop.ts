import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { layout, readRecord, removeDirectory } from "./directory";
import { removeComponents } from "./kwokctl";
import { belongsTo, endProcesses, gone, signal } from "./processes";

/**
 * Ends what runs for the cluster in `directory`, gateway excepted, and removes the directory.
 * Safe to repeat.
 */
export async function removeCluster(directory: string): Promise<void> {
    const record = await readRecord(directory);
    await removeComponents(directory);
    await removeDirectory(directory, record?.socket);
}

/** Ends the gateway, which takes the cluster with it, and makes up for one that could not. */
export async function stopCluster(directory: string, gatewayPid?: number): Promise<void> {
    const pid = gatewayPid ?? (await readRecord(directory))?.gatewayPid;
    if (pid !== undefined && belongsTo(directory, pid)) {
        signal(pid, "SIGTERM");
        if (!(await gone(directory, [pid], 20_000))) await endProcesses(directory, [pid]);
    }
    await removeCluster(directory);
}

/**
 * Stops a cluster that was started with `keep`, from any process. A directory that is gone is a
 * cluster that has been stopped; one that holds no cluster is refused, because stopping removes it.
 */
export async function stopKeptCluster(directory: string): Promise<void> {
    const path = resolve(directory);
    if ((await stat(path).catch(() => undefined)) === undefined) return;
    if ((await readRecord(path)) === undefined) {
        throw new Error(
            `${path} is not the directory of an embedded cluster: it has no ` +
                `${layout("").record}. Nothing was changed.`,
        );
    }
    await stopCluster(path);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
    const directory = process.argv[2];
    if (directory === undefined) {
        console.error("usage: node --import tsx embedded/stop.ts DIRECTORY");
        process.exitCode = 2;
    } else {
        stopKeptCluster(directory).catch((error: unknown) => {
            console.error(error instanceof Error ? error.message : error);
            process.exitCode = 1;
        });
    }
}
