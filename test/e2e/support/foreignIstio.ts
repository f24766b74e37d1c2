import { KubeApi } from "../../../cluster/api";
import type { Connection } from "../../../cluster/connection";
import { baseOf } from "../../../cluster/rawApi";
import type { KubeObject } from "../../../plan/istio/manifests";
import { waitFor } from "./waiting";

const NS = "istio-system";
const VERSION = "1.26.4";
const ADMISSION = "admissionregistration.k8s.io/v1";
const RBAC = "rbac.authorization.k8s.io/v1";
const GROUPS = ["security.istio.io", "networking.istio.io", "telemetry.istio.io"];

/** Objects as an installer applies them, CRDs first; waits for the kinds to be served. */
export async function applyAs(
    manager: string,
    connection: Connection,
    objects: readonly KubeObject[],
): Promise<void> {
    const api = new KubeApi(connection);
    for (const object of objects) {
        await api.send("PATCH", pathOf(object), {
            body: object,
            contentType: "application/apply-patch+yaml",
            query: { fieldManager: manager },
        });
    }
    await waitFor(`istiod of ${manager}`, async () => {
        const { items } = await connection.apps.listNamespacedDeployment({ namespace: NS });
        return items.every(({ status }) => status?.readyReplicas === 1);
    });
    await waitFor("the validating webhook", async () => {
        await writeIstioObject(connection);
        return true;
    });
    api.close();
}

/** Asks every webhook whether an object of Istio may be written; makes none. @throws ApiError where it may not. */
export async function writeIstioObject(connection: Connection): Promise<void> {
    const api = new KubeApi(connection, { patienceMs: 0 });
    for (const kind of ["VirtualService", "DestinationRule"]) {
        const apiVersion = "networking.istio.io/v1beta1";
        const metadata = { name: "probe", namespace: "default" };
        await api.send("POST", pathOf({ apiVersion, kind, metadata }).replace(/\/[^/]+$/, ""), {
            body: { apiVersion, kind, metadata, spec: { host: "probe", hosts: ["probe"] } },
            query: { dryRun: "All" },
        });
    }
    api.close();
}

/** `Kind name`, of those that exist. */
export async function existing(
    connection: Connection,
    objects: readonly KubeObject[],
): Promise<string[]> {
    const api = new KubeApi(connection);
    const found = await Promise.all(
        objects.map((one) =>
            api.send("GET", pathOf(one)).then(
                () => [`${one.kind} ${one.metadata.name}`],
                () => [],
            ),
        ),
    );
    api.close();
    return found.flat().sort();
}

export function pathOf({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): string {
    const place = namespace === undefined ? "" : `/namespaces/${namespace}`;
    return `${baseOf(apiVersion)}${place}/${kind.toLowerCase()}s/${name}`;
}

/** What revisions share of an unrevisioned install. */
export function sharedObjects(): KubeObject[] {
    return [
        crd("DestinationRule", "v1beta1", ["v1", "v1beta1", "v1alpha3"]),
        crd("VirtualService", "v1beta1", ["v1", "v1beta1", "v1alpha3"]),
        crd("EnvoyFilter", "v1alpha3", ["v1alpha3"]),
        inNamespace("v1", "ServiceAccount", "istio-reader-service-account"),
        {
            ...cluster(
                ADMISSION,
                "ValidatingWebhookConfiguration",
                "istiod-default-validator",
                OWNED,
            ),
            webhooks: [validation("validation.istio.io", {})],
        },
    ];
}

/** What an unrevisioned 1.26.4 has for itself, as `istioctl install` makes it, cut down to what istiod reads. */
export function ownObjects(): KubeObject[] {
    const selector = { app: "istiod", istio: "pilot" };
    const labels = { ...selector, ...OWNED };
    const values = { global: { hub: "docker.io/istio", tag: VERSION } };
    const roles = ["istiod-clusterrole", "istiod-gateway-controller", "istio-reader-clusterrole"];
    const account = { kind: "ServiceAccount", name: "istiod", namespace: NS };
    return [
        inNamespace("v1", "ServiceAccount", "istiod"),
        inNamespace(RBAC, "Role", "istiod", {}, { rules: [] }),
        inNamespace(RBAC, "RoleBinding", "istiod", {}, binding("Role", "istiod", account)),
        ...roles.flatMap((role) => [
            { ...cluster(RBAC, "ClusterRole", `${role}-${NS}`), rules: [] },
            {
                ...cluster(RBAC, "ClusterRoleBinding", `${role}-${NS}`),
                ...binding("ClusterRole", `${role}-${NS}`, account),
            },
        ]),
        inNamespace("v1", "ConfigMap", "istio", OWNED, { data: { mesh: "{}" } }),
        inNamespace("v1", "ConfigMap", "values", OWNED, { data: { "merged-values": "{}" } }),
        inNamespace("v1", "ConfigMap", "istio-sidecar-injector", OWNED, {
            data: { values: JSON.stringify(values), config: "policy: enabled" },
        }),
        inNamespace("v1", "Service", "istiod", labels, {
            spec: { ports: [{ name: "https-webhook", port: 443, targetPort: 15017 }], selector },
        }),
        inNamespace("apps/v1", "Deployment", "istiod", labels, {
            spec: {
                selector: { matchLabels: { istio: "pilot" } },
                template: {
                    metadata: { labels: { ...labels, "sidecar.istio.io/inject": "false" } },
                    spec: {
                        serviceAccountName: "istiod",
                        containers: [
                            {
                                name: "discovery",
                                image: `docker.io/istio/pilot:${VERSION}`,
                                args: ["discovery"],
                                env: [{ name: "REVISION", value: "default" }],
                            },
                        ],
                    },
                },
            },
        }),
        inNamespace("autoscaling/v2", "HorizontalPodAutoscaler", "istiod", labels, {
            spec: {
                scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "istiod" },
                minReplicas: 1,
                maxReplicas: 5,
            },
        }),
        inNamespace("policy/v1", "PodDisruptionBudget", "istiod", labels, {
            spec: { minAvailable: 1, selector: { matchLabels: selector } },
        }),
        {
            ...cluster(ADMISSION, "MutatingWebhookConfiguration", "istio-sidecar-injector", {
                ...OWNED,
                app: "sidecar-injector",
            }),
            // Switched off: the tag default injects, which is made beside it (from 1.10 on).
            webhooks: injection().map((one) => ({
                ...one,
                namespaceSelector: { matchLabels: DEACTIVATED },
                objectSelector: { matchLabels: DEACTIVATED },
            })),
        },
        {
            ...cluster(ADMISSION, "ValidatingWebhookConfiguration", `istio-validator-${NS}`, OWNED),
            webhooks: [
                validation("rev.validation.istio.io", {
                    objectSelector: { matchExpressions: [among("istio.io/rev", "default")] },
                }),
            ],
        },
    ];
}

