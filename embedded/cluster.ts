import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
    chooseSocket,
    type ClusterPrograms,
    layout,
    makeDirectory,
    removeDirectory,
    writeRecord,
} from "./directory";
import { type GatewayMessage } from "./messages";
import { stopCluster } from "./stop";

export { type ClusterPrograms, clusterPrograms } from "./directory";
export { stopKeptCluster } from "./stop";

/** A cluster on this machine: a real API server, simulated kubelets. */
export interface EmbeddedCluster {
    readonly name: string;
    /** Holds everything of the cluster; removed by `stop`. */
    readonly directory: string;
    /** Path of a kubeconfig with one context and its keys inside. */
    readonly kubeconfig: string;
    readonly context: string;
    /** Of namespace kube-system: the identity of a cluster. */
    readonly uid: string;
    /** Ends all processes of the cluster and removes its directory. Safe to repeat. */
    stop(): Promise<void>;
}

export interface ClusterOptions {
    /** Lower-case letters, digits and dashes, up to 40. Clusters of one name may run side by side. */
    name: string;
    programs: ClusterPrograms;
    /** Defaults to 3. */
    nodes?: number;
    /** For thousands of workloads: the API server takes some GB to be faster. Defaults to false. */
    large?: boolean;
    /**
     * Leave the cluster running when this process ends; `stopKeptCluster(directory)` ends it.
     * Defaults to false: the cluster goes when this process does, however it ends.
     */
    keep?: boolean;
    /** Absent or empty. Defaults to a fresh one in the system's temporary directory. */
    directory?: string;
    /** Told in single lines what is being done. */
    progress?: (line: string) => void;
}

/**
 * Starts a cluster and returns when it can be used: API, nodes and the default ServiceAccount.
 * Throws with the reason where that fails; nothing is left behind then.
 */
export async function startCluster(options: ClusterOptions): Promise<EmbeddedCluster> {
    const { name, programs, nodes = 3, large = false, keep = false } = options;
    const { progress = () => undefined } = options;
    if (!/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(name)) {
        throw new Error(
            `"${name}" cannot be the name of an embedded cluster. ` +
                `Use 1 to 40 lower-case letters, digits and dashes.`,
        );
    }
    const directory = await makeDirectory(options.directory);
    const socket = await chooseSocket(directory);
    let gateway: ChildProcess | undefined;
    try {
        await writeRecord(directory, { name, nodes, large, keep, socket, programs });
        gateway = await spawnGateway(directory);
        // Said only now: from here on the gateway cleans up, whatever becomes of this process.
        progress(`Starting the embedded cluster ${name} in ${directory}.`);
        const uid = await untilReady(gateway, directory, progress);
        if (keep) gateway.disconnect();
        release(gateway);
        progress(
            "Nothing runs inside its pods, and the mesh's webhooks are answered by stand-ins.",
        );
        let stopped: Promise<void> | undefined;
        const stop = () => (stopped ??= stopCluster(directory, gateway?.pid));
        // A gateway that is killed leaves its cluster behind.
        gateway.once("exit", () => void stop().catch(() => undefined));
        return {
            name,
            directory,
            kubeconfig: layout(directory).kubeconfig,
            context: `kwok-${name}`,
            uid,
            stop,
        };
    } catch (error) {
        if (gateway?.pid !== undefined) await stopCluster(directory, gateway.pid);
        await removeDirectory(directory, socket);
        throw error;
    }
}

async function spawnGateway(directory: string): Promise<ChildProcess> {
    const log = await open(layout(directory).log, "a", 0o600);
    const run = join(import.meta.dirname, "..", "bin", "run.cjs");
    try {
        return spawn(process.execPath, [run, "embedded/gateway.ts", directory], {
            // A session of its own: Ctrl-C in the terminal reaches the parent only, and the gateway
            // outlives it long enough to tidy up.
            detached: true,
            stdio: ["ignore", log.fd, log.fd, "ipc"],
            env: { PATH: process.env["PATH"], HOME: directory, TMPDIR: process.env["TMPDIR"] },
        });
    } finally {
        await log.close();
    }
}

function untilReady(
    gateway: ChildProcess,
    directory: string,
    progress: (line: string) => void,
): Promise<string> {
    return new Promise((resolve, reject) => {
        gateway.on("message", (message: GatewayMessage) => {
            if (message.type === "progress") progress(message.line);
            else if (message.type === "ready") resolve(message.uid);
            else reject(new Error(`The embedded cluster did not start. ${message.message}`));
        });
        gateway.once("error", reject);
        gateway.once("exit", () => {
            readFile(layout(directory).log, "utf8")
                .catch(() => "(its log is gone)")
                .then((log) => {
                    const end = log.trim().split("\n").slice(-5).join("\n");
                    reject(new Error(`The embedded cluster's gateway ended. ${end}`));
                }, reject);
        });
    });
}

/** Lets the parent end while the gateway lives on: a forgotten `stop` must not hang a program. */
function release(gateway: ChildProcess): void {
    gateway.unref();
    gateway.channel?.unref();
}
