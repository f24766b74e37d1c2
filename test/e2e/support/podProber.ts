import type { KubeConfig } from "@kubernetes/client-node";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi, type RawObject } from "../../../cluster/api";

export interface PodProberOptions {
    readonly kubeconfig: KubeConfig;
    readonly namespaces: readonly string[];
    /** Pods a second in each namespace. Defaults to 20. */
    readonly perSecond?: number;
    /** Of the pods, besides app=prober. */
    readonly labels?: Readonly<Record<string, string>>;
    /** Name of the sidecar's container. Defaults to istio-proxy. */
    readonly proxyContainer?: string;
    /** Namespaces whose pods should get no sidecar. Defaults to none. */
    readonly expectedNone?: readonly string[];
    /** Requests at once in each namespace, 1 to 16. Defaults to 16. What would be more is not sent: see rateHeld. */
    readonly inFlight?: number;
}

/** Pods that one revision gave one version of the proxy. */
export interface Sighting {
    /** Undefined where the pod does not tell: before 1.6. */
    readonly revision: string | undefined;
    readonly tag: string;
    readonly count: number;
    readonly first: Date;
    readonly last: Date;
}

export interface NamespaceProbe {
    readonly created: number;
    readonly refused: number;
    /** Pods without the sidecar where one is expected. */
    readonly without: number;
    /** Pods with more than one. */
    readonly several: number;
    /** Pods with the sidecar in a namespace of `expectedNone`. */
    readonly unexpected: number;
    /** In the order in which they were first seen. */
    readonly sightings: readonly Sighting[];
}

export interface Refusal {
    readonly namespace: string;
    readonly message: string;
    readonly at: Date;
}

export interface ProbeResult {
    readonly namespaces: Readonly<Record<string, NamespaceProbe>>;
    /** The first 1,000 of them. */
    readonly refusals: readonly Refusal[];
    /** Attempts, refused ones included, for each second, all namespaces together. */
    readonly perSecond: number;
    /** At least nine tenths of the wanted attempts were made. */
    readonly rateHeld: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Counts = Mutable<Omit<NamespaceProbe, "sightings">> & { sightings: Mutable<Sighting>[] };

const proberLabel = "mesh-upgrade.test/prober";
const keptRefusals = 1_000;
const pauseMs = 5;
/** In a namespace: on a slow server the sweeps would not keep up, and pods from before a change would stay for long. */
const MOST_ALIVE = 100;
/** One request for all is cheaper than one for each. */
const SWEEP_SECONDS = 0.5;

/**
 * Asks all the time what a new pod would get: creates pods that no scheduler takes, looks at what
 * admission made of them, and deletes them soon.
 */
export class PodProber {
    /** One for each namespace: requests of the others do not hold its own up. */
    private readonly apis: ReadonlyMap<string, KubeApi>;
    /** Its requests do not take the turn of the next pod. */
    private readonly remover: KubeApi;
    private readonly id = randomBytes(4).toString("hex");
    private readonly counts: ReadonlyMap<string, Counts>;
    private readonly refusals: Refusal[] = [];
    private readonly pending = new Set<Promise<void>>();
    private readonly sweeping = new Set<string>();
    /** Pods that no sweep has taken yet, by namespace. */
    private readonly alive = new Map<string, number>();
    private readonly perSecond: number;
    private readonly inFlight: number;
    private attempts = 0;
    private startedAt = 0;
    private endedAt: number | undefined;
    private loop: Promise<void> | undefined;

    constructor(private readonly options: PodProberOptions) {
        const { kubeconfig, namespaces, perSecond = 20, inFlight = 16 } = options;
        const server = kubeconfig.getCurrentCluster()?.server ?? "";
        // A refusal by a webhook that cannot be called is a 500: it must not be tried again.
        this.apis = new Map(
            namespaces.map((name) => [
                name,
                new KubeApi({ kubeconfig, server }, { patienceMs: 0 }),
            ]),
        );
        this.remover = new KubeApi({ kubeconfig, server });
        this.counts = new Map(namespaces.map((name) => [name, noCounts()]));
        this.perSecond = perSecond;
        this.inFlight = inFlight;
    }

    /** Goes on until `stop`. */
    start(): void {
        if (this.loop !== undefined) throw new Error("This prober was started before.");
        this.startedAt = performance.now();
        this.loop = this.run();
    }

    /** Waits for what is in flight, removes what is left of its pods, and returns the result. */
    async stop(): Promise<ProbeResult> {
        this.endedAt ??= performance.now();
        await this.loop;
        await Promise.all(this.pending);
        await Promise.all([...this.counts.keys()].map((namespace) => this.sweep(namespace)));
        [...this.apis.values(), this.remover].forEach((api) => api.close());
        return this.results;
    }

    /** One at a time in each namespace: where the server is slow, more of them would delete the same pods. */
    private async sweepSoon(namespace: string): Promise<void> {
        if (this.sweeping.has(namespace)) return;
        this.sweeping.add(namespace);
        try {
            await this.sweep(namespace);
        } catch {
            // `stop` removes what stays behind.
        } finally {
            this.sweeping.delete(namespace);
        }
    }

