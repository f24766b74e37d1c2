import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi, type RawObject } from "../../cluster/api";
import type { Connection } from "../../cluster/connection";
import { Feed } from "../../cluster/feed";

interface Seen {
    readonly wanted: number;
    readonly available: number;
    readonly generation: number;
    /** Pods of the present template. */
    readonly updated: number;
    /** Nothing is left to do. */
    readonly done: boolean;
}

/** Watches the Deployments of a load as somebody who takes no part. */
export class Observer {
    private readonly api: KubeApi;
    private readonly feed: Feed<Seen>;
    private unavailable = 0;
    private peak = 0;
    private before = new Map<string, number>();

    constructor(connection: Connection) {
        this.api = new KubeApi(connection);
        this.feed = new Feed(this.api, "/apis/apps/v1/deployments", seen, {
            query: { labelSelector: "app.kubernetes.io/part-of" },
        });
        this.feed.onChange((_key, now, earlier) => {
            this.unavailable += missing(now) - missing(earlier);
            this.peak = Math.max(this.peak, this.unavailable);
        });
    }

    async start(): Promise<void> {
        await this.feed.start();
    }

    async stop(): Promise<void> {
        await this.feed.stop();
        this.api.close();
    }

    /** From now on the peak and the progress are counted anew. */
    begin(): void {
        this.peak = this.unavailable;
        this.before = new Map(
            [...this.feed.items].map(([key, { generation }]) => [key, generation]),
        );
    }

    /** The most pods that were wanted and not available at a time. */
    get peakUnavailable(): number {
        return this.peak;
    }

    /** What was changed since `begin`. */
    progress(): { workloads: number; workloadsDone: number; pods: number; podsDone: number } {
        const all = [...this.feed.items];
        const changed = all
            .filter(([key, one]) => one.generation > (this.before.get(key) ?? 0))
            .map(([, one]) => one);
        return {
            workloads: all.length,
            workloadsDone: changed.filter((one) => one.done).length,
            pods: all.reduce((sum, [, { wanted }]) => sum + wanted, 0),
            podsDone: changed.reduce((sum, { updated }) => sum + updated, 0),
        };
    }

    /** Names by namespace. */
    get deployments(): ReadonlyMap<string, readonly string[]> {
        const names = new Map<string, string[]>();
        for (const key of [...this.feed.items.keys()].sort()) {
            const [namespace = "", name = ""] = key.split("/");
            names.set(namespace, [...(names.get(namespace) ?? []), name]);
        }
        return names;
    }

    /** Waits until every Deployment is complete. */
    async settled(signal: AbortSignal): Promise<void> {
        while (![...this.feed.items.values()].every((one) => one.done)) {
            await sleep(250, undefined, { signal });
        }
    }
}

function missing(one: Seen | undefined): number {
    return one ? Math.max(0, one.wanted - one.available) : 0;
}

function seen(deployment: RawObject): Seen {
    const { metadata, spec, status } = deployment as {
        metadata: { generation: number };
        spec: { replicas: number };
        status: {
            observedGeneration?: number;
            replicas?: number;
            updatedReplicas?: number;
            availableReplicas?: number;
        };
    };
    const { generation } = metadata;
    const wanted = spec.replicas;
    const { replicas = 0, updatedReplicas = 0, availableReplicas: available = 0 } = status;
    const updated = (status.observedGeneration ?? 0) >= generation ? updatedReplicas : 0;
    const done = [replicas, updated, available].every((pods) => pods === wanted);
    return { wanted, available, generation, updated, done };
}
