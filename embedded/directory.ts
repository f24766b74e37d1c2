import {
    chmod,
    mkdir,
    mkdtemp,
    readFile,
    readdir,
    realpath,
    rm,
    writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";

/** The programs that a cluster is made of. */
export const clusterPrograms = [
    "kwokctl",
    "kwok",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd",
] as const;

/** Where each program of a cluster lies; the result of the toolchain fits. */
export type ClusterPrograms = Record<(typeof clusterPrograms)[number], { path: string }>;

const program = z.object({ path: z.string() });

const recordSchema = z.object({
    name: z.string(),
    nodes: z.number(),
    keep: z.boolean(),
    /** Set up for thousands of workloads. */
    large: z.boolean().optional(),
    /** Of the CONNECT proxy; outside the directory where the directory's path is too long. */
    socket: z.string(),
    programs: z.object({
        kwokctl: program,
        kwok: program,
        "kube-apiserver": program,
        "kube-controller-manager": program,
        "kube-scheduler": program,
        etcd: program,
    }),
    gatewayPid: z.number().optional(),
});

/** What a cluster's directory remembers about it, in `cluster.json`. */
export type ClusterRecord = z.infer<typeof recordSchema>;

// A Unix socket's path ends at 104 bytes on macOS and 108 on Linux, the closing zero included.
const socketPathLimit = 100;

/** The files of a cluster's directory. */
export function layout(directory: string) {
    return {
        record: join(directory, "cluster.json"),
        kubeconfig: join(directory, "kubeconfig"),
        log: join(directory, "gateway.log"),
        kwok: join(directory, "kwok"),
        shims: join(directory, "shims"),
        config: join(directory, "kwokctl.json"),
        egress: join(directory, "egress.json"),
    };
}

/**
 * Makes the directory of a new cluster: a fresh one under the system's temporary directory, or the
 * one that is named, which has to be absent or empty because stopping the cluster removes it.
 */
export async function makeDirectory(wanted: string | undefined): Promise<string> {
    if (wanted === undefined) {
        return realpath(await mkdtemp(join(tmpdir(), "mesh-upgrade-")));
    }
    const directory = resolve(wanted);
    await mkdir(directory, { recursive: true });
    // Keys of the cluster's administrator lie here.
    await chmod(directory, 0o700);
    const entries = await readdir(directory);
    if (entries.length > 0) {
        throw new Error(
            `The embedded cluster needs a directory of its own, because stopping removes it: ` +
                `${directory} is not empty. Nothing was changed. Name an absent or empty one.`,
        );
    }
    return realpath(directory);
}

/** The path for the CONNECT proxy's socket: in the directory where that is short enough. */
export async function chooseSocket(directory: string): Promise<string> {
    const inside = join(directory, "egress.sock");
    if (Buffer.byteLength(inside) <= socketPathLimit) return inside;
    return join(await mkdtemp("/tmp/mesh-upgrade-"), "egress.sock");
}

export async function writeRecord(directory: string, record: ClusterRecord): Promise<void> {
    const text = JSON.stringify(recordSchema.parse(record), null, 4);
    await writeFile(layout(directory).record, text, { mode: 0o600 });
}

/** The record of a cluster, or undefined where the directory holds none (any more). */
export async function readRecord(directory: string): Promise<ClusterRecord | undefined> {
    let text: string;
    try {
        text = await readFile(layout(directory).record, "utf8");
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
    }
    return recordSchema.parse(JSON.parse(text));
}

/** Removes a cluster's directory, and its socket's where that lies outside. */
export async function removeDirectory(
    directory: string,
    socket: string | undefined,
): Promise<void> {
    const retry = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };
    if (socket !== undefined && dirname(socket) !== directory) await rm(dirname(socket), retry);
    await rm(directory, retry);
}
