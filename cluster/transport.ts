import * as http from "node:http";
import * as https from "node:https";
import type { Connection } from "./connection";

/** How long the server may take for the head of an answer, and pause within it, unless told otherwise. */
export const ANSWER_MS = 30_000;
/** An idle socket goes before API servers (90 s) and load balancers (60 s) drop it in the middle of a request. */
const IDLE_MS = 30_000;

/** There was no answer, or it broke off. */
export class ConnectionError extends Error {
    constructor(
        message: string,
        /** The request had left this machine, so the server may have carried it out. */
        readonly mayBeDone: boolean,
    ) {
        super(message);
        this.name = "ConnectionError";
    }
}

export interface TransportRequest {
    readonly method: string;
    /** With the query. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string | undefined;
    readonly signal?: AbortSignal | undefined;
}

export interface Answer {
    readonly status: number;
    readonly headers: http.IncomingHttpHeaders;
    /**
     * The body piece by piece; throws ConnectionError where it breaks off or nothing comes for `silenceMs`. Must be
     * read or left (`return`), else the connection stays open.
     */
    chunks(silenceMs?: number): AsyncGenerator<Buffer>;
}

/** HTTP exchanges with the API server over connections that are kept open. */
export class Transport {
    private agent: http.Agent | undefined;
    private agentKey: string | undefined;

    constructor(private readonly connection: Pick<Connection, "kubeconfig" | "server">) {}

    /**
     * Sends one request and returns the head of the answer.
     * @throws ConnectionError; the signal's reason once it is aborted; what an exec plugin of the kubeconfig reports.
     */
    async exchange(request: TransportRequest): Promise<Answer> {
        const { method, path, headers, body, signal } = request;
        const { kubeconfig, server } = this.connection;
        const url = new URL(server.replace(/\/$/, "") + path);
        const options: https.RequestOptions = {
            method,
            // Node gives the body of a DELETE no length, and the connection is out of step afterwards.
            headers: { ...headers, ...(body && { "Content-Length": Buffer.byteLength(body) }) },
            timeout: IDLE_MS,
        };
        // Per request: an exec plugin's token or certificate expires.
        await kubeconfig.applyToHTTPSOptions(options);
        signal?.throwIfAborted();
        options.agent = this.keptAgent(options);
        const fail = (error: Error, mayBeDone: boolean) =>
            signal?.aborted
                ? (signal.reason as Error)
                : new ConnectionError(`no answer from ${server} (${textOf(error)})`, mayBeDone);

        return new Promise((resolve, reject) => {
            const sent = (url.protocol === "http:" ? http : https).request(url, options);
            let finished = false;
            const abort = () => sent.destroy();
            // Of one's own: a request's timeout does not cover the time that connecting takes.
            const timer = setTimeout(
                () => sent.destroy(new Error(`silent for ${ANSWER_MS / 1000} s`)),
                ANSWER_MS,
            );
            sent.once("finish", () => (finished = true));
            sent.once("close", () => signal?.removeEventListener("abort", abort));
            sent.on("error", (error) => {
                clearTimeout(timer);
                reject(fail(error, finished));
            });
            sent.once("response", (response) => {
                clearTimeout(timer);
                resolve({
                    status: response.statusCode ?? 0,
                    headers: response.headers,
                    chunks: (silenceMs = ANSWER_MS) =>
                        chunksOf(response, silenceMs, (error) => fail(error, true)),
                });
            });
            signal?.addEventListener("abort", abort);
            sent.end(body);
        });
    }

    /** Closes the connections that are open; a later request opens new ones. */
    close(): void {
        this.agent?.destroy();
        this.agent = undefined;
    }

    /**
     * The agent that the kubeconfig made (for a proxy, too) is a new one each time and keeps nothing open: the first
     * one is kept until the credentials in it change.
     */
    private keptAgent({ agent, ca, cert, key }: https.RequestOptions): http.Agent {
        const agentKey = [ca, cert, key].map(String).join();
        if (!this.agent || this.agentKey !== agentKey) {
            this.agent = Object.assign(agent as http.Agent, { keepAlive: true });
            this.agentKey = agentKey;
        }
        return this.agent;
    }
}

async function* chunksOf(
    response: http.IncomingMessage,
    silenceMs: number,
    fail: (error: Error) => Error,
): AsyncGenerator<Buffer> {
    const timer = setTimeout(
        () => response.destroy(new Error(`silent for ${silenceMs / 1000} s`)),
        silenceMs,
    );
    const pieces = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    try {
        for (;;) {
            const piece = await pieces.next().catch((error: Error) => Promise.reject(fail(error)));
            if (piece.done) {
                return;
            }
            timer.refresh();
            yield piece.value;
        }
    } finally {
        clearTimeout(timer);
        // Does nothing to a connection whose answer was read to its end.
        response.destroy();
    }
}

/** Of several failed addresses the error itself says nothing. */
function textOf(error: Error): string {
    const errors = error instanceof AggregateError ? (error.errors as Error[]) : [error];
    return errors.map((one) => one.message).join("; ");
}
