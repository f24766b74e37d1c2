import type { KubeApi } from "./api";
import {
    assemble,
    DataPlaneIndex,
    LINKERD_PODS,
    sources,
    workloadKey,
    type Collections,
    type CollectionSource,
    type DataPlane,
    type MeshedPod,
    type PodSource,
    type Workload,
} from "./dataPlane";
import { Feed } from "./feed";
import type { PodRecord } from "./pods";
import type { RevisionRecord } from "./workloads";

/** One workload with its pods, as they are now. */
export interface WorkloadView {
    readonly workload: Workload;
    readonly pods: readonly MeshedPod[];
}

/**
 * The data plane kept up to date by one list and one watch of each kind, whatever the number of workloads. What changed
 * is told by workload.
 */
export class LiveDataPlane {
    private readonly feeds: Record<keyof Collections, Feed<unknown>>;
    private index: DataPlaneIndex;
    private readonly collections: Collections;
    /** Pods by workload. */
    private readonly podsOf = new Map<string, Map<string, PodRecord>>();
    /** Where a pod was placed: its owner cannot be found any more when it goes. */
    private readonly placed = new Map<string, string>();
    private readonly listeners = new Map<string, Set<() => void>>();
    private readonly anyListeners = new Set<() => void>();

    constructor(
        private readonly api: KubeApi,
        onTrouble: (reason: string) => void,
        private readonly podSource: PodSource = LINKERD_PODS,
    ) {
        this.feeds = Object.fromEntries(
            Object.entries(sources(podSource)).map(([name, source]) => {
                const { path, record, query, optional } = source as CollectionSource<unknown>;
                const slim = record as (item: object) => unknown;
                return [
                    name,
                    new Feed(api, path, slim, {
                        ...(query ? { query: { ...query } } : {}),
                        ...(optional === undefined ? {} : { optional }),
                        onTrouble,
                    }),
                ];
            }),
        ) as Record<keyof Collections, Feed<unknown>>;
        this.collections = Object.fromEntries(
            Object.entries(this.feeds).map(([name, feed]) => [name, feed.items]),
        ) as unknown as Collections;
        this.index = new DataPlaneIndex(this.collections);
    }

    /** Resolves when every list is in. @throws ApiError where one is refused. */
    async start(): Promise<void> {
        const { feeds } = this;
        await Promise.all(Object.values(feeds).map((feed) => feed.start()));
        this.index = new DataPlaneIndex(this.collections);
        for (const kind of ["replicaSets", "controllerRevisions"] as const) {
            feeds[kind].onChange((_key, now, before) => {
                this.tell(
                    this.index.replaceRevision(
                        before as RevisionRecord | undefined,
                        now as RevisionRecord | undefined,
                    ),
                );
            });
        }
        for (const [key, pod] of this.collections.pods) {
            this.place(key, pod);
        }
        feeds.pods.onChange((key, now) => {
            const before = this.forget(key);
            this.tell(now === undefined ? before : this.place(key, now as PodRecord));
        });
        for (const [kind, name] of [
            ["Deployment", "deployments"],
            ["StatefulSet", "statefulSets"],
            ["DaemonSet", "daemonSets"],
            ["Rollout", "rollouts"],
        ] as const) {
            feeds[name].onChange((key) => this.tell(`${kind}/${key}`));
        }
        for (const kind of ["budgets", "canaries"] as const) {
            feeds[kind].onChange(() => this.tell(undefined));
        }
    }

    async stop(): Promise<void> {
        await Promise.all(Object.values(this.feeds).map((feed) => feed.stop()));
    }

    /** All of it; takes time that grows with the number of pods. */
    snapshot(): DataPlane {
        return assemble(this.collections);
    }

    /** All of it with pods that are read anew: a watch may be a moment behind. @throws ApiError */
    async verified(): Promise<DataPlane> {
        const { path, query, record } = sources(this.podSource).pods;
        const slim = record as (item: object) => PodRecord | undefined;
        const { items } = await this.api.list(path, slim, { ...query });
        const pods = new Map(items.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
        return assemble({ ...this.collections, pods });
    }

    /** One workload, or undefined where it is gone. `key` as workloadKey makes it. */
    view(key: string): WorkloadView | undefined {
        const workload = this.index.workload(key);
        const pods = [...(this.podsOf.get(key)?.values() ?? [])];
        return workload && { workload, pods: pods.map((pod) => this.index.meshedPod(pod)) };
    }

    /** Whether what is seen of workloads or pods may be old: the API server is not reached now. */
    isOutOfTouch(): boolean {
        return Object.values(this.feeds).some((feed) => (feed.staleSince ?? 0) > 0);
    }

    get budgets() {
        return this.collections.budgets;
    }

    get canaries() {
        return this.collections.canaries;
    }

    /** Calls back after each change of a workload or its pods. Returns what ends it. */
    onChange(key: string, listener: () => void): () => void {
        const all = this.listeners.get(key) ?? new Set();
        this.listeners.set(key, all.add(listener));
        return () => {
            all.delete(listener);
            if (all.size === 0) {
                this.listeners.delete(key);
            }
        };
    }

    /** Calls back after each change of a budget or a canary. Returns what ends it. */
    onBudgetChange(listener: () => void): () => void {
        this.anyListeners.add(listener);
        return () => this.anyListeners.delete(listener);
    }

    private place(key: string, pod: PodRecord): string {
        const owner = workloadKey({ ...pod, owner: this.index.ownerOf(pod) });
        const pods = this.podsOf.get(owner) ?? new Map<string, PodRecord>();
        this.podsOf.set(owner, pods.set(key, pod));
        this.placed.set(key, owner);
        return owner;
    }

    private forget(key: string): string | undefined {
        const owner = this.placed.get(key);
        this.placed.delete(key);
        this.podsOf.get(owner ?? "")?.delete(key);
        return owner;
    }

    private tell(key: string | undefined): void {
        if (key === undefined) {
            this.anyListeners.forEach((listener) => listener());
        } else {
            [...(this.listeners.get(key) ?? [])].forEach((listener) => listener());
        }
    }
}
