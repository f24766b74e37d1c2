import { CoreV1Api, type KubeConfig, type V1Pod, type V1Service } from "@kubernetes/client-node";
import { randomInt } from "node:crypto";
import { type Accept, Unreachable, serveConnect } from "./connectProxy";
import { keepInformed, watchServicesAndSecrets } from "./informers";
import { kubeletAt, listenerAt } from "./listeners";
import { roles } from "./roles";
import { StandInServer } from "./server";
import { selectorOf, serviceAt, takesTraffic } from "./services";

const servedPort = 443;
const componentLabel = "linkerd.io/control-plane-component";

/**
 * Plays the pods of the mesh that the API server calls, behind a CONNECT proxy on `socket`. A call
 * to a Service goes to a random Ready pod of it, and fails where there is none, as in a real
 * cluster.
 */
export async function startStandIns(config: KubeConfig, socket: string): Promise<void> {
    const core = config.makeApiClient(CoreV1Api);
    const { services, secrets } = await watchServicesAndSecrets(config, core);
    const servers = new Map<string, Promise<StandInServer>>();

    /** The stand-in that plays `pod` for `service`: started once in the pod's life. */
    const serverOf = (service: string, pod: V1Pod): Promise<StandInServer> => {
        const key = `${pod.metadata?.uid}/${service}`;
        const role = roles.get(service);
        if (role === undefined) throw new Unreachable(`no stand-in plays Service ${service}`);
        const server =
            servers.get(key) ?? role(core, pod).then((handler) => new StandInServer(handler));
        servers.set(key, server);
        // A pod whose ConfigMap is missing does not start, and is tried again.
        server.catch(() => servers.delete(key));
        return server;
    };

    /** Starts the injector of a pod that has turned Ready, so that it reads its ConfigMaps now. */
    const start = (pod: V1Pod): void => {
        if (pod.metadata?.labels?.[componentLabel] !== "proxy-injector" || !takesTraffic(pod))
            return;
        serverOf("linkerd-proxy-injector", pod).catch((error: unknown) => {
            console.log(`${pod.metadata?.name} cannot start: ${String(error)}`);
        });
    };
    const forget = (pod: V1Pod): void => {
        for (const service of roles.keys()) servers.delete(`${pod.metadata?.uid}/${service}`);
    };
    const listPods = () => core.listPodForAllNamespaces();
    await keepInformed(config, "/api/v1/pods", listPods, (informer) => {
        informer.on("add", start);
        informer.on("update", start);
        informer.on("delete", forget);
    });

    const route = async (host: string, port: number): Promise<Accept> => {
        const local =
            (await listenerAt(core, services.list(), host)) ?? (await kubeletAt(core, host, port));
        if (local !== undefined) return local;
        const service = serviceAt(services.list(), host);
        const { name = "", namespace = "" } = service?.metadata ?? {};
        if (service === undefined) throw new Unreachable(`no Service has the address ${host}`);
        if (port !== servedPort) throw new Unreachable(`no stand-in serves ${name}:${port}`);
        const pods = await readyPods(core, service);
        const pod = pods[randomInt(Math.max(pods.length, 1))];
        if (pod === undefined) throw new Unreachable(`no pod of ${namespace}/${name} is Ready`);
        const server = await serverOf(name, pod);
        const secret = secrets.get(`${name}-k8s-tls`, namespace);
        if (secret === undefined) throw new Unreachable(`no Secret ${namespace}/${name}-k8s-tls`);
        return (connection) => server.accept(connection, secret);
    };
    await serveConnect(socket, route);
    console.log(
        `${new Date().toISOString()} Stand-ins, not the real programs, answer for Services ` +
            `${[...roles.keys()].join(", ")}.`,
    );
}

// Asked afresh for each call: a cache is some milliseconds behind, and in them an injector that has
// been replaced would go on injecting the old version.
async function readyPods(core: CoreV1Api, service: V1Service): Promise<V1Pod[]> {
    const labelSelector = selectorOf(service);
    if (labelSelector === undefined) return [];
    const namespace = service.metadata?.namespace ?? "";
    return (await core.listNamespacedPod({ namespace, labelSelector })).items.filter(takesTraffic);
}
