import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";

/** Takes over a connection that the API server made to a Service. */
export type Accept = (connection: Duplex) => void;

/** Finds who answers for `host:port`; throws Unreachable where nobody does. */
export type Route = (host: string, port: number) => Promise<Accept>;

/** Nobody answers at that address; the message says why. */
export class Unreachable extends Error {}

/**
 * Serves HTTP CONNECT on a Unix socket: the way of the API server into the cluster, as
 * EgressSelectorConfiguration sets it up. The connection is handed on inside this process, so the
 * stand-ins need no port.
 */
export async function serveConnect(socket: string, route: Route): Promise<Server> {
    const server = createServer((_request, response) => {
        response.writeHead(405, { Connection: "close" }).end("CONNECT only\n");
    });
    server.on("connect", (request: IncomingMessage, connection: Duplex, head: Buffer) => {
        // A client that hangs up is no error of ours, and without a listener it would end us.
        connection.on("error", () => connection.destroy());
        void answer(request.url ?? "", route).then((accept) => {
            if (accept instanceof Unreachable) {
                console.log(
                    `${new Date().toISOString()} refused ${request.url}: ${accept.message}`,
                );
                connection.end(
                    `HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n` +
                        `X-Reason: ${accept.message.replace(/[^ -~]/g, " ")}\r\n\r\n`,
                );
                return;
            }
            connection.write("HTTP/1.1 200 Connection established\r\n\r\n");
            if (head.length > 0) connection.unshift(head);
            accept(connection);
        });
    });
    await rm(socket, { force: true });
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(socket, resolve);
    });
    return server;
}

async function answer(address: string, route: Route): Promise<Accept | Unreachable> {
    const match = /^\[?([^\]]+)\]?:(\d+)$/.exec(address);
    if (match?.[1] === undefined) return new Unreachable(`"${address}" is no host:port`);
    try {
        return await route(match[1], Number(match[2]));
    } catch (error) {
        if (error instanceof Unreachable) return error;
        return new Unreachable(error instanceof Error ? error.message : String(error));
    }
}
