import { ApiError, describeTrouble, KubeApi } from "./api";
import type { Connection } from "./connection";
import { getFromPod } from "./podPort";
import { Transport } from "./transport";

export interface VizAnswer {
    readonly status: number;
    readonly text: string;
}

/** Neither way led there. `final`: asking again would not help. */
export class NoWayError extends Error {
    constructor(
        message: string,
        readonly final: boolean,
    ) {
        super(message);
    }
}

/** Name of the Service, and its port inside the pod as well. */
export const SERVICE = "prometheus";
const PORT = 9090;
/** So that there is time left for the other way where one leads nowhere. */
const PER_WAY_MS = 5_000;

type Way = (
    connection: Connection,
    namespace: string,
    path: string,
    signal: AbortSignal,
) => Promise<VizAnswer>;

/** Which way has led there last, and so is tried first. */
const known = new WeakMap<Connection, Way>();

/**
 * One GET to viz's own Prometheus. The chart's policy lets nobody but metrics-api in through the pod's proxy, and on
 * private clusters the API server reaches only the kubelets: hence through the kubelet first, as `kubectl port-forward`
 * does it, and through the API server's Service proxy where that is not allowed, or not offered.
 * @throws NoWayError, or the signal's reason
 */
export async function getFromViz(
    connection: Connection,
    namespace: string,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const first = known.get(connection) ?? throughPod;
    const problems: NoWayError[] = [];
    for (const way of [first, first === throughPod ? throughService : throughPod]) {
        const limit = AbortSignal.timeout(PER_WAY_MS);
        try {
            const answer = await way(connection, namespace, path, AbortSignal.any([signal, limit]));
            known.set(connection, way);
            return answer;
        } catch (error) {
            signal.throwIfAborted();
            problems.push(problemOf(error, limit.aborted));
        }
    }
    const reasons = new Set(problems.map(({ message }) => message));
    throw new NoWayError(
        [...reasons].join("; "),
        problems.every(({ final }) => final),
    );
}

function problemOf(error: unknown, late: boolean): NoWayError {
    if (error instanceof NoWayError) {
        return error;
    }
    const forbidden = error instanceof ApiError && (error.status === 401 || error.status === 403);
    const reason = late ? `no answer within ${PER_WAY_MS / 1000} s` : describeTrouble(error);
    return new NoWayError(reason, forbidden);
}

async function throughPod(
    connection: Connection,
    namespace: string,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const pod = await readyPod(connection, namespace, signal);
    try {
        return await getFromPod(connection, { namespace, pod, port: PORT }, path, signal);
    } catch (error) {
        signal.throwIfAborted();
        throw new NoWayError(`port-forward to pod ${pod}: ${(error as Error).message}`, false);
    }
}

async function readyPod(
    connection: Connection,
    namespace: string,
    signal: AbortSignal,
): Promise<string> {
    const api = new KubeApi(connection, { patienceMs: 0 });
    try {
        const base = `/api/v1/namespaces/${namespace}`;
        const service = await api.send("GET", `${base}/services/${SERVICE}`, { signal });
        const { selector = {} } = service["spec"] as { selector?: Record<string, string> };
        const labels = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
        const { items } = await api.list(
            `${base}/pods`,
            (item) => readyName(item as unknown as Pod),
            { labelSelector: labels.join(",") },
            signal,
        );
        const [pod] = items;
        if (pod === undefined) {
            throw new NoWayError(`no pod of Service ${namespace}/${SERVICE} is ready`, false);
        }
        return pod;
    } finally {
        api.close();
    }
}

interface Pod {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly status?: {
        readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
}

function readyName({ metadata, status }: Pod): string | undefined {
    const ready = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True");
    return ready && metadata.deletionTimestamp === undefined ? metadata.name : undefined;
}

async function throughService(
    connection: Connection,
    namespace: string,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const transport = new Transport(connection);
    try {
        const answer = await transport.exchange({
            method: "GET",
            path: `/api/v1/namespaces/${namespace}/services/http:${SERVICE}:${PORT}/proxy${path}`,
            headers: { Accept: "application/json" },
            signal,
        });
        const pieces: Buffer[] = [];
        for await (const piece of answer.chunks()) {
            pieces.push(piece);
        }
        const { status } = answer;
        const text = Buffer.concat(pieces).toString();
        const refusal = ownAnswer(text);
        if (refusal !== undefined) {
            throw new ApiError(status, refusal);
        }
        if (status === 403) {
            const who = `the policy of namespace ${namespace}`;
            throw new NoWayError(`HTTP 403 from the pod's proxy: ${who} does not let it in`, true);
        }
        return { status, text };
    } finally {
        transport.close();
    }
}

/** The message of an answer that the API server gave itself. */
function ownAnswer(text: string): string | undefined {
    try {
        const { kind, message } = JSON.parse(text) as { kind?: string; message?: string };
        return kind === "Status" ? (message ?? "without a message") : undefined;
    } catch {
        return undefined;
    }
}
