import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Loopback {
    readonly port: number;
    readonly url: string;
    close(): Promise<void>;
}

/** A server on 127.0.0.1; `answer` gets each request with its whole body. */
export async function loopback(
    answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<Loopback> {
    const server = createServer((request, response) => {
        void text(request).then((body) => answer(request, body, response));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
        port,
        url: `http://127.0.0.1:${port}`,
        close: () =>
            new Promise((resolve) => {
                server.close(() => resolve());
                server.closeAllConnections();
            }),
    };
}

/** Plays Prometheus: a number for each query, several for several series, an answer of its own, or nothing. */
export function playPrometheus(
    valueOf: (query: string) => number | string | number[] | { status: number; body: string },
): Promise<Loopback> {
    return loopback((_request, body, response) => {
        const value = valueOf(new URLSearchParams(body).get("query") ?? "");
        if (typeof value === "object" && !Array.isArray(value)) {
            response.writeHead(value.status).end(value.body);
            return;
        }
        const values = Array.isArray(value) ? value : [value];
        const result = values.map((one) => ({ metric: {}, value: [1, String(one)] }));
        const data = { resultType: "vector", result };
        response.end(JSON.stringify({ status: "success", data }));
    });
}
