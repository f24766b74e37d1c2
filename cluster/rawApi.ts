import * as http from "node:http";
import * as https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./connection";

const ATTEMPTS = 4;

/** An answer of the API server that is no success. */
export class RawApiError extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
        this.name = "RawApiError";
    }
}

/** Any object of the API, as it stands in JSON. */
export type RawObject = Readonly<Record<string, unknown>>;

/**
 * The API without typed models in between: those drop or rename fields that they do not know, which a comparison
 * must not.
 */
export class RawApi {
    private readonly resources = new Map<string, Promise<Map<string, Resource>>>();

    constructor(private readonly connection: Connection) {}

    /** @throws RawApiError, Error where the server does not answer or does not know the kind. */
    async read(object: ObjectReference): Promise<RawObject> {
        return this.send("GET", await this.pathOf(object));
    }

    /** What a forced server-side apply would make of the live object; changes nothing. */
    async dryRunApply(object: ObjectReference): Promise<RawObject> {
        const path = await this.pathOf(object);
        return this.send(
            "PATCH",
            `${path}?dryRun=All&fieldManager=mesh-upgrade&force=true`,
            JSON.stringify(object),
        );
    }

    private async pathOf({ apiVersion, kind, metadata }: ObjectReference): Promise<string> {
        const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        let kinds = this.resources.get(base);
        if (!kinds) {
            kinds = this.discover(base);
            this.resources.set(base, kinds);
        }
        const resource = (await kinds).get(kind);
        if (!resource) {
            throw new RawApiError(404, `the cluster has no kind ${kind} in ${apiVersion}`);
        }
        const namespace = resource.namespaced
            ? `/namespaces/${metadata.namespace ?? "default"}`
            : "";
        return `${base}${namespace}/${resource.name}/${metadata.name}`;
    }

    private async discover(base: string): Promise<Map<string, Resource>> {
        const list = (await this.send("GET", base)) as { resources?: Resource[] };
        return new Map(
            (list.resources ?? [])
                .filter((one) => !one.name.includes("/"))
                .map((one) => [one.kind, one]),
        );
    }

    /** Tries again where the answer may be another in a moment: 429, 5xx, no connection. */
    private async send(method: string, path: string, body?: string): Promise<RawObject> {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.sendOnce(method, path, body);
            } catch (error) {
                const status = error instanceof RawApiError ? error.status : 500;
                if (attempt === ATTEMPTS || (status < 500 && status !== 429)) {
                    throw error;
                }
                await sleep(attempt * 500);
            }
        }
    }

    private async sendOnce(method: string, path: string, body?: string): Promise<RawObject> {
        const { kubeconfig, server } = this.connection;
        const url = new URL(server.replace(/\/$/, "") + path);
        const options: https.RequestOptions = {
            method,
            headers: body ? { "Content-Type": "application/apply-patch+yaml" } : {},
            timeout: 30_000,
        };
        await kubeconfig.applyToHTTPSOptions(options);
        return new Promise((resolve, reject) => {
            const { request } = url.protocol === "http:" ? http : https;
            const sent = request(url, options, (response) => {
                const chunks: Buffer[] = [];
                response.on("data", (chunk: Buffer) => chunks.push(chunk));
                response.on("error", reject);
                response.on("end", () => {
                    const status = response.statusCode ?? 0;
                    const text = Buffer.concat(chunks).toString();
                    if (status >= 200 && status < 300) {
                        resolve(JSON.parse(text) as RawObject);
                    } else {
                        reject(new RawApiError(status, messageOf(text) ?? `HTTP ${status}`));
                    }
                });
            });
            sent.on("timeout", () => sent.destroy(new Error("no answer within 30 s")));
            sent.on("error", reject);
            sent.end(body);
        });
    }
}

/** An object of which apiVersion, kind, name and namespace are known. */
export interface ObjectReference {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Resource {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
}

function messageOf(text: string): string | undefined {
    try {
        return (JSON.parse(text) as { message?: string }).message;
    } catch {
        return undefined;
    }
}
