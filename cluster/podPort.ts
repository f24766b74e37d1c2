import { PortForward } from "@kubernetes/client-node";
import * as http from "node:http";
import { Duplex, PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { Connection } from "./connection";

/** A port inside a pod. */
export interface PodPort {
    readonly namespace: string;
    readonly pod: string;
    readonly port: number;
}

/**
 * One GET to a port of a pod from within the pod's own network, as `kubectl port-forward` does it: the request does not
 * come in through the pod's proxy, whose policy would ask for a mesh identity.
 * @throws Error with the API server's or the kubelet's words, or the signal's reason
 */
export async function getFromPod(
    { kubeconfig }: Pick<Connection, "kubeconfig">,
    { namespace, pod, port }: PodPort,
    path: string,
    signal: AbortSignal,
): Promise<{ status: number; text: string }> {
    const fromPod = new PassThrough();
    const toPod = new PassThrough();
    const complaints = new PassThrough();
    let complaint = "";
    complaints.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    const opening = new PortForward(kubeconfig).portForward(
        namespace,
        pod,
        [port],
        fromPod,
        complaints,
        toPod,
    ) as Promise<Socket>;
    // It cannot be called off while it opens, so it is closed as soon as it is open.
    const closing = () => void opening.then((socket) => socket.close()).catch(() => undefined);
    signal.addEventListener("abort", closing);
    try {
        const socket = await unlessAborted(opening, signal).catch((error: unknown) => {
            signal.throwIfAborted();
            // The WebSocket's error is an event, not an Error.
            throw new Error((error as { message?: string }).message ?? "no connection");
        });
        socket.onclose = () => fromPod.end();
        return await unlessAborted(
            send(Duplex.from({ readable: fromPod, writable: toPod }), path),
            signal,
        );
    } catch (error) {
        signal.throwIfAborted();
        throw complaint === "" ? error : new Error(complaint.trim());
    } finally {
        signal.removeEventListener("abort", closing);
        closing();
    }
}

interface Socket {
    onclose: (() => void) | null;
    close(): void;
}

async function send(stream: Duplex, path: string): Promise<{ status: number; text: string }> {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        // The pod's own name for itself; some programs refuse names that they do not know.
        const options = { path, host: "localhost", createConnection: () => stream };
        http.get(options, resolve).on("error", reject);
    });
    return { status: response.statusCode ?? 0, text: await text(response) };
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    let abort = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
        abort = () => void reject(signal.reason as Error);
        signal.addEventListener("abort", abort);
    });
    try {
        return await Promise.race([promise, aborted]);
    } finally {
        signal.removeEventListener("abort", abort);
        // Whichever lost the race must not be reported as unhandled.
        promise.catch(() => undefined);
    }
}
