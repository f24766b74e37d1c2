import type { V1ObjectMeta, V1Pod, V1PodTemplateSpec, V1ReplicaSet } from "@kubernetes/client-node";
import { imageTag } from "../plan/images";
import { listAll, type Connection } from "./connection";

/** Name of the sidecar, as container or as native sidecar (an init container). */
export const PROXY_CONTAINER = "linkerd-proxy";

export type WorkloadKind = "Deployment" | "StatefulSet" | "DaemonSet";

/** What a pod belongs to: a restartable workload, or something else by kind and name. */
export interface Owner {
    readonly kind: string;
    readonly name: string;
}

/** A pod of the mesh, outside the control plane's namespace. */
export interface MeshedPod {
    readonly namespace: string;
    readonly name: string;
    readonly phase: string;
    readonly ready: boolean;
    readonly terminating: boolean;
    /** Image tag of its proxy, the version that it runs; undefined where the image has none. */
    readonly proxy: string | undefined;
    /** Undefined for a bare pod. */
    readonly owner: Owner | undefined;
    /** Whether the pod is of the template that its workload has now. */
    readonly currentRevision: boolean;
    /** `config.linkerd.io/proxy-version` of pod or namespace. */
    readonly pin: string | undefined;
    /** `kubectl.kubernetes.io/restartedAt` of the template that made it. */
    readonly restartedAt: string | undefined;
}

/** A workload with at least one meshed pod. */
export interface Workload {
    readonly kind: WorkloadKind;
    readonly namespace: string;
    readonly name: string;
    readonly replicas: number;
    readonly strategy: string;
    /** Ordinals below it stay on the old revision; 0 except for a StatefulSet that says so. */
    readonly partition: number;
    readonly paused: boolean;
    /** The proxy stands in the template itself (`linkerd inject`): a restart does not change it. */
    readonly manuallyInjected: boolean;
    /** For Deployments: the revisions that exist, without what a restart changes. */
    readonly revisions: readonly Revision[];
}

export interface Revision {
    readonly restartedAt: string | undefined;
    readonly current: boolean;
    /** Equal for two revisions that differ in nothing but restartedAt. */
    readonly fingerprint: string;
}

export interface DataPlane {
    readonly pods: readonly MeshedPod[];
    readonly workloads: readonly Workload[];
}

export const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
/** Counts the templates of a Deployment, on it and on its ReplicaSets. */
const REVISION = "deployment.kubernetes.io/revision";
const PIN = "config.linkerd.io/proxy-version";

/** Reads every meshed pod with its proxy and what it belongs to; changes nothing. */
export async function observeDataPlane(
    connection: Connection,
    controlPlaneNamespace = "linkerd",
): Promise<DataPlane> {
    const { core, apps } = connection;
    const [pods, namespaces, replicaSets, deployments, statefulSets, daemonSets, history] =
        await Promise.all([
            listAll((page) =>
                core.listPodForAllNamespaces({
                    ...page,
                    labelSelector: `linkerd.io/control-plane-ns=${controlPlaneNamespace}`,
                }),
            ),
            listAll((page) => core.listNamespace(page)),
            listAll((page) => apps.listReplicaSetForAllNamespaces(page)),
            listAll((page) => apps.listDeploymentForAllNamespaces(page)),
            listAll((page) => apps.listStatefulSetForAllNamespaces(page)),
            listAll((page) => apps.listDaemonSetForAllNamespaces(page)),
            listAll((page) => apps.listControllerRevisionForAllNamespaces(page)),
        ]);
    const namespacePins = new Map(
        namespaces.map((one) => [one.metadata?.name, one.metadata?.annotations?.[PIN]]),
    );
    const replicaSetsByName = new Map(replicaSets.map((set) => [key(set.metadata), set]));
    const newest = newestRevisions(history);
    const setsByOwner = new Map<string, V1ReplicaSet[]>();
    for (const set of replicaSets) {
        for (const owner of set.metadata?.ownerReferences ?? []) {
            setsByOwner.set(owner.uid, [...(setsByOwner.get(owner.uid) ?? []), set]);
        }
    }
    const currentRevisions = new Map(
        deployments.map((one) => [key(one.metadata), one.metadata?.annotations?.[REVISION]]),
    );

    const workloads = new Map<string, Workload>();
    for (const one of deployments) {
        const owned = setsByOwner.get(one.metadata?.uid ?? "") ?? [];
        const current = one.metadata?.annotations?.[REVISION];
        workloads.set(`Deployment/${key(one.metadata)}`, {
            ...describe("Deployment", one.metadata, one.spec?.template),
            replicas: one.spec?.replicas ?? 1,
            strategy: one.spec?.strategy?.type ?? "RollingUpdate",
            partition: 0,
            paused: one.spec?.paused ?? false,
            revisions: owned.map((set) => ({
                restartedAt: restartedAt(set.spec?.template),
                current: set.metadata?.annotations?.[REVISION] === current,
                fingerprint: fingerprint(set.spec?.template),
            })),
        });
    }
    for (const one of statefulSets) {
        workloads.set(`StatefulSet/${key(one.metadata)}`, {
            ...describe("StatefulSet", one.metadata, one.spec?.template),
            replicas: one.spec?.replicas ?? 1,
            strategy: one.spec?.updateStrategy?.type ?? "RollingUpdate",
            partition: one.spec?.updateStrategy?.rollingUpdate?.partition ?? 0,
            paused: false,
            revisions: [],
        });
        newest.set(`StatefulSet/${key(one.metadata)}`, one.status?.updateRevision);
    }
    for (const one of daemonSets) {
        workloads.set(`DaemonSet/${key(one.metadata)}`, {
            ...describe("DaemonSet", one.metadata, one.spec?.template),
            replicas: one.status?.desiredNumberScheduled ?? 0,
            strategy: one.spec?.updateStrategy?.type ?? "RollingUpdate",
            partition: 0,
            paused: false,
            revisions: [],
        });
    }

    const meshed = pods
        .filter((pod) => pod.metadata?.namespace !== controlPlaneNamespace)
        .filter((pod) => proxyContainer(pod))
        .map((pod): MeshedPod => {
            const namespace = pod.metadata?.namespace ?? "";
            const controller = controllerOf(pod.metadata);
            const set =
                controller?.kind === "ReplicaSet"
                    ? replicaSetsByName.get(`${namespace}/${controller.name}`)
                    : undefined;
            const owner = (set && controllerOf(set.metadata)) ?? controller;
            const workload = owner && workloads.get(`${owner.kind}/${namespace}/${owner.name}`);
            return {
                namespace,
                name: pod.metadata?.name ?? "",
                phase: pod.status?.phase ?? "Unknown",
                ready: isReady(pod),
                terminating: pod.metadata?.deletionTimestamp !== undefined,
                proxy: proxyTag(pod),
                owner,
                currentRevision:
                    workload === undefined ||
                    (workload.kind === "Deployment"
                        ? set?.metadata?.annotations?.[REVISION] ===
                          currentRevisions.get(`${namespace}/${workload.name}`)
                        : isOfRevision(
                              pod,
                              newest.get(`${workload.kind}/${namespace}/${workload.name}`),
                          )),
                pin: pod.metadata?.annotations?.[PIN] ?? namespacePins.get(namespace),
                restartedAt: pod.metadata?.annotations?.[RESTARTED_AT],
            };
        });
    const used = new Set(meshed.map((pod) => workloadKey(pod)));
    return {
        pods: meshed,
        workloads: [...workloads].filter(([name]) => used.has(name)).map(([, one]) => one),
    };
}

