import { ApiError, KubeApi, type RawObject } from "./api";
import type { Connection } from "./connection";

export { ApiError as RawApiError, type RawObject } from "./api";

/** A comparison asks for many objects: where the server is gone, each of them waits this long. */
const PATIENCE_MS = 5_000;

/**
 * The API without typed models in between: those drop or rename fields that they do not know, which a comparison
 * must not.
 */
export class RawApi {
    private readonly resources = new Map<string, Promise<Map<string, Resource>>>();

    private readonly api: KubeApi;

    constructor(connection: Connection) {
        this.api = new KubeApi(connection, { patienceMs: PATIENCE_MS });
    }

    /** @throws ApiError, Error where the server does not answer or does not know the kind. */
    async read(object: ObjectReference): Promise<RawObject> {
        return this.api.send("GET", await this.pathOf(object));
    }

    /** What a forced server-side apply would make of the live object; changes nothing. */
    async dryRunApply(object: ObjectReference): Promise<RawObject> {
        return this.api.send("PATCH", await this.pathOf(object), {
            body: object,
            contentType: "application/apply-patch+yaml",
            query: { dryRun: "All", fieldManager: "mesh-upgrade", force: "true" },
        });
    }

    /** A forced server-side apply; returns the object. */
    async apply(object: ObjectReference, fieldManager: string): Promise<RawObject> {
        return this.api.send("PATCH", await this.pathOf(object), {
            body: object,
            contentType: "application/apply-patch+yaml",
            query: { fieldManager, force: "true" },
        });
    }

    /** Changes the given fields of an object; 409 where its resourceVersion, if given, is another one. */
    async mergePatch(object: ObjectReference, body: unknown): Promise<RawObject> {
        return this.api.mergePatch(await this.pathOf(object), body);
    }

    /** Whether the cluster serves a kind now. */
    async serves(apiVersion: string, kind: string): Promise<boolean> {
        this.resources.delete(baseOf(apiVersion));
        const kinds = await this.kindsOf(apiVersion).catch(() => new Map<string, Resource>());
        return kinds.has(kind);
    }

    private async pathOf({ apiVersion, kind, metadata }: ObjectReference): Promise<string> {
        const resource = (await this.kindsOf(apiVersion)).get(kind);
        if (!resource) {
            throw new ApiError(404, `the cluster has no kind ${kind} in ${apiVersion}`);
        }
        const namespace = resource.namespaced
            ? `/namespaces/${metadata.namespace ?? "default"}`
            : "";
        return `${baseOf(apiVersion)}${namespace}/${resource.name}/${metadata.name}`;
    }

    private kindsOf(apiVersion: string): Promise<Map<string, Resource>> {
        const base = baseOf(apiVersion);
        let kinds = this.resources.get(base);
        if (!kinds) {
            kinds = this.discover(base);
            this.resources.set(base, kinds);
        }
        return kinds;
    }

    private async discover(base: string): Promise<Map<string, Resource>> {
        const list = (await this.api.send("GET", base)) as { resources?: Resource[] };
        return new Map(
            (list.resources ?? [])
                .filter((one) => !one.name.includes("/"))
                .map((one) => [one.kind, one]),
        );
    }
}

/** Path of a group's API: `/apis/apps/v1`, `/api/v1`. */
export function baseOf(apiVersion: string): string {
    return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
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
