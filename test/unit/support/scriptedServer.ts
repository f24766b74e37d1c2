import { KubeConfig, type Cluster, type User } from "@kubernetes/client-node";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Connection } from "../../../cluster/connection";
import type { RawObject } from "../../../cluster/api";
import type { KeyPair } from "../../../plan/certificates";

/** Answers one request. */
export type Step = (response: http.ServerResponse, request: http.IncomingMessage) => void;

/** A server on loopback that answers the n-th request with the n-th step, and any further one with 418. */
export interface ScriptedServer {
    readonly url: string;
    readonly connection: Pick<Connection, "kubeconfig" | "server">;
    /** `METHOD path?query`, in their order. The parameters that every list or watch has are left out. */
    readonly requests: string[];
    readonly heads: http.IncomingHttpHeaders[];
    readonly bodies: string[];
    /** How many connections were opened so far. */
    readonly connections: () => number;
    readonly close: () => Promise<void>;
}

export interface ServerOptions {
    readonly tls?: KeyPair;
    readonly cluster?: Partial<Cluster>;
    readonly user?: Partial<User>;
}

export async function startScript(
    steps: readonly Step[],
    { tls, cluster, user }: ServerOptions = {},
): Promise<ScriptedServer> {
    const requests: string[] = [];
    const heads: http.IncomingHttpHeaders[] = [];
    const bodies: string[] = [];
    const sockets = new Set<Socket>();
    const answer: http.RequestListener = (request, response) => {
        const nth = requests.push(shortened(request)) - 1;
        heads.push(request.headers);
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
            bodies.push(Buffer.concat(chunks).toString());
            (steps[nth] ?? failure(418, "beyond the script"))(response, request);
        });
    };
    const server = tls
        ? https.createServer({ cert: tls.certificate, key: tls.key }, answer)
        : http.createServer(answer);
    server.keepAliveTimeout = 60_000;
    let opened = 0;
    server.on("connection", (socket: Socket) => {
        opened++;
        sockets.add(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = `${tls ? "https" : "http"}://127.0.0.1:${port}`;
    return {
        url,
        connection: connectionTo(url, { ...(cluster && { cluster }), ...(user && { user }) }),
        requests,
        heads,
        bodies,
        connections: () => opened,
        close: async () => {
            sockets.forEach((socket) => socket.destroy());
            await new Promise((resolve) => server.close(resolve));
        },
    };
}

/** What `connect` opens, without its checks. */
export function connectionTo(
    server: string,
    { cluster, user }: Pick<ServerOptions, "cluster" | "user"> = {},
): Pick<Connection, "kubeconfig" | "server"> {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromOptions({
        clusters: [{ name: "c", server, skipTLSVerify: server.startsWith("http:"), ...cluster }],
        users: [{ name: "u", ...user }],
        contexts: [{ name: "x", cluster: "c", user: "u" }],
        currentContext: "x",
    });
    return { kubeconfig, server };
}

export function json(body: unknown, headers: Readonly<Record<string, string>> = {}): Step {
    return (response) => {
        response.writeHead(200, { "Content-Type": "application/json", ...headers });
        response.end(JSON.stringify(body));
    };
}

export function failure(
    status: number,
    message?: string,
    headers: Readonly<Record<string, string>> = {},
): Step {
    return (response) => {
        response.writeHead(status, headers);
        response.end(message && JSON.stringify({ kind: "Status", code: status, message }));
    };
}

/** A page of a list. */
export function page(
    items: readonly RawObject[],
    resourceVersion: string,
    next?: string,
): ReturnType<typeof json> {
    return json({ items, metadata: { resourceVersion, ...(next && { continue: next }) } });
}

/** An object with a value that `valueOf` reads. */
export function object(name: string, value: number, resourceVersion = "0"): RawObject {
    return { metadata: { namespace: "ns", name, resourceVersion }, value };
}

export function valueOf(item: RawObject): number {
    return item["value"] as number;
}

export type EndOfWatch =
    /** The server ends the answer as it should be. */
    | "end"
    /** The connection breaks. */
    | "cut"
    /** The connection breaks in the middle of the next event. */
    | "cut within an event"
    /** Nothing more comes. */
    | "hold";

/** The answer to a watch. */
export function events(list: readonly (readonly [string, RawObject])[], end: EndOfWatch): Step {
    return (response) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        response.flushHeaders();
        const text = list
            .map(([type, one]) => `${JSON.stringify({ type, object: one })}\n`)
            .join("");
        if (end === "end") {
            response.end(text);
        } else if (end === "hold") {
            response.write(text);
        } else {
            response.write(`${text}${end === "cut" ? "" : '{"type":"ADDED","obj'}`, () =>
                response.destroy(),
            );
        }
    };
}

function shortened({ method, url }: http.IncomingMessage): string {
    const { pathname, searchParams } = new URL(url ?? "", "http://server");
    for (const usual of ["limit", "allowWatchBookmarks"]) {
        searchParams.delete(usual);
    }
    const query = searchParams.toString();
    return `${method} ${pathname}${query && `?${query}`}`;
}