/** `Deployment/shop/web`; empty for a bare pod. */
export function workloadKey(pod: MeshedPod): string {
    return pod.owner ? `${pod.owner.kind}/${pod.namespace}/${pod.owner.name}` : "";
}

function proxyContainer(pod: V1Pod) {
    return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find(
        (container) => container.name === PROXY_CONTAINER,
    );
}

function proxyTag(pod: V1Pod): string | undefined {
    return imageTag(proxyContainer(pod)?.image ?? "");
}

function isReady(pod: V1Pod): boolean {
    return (
        pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ??
        false
    );
}

function describe(
    kind: WorkloadKind,
    metadata: V1ObjectMeta | undefined,
    template: V1PodTemplateSpec | undefined,
) {
    const containers = [
        ...(template?.spec?.containers ?? []),
        ...(template?.spec?.initContainers ?? []),
    ];
    return {
        kind,
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        manuallyInjected: containers.some((container) => container.name === PROXY_CONTAINER),
    };
}

function key(metadata: V1ObjectMeta | undefined): string {
    return `${metadata?.namespace}/${metadata?.name}`;
}

function controllerOf(metadata: V1ObjectMeta | undefined): Owner | undefined {
    const owner = metadata?.ownerReferences?.find((one) => one.controller);
    return owner && { kind: owner.kind, name: owner.name };
}

function restartedAt(template: V1PodTemplateSpec | undefined): string | undefined {
    return template?.metadata?.annotations?.[RESTARTED_AT];
}

function fingerprint(template: V1PodTemplateSpec | undefined): string {
    const { [RESTARTED_AT]: _restarted, ...annotations } = template?.metadata?.annotations ?? {};
    const { ["pod-template-hash"]: _hash, ...labels } = template?.metadata?.labels ?? {};
    return JSON.stringify([annotations, labels, template?.spec]);
}

/** Newest ControllerRevision by owner; a pod's label `controller-revision-hash` names it, or its suffix. */
function newestRevisions(
    history: readonly { metadata?: V1ObjectMeta; revision: number }[],
): Map<string, string | undefined> {
    const best = new Map<string, { revision: number; name: string | undefined }>();
    for (const one of history) {
        const owner = controllerOf(one.metadata);
        if (owner) {
            const name = `${owner.kind}/${one.metadata?.namespace}/${owner.name}`;
            if ((best.get(name)?.revision ?? -1) < one.revision) {
                best.set(name, { revision: one.revision, name: one.metadata?.name });
            }
        }
    }
    return new Map([...best].map(([name, { name: revision }]) => [name, revision]));
}

function isOfRevision(pod: V1Pod, revision: string | undefined): boolean {
    const hash = pod.metadata?.labels?.["controller-revision-hash"];
    return (
        hash === undefined ||
        revision === undefined ||
        revision === hash ||
        revision.endsWith(`-${hash}`)
    );
}
