import { isAlive } from "../plan/dataPlane";
import type { KubeApi } from "./api";
import { budgetRecord, type Budget } from "./budgets";
import { canaryRecord, type Canary } from "./canaries";
import type { MeshedProxy } from "../plan/trust";
import {
    FROM_CONFIG_MAP,
    PIN,
    podRecord,
    podRecordWithAnchors,
    type Owner,
    type PodRecord,
} from "./pods";
import {
    controllerRevisionRecord,
    daemonSetRecord,
    deploymentRecord,
    replicaSetRecord,
    rolloutRecord,
    statefulSetRecord,
    type RevisionRecord,
    type WorkloadKind,
    type WorkloadRecord,
} from "./workloads";

/** A pod of the mesh, outside the control plane's namespace. */
export interface MeshedPod extends PodRecord {
    /** The workload behind it; a Job, say; undefined for a bare pod. */
    readonly owner: Owner | undefined;
    /** Whether the pod is of the template that its workload has now. */
    readonly currentRevision: boolean;
    /** Whether that template differs from the pod's in more than restartedAt. */
    readonly templateChanged: boolean;
    /** `config.linkerd.io/proxy-version` that a new pod in its place would have: of workload (else the pod) or namespace. */
    readonly pin: string | undefined;
    readonly namespaceLabels: Readonly<Record<string, string>>;
}

/** A workload, with the revisions that have pods or had. */
export interface Workload extends WorkloadRecord {
    readonly revisions: readonly Revision[];
}

export interface Revision {
    readonly restartedAt: string | undefined;
    readonly current: boolean;
    /** Equal for two revisions that differ in nothing but restartedAt. */
    readonly fingerprint: string;
}

export interface NamespaceRecord {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly pin: string | undefined;
}

export interface DataPlane {
    readonly pods: readonly MeshedPod[];
    /** With at least one meshed pod. */
    readonly workloads: readonly Workload[];
    /** By name. */
    readonly namespaceLabels: ReadonlyMap<string, Readonly<Record<string, string>>>;
    readonly budgets: readonly Budget[];
    readonly canaries: readonly Canary[];
}

type Items<T> = ReadonlyMap<string, T>;

/** The collections that a data plane is read from, each by `namespace/name`. */
export interface Collections {
    readonly pods: Items<PodRecord>;
    readonly namespaces: Items<NamespaceRecord>;
    readonly replicaSets: Items<RevisionRecord>;
    readonly controllerRevisions: Items<RevisionRecord>;
    readonly deployments: Items<WorkloadRecord>;
    readonly statefulSets: Items<WorkloadRecord>;
    readonly daemonSets: Items<WorkloadRecord>;
    readonly rollouts: Items<WorkloadRecord>;
    readonly budgets: Items<Budget>;
    readonly canaries: Items<Canary>;
}

/** How a collection is read: its path, what is kept of an item, and whether the cluster may lack the kind. */
export interface CollectionSource<T> {
    readonly path: string;
    /** The API server's JSON of one item; undefined drops it. */
    readonly record: (item: never) => T | undefined;
    readonly query?: Readonly<Record<string, string>>;
    readonly optional?: boolean;
}

/** The pods that are looked at. */
export type PodSource = Pick<CollectionSource<PodRecord>, "query" | "record">;

/** Pods with Linkerd's proxy, but for those of the control plane's own namespace. */
export const LINKERD_PODS: PodSource = {
    query: {
        labelSelector: "linkerd.io/control-plane-ns=linkerd",
        fieldSelector: "metadata.namespace!=linkerd",
    },
    record: podRecord,
};

/** The same; what their proxies trust is kept in `bundles`. */
export function linkerdPodsWithAnchors(bundles: Map<string, string>): PodSource {
    return { ...LINKERD_PODS, record: podRecordWithAnchors(bundles) };
}

/** What running proxies trust. `trustRoots`: text of ConfigMap linkerd-identity-trust-roots. */
export function meshedProxies(
    pods: readonly MeshedPod[],
    bundles: ReadonlyMap<string, string>,
    trustRoots: string | undefined,
): MeshedProxy[] {
    return pods
        .filter((pod) => isAlive(pod))
        .map(({ namespace, name, createdAt, anchors }) => ({
            namespace,
            name,
            createdAt,
            anchors: anchors === FROM_CONFIG_MAP ? trustRoots : bundles.get(anchors ?? ""),
        }));
}

