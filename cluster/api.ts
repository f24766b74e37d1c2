import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Backoff } from "./backoff";
import type { Connection } from "./connection";
import { ConnectionError, Transport, type Answer } from "./transport";

const unzip = promisify(gunzip);

const PATIENCE_MS = 60_000;
/** A server under load asks for up to 32 s (priority and fairness), each time: pauses it asks for are waited for so long in all. */
const ASKED_MS = 300_000;
/** Besides watches. */
const REQUESTS_AT_ONCE = 16;
const PAGE = "500";
/** Bookmarks come about once a minute, so a watch that is silent for longer has lost its connection. */
const WATCH_SILENCE_MS = 120_000;
/** A continue token lives for about five minutes; a list that outlives it this often never ends. */
const LIST_STARTS = 5;

/** Any object of the API, as it stands in JSON. */
export type RawObject = Readonly<Record<string, unknown>>;

/** An answer of the API server that is no success. The message is the server's own, else `HTTP n`. */
export class ApiError extends Error {
    constructor(
        readonly status: number,
        message: string,
        /** What the server asks for (Retry-After); 0 where it does not. */
        readonly retryAfterMs = 0,
    ) {
        super(message);
        this.name = "ApiError";
    }
}

export interface ApiOptions {
    /**
     * How long answers that pass (429, 5xx, no connection) are ridden out, in ms, besides pauses that the server asks for
     * (Retry-After; 5 minutes of them). 0 tries once. Defaults to 60_000.
     */
    readonly patienceMs?: number;
    /** Told once per retry, e.g. "the API server answers 429; again in 2 s". */
    readonly onRetry?: (reason: string) => void;
}

export interface SendOptions {
    readonly body?: unknown;
    /** Defaults to application/json. */
    readonly contentType?: string;
    readonly query?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type WatchEvent = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";

/**
 * The API server in plain JSON: typed models are slow, big, and drop fields that they do not know. Connections are kept
 * open and hold no process back while they are idle.
 */
export class KubeApi {
    private readonly transport: Transport;
    private readonly turns = new Turns(REQUESTS_AT_ONCE);

    constructor(
        connection: Pick<Connection, "kubeconfig" | "server">,
        private readonly options: ApiOptions = {},
    ) {
        this.transport = new Transport(connection);
    }

    /**
     * One request. What passes (429, 5xx, no connection) is tried again with growing pauses, not before Retry-After,
     * while the patience lasts. So a request may be carried out twice: a DELETE may answer 404 and a PUT 409 to its own
     * doing. A POST is not sent again where the server may have carried it out (lost connection after sending, 504);
     * after another 5xx it is, and may then answer 409 AlreadyExists.
     * @throws ApiError, ConnectionError, or the signal's reason; called off in a pause, the error that led to it.
     */
    send(method: Method, path: string, options: SendOptions = {}): Promise<RawObject> {
        return this.request(method, path, options);
    }

    /** Changes the given fields, null removes one. Returns the object. */
    mergePatch(path: string, body: unknown): Promise<RawObject> {
        return this.send("PATCH", path, {
            body,
            contentType: "application/merge-patch+json",
            query: { fieldManager: "mesh-upgrade" },
        });
    }

    /**
     * A whole collection, page by page. `slim` makes of each item, as soon as it is there, what is kept; undefined drops
     * it. Items of a list carry neither kind nor apiVersion. Pages that expire (410) start the list over.
     */
    async list<T>(
        path: string,
        slim: (item: RawObject) => T | undefined,
        query: Readonly<Record<string, string>> = {},
        signal?: AbortSignal,
    ): Promise<{ items: T[]; resourceVersion: string }> {
        for (let start = 1; ; start++) {
            const items: T[] = [];
            let token = "";
            try {
                for (;;) {
                    const list = await this.request(
                        "GET",
                        path,
                        {
                            query: { ...query, limit: PAGE, ...(token && { continue: token }) },
                            signal,
                        },
                        { "Accept-Encoding": "gzip" },
                    );
                    for (const item of (list["items"] as RawObject[] | null) ?? []) {
                        const kept = slim(item);
                        if (kept !== undefined) {
                            items.push(kept);
                        }
                    }
                    const metadata = list["metadata"] as ListMetadata;
                    token = metadata.continue ?? "";
                    if (token === "") {
                        return { items, resourceVersion: metadata.resourceVersion ?? "" };
                    }
                }
            } catch (error) {
                const expired = error instanceof ApiError && error.status === 410 && token !== "";
                if (!expired || start === LIST_STARTS) {
                    throw error;
                }
            }
        }
    }

    /**
     * One watch from a resourceVersion on; asks for bookmarks. Resolves when the server ends it or the signal is aborted.
     * Nothing is tried again. An error that `onEvent` throws ends the watch and is thrown.
     * @throws ApiError for an answer that is no watch; ConnectionError where it breaks off or is silent for 120 s.
     */
    async watch(
        path: string,
        resourceVersion: string,
        query: Readonly<Record<string, string>>,
        onEvent: (type: WatchEvent, object: RawObject) => void,
        signal: AbortSignal,
        /** The server has answered: events come from now on. */
        onOpen: () => void = () => undefined,
    ): Promise<void> {
        const asked = { ...query, watch: "1", allowWatchBookmarks: "true", resourceVersion };
        try {
            const answer = await this.transport.exchange({
                method: "GET",
                path: withQuery(path, asked),
                headers: HEADERS,
                signal,
            });
            await throwUnlessSuccess(answer);
            onOpen();
            for await (const line of linesOf(answer.chunks(WATCH_SILENCE_MS))) {
                if (signal.aborted) {
                    return;
                }
                const { type, object } = parse(line) as { type: WatchEvent; object: RawObject };
                onEvent(type, object);
            }
        } catch (error) {
            if (!signal.aborted) {
                throw error;
            }
        }
    }

