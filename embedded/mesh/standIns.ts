import { CoreV1Api, type KubeConfig, type V1Pod, type V1Service } from "@kubernetes/client-node";
import { randomInt } from "node:crypto";
import { type Accept, Unreachable, serveConnect } from "./connectProxy";
import { keepInformed, watchServicesAndSecrets } from "./informers";
import { istio } from "./istio/istiod";
import { linkerd } from "./linkerd";
import { kubeletAt, listenerAt } from "./listeners";
import type { Program, Role } from "./mesh";
import { StandInServer } from "./server";
import { selectorOf, serviceAt, takesTraffic } from "./services";

const servedPort = 443;

interface Started {
    readonly program: Program;
    readonly server: StandInServer;
}

/**
 * Plays the pods of the meshes that the API server calls, behind a CONNECT proxy on `socket`. A
 * call to a Service goes to a random Ready pod of it, and fails where there is none, as in a real
 * cluster.
 */
export async function startStandIns(config: KubeConfig, socket: string): Promise<void> {
    const core = config.makeApiClient(CoreV1Api);
    const { services, secrets } = await watchServicesAndSecrets(config, core);
    const meshes = [linkerd(core, secrets), await istio(config, services)];
    const pods = new PodPrograms();

    /** Starts what a pod runs from the moment it is Ready. */
    const start = (pod: V1Pod): void => {
        if (!takesTraffic(pod)) return;
        for (const role of meshes.map((mesh) => mesh.roleAtStart(pod))) {
            if (role === undefined) continue;
            pods.started(pod, role).catch((error: unknown) => {
                console.log(`${pod.metadata?.name} cannot start: ${String(error)}`);
            });
        }
    };
    const listPods = () => core.listPodForAllNamespaces();
    await keepInformed(config, "/api/v1/pods", listPods, (informer) => {
        informer.on("add", start);
        informer.on("update", start);
        informer.on("delete", (pod) => pods.forget(pod));
    });

    const route = async (host: string, port: number): Promise<Accept> => {
        const local =
            (await listenerAt(core, services.list(), host)) ?? (await kubeletAt(core, host, port));
        if (local !== undefined) return local;
        const service = serviceAt(services.list(), host);
        const { name = "", namespace = "" } = service?.metadata ?? {};
        if (service === undefined) throw new Unreachable(`no Service has the address ${host}`);
        if (port !== servedPort) throw new Unreachable(`no stand-in serves ${name}:${port}`);
        const ready = await readyPods(core, service);
        const pod = ready[randomInt(Math.max(ready.length, 1))];
        if (pod === undefined) throw new Unreachable(`no pod of ${namespace}/${name} is Ready`);
        const role = meshes.map((mesh) => mesh.roleFor(service, pod)).find((one) => one);
        if (role === undefined) throw new Unreachable(`no stand-in plays Service ${name}`);
        const { program, server } = await pods.started(pod, role);
        const leaf = await program.leafFor(service);
        return (connection) => server.accept(connection, leaf);
    };
    await serveConnect(socket, route);
    console.log(
        `${new Date().toISOString()} Stand-ins, not the real programs, answer for ` +
            `${meshes.map((mesh) => mesh.answersFor).join(", and for ")}.`,
    );
}

/** What runs in the pods: each role started once in a pod's life. */
class PodPrograms {
    private readonly byPod = new Map<string, Map<string, Promise<Started>>>();

    /** A pod whose ConfigMap is missing does not start, and is tried again at the next call. */
    started(pod: V1Pod, role: Role): Promise<Started> {
        const uid = pod.metadata?.uid ?? "";
        const roles = this.byPod.get(uid) ?? new Map<string, Promise<Started>>();
        this.byPod.set(uid, roles);
        const present = roles.get(role.name);
        if (present !== undefined) return present;
        const started = role.start(pod).then((program) => ({
            program,
            server: new StandInServer(program.handler),
        }));
        roles.set(role.name, started);
        started.catch(() => roles.delete(role.name));
        return started;
    }

    forget(pod: V1Pod): void {
        this.byPod.delete(pod.metadata?.uid ?? "");
    }
}

// Asked afresh for each call: a cache is some milliseconds behind, and in them an injector that has
// been replaced would go on injecting the old version.
async function readyPods(core: CoreV1Api, service: V1Service): Promise<V1Pod[]> {
    const labelSelector = selectorOf(service);
    if (labelSelector === undefined) return [];
    const namespace = service.metadata?.namespace ?? "";
    return (await core.listNamespacedPod({ namespace, labelSelector })).items.filter(takesTraffic);
}
