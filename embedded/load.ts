import type { KubeConfig, V1Node } from "@kubernetes/client-node";
import { Agent, type AgentOptions, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { loadContext } from "./context";
import { podAnnotations } from "./stages";

/** How large a load is: `namespaces` x `deploymentsPerNamespace` x `replicas` pods. */
export interface Load {
    namespaces: number;
    deploymentsPerNamespace: number;
    replicas: number;
    /** Begins the names of the namespaces: `load-00`, `load-01`. Defaults to "load". */
    prefix?: string;
}

export interface LoadOptions extends Load {
    /** The pods become Ready that long after they are scheduled, such as "5s". Defaults to at once. */
    readyAfter?: string;
    /** Told in single lines what is being done. */
    progress?: (line: string) => void;
}

// The API server answers 16 at a time as fast as any more on a machine of few cores.
const atOnce = 16;

// Long enough for any answer to come, short enough to learn that none will.
const patienceMs = 60_000;

/**
 * Creates namespaces whose pods are to be meshed, with Deployments `app-00`, `app-01` of plain
 * rolling updates. Safe to repeat: what exists stays as it is. Pods get a proxy only when the mesh's
 * injector is there before them. Returns when the objects are made; `waitForLoad` waits for pods.
 */
export async function createLoad(
    kubeconfigPath: string,
    context: string,
    options: LoadOptions,
): Promise<void> {
    const { progress = () => undefined } = options;
    const api = await ApiClient.of(loadContext(kubeconfigPath, context));
    try {
        await assertRoom(api, options);
        const namespaces = names(options.prefix ?? "load", options.namespaces);
        const applications = names("app", options.deploymentsPerNamespace);
        const labels = { [partOf]: options.prefix ?? "load" };
        await each(namespaces, (name) =>
            api.create("/api/v1/namespaces", {
                metadata: { name, labels, annotations: { "linkerd.io/inject": "enabled" } },
            }),
        );
        const deployments = applications.flatMap((name) =>
            namespaces.map((namespace) => ({ namespace, name })),
        );
        await each(deployments, ({ namespace, name }) =>
            api.create(
                `/apis/apps/v1/namespaces/${namespace}/deployments`,
                deployment(name, labels, options),
            ),
        );
        progress(`Created ${deployments.length} Deployments in ${namespaces.length} namespaces.`);
    } finally {
        api.close();
    }
}

/**
 * Waits until all pods of a load are Ready and of their Deployment's present template.
 * @param options.limit in milliseconds; an error that counts what is missing follows. Defaults to 10
 * minutes
 */
export async function waitForLoad(
    kubeconfigPath: string,
    context: string,
    options: Load & { limit?: number; progress?: (line: string) => void },
): Promise<void> {
    const { limit = 600_000, progress = () => undefined, prefix = "load" } = options;
    const wanted = options.namespaces * options.deploymentsPerNamespace * options.replicas;
    const deadline = Date.now() + limit;
    const api = await ApiClient.of(loadContext(kubeconfigPath, context));
    try {
        for (let told = Date.now(); ;) {
            const asked = Date.now();
            let line: string;
            try {
                const ready = await readyPods(api, prefix);
                if (ready === wanted) return;
                line = `${ready} of ${wanted} pods of the load are Ready.`;
            } catch (error) {
                // On a machine that a load keeps busy, a lost answer says nothing of the load.
                line = `the pods of the load could not be counted: ${String(error)}`;
            }
            if (Date.now() > deadline) throw new Error(`After ${limit / 1000} s ${line}`);
            if (Date.now() - told >= 3_000) {
                progress(line);
                told = Date.now();
            }
            // Thousands of rows take the API server a while, which the load itself needs.
            await sleep(Math.min(Math.max(500, 20 * (Date.now() - asked)), 15_000));
        }
    } finally {
        api.close();
    }
}

const partOf = "app.kubernetes.io/part-of";

function names(prefix: string, count: number): string[] {
    const width = Math.max(2, String(count - 1).length);
    return Array.from({ length: count }, (_, index) => {
        return `${prefix}-${String(index).padStart(width, "0")}`;
    });
}

function deployment(name: string, labels: Record<string, string>, options: LoadOptions): object {
    const { replicas, readyAfter } = options;
    const annotations = readyAfter === undefined ? {} : { [podAnnotations.readyAfter]: readyAfter };
    return {
        metadata: { name, labels: { app: name, ...labels } },
        spec: {
            replicas,
            selector: { matchLabels: { app: name } },
            template: {
                metadata: { labels: { app: name, ...labels }, annotations },
                spec: {
                    containers: [{ name: "main", image: `registry.example/load/${name}:1.0` }],
                },
            },
        },
    };
}

/** Pods that no node has room for would stay Pending without a word. */
async function assertRoom(api: ApiClient, load: Load): Promise<void> {
    const { items } = (await api.get("/api/v1/nodes")) as { items: V1Node[] };
    const room = items.reduce((sum, { status }) => sum + Number(status?.allocatable?.["pods"]), 0);
    // A rolling update adds a quarter of a Deployment's pods before it takes one away.
    const each = load.replicas + Math.ceil(load.replicas / 4);
    const pods = load.namespaces * load.deploymentsPerNamespace * each;
    if (pods <= room) return;
    throw new Error(
        `The load needs room for ${pods} pods, rolling updates included, and the cluster's ` +
            `${items.length} nodes have room for ${room}. Nothing was created. Start the cluster ` +
            `with nodes: ${Math.ceil((pods / room) * items.length)} or more.`,
    );
}

/** The API server's table of Deployments: some bytes a row instead of whole objects. */
interface Table {
    columnDefinitions: { name: string }[];
    rows: { cells: unknown[] }[];
}

async function readyPods(api: ApiClient, prefix: string): Promise<number> {
    const selector = encodeURIComponent(`${partOf}=${prefix}`);
    const path = `/apis/apps/v1/deployments?includeObject=None&labelSelector=${selector}`;
    const table = (await api.get(path, "application/json;as=Table;v=v1;g=meta.k8s.io")) as Table;
    const column = (name: string) => table.columnDefinitions.findIndex((one) => one.name === name);
    const [ready, updated] = [column("Ready"), column("Up-to-date")];
    return table.rows
        .map(({ cells }) => {
            // "2/3"
            return Math.min(Number.parseInt(String(cells[ready]), 10), Number(cells[updated]));
        })
        .reduce((sum, one) => sum + one, 0);
}

/** Calls `work` for each item, some at a time. The first failure ends it. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
    const left = items.values();
    const worker = async () => {
        for (const item of left) await work(item);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
}

async function tlsOf(config: KubeConfig): Promise<AgentOptions> {
    const options: AgentOptions = {};
    await config.applyToHTTPSOptions(options);
    return options;
}

type Call = [method: string, path: string, accept: string, body?: object];
interface Answer {
    status: number;
    text: string;
}

/** Requests over few connections: the client library opens one for each. */
class ApiClient {
    private constructor(
        private readonly server: string,
        private readonly agent: Agent,
    ) {}

    static async of(config: KubeConfig): Promise<ApiClient> {
        const { ca, cert, key } = await tlsOf(config);
        const agent = new Agent({ ca, cert, key, keepAlive: true, maxSockets: atOnce });
        return new ApiClient(config.getCurrentCluster()?.server ?? "", agent);
    }

    /** Creates an object; one that exists is as good. */
    async create(path: string, body: object): Promise<void> {
        const { status, text } = await this.send("POST", path, "application/json", body);
        if (status !== 201 && status !== 409) throw new Error(`POST ${path}: ${status} ${text}`);
    }

    async get(path: string, accept = "application/json"): Promise<unknown> {
        const { status, text } = await this.send("GET", path, accept);
        if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
        return JSON.parse(text);
    }

    close(): void {
        this.agent.destroy();
    }

    private async send(...call: Call): Promise<Answer> {
        try {
            return await this.sendOnce(...call);
        } catch (error) {
            // The server may close a connection just when it is used again.
            if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
            return this.sendOnce(...call);
        }
    }

    private sendOnce(...[method, path, accept, body]: Call): Promise<Answer> {
        return new Promise((resolve, reject) => {
            const call = request(
                `${this.server}${path}`,
                {
                    method,
                    agent: this.agent,
                    signal: AbortSignal.timeout(patienceMs),
                    headers: { accept, "content-type": "application/json" },
                },
                (response) => {
                    const chunks: Buffer[] = [];
                    response.on("data", (chunk: Buffer) => chunks.push(chunk));
                    response.once("error", reject);
                    response.once("end", () => {
                        const text = Buffer.concat(chunks).toString();
                        resolve({ status: response.statusCode ?? 0, text });
                    });
                },
            );
            call.once("error", reject);
            call.end(body === undefined ? undefined : JSON.stringify(body));
        });
    }
}