/** The tag that istioctl makes of such an install. */
export function ownTag(): KubeObject {
    const labels = { ...OWNED, "istio.io/tag": "default", app: "sidecar-injector" };
    return {
        ...cluster(ADMISSION, "MutatingWebhookConfiguration", "istio-revision-tag-default", labels),
        webhooks: injection(),
    };
}

const DEACTIVATED = { "istio.io/deactivated": "never-match" };
const OWNED = { "istio.io/rev": "default", "operator.istio.io/component": "Pilot" };
const REV = "istio.io/rev";
const INJECTION = "istio-injection";
const INJECT = "sidecar.istio.io/inject";

const among = (key: string, value: string) => ({ key, operator: "In", values: [value] });
const notAmong = (key: string, value: string) => ({ key, operator: "NotIn", values: [value] });
const absent = (key: string) => ({ key, operator: "DoesNotExist" });

function injection() {
    const webhook = (name: string, namespaces: object[], pods: object[]) => ({
        name: `${name}.sidecar-injector.istio.io`,
        clientConfig: { service: { name: "istiod", namespace: NS, path: "/inject", port: 443 } },
        sideEffects: "None",
        rules: [
            { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
        ],
        failurePolicy: "Fail",
        admissionReviewVersions: ["v1"],
        namespaceSelector: { matchExpressions: namespaces },
        objectSelector: { matchExpressions: pods },
    });
    const willing = notAmong(INJECT, "false");
    const named = among(REV, "default");
    return [
        webhook("rev.namespace", [named, absent(INJECTION)], [willing]),
        webhook("rev.object", [absent(REV), absent(INJECTION)], [willing, named]),
        webhook("namespace", [among(INJECTION, "enabled")], [willing]),
        webhook("object", [absent(INJECTION), absent(REV)], [among(INJECT, "true"), absent(REV)]),
    ];
}

function validation(name: string, more: object) {
    return {
        name,
        clientConfig: { service: { name: "istiod", namespace: NS, path: "/validate" } },
        rules: [
            {
                operations: ["CREATE", "UPDATE"],
                apiGroups: GROUPS,
                apiVersions: ["*"],
                resources: ["*"],
            },
        ],
        failurePolicy: "Ignore",
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        ...more,
    };
}

function crd(kind: string, stored: string, served: readonly string[]): KubeObject {
    const plural = `${kind.toLowerCase()}s`;
    const schema = {
        openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    };
    const versions = served.map((name) => ({
        name,
        served: true,
        storage: name === stored,
        schema,
    }));
    return {
        ...cluster(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            `${plural}.networking.istio.io`,
        ),
        spec: {
            group: "networking.istio.io",
            scope: "Namespaced",
            names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
            versions,
        },
    };
}

function binding(kind: string, name: string, account: object) {
    return { roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name }, subjects: [account] };
}

function cluster(apiVersion: string, kind: string, name: string, labels = {}): KubeObject {
    return { apiVersion, kind, metadata: { name, labels } };
}

function inNamespace(
    apiVersion: string,
    kind: string,
    name: string,
    labels = {},
    more: object = {},
): KubeObject {
    return { apiVersion, kind, metadata: { name, namespace: NS, labels }, ...more };
}
