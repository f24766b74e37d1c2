import type { KubeApi } from "./api";
import { found } from "./connection";
import { CREATED_BY } from "./extensions";
import { STACK_ANNOTATION } from "./linkerd";

/** The kind of the extension linkerd-multicluster: one object for each cluster that is linked. */
export const LINKS = "links.multicluster.linkerd.io";

/** The CRD of Links. */
export interface LiveLinks {
    /** Stack that owns it; undefined: none. */
    readonly stack: string | undefined;
    /** Who made it, with the release: `linkerd/helm edge-25.9.1`. */
    readonly createdBy: string | undefined;
    /** Versions in which objects may be stored. */
    readonly stored: readonly string[];
    readonly spec: Readonly<Record<string, unknown>>;
}

interface Crd {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly status?: { readonly storedVersions?: readonly string[] };
}

/** Undefined where there is none. @throws what the API server says */
export async function observeLinks(api: KubeApi): Promise<LiveLinks | undefined> {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${LINKS}`;
    const crd = (await found(api.send("GET", path))) as Crd | undefined;
    if (crd === undefined) {
        return undefined;
    }
    const { metadata, spec = {}, status } = crd;
    const { annotations = {} } = metadata ?? {};
    return {
        stack: annotations[STACK_ANNOTATION],
        createdBy: annotations[CREATED_BY],
        stored: status?.storedVersions ?? [],
        spec,
    };
}
