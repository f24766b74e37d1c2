import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Limits } from "./limits";

export interface HttpOptions {
    readonly limits: Limits;
    readonly signal?: AbortSignal | undefined;
    /** Called for each piece; `total` is undefined when the server does not tell. */
    readonly received?: (bytes: number, total: number | undefined) => void;
}

const maximumRedirects = 5;
const maximumText = 1_048_576;
/** Far above any of the programs; keeps a broken mirror from filling the disk. */
const maximumFile = 1_073_741_824;

/** The text behind an address, at most 1 MiB. Throws with the reason, without the address. */
export async function fetchText(address: string, options: HttpOptions): Promise<string> {
    const pieces: Buffer[] = [];
    const response = await open(new URL(address), options);
    for await (const piece of body(response, maximumText, options)) {
        pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
}

/** Writes what is behind an address to a new file, at most 1 GiB, and returns its SHA-256. */
export async function fetchFile(
    address: string,
    path: string,
    options: HttpOptions,
): Promise<string> {
    const hash = createHash("sha256");
    const response = await open(new URL(address), options);
    await pipeline(
        Readable.from(body(response, maximumFile, options)),
        async function* (pieces: AsyncIterable<Buffer>) {
            for await (const piece of pieces) {
                hash.update(piece);
                yield piece;
            }
        },
        createWriteStream(path, { flags: "wx", mode: 0o600 }),
    );
    return hash.digest("hex");
}

async function open(address: URL, options: HttpOptions, redirects = 0): Promise<IncomingMessage> {
    const response = await request(address, options);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) {
        return response;
    }
    response.destroy();
    if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) {
        throw new Error(`the server answered HTTP ${statusCode}`);
    }
    const next = new URL(headers.location, address);
    if (redirects === maximumRedirects) {
        throw new Error(`more than ${maximumRedirects} redirections`);
    }
    if (address.protocol === "https:" && next.protocol !== "https:") {
        throw new Error(`redirected from https to ${next.protocol}//${next.host}`);
    }
    return open(next, options, redirects + 1);
}

function request(address: URL, { limits, signal }: HttpOptions): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
        const get = address.protocol === "https:" ? getSecure : getPlain;
        // No agent: a kept-alive connection would keep the process alive.
        const sent = get(address, { agent: false, ...(signal && { signal }) });
        const fail = (reason: string) => sent.destroy(new Error(reason));
        let timer = setTimeout(
            fail,
            limits.connect,
            `no connection to ${address.host} within ${limits.connect / 1000} s`,
        );
        sent.on("socket", (socket) => {
            socket.once(address.protocol === "https:" ? "secureConnect" : "connect", () => {
                clearTimeout(timer);
                timer = setTimeout(fail, limits.stall, stalled(address.host, limits));
            });
        });
        sent.on("response", (response) => {
            clearTimeout(timer);
            resolve(response);
        });
        sent.on("error", (error) => {
            clearTimeout(timer);
            reject(error);
        });
    });
}

/** The body piece by piece; throws when it stalls, is cut off or is too long. */
async function* body(
    response: IncomingMessage,
    maximum: number,
    { limits, received }: HttpOptions,
): AsyncGenerator<Buffer> {
    const length = Number(response.headers["content-length"]);
    const total = Number.isNaN(length) ? undefined : length;
    const stall = new Error(stalled(undefined, limits));
    const timer = setTimeout(() => response.destroy(stall), limits.stall);
    let bytes = 0;
    try {
        for await (const piece of response as AsyncIterable<Buffer>) {
            timer.refresh();
            bytes += piece.length;
            if (bytes > maximum) {
                throw new Error(`larger than ${maximum} bytes`);
            }
            received?.(bytes, total);
            yield piece;
        }
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ECONNRESET") {
            throw new Error(`cut off after ${bytes} of ${total ?? "unknown"} bytes`, {
                cause: error,
            });
        }
        throw error;
    } finally {
        clearTimeout(timer);
        response.destroy();
    }
}

function stalled(host: string | undefined, limits: Limits): string {
    const from = host === undefined ? "" : ` from ${host}`;
    return `stalled: no byte${from} for ${limits.stall / 1000} s`;
}
