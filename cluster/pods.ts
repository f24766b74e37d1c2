import type { V1Container, V1ObjectMeta, V1Pod } from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { imageTag } from "../plan/images";
import type { PodWish } from "../plan/istio/injection";
import { podReason } from "./podReason";

/** Name of the sidecar, as container or as native sidecar (an init container). */
export const PROXY_CONTAINER = "linkerd-proxy";
/** The same of Istio; also the only container of a gateway. */
export const ISTIO_PROXY_CONTAINER = "istio-proxy";
export const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
/** Pins the proxy of a pod, or of a namespace. */
export const PIN = "config.linkerd.io/proxy-version";

/** Hash of the trust anchors that the injector gave the proxy. */
export const TRUST_ROOT = "linkerd.io/trust-root-sha256";

/** Controllers of pods whose workload has labels of its own. */
const OF_WORKLOADS = new Set(["ReplicaSet", "StatefulSet", "DaemonSet"]);

/** What a pod belongs to: a restartable workload, or something else by kind and name. */
export interface Owner {
    readonly kind: string;
    readonly name: string;
}

/** What a meshed pod itself says; the little of it that a rollout looks at. */
export interface PodRecord {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly phase: string;
    readonly ready: boolean;
    /** Since when it is ready, in ms since the epoch; undefined where it is not. */
    readonly readySince: number | undefined;
    readonly createdAt: number;
    readonly terminating: boolean;
    /** Restarts of all containers together. */
    readonly restarts: number;
    /** Why it is not ready; undefined for a ready pod. */
    readonly trouble: string | undefined;
    /**
     * What it runs, of Linkerd the proxy's image tag (undefined where the image has none), of Istio `1.27.1 (1-27-1)`,
     * version and revision, or plan/dataPlane.ts's NO_SIDECAR.
     */
    readonly proxy: string | undefined;
    /** Of Istio: what a new pod of its template would say of its injection. */
    readonly wish?: PodWish;
    /** Its controller: a ReplicaSet, a StatefulSet, a Job ...; undefined for a bare pod. */
    readonly controller: Owner | undefined;
    /** Label of its revision: pod-template-hash or controller-revision-hash. */
    readonly hash: string | undefined;
    /** Of Linkerd: annotation `linkerd.io/trust-root-sha256`; older proxies have none. */
    readonly trustRoot?: string;
    /** Of Linkerd, where bundles are kept: key of the proxy's trust anchors among them. */
    readonly anchors?: string;
    /** Its own annotation `config.linkerd.io/proxy-version`. */
    readonly pin: string | undefined;
    /** `kubectl.kubernetes.io/restartedAt` of the template that made it. */
    readonly restartedAt: string | undefined;
    /** Only where no restartable workload stands behind it (a Job, a bare pod): a wave selects it by these. */
    readonly labels: Readonly<Record<string, string>>;
}

/** Undefined for a pod without Linkerd's proxy. */
export function podRecord(pod: V1Pod): PodRecord | undefined {
    const proxy = proxyOf(pod);
    const trustRoot = pod.metadata?.annotations?.[TRUST_ROOT];
    return (
        proxy && {
            ...recordOf(pod, imageTag(proxy.image ?? "")),
            ...(trustRoot === undefined ? {} : { trustRoot }),
        }
    );
}

/**
 * As podRecord; the PEM bundles that proxies trust go into `bundles`, each once, under their hash: a cluster has thousands
 * of proxies and one or two bundles. A proxy that takes them from ConfigMap linkerd-identity-trust-roots has the key
 * FROM_CONFIG_MAP.
 */
export function podRecordWithAnchors(
    bundles: Map<string, string>,
): (pod: V1Pod) => PodRecord | undefined {
    return (pod) => {
        const record = podRecord(pod);
        const anchors = record && keepAnchors(proxyOf(pod), bundles);
        return anchors === undefined ? record : record && { ...record, anchors };
    };
}

/** Variable of the proxy with the trust anchors. */
export const TRUST_ANCHORS = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS";
export const FROM_CONFIG_MAP = "linkerd-identity-trust-roots";

function keepAnchors(
    proxy: V1Container | undefined,
    bundles: Map<string, string>,
): string | undefined {
    const variable = proxy?.env?.find((one) => one.name === TRUST_ANCHORS);
    if (variable?.valueFrom?.configMapKeyRef?.name === FROM_CONFIG_MAP) {
        return FROM_CONFIG_MAP;
    }
    const text = variable?.value?.trim();
    if (!text) {
        return undefined;
    }
    const key = createHash("sha256").update(text).digest("base64");
    if (!bundles.has(key)) {
        bundles.set(key, text);
    }
    return key;
}

function proxyOf(pod: V1Pod): V1Container | undefined {
    return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find(
        (container) => container.name === PROXY_CONTAINER,
    );
}

/** What every mesh's pods have in common, with the proxy that this one runs. */
export function recordOf(pod: V1Pod, proxy: string | undefined): PodRecord {
    const { metadata, status } = pod;
    const controller = controllerOf(metadata);
    const ready = status?.conditions?.find((one) => one.type === "Ready" && one.status === "True");
    return {
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        uid: metadata?.uid ?? "",
        phase: status?.phase ?? "Unknown",
        ready: ready !== undefined,
        readySince: ready && timeOf(ready.lastTransitionTime),
        createdAt: timeOf(metadata?.creationTimestamp),
        terminating: metadata?.deletionTimestamp !== undefined,
        restarts: [
            ...(status?.containerStatuses ?? []),
            ...(status?.initContainerStatuses ?? []),
        ].reduce((sum, one) => sum + one.restartCount, 0),
        trouble: ready ? undefined : podReason(pod),
        proxy,
        controller,
        hash:
            metadata?.labels?.["controller-revision-hash"] ??
            metadata?.labels?.["pod-template-hash"] ??
            metadata?.labels?.["rollouts-pod-template-hash"],
        pin: metadata?.annotations?.[PIN],
        restartedAt: metadata?.annotations?.[RESTARTED_AT],
        labels: OF_WORKLOADS.has(controller?.kind ?? "") ? {} : { ...metadata?.labels },
    };
}

export function controllerOf(metadata: V1ObjectMeta | undefined): Owner | undefined {
    const owner = metadata?.ownerReferences?.find((one) => one.controller);
    return owner && { kind: owner.kind, name: owner.name };
}

/** In JSON as it comes from the API server a time is text, in the client's models a Date. */
function timeOf(time: Date | undefined): number {
    return time === undefined ? 0 : new Date(time).getTime();
}