/** Where each collection comes from. */
export function sources(pods: PodSource): {
    readonly [K in keyof Collections]: CollectionSource<
        Collections[K] extends Items<infer T> ? T : never
    >;
} {
    return {
        pods: { ...pods, path: "/api/v1/pods" },
        namespaces: {
            path: "/api/v1/namespaces",
            record: ({ metadata }: NamespaceObject) => ({
                name: metadata.name,
                labels: metadata.labels ?? {},
                pin: metadata.annotations?.[PIN],
            }),
        },
        replicaSets: { path: "/apis/apps/v1/replicasets", record: replicaSetRecord },
        controllerRevisions: {
            path: "/apis/apps/v1/controllerrevisions",
            record: controllerRevisionRecord,
        },
        deployments: { path: "/apis/apps/v1/deployments", record: deploymentRecord },
        statefulSets: { path: "/apis/apps/v1/statefulsets", record: statefulSetRecord },
        daemonSets: { path: "/apis/apps/v1/daemonsets", record: daemonSetRecord },
        rollouts: {
            path: "/apis/argoproj.io/v1alpha1/rollouts",
            record: rolloutRecord,
            optional: true,
        },
        budgets: { path: "/apis/policy/v1/poddisruptionbudgets", record: budgetRecord },
        canaries: {
            path: "/apis/flagger.app/v1beta1/canaries",
            record: canaryRecord,
            optional: true,
        },
    };
}

interface NamespaceObject {
    readonly metadata: {
        readonly name: string;
        readonly labels?: Record<string, string>;
        readonly annotations?: Record<string, string>;
    };
}

/** Reads every pod of the source with its proxy and what it belongs to; changes nothing. */
export async function observeDataPlane(
    api: KubeApi,
    source: PodSource = LINKERD_PODS,
): Promise<DataPlane> {
    const lists = await Promise.all(
        Object.entries(sources(source)).map(async ([name, source]) => {
            const { path, query, record, optional = false } = source as CollectionSource<Named>;
            const slim = record as (item: object) => Named | undefined;
            const { items } = await api.list(path, slim, { ...query }).catch((error: unknown) => {
                if (optional && (error as { status?: number }).status === 404) {
                    return { items: [] };
                }
                throw error;
            });
            return [name, new Map(items.map((one) => [keyOf(one), one]))] as const;
        }),
    );
    return assemble(Object.fromEntries(lists) as unknown as Collections);
}

interface Named {
    readonly namespace?: string;
    readonly name: string;
}

