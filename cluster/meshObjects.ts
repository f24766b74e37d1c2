import type { V1ObjectMeta } from "@kubernetes/client-node";
import { ApiError, type KubeApi } from "./api";
import { baseOf, type ObjectReference } from "./rawApi";

/** A kind of object that a mesh installs, and where it is listed. */
interface MeshKind {
    readonly apiVersion: string;
    readonly kind: string;
    readonly resource: string;
}

const kindsOf = (apiVersion: string, kinds: Readonly<Record<string, string>>): MeshKind[] =>
    Object.entries(kinds).map(([kind, resource]) => ({ apiVersion, kind, resource }));

/** What charts of Linkerd are made of, other than Namespaces, CRDs and objects of its own kinds. */
export const CHART_KINDS: readonly MeshKind[] = [
    ...kindsOf("v1", {
        ConfigMap: "configmaps",
        Secret: "secrets",
        Service: "services",
        ServiceAccount: "serviceaccounts",
    }),
    ...kindsOf("apps/v1", {
        DaemonSet: "daemonsets",
        Deployment: "deployments",
        StatefulSet: "statefulsets",
    }),
    ...kindsOf("batch/v1", { CronJob: "cronjobs", Job: "jobs" }),
    ...kindsOf("policy/v1", { PodDisruptionBudget: "poddisruptionbudgets" }),
    ...kindsOf("rbac.authorization.k8s.io/v1", {
        ClusterRole: "clusterroles",
        ClusterRoleBinding: "clusterrolebindings",
        Role: "roles",
        RoleBinding: "rolebindings",
    }),
    ...kindsOf("admissionregistration.k8s.io/v1", {
        MutatingWebhookConfiguration: "mutatingwebhookconfigurations",
        ValidatingWebhookConfiguration: "validatingwebhookconfigurations",
    }),
    ...kindsOf("apiregistration.k8s.io/v1", { APIService: "apiservices" }),
    // Of the Prometheus Operator, where the values ask for it.
    ...kindsOf("monitoring.coreos.com/v1", { PodMonitor: "podmonitors" }),
];

/** Linkerd's own kinds, in a version that every release since 2.12 serves. */
export const POLICY_KINDS: readonly MeshKind[] = [
    ...kindsOf("policy.linkerd.io/v1alpha1", {
        AuthorizationPolicy: "authorizationpolicies",
        MeshTLSAuthentication: "meshtlsauthentications",
        NetworkAuthentication: "networkauthentications",
    }),
    ...kindsOf("policy.linkerd.io/v1beta1", {
        Server: "servers",
        ServerAuthorization: "serverauthorizations",
    }),
    ...kindsOf("policy.linkerd.io/v1beta2", { HTTPRoute: "httproutes" }),
    ...kindsOf("linkerd.io/v1alpha2", { ServiceProfile: "serviceprofiles" }),
];

/** What is kept of an object that was listed. */
export interface MeshObject extends ObjectReference {
    /** Field managers, but those of its status. */
    readonly managers: readonly string[];
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
}

/**
 * Every object of these kinds that carries the label, in any namespace, but what belongs to another object. A kind that
 * the cluster lacks has none.
 */
export async function listLabelled(
    api: KubeApi,
    kinds: readonly MeshKind[],
    labelSelector: string,
): Promise<MeshObject[]> {
    const lists = await Promise.all(
        kinds.map(async ({ apiVersion, kind, resource }) => {
            const slim = (item: Readonly<Record<string, unknown>>): MeshObject | undefined => {
                const { name, namespace, labels, annotations, managedFields, ownerReferences } =
                    item["metadata"] as V1ObjectMeta;
                if (ownerReferences || name === undefined) {
                    return undefined;
                }
                const managers = (managedFields ?? [])
                    .filter(({ subresource }) => subresource === undefined)
                    .map(({ manager }) => manager ?? "unknown");
                const metadata = namespace ? { name, namespace } : { name };
                return {
                    apiVersion,
                    kind,
                    metadata,
                    managers: [...new Set(managers)].sort(),
                    labels: labels ?? {},
                    annotations: annotations ?? {},
                };
            };
            try {
                const { items } = await api.list(`${baseOf(apiVersion)}/${resource}`, slim, {
                    labelSelector,
                });
                return items;
            } catch (error) {
                if (error instanceof ApiError && error.status === 404) {
                    return [];
                }
                throw error;
            }
        }),
    );
    return lists.flat();
}

/** What viz has besides: its Prometheus may keep its data. None of the kinds that are pruned. */
const CLAIM_KINDS: readonly MeshKind[] = kindsOf("v1", {
    PersistentVolumeClaim: "persistentvolumeclaims",
});

/** Every object of viz, wherever it lies. */
export function listViz(api: KubeApi): Promise<MeshObject[]> {
    const kinds = [...CHART_KINDS, ...POLICY_KINDS, ...CLAIM_KINDS];
    return listLabelled(api, kinds, "linkerd.io/extension=viz");
}

/** `Deployment linkerd/linkerd-identity`, `ClusterRole linkerd-heartbeat`. */
export function nameOfObject({ kind, metadata }: ObjectReference): string {
    return `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ""}${metadata.name}`;
}
