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

/** A Service of the cluster with a Prometheus behind it. */
export interface PrometheusService {
    readonly namespace: string;
    readonly name: string;
    /** Of the Service. */
    readonly port: number;
    readonly scheme: "http" | "https";
    /** Before `/api/v1/query`; "" for none. */
    readonly path: string;
}

/** viz's own, in the namespace of viz. */
const SERVICE = "prometheus";
const PORT = 9090;
/** So that there is time left for the other way where one leads nowhere. */
const PER_WAY_MS = 5_000;

/**
 * Where viz has its metrics from, as its metrics-api is told: a Service of the cluster, or the URL of another Prometheus. Its own
 * where that cannot be read.
 * @throws the signal's reason, and what the API server says other than 403 and 404
 */
export async function prometheusOfViz(
    connection: Connection,
    namespace: string,
    signal: AbortSignal,
): Promise<PrometheusService | string> {
    const api = new KubeApi(connection, { patienceMs: 0 });
    try {
        const path = `/apis/apps/v1/namespaces/${namespace}/deployments/metrics-api`;
        const found = (await api.send("GET", path, { signal })) as unknown as MetricsApi;
        const args = found.spec.template.spec.containers.flatMap((one) => one.args ?? []);
        const argument = args.map((one) => /^--?prometheus-url=(.+)$/.exec(one)?.[1]).find(Boolean);
        return argument === undefined ? own(namespace) : placeOf(argument, namespace);
    } catch (error) {
        if (error instanceof ApiError && (error.status === 403 || error.status === 404)) {
            return own(namespace);
        }
        throw error;
    } finally {
        api.close();
    }
}

interface MetricsApi {
    readonly spec: {
        readonly template: {
            readonly spec: { readonly containers: readonly { readonly args?: string[] }[] };
        };
    };
}

function own(namespace: string): PrometheusService {
    return { namespace, name: SERVICE, port: PORT, scheme: "http", path: "" };
}

/**
 * A Service by its name as pods of `namespace` know it (`prometheus`, `prometheus.monitoring.svc.cluster.local`); any other host
 * is somewhere else.
 */
export function placeOf(url: string, namespace: string): PrometheusService | string {
    if (!URL.canParse(url)) {
        return url;
    }
    const { protocol, hostname, port, pathname } = new URL(url);
    const [, name, space = namespace] =
        /^([a-z][a-z0-9-]*)(?:\.([a-z0-9-]+)\.svc(?:\..+)?)?$/.exec(hostname) ?? [];
    if (name === undefined || name === "localhost") {
        return url;
    }
    const scheme = protocol === "https:" ? "https" : "http";
    return {
        ...{ namespace: space, name, scheme },
        port: port === "" ? (scheme === "https" ? 443 : 80) : Number(port),
        path: pathname.replace(/\/+$/, ""),
    };
}

type Way = (
    connection: Connection,
    service: PrometheusService,
    path: string,
    signal: AbortSignal,
) => Promise<VizAnswer>;

/** Which way has led there last, and so is tried first. */
const known = new WeakMap<Connection, Way>();

/**
 * One GET to a Prometheus inside the cluster, below its own path. The chart's policy lets nobody but metrics-api in through the pod's proxy, and on
 * private clusters the API server reaches only the kubelets: hence through the kubelet first, as `kubectl port-forward`
 * does it, and through the API server's Service proxy where that is not allowed, or not offered.
 * @throws NoWayError, or the signal's reason
 */
export async function getFromService(
    connection: Connection,
    service: PrometheusService,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const first = known.get(connection) ?? throughPod;
    const both = [first, first === throughPod ? throughService : throughPod];
    const problems: NoWayError[] = [];
    // Into a pod leads plain HTTP only.
    for (const way of service.scheme === "https" ? [throughService] : both) {
        const limit = AbortSignal.timeout(PER_WAY_MS);
        try {
            const answer = await way(
                connection,
                service,
                `${service.path}${path}`,
                AbortSignal.any([signal, limit]),
            );
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
    service: PrometheusService,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const { pod, port } = await readyPod(connection, service, signal);
    const { namespace } = service;
    try {
        return await getFromPod(connection, { namespace, pod, port }, path, signal);
    } catch (error) {
        signal.throwIfAborted();
        throw new NoWayError(`port-forward to pod ${pod}: ${(error as Error).message}`, false);
    }
}

async function readyPod(
    connection: Connection,
    { namespace, name, port }: PrometheusService,
    signal: AbortSignal,
): Promise<{ readonly pod: string; readonly port: number }> {
    const api = new KubeApi(connection, { patienceMs: 0 });
    try {
        const base = `/api/v1/namespaces/${namespace}`;
        const service = (await api.send("GET", `${base}/services/${name}`, {
            signal,
        })) as unknown as Service;
        const { selector = {}, ports = [] } = service.spec;
        if (Object.keys(selector).length === 0) {
            throw new NoWayError(`Service ${namespace}/${name} selects no pods`, false);
        }
        const labels = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
        const { items } = await api.list(
            `${base}/pods`,
            (item) => readyOne(item as unknown as Pod),
            { labelSelector: labels.join(",") },
            signal,
        );
        const [pod] = items;
        if (pod === undefined) {
            throw new NoWayError(`no pod of Service ${namespace}/${name} is ready`, false);
        }
        const inside = portInside(ports, port, pod);
        if (inside === undefined) {
            const who = `pod ${pod.metadata.name} of Service ${namespace}/${name}`;
            throw new NoWayError(`${who} has not the port that ${port} leads to`, false);
        }
        return { pod: pod.metadata.name, port: inside };
    } finally {
        api.close();
    }
}

interface Service {
    readonly spec: {
        readonly selector?: Readonly<Record<string, string>>;
        readonly ports?: readonly {
            readonly port: number;
            readonly targetPort?: number | string;
        }[];
    };
}

interface Pod {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly spec?: {
        readonly containers: readonly {
            readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
        }[];
    };
    readonly status?: {
        readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
}

function readyOne(pod: Pod): Pod | undefined {
    const { metadata, status } = pod;
    const ready = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True");
    return ready && metadata.deletionTimestamp === undefined ? pod : undefined;
}

/** Where a port of a Service leads inside its pod: by number, by name, or to the same number. */
export function portInside(
    ports: NonNullable<Service["spec"]["ports"]>,
    port: number,
    { spec }: Pick<Pod, "spec">,
): number | undefined {
    const target = ports.find((one) => one.port === port)?.targetPort ?? port;
    return typeof target === "number"
        ? target
        : spec?.containers.flatMap((one) => one.ports ?? []).find(({ name }) => name === target)
              ?.containerPort;
}

async function throughService(
    connection: Connection,
    { namespace, name, port, scheme }: PrometheusService,
    path: string,
    signal: AbortSignal,
): Promise<VizAnswer> {
    const transport = new Transport(connection);
    try {
        const answer = await transport.exchange({
            method: "GET",
            path: `/api/v1/namespaces/${namespace}/services/${scheme}:${name}:${port}/proxy${path}`,
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
