import type { KubeApi, RawObject } from "./api";
import { STACK_ANNOTATION } from "./linkerd";

/** Label of a namespace with an extension of Linkerd. */
export const EXTENSION_LABEL = "linkerd.io/extension";

/** Annotation by which charts and CLI of Linkerd name themselves: `linkerd/helm edge-24.7.5`. */
export const CREATED_BY = "linkerd.io/created-by";

/** What `linkerd multicluster link` names the Deployment of a link. */
const MIRROR = "linkerd-service-mirror-";

/** An extension of Linkerd, by the label of its namespace. */
export interface LiveExtension {
    readonly namespace: string;
    /** `jaeger`, `multicluster`, `smi`, `viz`, or somebody's own. */
    readonly name: string;
    /** The stack that owns the namespace; undefined: none. */
    readonly stack: string | undefined;
    /** What its Deployments say: `edge-24.5.3`, `v0.2.7`. Sorted, each once. */
    readonly versions: readonly string[];
    /** Deployments in the namespace. */
    readonly workloads: number;
    /** Those of them that are of the extension's chart: service mirrors and what others run there are not. */
    readonly charted: number;
    /** Deployments that `linkerd multicluster link` made, each with its version; a chart has none of them. */
    readonly mirrors: readonly { readonly name: string; readonly version: string | undefined }[];
}

interface Labelled {
    readonly metadata?: {
        readonly name?: string;
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
}

interface Deployment extends Labelled {
    readonly spec?: {
        readonly template?: {
            readonly spec?: {
                readonly containers?: readonly {
                    readonly name?: string;
                    readonly image?: string;
                }[];
            };
        };
    };
}

/** Every extension there is; read-only. @throws what the API server says. */
export async function observeExtensions(api: KubeApi): Promise<readonly LiveExtension[]> {
    const { items: namespaces } = await api.list(
        "/api/v1/namespaces",
        (item: RawObject) => (item as Labelled).metadata,
        { labelSelector: EXTENSION_LABEL },
    );
    return Promise.all(
        namespaces.map(async ({ name: namespace = "", labels, annotations }) => {
            const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
            const { items } = await api.list(path, (item: RawObject) => ({
                name: (item as Labelled).metadata?.name ?? "",
                version: versionOf(item),
                labelled: (item as Labelled).metadata?.labels?.[EXTENSION_LABEL] !== undefined,
            }));
            const isMirror = ({ name }: { name: string }) => name.startsWith(MIRROR);
            const versions = items.flatMap(({ version }) => (version ? [version] : []));
            return {
                namespace,
                name: labels?.[EXTENSION_LABEL] ?? "",
                stack: annotations?.[STACK_ANNOTATION],
                versions: [...new Set(versions)].sort(),
                workloads: items.length,
                charted: items.filter((one) => one.labelled && !isMirror(one)).length,
                mirrors: items.filter(isMirror).map(({ name, version }) => ({ name, version })),
            };
        }),
    );
}

/** Linkerd's own extensions carry their release in an annotation or a label; others have only the tag of an image. */
function versionOf(item: RawObject): string | undefined {
    const { metadata, spec } = item as Deployment;
    const { labels = {}, annotations = {} } = metadata ?? {};
    const label = labels["app.kubernetes.io/version"];
    const own = spec?.template?.spec?.containers?.find((one) => one.name !== "linkerd-proxy");
    const tag = /:([^:/@]+)(?:@.*)?$/.exec(own?.image ?? "")?.[1];
    return releaseOfMaker(annotations[CREATED_BY]) ?? label ?? tag;
}

/** `linkerd/helm edge-24.7.5` -> `edge-24.7.5`. */
export function releaseOfMaker(createdBy: string | undefined): string | undefined {
    return /^linkerd\/\w+ (\S+)$/.exec(createdBy ?? "")?.[1];
}