    private async sweep(namespace: string): Promise<void> {
        const { items } = (await this.remover.send("DELETE", podsOf(namespace), {
            query: { labelSelector: `${proberLabel}=${this.id}`, gracePeriodSeconds: "0" },
        })) as unknown as { items: readonly unknown[] };
        this.alive.set(namespace, this.aliveIn(namespace) - items.length);
    }

    private aliveIn(namespace: string): number {
        return this.alive.get(namespace) ?? 0;
    }

    /** What is known so far. */
    get results(): ProbeResult {
        const elapsed = ((this.endedAt ?? performance.now()) - this.startedAt) / 1000;
        const perSecond = this.attempts / elapsed;
        return {
            namespaces: structuredClone(Object.fromEntries(this.counts)),
            refusals: [...this.refusals],
            perSecond,
            rateHeld: perSecond >= 0.9 * this.perSecond * this.counts.size,
        };
    }

    private async run(): Promise<void> {
        for (let due = 0; this.endedAt === undefined; await sleep(pauseMs)) {
            const elapsed = (performance.now() - this.startedAt) / 1000;
            for (; due < elapsed * this.perSecond; due++) {
                this.launchRound(due);
                if (due % Math.ceil(this.perSecond * SWEEP_SECONDS) === 0) {
                    this.counts.forEach((_, name) => void this.sweepSoon(name));
                }
            }
        }
    }

    /** One pod for each namespace; another one comes first each time, lest the last ones starve. */
    private launchRound(round: number): void {
        const all = [...this.counts];
        const first = round % all.length;
        for (const [namespace, counts] of [...all.slice(first), ...all.slice(0, first)]) {
            this.launch(namespace, counts);
        }
    }

    private launch(namespace: string, counts: Counts): void {
        if (this.pending.size >= this.inFlight * this.counts.size) return;
        if (this.aliveIn(namespace) >= MOST_ALIVE) return;
        const probe = this.probe(namespace, counts, `prober-${this.id}-${this.attempts++}`);
        this.pending.add(probe);
        void probe.finally(() => this.pending.delete(probe));
    }

    private async probe(namespace: string, counts: Counts, name: string): Promise<void> {
        try {
            const body = this.pod(name);
            const pod = await this.apis.get(namespace)?.send("POST", podsOf(namespace), { body });
            this.alive.set(namespace, this.aliveIn(namespace) + 1);
            this.count(namespace, counts, pod as AdmittedPod);
        } catch (error) {
            counts.refused++;
            const { message } = error as Error;
            if (this.refusals.length < keptRefusals) {
                this.refusals.push({ namespace, message, at: new Date() });
            }
        }
    }

    private count(namespace: string, counts: Counts, pod: AdmittedPod): void {
        counts.created++;
        const { initContainers = [], containers } = pod.spec;
        const all = [...containers, ...initContainers];
        const { proxyContainer = "istio-proxy" } = this.options;
        const proxies = all.filter(({ name }) => name === proxyContainer);
        const [proxy] = proxies;
        const none = this.options.expectedNone?.includes(namespace) ?? false;
        if (proxies.length > 1) counts.several++;
        if (proxy === undefined) {
            if (!none) counts.without++;
            return;
        }
        if (none) counts.unexpected++;
        see(counts.sightings, revisionOf(pod), tagOf(proxy.image));
    }

    private pod(name: string): RawObject {
        const labels = { ...this.options.labels, app: "prober", [proberLabel]: this.id };
        return {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name, labels },
            spec: {
                schedulerName: "none",
                terminationGracePeriodSeconds: 0,
                containers: [{ name: "pause", image: "registry.k8s.io/pause:3.10" }],
            },
        };
    }
}

interface AdmittedPod extends RawObject {
    readonly metadata: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec: {
        readonly containers: readonly { readonly name: string; readonly image: string }[];
        readonly initContainers?: readonly { readonly name: string; readonly image: string }[];
    };
}

function noCounts(): Counts {
    return { created: 0, refused: 0, without: 0, several: 0, unexpected: 0, sightings: [] };
}

function podsOf(namespace: string): string {
    return `/api/v1/namespaces/${namespace}/pods`;
}

function see(sightings: Mutable<Sighting>[], revision: string | undefined, tag: string): void {
    const now = new Date();
    const seen = sightings.find((one) => one.revision === revision && one.tag === tag);
    if (seen === undefined) sightings.push({ revision, tag, count: 1, first: now, last: now });
    else Object.assign(seen, { count: seen.count + 1, last: now });
}

/** As the injector wrote it: from 1.11 on the label is only the user's wish. */
function revisionOf({ metadata }: AdmittedPod): string | undefined {
    const { annotations = {}, labels = {} } = metadata;
    const status = JSON.parse(annotations["sidecar.istio.io/status"] ?? "{}") as {
        revision?: string;
    };
    return annotations["istio.io/rev"] ?? status.revision ?? labels["istio.io/rev"];
}

function tagOf(image: string): string {
    return image.split("/").at(-1)?.split(":")[1] ?? "latest";
}
