import type { V1Secret } from "@kubernetes/client-node";
import { createServer, type Server } from "node:https";
import type { Duplex } from "node:stream";

/** Answers the parsed body of a request (undefined where there is none) to a path. */
export type Handler = (path: string, body: unknown) => Promise<{ status: number; body: unknown }>;

const largestBody = 8 * 1024 * 1024;

/**
 * An HTTPS server that listens nowhere: connections are handed to it. The key stays in memory.
 */
export class StandInServer {
    private readonly server: Server;
    private version = "";

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

    /** Serves a connection with the certificate that the Secret holds now. */
    accept(connection: Duplex, secret: V1Secret): void {
        const version = `${secret.metadata?.uid}/${secret.metadata?.resourceVersion}`;
        if (version !== this.version) {
            this.server.setSecureContext({
                cert: decode(secret, "tls.crt"),
                key: decode(secret, "tls.key"),
            });
            this.version = version;
        }
        this.server.emit("connection", connection);
    }
}

function decode(secret: V1Secret, key: string): Buffer {
    const value = secret.data?.[key];
    if (value === undefined) throw new Error(`Secret ${secret.metadata?.name} has no ${key}`);
    return Buffer.from(value, "base64");
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
