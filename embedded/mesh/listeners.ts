import type { CoreV1Api, V1Service } from "@kubernetes/client-node";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { type Accept, Unreachable } from "./connectProxy";
import { selects, takesTraffic } from "./services";

/**
 * On a Service: `127.0.0.1:PORT`, where something on this machine plays its pods. Connections that
 * the API server makes to any Ready pod of the Service, on any port, go there. It keeps connections
 * open, so another listener under the same pod is noticed only when the first one has ended.
 */
export const listenerAnnotation = "mesh-upgrade.embedded/listener";

/** Where a pod's address leads; undefined where no Service of the pod names a listener. */
export async function listenerAt(
    core: CoreV1Api,
    services: readonly V1Service[],
    host: string,
): Promise<Accept | undefined> {
    const marked = services.filter((service) => listenerOf(service) !== undefined);
    if (marked.length === 0) return undefined;
    const { items } = await core.listPodForAllNamespaces({ fieldSelector: `status.podIP=${host}` });
    for (const pod of items.filter(takesTraffic)) {
        const service = marked.find((one) => selects(one, pod));
        if (service !== undefined) return dial(service);
    }
    return undefined;
}

function listenerOf(service: V1Service): string | undefined {
    return service.metadata?.annotations?.[listenerAnnotation];
}

async function dial(service: V1Service): Promise<Accept> {
    const listener = listenerOf(service) ?? "";
    const port = /^127\.0\.0\.1:(\d{1,5})$/.exec(listener)?.[1];
    if (port === undefined) {
        // Whoever may annotate a Service must not reach the network through us.
        throw new Unreachable(`${listenerAnnotation} is "${listener}", not 127.0.0.1:PORT`);
    }
    return dialLoopback(Number(port));
}

async function dialLoopback(port: number): Promise<Accept> {
    const socket = connect({ host: "127.0.0.1", port });
    await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", ({ message }) => reject(new Unreachable(message)));
    });
    return (connection: Duplex) => {
        socket.on("error", () => connection.destroy());
        connection.on("close", () => socket.destroy());
        socket.on("close", () => connection.destroy());
        connection.pipe(socket).pipe(connection);
    };
}

/** Where a simulated node's kubelet is: kwok itself, which serves on this machine. */
export async function kubeletAt(
    core: CoreV1Api,
    host: string,
    port: number,
): Promise<Accept | undefined> {
    if (host !== "localhost" && host !== "127.0.0.1") return undefined;
    const { items } = await core.listNode();
    const known = items.some(
        ({ status }) => status?.daemonEndpoints?.kubeletEndpoint?.Port === port,
    );
    return known ? dialLoopback(port) : undefined;
}
