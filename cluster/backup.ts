import { isSecret, makesItself, stripped, type BackupObject } from "../plan/backup";
import { ApiError, type KubeApi, type RawObject } from "./api";
import { isLinkerdCrd } from "./linkerd";
import { LINKS } from "./links";
import { baseOf } from "./rawApi";
import { TRAFFIC_SPLITS } from "./trafficSplits";

/** The mesh's own namespaces; everything of the kinds below that stands in them belongs to a backup. */
export const NAMESPACES = [
    ...["linkerd", "linkerd-viz", "linkerd-cni"],
    ...["linkerd-jaeger", "linkerd-multicluster", "linkerd-smi"],
];

/** Labels that the charts and the CLI put on all objects of control plane, extensions and the CNI plugin. */
const LABELS = [
    "linkerd.io/control-plane-ns",
    "linkerd.io/extension in (jaeger,multicluster,smi,viz)",
    "linkerd.io/cni-resource",
];

interface Kind {
    readonly apiVersion: string;
    readonly kind: string;
    readonly plural: string;
}

const kind = (apiVersion: string, name: string, plural = `${name.toLowerCase()}s`): Kind => ({
    apiVersion,
    kind: name,
    plural,
});

const RBAC = "rbac.authorization.k8s.io/v1";
const ADMISSION = "admissionregistration.k8s.io/v1";

const NAMESPACED = [
    kind("v1", "ConfigMap"),
    kind("v1", "Secret"),
    kind("v1", "ServiceAccount"),
    kind("v1", "Service"),
    kind("apps/v1", "Deployment"),
    kind("apps/v1", "DaemonSet"),
    kind("apps/v1", "StatefulSet"),
    kind("batch/v1", "CronJob"),
    kind("policy/v1", "PodDisruptionBudget"),
    kind("autoscaling/v2", "HorizontalPodAutoscaler"),
    kind("networking.k8s.io/v1", "Ingress", "ingresses"),
    kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    kind(RBAC, "Role"),
    kind(RBAC, "RoleBinding"),
];
/** Of the mesh by their labels only. Roles outside its namespaces let tap read kube-system. */
const LABELLED = [
    kind(RBAC, "Role"),
    kind(RBAC, "RoleBinding"),
    kind(RBAC, "ClusterRole"),
    kind(RBAC, "ClusterRoleBinding"),
    kind(ADMISSION, "MutatingWebhookConfiguration"),
    kind(ADMISSION, "ValidatingWebhookConfiguration"),
    kind("apiregistration.k8s.io/v1", "APIService"),
];

/** What a backup is made of; each object as it would be applied again. */
export interface MeshObjects {
    readonly objects: readonly BackupObject[];
    /** Secrets, and what else holds a private key. */
    readonly secrets: readonly BackupObject[];
}

/**
 * Reads the mesh's objects: namespaces, CRDs and the custom objects of these in all namespaces, and everything of the
 * control plane and of viz.
 * @throws Error that names the list which the API server refuses; nothing is left out silently
 */
export async function readMeshObjects(api: KubeApi): Promise<MeshObjects> {
    const crds: RawObject[] = [];
    await list(
        api,
        kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        "",
        {},
        (object) => {
            const { name, labels } = object.metadata as BackupObject["metadata"] & {
                readonly labels?: Readonly<Record<string, string>>;
            };
            if (
                isLinkerdCrd(name) ||
                [LINKS, TRAFFIC_SPLITS].includes(name) ||
                labels?.["linkerd.io/control-plane-ns"] !== undefined
            ) {
                crds.push(object);
            }
        },
    );
    const found = new Map<string, BackupObject>();
    const keep = (object: BackupObject) => {
        if (!makesItself(object)) {
            const { apiVersion, kind: ofKind, metadata } = object;
            const key = [apiVersion, ofKind, metadata.namespace, metadata.name].join(" ");
            found.set(key, stripped(object));
        }
    };
    crds.forEach((crd) => keep(crd as BackupObject));
    for (const namespace of NAMESPACES) {
        await list(
            api,
            kind("v1", "Namespace"),
            "",
            { fieldSelector: `metadata.name=${namespace}` },
            keep,
        );
        if (!found.has(["v1", "Namespace", undefined, namespace].join(" "))) {
            continue;
        }
        for (const one of NAMESPACED) {
            await list(api, one, `/namespaces/${namespace}`, {}, keep);
        }
    }
    for (const one of LABELLED) {
        for (const labelSelector of LABELS) {
            await list(api, one, "", { labelSelector }, keep);
        }
    }
    for (const crd of crds) {
        await list(api, customKind(crd), "", {}, keep);
    }
    const all = [...found.values()];
    return { objects: all.filter((one) => !isSecret(one)), secrets: all.filter(isSecret) };
}

/** A CRD's objects in the version in which they are stored, which loses nothing. */
function customKind(crd: RawObject): Kind {
    const { group, names, versions } = crd["spec"] as {
        readonly group: string;
        readonly names: { readonly plural: string; readonly kind: string };
        readonly versions: readonly { name: string; served: boolean; storage: boolean }[];
    };
    const served = versions.filter((one) => one.served);
    const version = served.find((one) => one.storage) ?? served[0];
    return kind(`${group}/${version?.name}`, names.kind, names.plural);
}

async function list(
    api: KubeApi,
    { apiVersion, kind: name, plural }: Kind,
    place: string,
    query: Readonly<Record<string, string>>,
    keep: (object: BackupObject) => void,
): Promise<void> {
    await api
        .list(
            `${baseOf(apiVersion)}${place}/${plural}`,
            // Items of a list do not tell what they are.
            (item) => keep({ apiVersion, kind: name, ...item } as unknown as BackupObject),
            query,
        )
        .catch((error: Error) => {
            // A kind that the cluster does not serve has no objects.
            if (!(error instanceof ApiError && error.status === 404)) {
                throw new Error(`${plural} (${apiVersion}) cannot be listed: ${error.message}`);
            }
        });
}