function keyOf({ namespace, name }: Named): string {
    return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Puts the collections together. */
export function assemble(collections: Collections): DataPlane {
    const index = new DataPlaneIndex(collections);
    const pods = [...collections.pods.values()].map((pod) => index.meshedPod(pod));
    const used = new Set(pods.map(workloadKey));
    const workloads = [...used]
        .map((key) => index.workload(key))
        .filter((one) => one !== undefined);
    return {
        pods,
        workloads,
        namespaceLabels: new Map(
            [...collections.namespaces.values()].map((one) => [one.name, one.labels]),
        ),
        budgets: [...collections.budgets.values()],
        canaries: [...collections.canaries.values()],
    };
}

/** `Deployment/shop/web`; `Pod/shop/debug` for a bare pod. */
export function workloadKey(pod: Pick<MeshedPod, "owner" | "namespace" | "name">): string {
    return pod.owner
        ? `${pod.owner.kind}/${pod.namespace}/${pod.owner.name}`
        : `Pod/${pod.namespace}/${pod.name}`;
}

/** Answers questions about single pods and workloads from the collections as they are now. */
export class DataPlaneIndex {
    private readonly byOwner = new Map<string, RevisionRecord[]>();

    constructor(private readonly collections: Collections) {
        for (const kind of [collections.replicaSets, collections.controllerRevisions]) {
            kind.forEach((one) => this.replaceRevision(undefined, one));
        }
    }

    /** A revision changed; one that came or went has no `before` or no `now`. Returns its workload's key. */
    replaceRevision(
        before: RevisionRecord | undefined,
        now: RevisionRecord | undefined,
    ): string | undefined {
        const { owner, namespace = "" } = now ?? before ?? {};
        if (!owner) {
            return undefined;
        }
        const key = `${owner.kind}/${namespace}/${owner.name}`;
        const others = (this.byOwner.get(key) ?? []).filter((one) => one !== before);
        this.byOwner.set(key, now ? [...others, now] : others);
        return key;
    }

    /** The workload behind a pod, through its ReplicaSet. */
    ownerOf({ controller, namespace, hash }: PodRecord): Owner | undefined {
        if (controller?.kind !== "ReplicaSet") {
            return controller;
        }
        const set = this.collections.replicaSets.get(`${namespace}/${controller.name}`);
        if (set) {
            return set.owner ?? controller;
        }
        // Two watches do not keep step: the pod may come before its ReplicaSet, which is named after its owner.
        const name = controller.name.slice(0, -`-${hash}`.length);
        const key = `${namespace}/${name}`;
        const kind = this.collections.deployments.has(key)
            ? "Deployment"
            : this.collections.rollouts.has(key)
              ? "Rollout"
              : undefined;
        return kind && controller.name.endsWith(`-${hash}`) ? { kind, name } : controller;
    }

    meshedPod(pod: PodRecord): MeshedPod {
        const owner = this.ownerOf(pod);
        const key = workloadKey({ ...pod, owner });
        const record = this.record(key);
        const own = record && this.revisionOf(record, pod);
        const current = record && this.currentRevision(record);
        const namespace = this.collections.namespaces.get(pod.namespace);
        return {
            ...pod,
            owner,
            // The injector copies the namespace's onto the pod, where it outlives it: a workload's own stands in its template.
            pin: (record ?? pod).pin ?? namespace?.pin,
            namespaceLabels: namespace?.labels ?? {},
            currentRevision: record === undefined || isCurrent(record, pod, own, current),
            templateChanged:
                own !== undefined &&
                current !== undefined &&
                own.fingerprint !== current.fingerprint,
        };
    }

    /** `key` as workloadKey makes it. */
    record(key: string): WorkloadRecord | undefined {
        const [kind, ...name] = key.split("/");
        const collection = {
            Deployment: this.collections.deployments,
            StatefulSet: this.collections.statefulSets,
            DaemonSet: this.collections.daemonSets,
            Rollout: this.collections.rollouts,
        }[kind as WorkloadKind] as Items<WorkloadRecord> | undefined;
        return collection?.get(name.join("/"));
    }

    workload(key: string): Workload | undefined {
        const record = this.record(key);
        if (!record) {
            return undefined;
        }
        const current = this.currentRevision(record);
        return {
            ...record,
            revisions: this.revisions(key).map((one) => ({
                restartedAt: one.restartedAt,
                fingerprint: one.fingerprint,
                current: one === current,
            })),
        };
    }

    private revisions(key: string): readonly RevisionRecord[] {
        return this.byOwner.get(key) ?? [];
    }

    private currentRevision(record: WorkloadRecord): RevisionRecord | undefined {
        const revisions = this.revisions(`${record.kind}/${record.namespace}/${record.name}`);
        switch (record.kind) {
            case "Deployment":
                return revisions.find((one) => one.number === record.revision);
            case "StatefulSet":
                return revisions.find((one) => one.name === record.revision);
            case "DaemonSet":
                return revisions.reduce<RevisionRecord | undefined>(
                    (best, one) => (best && Number(best.number) > Number(one.number) ? best : one),
                    undefined,
                );
            case "Rollout":
                return undefined;
        }
    }

    private revisionOf(record: WorkloadRecord, pod: PodRecord): RevisionRecord | undefined {
        const revisions = this.revisions(`${record.kind}/${record.namespace}/${record.name}`);
        return revisions.find((one) =>
            record.kind === "Deployment"
                ? one.name === pod.controller?.name
                : // A StatefulSet's label is the whole name, a DaemonSet's its end.
                  one.name === pod.hash || one.name.endsWith(`-${pod.hash}`),
        );
    }
}

/**
 * A pod is of the current template where its revision says so and no restart was asked for since: the annotation
 * tells before the controller has made a new revision of it.
 */
function isCurrent(
    record: WorkloadRecord,
    pod: PodRecord,
    own: RevisionRecord | undefined,
    current: RevisionRecord | undefined,
): boolean {
    if (record.kind === "Rollout") {
        return record.restartedAt === undefined || pod.createdAt >= Date.parse(record.restartedAt);
    }
    const ofRevision = own === undefined || current === undefined || own === current;
    return ofRevision && pod.restartedAt === record.restartedAt;
}
