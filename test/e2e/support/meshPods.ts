import {
    makeInformer,
    type Informer,
    type ObjectCache,
    type V1Pod,
    type V1PodList,
} from "@kubernetes/client-node";
import { isDeepStrictEqual } from "node:util";
import { proxyOf } from "../embeddedCluster.mesh";
import type { Mesh } from "./mesh";
import { waitFor } from "./waiting";

interface Step {
    readonly app: string;
    readonly name: string;
    readonly uid: string;
    readonly to: "made" | "ready" | "unready" | "gone";
}

/**
 * The pods of a namespace, and every step that each went through: what is asked of these is true of the moments
 * between two looks, too. `app` is the label of that name.
 */
export class MeshPods {
    private readonly informer: Informer<V1Pod> & ObjectCache<V1Pod>;
    private readonly last = new Map<string, Step>();
    private steps: Step[] = [];

    private readonly list: () => Promise<V1PodList>;

    constructor({ config, connection }: Mesh, namespace: string) {
        this.list = () => connection.core.listNamespacedPod({ namespace });
        this.informer = makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, this.list);
        this.informer.on("add", (pod) => this.note(pod, stateOf(pod)));
        this.informer.on("update", (pod) => this.note(pod, stateOf(pod)));
        this.informer.on("delete", (pod) => this.note(pod, "gone"));
    }

    async start(): Promise<void> {
        await this.informer.start();
    }

    async stop(): Promise<void> {
        await this.informer.stop();
    }

    /** Resolves when nothing that has happened so far is still under way to here. */
    async caughtUp(): Promise<void> {
        const versions = (pods: readonly V1Pod[]) =>
            pods.map(({ metadata }) => `${metadata?.uid} ${metadata?.resourceVersion}`).sort();
        await waitFor("the watch of pods to catch up", async () => {
            const { items } = await this.list();
            return isDeepStrictEqual(versions(items), versions(this.informer.list()));
        });
    }

    /** Those that are neither on their way out nor finished. */
    alive(app?: string): V1Pod[] {
        return this.informer
            .list()
            .filter(
                ({ metadata, status }) =>
                    (app === undefined || metadata?.labels?.["app"] === app) &&
                    metadata?.deletionTimestamp === undefined &&
                    !["Succeeded", "Failed"].includes(status?.phase ?? ""),
            );
    }

    ready(app: string): number {
        return this.alive(app).filter((pod) => stateOf(pod) === "ready").length;
    }

    /** Proxy versions of the living pods, by pod. */
    proxies(app: string): Record<string, string | undefined> {
        return Object.fromEntries(
            this.alive(app).map((pod) => [
                pod.metadata?.name ?? "",
                proxyOf(pod)?.split(":").at(-1),
            ]),
        );
    }

    /** `gone web-0`, `made web-0`, `ready web-0` ..., the oldest first. */
    history(app: string): string[] {
        return this.steps.filter((one) => one.app === app).map(({ to, name }) => `${to} ${name}`);
    }

    /** The most pods that were not ready at a time since all `wanted` of these were ready for the first time. */
    mostMissing(wanted: number, ...apps: readonly string[]): number {
        const ready = new Set<string>();
        let complete = false;
        let most = 0;
        for (const { app, uid, to } of this.steps) {
            if (!apps.includes(app)) {
                continue;
            }
            if (to === "ready") {
                ready.add(uid);
            } else {
                ready.delete(uid);
            }
            complete ||= ready.size === wanted;
            most = complete ? Math.max(most, wanted - ready.size) : 0;
        }
        return most;
    }

    /** How many pods were ever made. */
    made(app: string): number {
        return new Set(this.steps.filter((one) => one.app === app).map(({ uid }) => uid)).size;
    }

    private note({ metadata }: V1Pod, to: Step["to"]): void {
        const { name = "", uid = "", labels } = metadata ?? {};
        if (this.last.get(uid)?.to !== to) {
            const step = { app: labels?.["app"] ?? "", name, uid, to };
            this.last.set(uid, step);
            this.steps.push(step);
        }
    }
}

function stateOf({ metadata, status }: V1Pod): Step["to"] {
    if (metadata?.deletionTimestamp !== undefined) {
        return "gone";
    }
    const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
    return ready === "True" ? "ready" : ready === undefined ? "made" : "unready";
}
