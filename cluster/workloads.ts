import type * as k8s from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { managerOf } from "./managers";
import {
    PIN,
    controllerOf,
    ISTIO_PROXY_CONTAINER,
    PROXY_CONTAINER,
    RESTARTED_AT,
    type Owner,
} from "./pods";
import { rolloutStatus, type ArgoRollout, type RolloutStatus } from "./rolloutStatus";

/** Kinds whose pods are made anew on a restart; `Rollout` is that of Argo Rollouts. */
export type WorkloadKind = "Deployment" | "StatefulSet" | "DaemonSet" | "Rollout";

/** A workload, the little of it that a rollout looks at. */
export interface WorkloadRecord {
    readonly kind: WorkloadKind;
    readonly namespace: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    /** Of its pods: budgets select these. */
    readonly podLabels: Readonly<Record<string, string>>;
    readonly generation: number;
    /** Whether its controller has seen the generation. */
    readonly observed: boolean;
    readonly replicas: number;
    readonly strategy: string;
    /** Ordinals below it stay on the old revision; 0 except for a StatefulSet that says so. */
    readonly partition: number;
    /** Pods that may be missing while it rolls, by its own strategy. */
    readonly maxUnavailable: number;
    /** Pods above its replicas while it rolls, by its own strategy. */
    readonly surge: number;
    /** Pods that roll at a time: missing or surplus. */
    readonly step: number;
    readonly paused: boolean;
    /** The proxy stands in the template itself (`linkerd inject`): a restart does not change it. */
    readonly manuallyInjected: boolean;
    /** `config.linkerd.io/proxy-version` of its template. */
    readonly pin: string | undefined;
    /** `kubectl.kubernetes.io/restartedAt` of its template; of a Rollout spec.restartAt. */
    readonly restartedAt: string | undefined;
    /** Of a Deployment the number of its revision, of a StatefulSet the name of its update revision. */
    readonly revision: string | undefined;
    /** The GitOps controller that owns it, in words. */
    readonly manager: string | undefined;
    readonly status: RolloutStatus;
}

/** A ReplicaSet or a ControllerRevision: one template that a workload had. */
export interface RevisionRecord {
    readonly name: string;
    readonly namespace: string;
    readonly owner: Owner | undefined;
    /** Its number, as the owner counts. */
    readonly number: string;
    readonly restartedAt: string | undefined;
    /** Equal for two revisions that differ in nothing but restartedAt. */
    readonly fingerprint: string;
}

/** Counts the templates of a Deployment, on it and on its ReplicaSets. */
const REVISION = "deployment.kubernetes.io/revision";

export function deploymentRecord(one: k8s.V1Deployment): WorkloadRecord {
    const replicas = one.spec?.replicas ?? 1;
    const strategy = one.spec?.strategy?.type ?? "RollingUpdate";
    const { maxSurge, maxUnavailable } = one.spec?.strategy?.rollingUpdate ?? {};
    const surge = countOf(maxSurge ?? "25%", replicas, Math.ceil);
    // Both 0 after rounding: the controller takes down one (kubernetes, ResolveFenceposts).
    const down = countOf(maxUnavailable ?? "25%", replicas, Math.floor) || (surge === 0 ? 1 : 0);
    return {
        ...common("Deployment", one),
        replicas,
        strategy,
        maxUnavailable: strategy === "Recreate" ? replicas : Math.min(down, replicas),
        surge: strategy === "Recreate" ? 0 : surge,
        step: strategy === "Recreate" ? replicas : surge + down,
        paused: one.spec?.paused ?? false,
        revision: one.metadata?.annotations?.[REVISION],
    };
}

export function statefulSetRecord(one: k8s.V1StatefulSet): WorkloadRecord {
    const replicas = one.spec?.replicas ?? 1;
    const { partition = 0, maxUnavailable } = one.spec?.updateStrategy?.rollingUpdate ?? {};
    const down = countOf(maxUnavailable ?? 1, replicas, Math.ceil) || 1;
    return {
        ...common("StatefulSet", one),
        replicas,
        strategy: one.spec?.updateStrategy?.type ?? "RollingUpdate",
        partition,
        maxUnavailable: Math.min(down, replicas),
        surge: 0,
        step: down,
        revision: one.status?.updateRevision,
    };
}