    /** Closes connections that are open; needed only where sockets must be gone at once. */
    close(): void {
        this.transport.close();
    }

    private async request(
        method: Method,
        path: string,
        options: SendOptions,
        headers: Readonly<Record<string, string>> = {},
    ): Promise<RawObject> {
        const { patienceMs = PATIENCE_MS, onRetry } = this.options;
        let deadline = performance.now() + patienceMs;
        let askedLeftMs = patienceMs > 0 ? ASKED_MS : 0;
        const backoff = new Backoff();
        for (;;) {
            try {
                return await this.requestOnce(method, path, options, headers);
            } catch (error) {
                if (
                    options.signal?.aborted ||
                    !passes(error) ||
                    (method === "POST" && mayBeDone(error))
                ) {
                    throw error;
                }
                const pause = backoff.next(retryAfterMs(error));
                if (retryAfterMs(error) > 0 && pause <= askedLeftMs) {
                    askedLeftMs -= pause;
                    deadline += pause;
                }
                if (performance.now() + pause > deadline) {
                    throw error;
                }
                onRetry?.(`${describeTrouble(error)}; again in ${seconds(pause)}`);
                await sleep(pause, undefined, { signal: options.signal }).catch(() => {
                    throw error;
                });
            }
        }
    }

    private async requestOnce(
        method: Method,
        path: string,
        { body, contentType = "application/json", query = {}, signal }: SendOptions,
        headers: Readonly<Record<string, string>>,
    ): Promise<RawObject> {
        const endTurn = await this.turns.take();
        try {
            const answer = await this.transport.exchange({
                method,
                path: withQuery(path, query),
                headers: {
                    ...HEADERS,
                    ...headers,
                    ...(body !== undefined && { "Content-Type": contentType }),
                },
                body: body === undefined ? undefined : JSON.stringify(body),
                signal,
            });
            await throwUnlessSuccess(answer);
            return parse(await textOf(answer));
        } finally {
            endTurn();
        }
    }
}

/**
 * Lets so many go on at a time, in the order in which they came. Hundreds of requests at once would each open a connection
 * and wait in the API server's queues instead of here.
 */
class Turns {
    private readonly waiting: (() => void)[] = [];

    constructor(private free: number) {}

    /** Resolves, when it is one's turn, to what ends it. */
    async take(): Promise<() => void> {
        if (this.free > 0) {
            this.free -= 1;
        } else {
            await new Promise<void>((resolve) => this.waiting.push(resolve));
        }
        return () => {
            const next = this.waiting.shift();
            if (next) {
                next();
            } else {
                this.free += 1;
            }
        };
    }
}

/** Whether the same request may have a better answer in a moment: not for 4xx other than 429. */
export function passes(error: unknown): boolean {
    return !(error instanceof ApiError) || error.status === 429 || error.status >= 500;
}

/** How long the server asks to wait, in ms; 0 where it does not. */
export function retryAfterMs(error: unknown): number {
    return error instanceof ApiError ? error.retryAfterMs : 0;
}

/** For a line of a log: `the API server answers 429 (too many requests)`. */
export function describeTrouble(error: unknown): string {
    if (!(error instanceof ApiError)) {
        return error instanceof Error ? error.message : String(error);
    }
    const { status, message } = error;
    const said = message === `HTTP ${status}` ? "" : ` (${message})`;
    return `the API server answers ${status}${said}`;
}

/** `2 s`, `0.3 s`. */
export function seconds(ms: number): string {
    return `${ms < 1_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
}

const HEADERS = { Accept: "application/json", "User-Agent": "mesh-upgrade" };

interface ListMetadata {
    readonly continue?: string;
    readonly resourceVersion?: string;
}

function mayBeDone(error: unknown): boolean {
    return error instanceof ApiError
        ? error.status === 504
        : error instanceof ConnectionError && error.mayBeDone;
}

function withQuery(path: string, query: Readonly<Record<string, string>>): string {
    const text = new URLSearchParams(query).toString();
    return text === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${text}`;
}

async function throwUnlessSuccess(answer: Answer): Promise<void> {
    const { status, headers } = answer;
    if (status >= 200 && status < 300) {
        return;
    }
    const text = await textOf(answer);
    const retryAfter = Number(headers["retry-after"] ?? 0) * 1000;
    throw new ApiError(status, messageOf(text) ?? `HTTP ${status}`, retryAfter || 0);
}

function messageOf(text: string): string | undefined {
    try {
        return (JSON.parse(text) as { message?: string }).message;
    } catch {
        return undefined;
    }
}

async function textOf(answer: Answer): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of answer.chunks()) {
        chunks.push(chunk);
    }
    const whole = Buffer.concat(chunks);
    const zipped = answer.headers["content-encoding"] === "gzip";
    return (zipped ? await unzip(whole) : whole).toString();
}

function parse(text: string): RawObject {
    try {
        return JSON.parse(text) as RawObject;
    } catch {
        // A login page of a proxy, or an event that was cut; its text may hold secrets.
        throw new ConnectionError("the API server's answer is no JSON", true);
    }
}

/** Whole lines without their ends; what is left at the end, too. */
async function* linesOf(chunks: AsyncGenerator<Buffer>): AsyncGenerator<string> {
    let rest: Buffer[] = [];
    for await (const chunk of chunks) {
        let from = 0;
        for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
            rest.push(chunk.subarray(from, end));
            yield Buffer.concat(rest).toString();
            rest = [];
            from = end + 1;
        }
        rest.push(chunk.subarray(from));
    }
    const last = Buffer.concat(rest).toString();
    if (last.trim() !== "") {
        yield last;
    }
}
