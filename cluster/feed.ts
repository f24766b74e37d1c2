import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import {
    ApiError,
    describeTrouble,
    passes,
    retryAfterMs,
    seconds,
    type KubeApi,
    type RawObject,
    type WatchEvent,
} from "./api";
import { Backoff } from "./backoff";

/** A watch that lives this long is no part of a storm of reconnections. */
const SETTLED_MS = 5_000;

export interface FeedOptions {
    /** Selectors, e.g. `{ labelSelector: "app=web" }`. */
    readonly query?: Readonly<Record<string, string>>;
    /** The collection may not exist (no such CRD): an empty feed then, without a watch. Defaults to false. */
    readonly optional?: boolean;
    /** Told once per interruption after the first list, e.g. "/api/v1/pods: the API server answers 410 (...); listed again in 0.4 s". */
    readonly onTrouble?: (reason: string) => void;
}

export type FeedListener<T> = (key: string, now: T | undefined, before: T | undefined) => void;

/**
 * A collection kept up to date by list and watch. Of each item only what `slim` makes of it is held; undefined drops it.
 * Interruptions of any kind are ridden out until `stop`.
 */
export class Feed<T> {
    private readonly held = new Map<string, T>();
    private readonly listeners = new Set<FeedListener<T>>();
    private readonly stopping = new AbortController();
    private readonly backoff = new Backoff();
    private started: Promise<void> | undefined;
    private running: Promise<void> = Promise.resolve();
    private connected = false;
    private lastContact: number | undefined;

    constructor(
        private readonly api: KubeApi,
        private readonly path: string,
        private readonly slim: (item: RawObject) => T | undefined,
        private readonly options: FeedOptions = {},
    ) {}

    /** By `namespace/name`, or `name` for what is cluster-scoped. */
    get items(): ReadonlyMap<string, T> {
        return this.held;
    }

    /** Ms since the last list, event or open watch; 0 while connected; undefined before the first list. */
    get staleSince(): number | undefined {
        if (this.lastContact === undefined) {
            return undefined;
        }
        return this.connected ? 0 : performance.now() - this.lastContact;
    }

    /**
     * Resolves when the first list is in; the watch goes on in the background.
     * @throws where the first list fails for good (403, no answer for as long as the API's patience lasts), or on `stop`.
     */
    start(): Promise<void> {
        return (this.started ??= this.begin());
    }

    /**
     * Told after `items` is updated, once per difference in what `slim` keeps; so is each difference that a list after a
     * gap shows. The first list is told, too. What a listener throws is not caught.
     * Returns a function that unsubscribes.
     */
    onChange(listener: FeedListener<T>): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }

    /** Ends the watch. Afterwards no listener is called; `items` stay as they are. */
    async stop(): Promise<void> {
        this.stopping.abort(new Error(`the feed of ${this.path} was stopped`));
        await this.started?.catch(() => undefined);
        await this.running;
        this.connected = false;
    }

    private async begin(): Promise<void> {
        const version = await this.relist();
        if (version !== undefined) {
            this.running = this.follow(version);
        }
    }

    private async follow(first: string): Promise<void> {
        let version: string | undefined = first;
        const { signal } = this.stopping;
        while (!signal.aborted) {
            let trouble: unknown;
            try {
                version ??= await this.relist();
                if (version === undefined) {
                    return;
                }
                await this.watch(version, (seen) => (version = seen));
            } catch (error) {
                trouble = error;
            }
            this.connected = false;
            if (signal.aborted) {
                return;
            }
            const lost = trouble !== undefined && needsList(trouble);
            const pause = this.backoff.next(retryAfterMs(trouble));
            if (trouble !== undefined) {
                const next = lost || version === undefined ? "listed again" : "watched again";
                this.options.onTrouble?.(
                    `${this.path}: ${describeTrouble(trouble)}; ${next} in ${seconds(pause)}`,
                );
            }
            if (lost) {
                version = undefined;
            }
            await sleep(pause, undefined, { signal }).catch(() => undefined);
        }
    }

    private async watch(version: string, onVersion: (version: string) => void): Promise<void> {
        let settled: NodeJS.Timeout | undefined;
        try {
            await this.api.watch(
                this.path,
                version,
                this.options.query ?? {},
                (type, object) => {
                    this.apply(type, object);
                    onVersion(metadataOf(object).resourceVersion);
                },
                this.stopping.signal,
                () => {
                    this.touch();
                    settled = setTimeout(() => this.backoff.reset(), SETTLED_MS);
                },
            );
        } finally {
            clearTimeout(settled);
        }
    }

    private apply(type: WatchEvent, object: RawObject): void {
        if (type === "ERROR") {
            const { code = 500, message } = object as { code?: number; message?: string };
            throw new ApiError(code, message ?? `HTTP ${code}`);
        }
        if (type !== "BOOKMARK") {
            this.set(keyOf(object), type === "DELETED" ? undefined : this.slim(object));
        }
        this.touch();
        this.backoff.reset();
    }

    /** Undefined where the collection does not exist and need not. */
    private async relist(): Promise<string | undefined> {
        const { optional = false, query } = this.options;
        const keep = (item: RawObject): [string, T] | undefined => {
            const one = this.slim(item);
            return one === undefined ? undefined : [keyOf(item), one];
        };
        const list = await this.api
            .list(this.path, keep, query, this.stopping.signal)
            .catch((error: unknown) => {
                if (optional && error instanceof ApiError && error.status === 404) {
                    return { items: [], resourceVersion: undefined };
                }
                throw error;
            });
        this.touch();
        const live = new Map(list.items);
        for (const key of [...this.held.keys()].filter((one) => !live.has(one))) {
            this.set(key, undefined);
        }
        for (const [key, item] of live) {
            this.set(key, item);
        }
        return list.resourceVersion;
    }

    private set(key: string, now: T | undefined): void {
        const before = this.held.get(key);
        if (now === undefined) {
            this.held.delete(key);
        } else {
            this.held.set(key, now);
        }
        if (isDeepStrictEqual(now, before)) {
            return;
        }
        for (const listener of this.listeners) {
            try {
                listener(key, now, before);
            } catch (error) {
                // Here it would count as trouble of the connection, and a fault of the program would never show.
                process.nextTick(() => {
                    throw error;
                });
            }
        }
    }

    private touch(): void {
        this.connected = true;
        this.lastContact = performance.now();
    }
}

interface Metadata {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
}

function metadataOf(object: RawObject): Metadata {
    return object["metadata"] as Metadata;
}

function keyOf(object: RawObject): string {
    const { namespace, name } = metadataOf(object);
    return namespace ? `${namespace}/${name}` : name;
}

/** Whether the watch cannot be resumed: too old for the server's memory (410), or newer than a restored etcd. */
function needsList(error: unknown): boolean {
    return (
        !passes(error) ||
        (error instanceof ApiError && /too large resource version/i.test(error.message))
    );
}
