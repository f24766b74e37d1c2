import * as k8s from "@kubernetes/client-node";
import { homedir } from "node:os";
import { delimiter } from "node:path";
import { ApiError } from "./api";
import { PatientKubeConfig } from "./patientConfig";

/** Where a cluster is found; what a command is handed on stdin. No credentials. */
export interface ClusterAddress {
    /** Path; undefined: KUBECONFIG, else ~/.kube/config. */
    readonly kubeconfig?: string | undefined;
    readonly context: string;
    /** uid of namespace kube-system. */
    readonly clusterUid: string;
}

/** An open way to the one cluster that the stack is bound to. */
export interface Connection {
    readonly kubeconfig: k8s.KubeConfig;
    readonly server: string;
    readonly core: k8s.CoreV1Api;
    readonly apps: k8s.AppsV1Api;
    readonly objects: k8s.KubernetesObjectApi;
}

/** The cluster cannot be used; `next` is the command to type. */
export class ClusterError extends Error {
    constructor(
        readonly subject: string,
        readonly rule: string,
        readonly next: string,
        readonly value?: string,
    ) {
        super(`${subject}${value === undefined ? "" : ` = ${JSON.stringify(value)}`}: ${rule}`);
        this.name = "ClusterError";
    }
}

const TIMEOUT_MS = 10_000;

/**
 * Opens the context and makes sure that it leads to the stack's own cluster.
 * @throws ClusterError: no kubeconfig, no such context, no answer within 10 s, no permission, another cluster.
 */
export async function connect(address: ClusterAddress): Promise<Connection> {
    const { kubeconfig, server, core, uid } = await open(address);
    if (uid !== address.clusterUid) {
        throw new ClusterError(
            "clusterUid",
            `the cluster behind context ${address.context} (${server}) has uid ${uid}: it is not the cluster of this stack`,
            `choose the context of the stack's cluster (pulumi config set context NAME), or a stack of its own for this one`,
            address.clusterUid,
        );
    }
    return {
        kubeconfig,
        server,
        core,
        apps: kubeconfig.makeApiClient(k8s.AppsV1Api),
        objects: k8s.KubernetesObjectApi.makeApiClient(kubeconfig),
    };
}

/** uid of the cluster that a context leads to, for who has none to compare with. @throws ClusterError as connect. */
export async function readClusterUid(address: Omit<ClusterAddress, "clusterUid">): Promise<string> {
    return (await open(address)).uid;
}

async function open(address: Omit<ClusterAddress, "clusterUid">) {
    const kubeconfig = loadKubeconfig(address);
    const server = kubeconfig.getCurrentCluster()?.server ?? "?";
    const core = kubeconfig.makeApiClient(k8s.CoreV1Api);
    const uid = await kubeSystemUid(core, address, server);
    kubeconfig.expectOutages();
    return { kubeconfig, server, core, uid };
}

function loadKubeconfig(address: Omit<ClusterAddress, "clusterUid">): PatientKubeConfig {
    const kubeconfig = new PatientKubeConfig();
    const listed = process.env["KUBECONFIG"]?.split(delimiter) ?? [];
    if (!address.kubeconfig && listed.length > 1) {
        throw new ClusterError(
            "KUBECONFIG",
            "names several files; the Kubernetes provider takes one",
            "pulumi config set kubeconfig PATH",
            process.env["KUBECONFIG"],
        );
    }
    try {
        if (address.kubeconfig) {
            kubeconfig.loadFromFile(address.kubeconfig.replace(/^~(?=\/)/, homedir()));
        } else {
            kubeconfig.loadFromDefault();
        }
    } catch (error) {
        throw new ClusterError(
            "kubeconfig",
            // Only the first line: parsers add a snippet of the file, which holds credentials.
            `cannot be read (${(error as Error).message.split("\n")[0]})`,
            "pulumi config set kubeconfig PATH, or set KUBECONFIG",
            address.kubeconfig ?? process.env["KUBECONFIG"] ?? "~/.kube/config",
        );
    }
    const names = kubeconfig.getContexts().map((context) => context.name);
    if (!names.includes(address.context)) {
        throw new ClusterError(
            "context",
            `the kubeconfig has no such context; it has: ${names.join(", ") || "none"}`,
            "pulumi config set context NAME",
            address.context,
        );
    }
    kubeconfig.setCurrentContext(address.context);
    return kubeconfig;
}

async function kubeSystemUid(
    core: k8s.CoreV1Api,
    address: Omit<ClusterAddress, "clusterUid">,
    server: string,
): Promise<string> {
    try {
        const namespace = await within(TIMEOUT_MS, core.readNamespace({ name: "kube-system" }));
        return namespace.metadata?.uid ?? "";
    } catch (error) {
        const status = statusOf(error);
        throw new ClusterError(
            "context",
            status === undefined
                ? `the cluster at ${server} does not answer (${reasonOf(error)})`
                : `the cluster at ${server} refuses to show namespace kube-system (${status}: ${reasonOf(error)})`,
            `kubectl --context ${address.context} get namespace kube-system`,
            address.context,
        );
    }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
    });
    try {
        return await Promise.race([promise, limit]);
    } finally {
        clearTimeout(timer);
    }
}

/** HTTP status of an answer of the API server, to a typed client or to KubeApi; undefined where there was none. */
function statusOf(error: unknown): number | undefined {
    return error instanceof k8s.ApiException
        ? error.code
        : error instanceof ApiError
          ? error.status
          : undefined;
}

/** The API server's message, or the network's. */
export function reasonOf(error: unknown): string {
    if (error instanceof k8s.ApiException) {
        const body: unknown = error.body;
        try {
            const status = (typeof body === "string" ? JSON.parse(body) : body) as {
                message?: string;
            };
            return status.message ?? `HTTP ${error.code}`;
        } catch {
            return `HTTP ${error.code}`;
        }
    }
    const cause = error instanceof Error ? (error as { cause?: unknown }).cause : undefined;
    return cause instanceof Error ? cause.message : String((error as Error)?.message ?? error);
}

/** The object, or undefined where the API server says 404. */
export async function found<T>(read: Promise<T>): Promise<T | undefined> {
    try {
        return await read;
    } catch (error) {
        if (statusOf(error) === 404) {
            return undefined;
        }
        throw error;
    }
}

/** Every item of a list, page by page. */
export async function listAll<T>(
    page: (token: { limit: number; _continue?: string }) => Promise<{
        items: T[];
        metadata?: { _continue?: string };
    }>,
): Promise<T[]> {
    const items: T[] = [];
    let token: string | undefined;
    do {
        const list = await page({ limit: 500, ...(token ? { _continue: token } : {}) });
        items.push(...list.items);
        token = list.metadata?._continue || undefined;
    } while (token);
    return items;
}