export function daemonSetRecord(one: k8s.V1DaemonSet): WorkloadRecord {
    const replicas = one.status?.desiredNumberScheduled ?? 0;
    const { maxSurge, maxUnavailable } = one.spec?.updateStrategy?.rollingUpdate ?? {};
    const surge = countOf(maxSurge ?? 0, replicas, Math.ceil);
    const down = surge > 0 ? 0 : countOf(maxUnavailable ?? 1, replicas, Math.ceil) || 1;
    return {
        ...common("DaemonSet", one),
        replicas,
        strategy: one.spec?.updateStrategy?.type ?? "RollingUpdate",
        maxUnavailable: Math.min(down, replicas),
        surge,
        step: surge + down,
    };
}

export function rolloutRecord(one: ArgoRollout): WorkloadRecord {
    const record = common("Rollout", one);
    return {
        ...record,
        replicas: one.spec?.replicas ?? 1,
        strategy: "restartAt",
        // Its restart goes through the eviction API, one pod or maxUnavailable of them at a time.
        maxUnavailable: 1,
        surge: 0,
        step: 1,
        paused: one.spec?.paused ?? false,
        restartedAt: one.spec?.restartAt,
    };
}

export function replicaSetRecord(one: k8s.V1ReplicaSet): RevisionRecord | undefined {
    // Old ones without pods are many, and say nothing about any pod.
    return (one.spec?.replicas ?? 1) === 0 && (one.status?.replicas ?? 0) === 0
        ? undefined
        : revision(one.metadata, one.metadata?.annotations?.[REVISION] ?? "", one.spec?.template);
}

export function controllerRevisionRecord(one: k8s.V1ControllerRevision): RevisionRecord {
    const data = one.data as { spec?: { template?: k8s.V1PodTemplateSpec } } | undefined;
    return revision(one.metadata, String(one.revision), data?.spec?.template);
}

function revision(
    metadata: k8s.V1ObjectMeta | undefined,
    number: string,
    template: k8s.V1PodTemplateSpec | undefined,
): RevisionRecord {
    return {
        name: metadata?.name ?? "",
        namespace: metadata?.namespace ?? "",
        owner: controllerOf(metadata),
        number,
        restartedAt: template?.metadata?.annotations?.[RESTARTED_AT],
        fingerprint: fingerprint(template),
    };
}

/** Whether a proxy stands in the template itself; that of an Istio gateway is filled in by the injector. */
function isProxy({ name, image }: k8s.V1Container): boolean {
    return name === PROXY_CONTAINER || (name === ISTIO_PROXY_CONTAINER && image !== "auto");
}

function common(
    kind: WorkloadKind,
    one: k8s.V1Deployment | k8s.V1StatefulSet | k8s.V1DaemonSet | ArgoRollout,
) {
    const { metadata, spec } = one;
    const template = spec?.template;
    const containers = [
        ...(template?.spec?.containers ?? []),
        ...(template?.spec?.initContainers ?? []),
    ];
    const generation = metadata?.generation ?? 0;
    const observedGeneration = Number((one.status as Generations | undefined)?.observedGeneration);
    return {
        kind,
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        labels: metadata?.labels ?? {},
        podLabels: template?.metadata?.labels ?? {},
        generation,
        // The one of a Rollout is text that may be a hash.
        observed: kind === "Rollout" || observedGeneration >= generation,
        partition: 0,
        paused: false,
        manuallyInjected: containers.some(isProxy),
        pin: template?.metadata?.annotations?.[PIN],
        restartedAt: template?.metadata?.annotations?.[RESTARTED_AT],
        revision: undefined,
        manager: managerOf(metadata),
        status: rolloutStatus(kind, one),
    };
}

interface Generations {
    readonly observedGeneration?: number | string;
}

/** A number, or a percentage of `whole`. */
function countOf(value: string | number, whole: number, round: (count: number) => number): number {
    return typeof value === "string" && value.endsWith("%")
        ? round((Number(value.slice(0, -1)) * whole) / 100)
        : Number(value);
}

function fingerprint(template: k8s.V1PodTemplateSpec | undefined): string {
    const { [RESTARTED_AT]: _restarted, ...annotations } = template?.metadata?.annotations ?? {};
    const { ["pod-template-hash"]: _hash, ...labels } = template?.metadata?.labels ?? {};
    const text = JSON.stringify([annotations, labels, template?.spec]);
    return createHash("sha1").update(text).digest("base64");
}
