import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import type { EmbeddedCluster } from "../../../../embedded/cluster";
import { layout } from "../../../../embedded/directory";
import { endProcesses, gone, recordedPids, signal } from "../../../../embedded/processes";
import { eventually } from "../../embeddedCluster.support";
import { callApi } from "./api";
import { fault, type Fault } from "./fault";

const name = "kube-apiserver";
const patienceMs = 3_000;

/** Ends the API server and starts it again on the same address; returns when it is ready. */
export async function restartApiServer(
    cluster: EmbeddedCluster,
    { downMs = 1_000, by }: { downMs?: number; by?: "SIGKILL" | "SIGTERM" } = {},
): Promise<void> {
    const stopped = await stopApiServer(cluster, by);
    await sleep(downMs);
    await stopped.undo();
}

/**
 * Ends the API server, by SIGKILL unless told otherwise: on SIGTERM it serves open watches for some
 * seconds more. `undo` starts it again.
 */
export async function stopApiServer(
    cluster: EmbeddedCluster,
    by: "SIGKILL" | "SIGTERM" = "SIGKILL",
): Promise<Fault> {
    const { directory } = cluster;
    const pid = (await recordedPids(layout(directory).kwok)).get(name) ?? NaN;
    signal(pid, by);
    // On SIGTERM it refuses what is new and waits a minute for the watches to end, which they do not.
    if (!(await gone(directory, [pid], patienceMs))) await endProcesses(directory, [pid]);
    // A process has no name any more before all of its sockets are closed.
    await eventually("nobody listens on the API server's port", () =>
        callApi(cluster.kubeconfig, "GET", "/readyz", undefined, 2_000).then(
            () => false,
            (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
        ),
    );
    return fault(async () => {
        await startApiServer(directory);
        await eventually("the API server is ready again", async () => {
            const answer = callApi(cluster.kubeconfig, "GET", "/readyz", undefined, 2_000);
            return (await answer.catch(() => undefined))?.status === 200;
        });
    });
}

async function startApiServer(directory: string): Promise<void> {
    const clusters = join(layout(directory).kwok, "clusters");
    const folder = join(clusters, (await readdir(clusters))[0] ?? "");
    const { binary, args, workDir, envs = [] } = await componentOf(join(folder, "kwok.yaml"));
    const log = openSync(join(folder, "logs", `${name}.log`), "a");
    // The pid stands in its file before the server runs: however this process ends, the cluster's
    // end finds the server. In a directory that is gone it does not start.
    const script = 'echo $$ > "$0" && exec "$@"';
    const pidFile = join(folder, "pids", `${name}.pid`);
    try {
        spawn("/bin/sh", ["-c", script, pidFile, binary, ...args], {
            cwd: workDir,
            env: {
                PATH: process.env["PATH"],
                HOME: directory,
                ...Object.fromEntries(envs.map((one) => [one.name, one.value])),
            },
            detached: true,
            stdio: ["ignore", log, log],
        }).unref();
    } finally {
        closeSync(log);
    }
}

interface Component {
    name: string;
    binary: string;
    args: string[];
    workDir: string;
    envs?: { name: string; value: string }[];
}

/** As kwokctl wrote it down when it started the cluster. */
async function componentOf(file: string): Promise<Component> {
    const [document] = parseAllDocuments(await readFile(file, "utf8"));
    const { components } = document?.toJS() as { components: Component[] };
    const component = components.find((one) => one.name === name);
    if (component === undefined) throw new Error(`${file} names no ${name}`);
    return component;
}
