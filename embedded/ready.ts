import { CoreV1Api, KubeConfig, VersionApi } from "@kubernetes/client-node";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fakeNode } from "./nodes";

/**
 * Writes a kubeconfig that stands alone: keys and certificates inside, so that it can be copied,
 * and one context.
 */
export async function writeKubeconfig(from: string, to: string): Promise<KubeConfig> {
    const config = new KubeConfig();
    config.loadFromFile(from);
    const cluster = config.getCurrentCluster();
    const user = config.getCurrentUser();
    if (!cluster?.caFile || !user?.certFile || !user.keyFile) {
        throw new Error(`kwokctl wrote a kubeconfig of another shape than expected: ${from}`);
    }
    const name = cluster.name;
    const base64 = (path: string) => readFile(path, "base64");
    const alone = {
        apiVersion: "v1",
        kind: "Config",
        "current-context": name,
        contexts: [{ name, context: { cluster: name, user: name } }],
        clusters: [
            {
                name,
                cluster: {
                    server: cluster.server,
                    "certificate-authority-data": await base64(cluster.caFile),
                },
            },
        ],
        users: [
            {
                name,
                user: {
                    "client-certificate-data": await base64(user.certFile),
                    "client-key-data": await base64(user.keyFile),
                },
            },
        ],
    };
    await writeFile(to, JSON.stringify(alone, null, 4), { mode: 0o600 });
    const result = new KubeConfig();
    result.loadFromFile(to);
    return result;
}

// An API server without its etcd takes requests and answers none.
const patience = 2_000;

function withLimit<T>(answer: Promise<T>): Promise<T> {
    const timer = sleep(patience, undefined, { ref: false }).then(() => {
        throw new Error(`no answer in ${patience / 1000} s`);
    });
    return Promise.race([answer, timer]);
}

/**
 * Waits until the cluster can be used: the API answers, the nodes are Ready and the default
 * ServiceAccount exists (without it the API server refuses pods). Returns kube-system's uid.
 * `check` runs between looks and throws when waiting has become pointless.
 */
export async function waitUntilUsable(
    config: KubeConfig,
    nodes: number,
    check: () => Promise<void>,
    limit = 120_000,
): Promise<string> {
    const core = config.makeApiClient(CoreV1Api);
    const version = config.makeApiClient(VersionApi);
    const deadline = Date.now() + limit;
    const until = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
        for (;;) {
            let problem: unknown;
            try {
                const found = await withLimit(look());
                if (found !== undefined) return found;
            } catch (error) {
                problem = error;
            }
            await check();
            if (Date.now() > deadline) {
                const reason = problem instanceof Error ? `: ${problem.message}` : "";
                throw new Error(`After ${limit / 1000} s ${what}${reason}`);
            }
            await sleep(50);
        }
    };
    await until("the API server does not answer", () => version.getCode());
    const uid = await until("namespace kube-system does not exist", async () => {
        return (await core.readNamespace({ name: "kube-system" })).metadata?.uid;
    });
    await until("the nodes cannot be created", async () => {
        const { items } = await core.listNode();
        for (let index = items.length; index < nodes; index++) {
            await core.createNode({ body: fakeNode(index) });
        }
        return true;
    });
    await until("the nodes are not Ready", async () => {
        const { items } = await core.listNode();
        const ready = items.filter((node) =>
            node.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
        );
        return ready.length >= nodes ? true : undefined;
    });
    await until("ServiceAccount default/default does not exist", () =>
        core.readNamespacedServiceAccount({ namespace: "default", name: "default" }),
    );
    return uid;
}
