import { createServer, type Server } from "node:https";
import type { Duplex } from "node:stream";
import type { KeyPair } from "../../plan/certificates";

/** Answers the parsed body of a request (undefined where there is none) to a path. */
export type Handler = (path: string, body: unknown) => Promise<{ status: number; body: unknown }>;

const largestBody = 8 * 1024 * 1024;

/**
 * An HTTPS server that listens nowhere: connections are handed to it. The key stays in memory.
 */
export class StandInServer {
    private readonly server: Server;
    private certificate = "";

    constructor(handler: Handler) {
        this.server = createServer((request, response) => {
            const chunks: Buffer[] = [];
            let size = 0;
            request.on("data", (chunk: Buffer) => {
                size += chunk.length;
                if (size > largestBody) request.destroy();
                else chunks.push(chunk);
            });
            request.on("end", () => {
                void respond(handler, request.url ?? "/", Buffer.concat(chunks)).then((answer) => {
                    response.writeHead(answer.status, {
                        "Content-Type": "application/json",
                        // The API server keeps connections. One kept to a pod that is gone would
                        // let it answer on, so each call looks for a pod afresh.
                        Connection: "close",
                    });
                    response.end(JSON.stringify(answer.body));
                });
            });
        });
        this.server.on("tlsClientError", () => undefined);
    }

    /** Serves a connection with a certificate and its key. */
    accept(connection: Duplex, leaf: KeyPair): void {
        if (leaf.certificate !== this.certificate) {
            this.server.setSecureContext({ cert: leaf.certificate, key: leaf.key });
            this.certificate = leaf.certificate;
        }
        this.server.emit("connection", connection);
    }
}

async function respond(handler: Handler, path: string, body: Buffer) {
    try {
        return await handler(path, body.length > 0 ? JSON.parse(body.toString()) : undefined);
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        console.log(`${new Date().toISOString()} ${path}: ${message}`);
        return { status: 500, body: { message } };
    }
}
