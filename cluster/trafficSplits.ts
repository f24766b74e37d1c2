import type { KubeApi } from "./api";
import { found } from "./connection";
import { STACK_ANNOTATION } from "./linkerd";

/** The kind that Linkerd's own chart brought before 2.12, and linkerd-smi since. */
export const TRAFFIC_SPLITS = "trafficsplits.split.smi-spec.io";
const PATH = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${TRAFFIC_SPLITS}`;

/**
 * By these `linkerd prune`, `linkerd uninstall` and Helm find the CRD as their own, and with it goes every TrafficSplit. Helm looks for
 * helm.sh/resource-policy at the live object, too, before an upgrade deletes what the new chart lacks.
 */
const MARKS = {
    labels: ["linkerd.io/control-plane-ns", "app.kubernetes.io/managed-by", "helm.sh/chart"],
    annotations: [
        ...["meta.helm.sh/release-name", "meta.helm.sh/release-namespace"],
        ...["linkerd.io/created-by", "kubectl.kubernetes.io/last-applied-configuration"],
    ],
} as const;

/** The CRD of TrafficSplits, as far as its owner shows in it. */
export interface LiveTrafficSplits {
    /** Stack that owns it; undefined: none. */
    readonly stack: string | undefined;
    /** Marks of another owner: `linkerd.io/control-plane-ns: linkerd`. */
    readonly marks: readonly string[];
    /** Versions in which objects may be stored. */
    readonly stored: readonly string[];
}

interface Crd {
    readonly metadata?: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly status?: { readonly storedVersions?: readonly string[] };
}

/** Undefined where there is none. @throws what the API server says */
export async function observeTrafficSplits(api: KubeApi): Promise<LiveTrafficSplits | undefined> {
    const crd = (await found(api.send("GET", PATH))) as Crd | undefined;
    if (crd === undefined) {
        return undefined;
    }
    const { metadata, status } = crd;
    const { labels = {}, annotations = {} } = metadata ?? {};
    const shown = (all: Readonly<Record<string, string>>, keys: readonly string[]) =>
        keys.filter((key) => all[key] !== undefined).map((key) => `${key}: ${all[key]}`);
    return {
        stack: annotations[STACK_ANNOTATION],
        marks: [
            ...shown(labels, MARKS.labels),
            // The last one holds the whole object.
            ...shown(annotations, MARKS.annotations.slice(0, -1)),
        ],
        stored: status?.storedVersions ?? [],
    };
}

/**
 * Takes the marks of another owner off the CRD and has Helm keep it. Nothing where there is none.
 * @returns whether there is one
 */
export async function ownTrafficSplits(api: KubeApi): Promise<boolean> {
    const gone = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, null]));
    const metadata = {
        labels: gone(MARKS.labels),
        annotations: { ...gone(MARKS.annotations), "helm.sh/resource-policy": "keep" },
    };
    const patched = api.mergePatch(PATH, { metadata }).then(() => true);
    return (await found(patched)) ?? false;
}
