import type { V1ConfigMap } from "@kubernetes/client-node";
import type { HealthAccess } from "../../plan/checks/observation";
import type { KubeApi } from "../api";
import { found } from "../connection";

const REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const TRUSTED_HEADERS =
    "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

/** What an installation makes: group and resource. */
const CLUSTER = [
    ["", "namespaces"],
    ["apiextensions.k8s.io", "customresourcedefinitions"],
    ["rbac.authorization.k8s.io", "clusterroles"],
    ["rbac.authorization.k8s.io", "clusterrolebindings"],
    ["admissionregistration.k8s.io", "mutatingwebhookconfigurations"],
    ["admissionregistration.k8s.io", "validatingwebhookconfigurations"],
] as const;
const NAMESPACED = [
    ["", "serviceaccounts"],
    ["", "services"],
    ["apps", "deployments"],
    ["batch", "cronjobs"],
    ["", "configmaps"],
    ["", "secrets"],
] as const;

interface Review {
    readonly status?: { readonly allowed?: boolean };
}

/** Asks for each right that a new installation needs. A review is an answer, and leaves no object behind. */
export async function readAccess(api: KubeApi): Promise<HealthAccess> {
    const ask = async (verb: string, group: string, resource: string, namespace?: string) => {
        const resourceAttributes = { verb, group, resource, ...(namespace && { namespace }) };
        const review = (await api.send("POST", REVIEWS, {
            body: {
                apiVersion: "authorization.k8s.io/v1",
                kind: "SelfSubjectAccessReview",
                spec: { resourceAttributes },
            },
        })) as Review;
        return [`${verb} ${resource}`, review.status?.allowed === true] as const;
    };
    const [cluster, namespaced, headers] = await Promise.all([
        Promise.all(CLUSTER.map(([group, resource]) => ask("create", group, resource))),
        Promise.all([
            ...NAMESPACED.map(([group, resource]) => ask("create", group, resource, "linkerd")),
            ask("get", "", "secrets", "linkerd"),
        ]),
        trustedHeaders(api),
    ]);
    return {
        cluster: Object.fromEntries(cluster),
        namespaced: Object.fromEntries(namespaced),
        requestHeaders: headers,
    };
}

async function trustedHeaders(api: KubeApi): Promise<boolean> {
    const config = (await found(api.send("GET", TRUSTED_HEADERS))) as V1ConfigMap | undefined;
    return (config?.data?.["requestheader-client-ca-file"] ?? "") !== "";
}
