import {
    AppsV1Api,
    CoreV1Api,
    type KubeConfig,
    KubernetesObjectApi,
    type V1Pod,
} from "@kubernetes/client-node";
import { mint } from "../../plan/certificates";
import { eventually } from "./embeddedCluster.support";

const namespace = "linkerd";
const labels = { "linkerd.io/control-plane-component": "proxy-injector" };

/** The least of a Linkerd that injects: the names and labels are those of the real charts. */
export async function installInjector(config: KubeConfig, version: string): Promise<void> {
    const now = new Date();
    const years = 1;
    const authority = await mint({ name: "ca.test", authority: true, years, now });
    const host = `linkerd-proxy-injector.${namespace}.svc`;
    const leaf = await mint({ name: host, issuer: authority, authority: false, years, now });
    const client = KubernetesObjectApi.makeApiClient(config);
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const metadata = (name: string) => ({ name, namespace });
    const objects = [
        {
            apiVersion: "v1",
            kind: "Namespace",
            metadata: {
                name: namespace,
                labels: { "config.linkerd.io/admission-webhooks": "disabled" },
            },
        },
        {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: metadata("linkerd-config"),
            data: { values: valuesOf(version) },
        },
        {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: metadata("linkerd-identity-trust-roots"),
            data: { "ca-bundle.crt": authority.certificate },
        },
        {
            apiVersion: "v1",
            kind: "Secret",
            type: "kubernetes.io/tls",
            metadata: metadata("linkerd-proxy-injector-k8s-tls"),
            data: { "tls.crt": base64(leaf.certificate), "tls.key": base64(leaf.key) },
        },
        {
            apiVersion: "v1",
            kind: "Service",
            metadata: metadata("linkerd-proxy-injector"),
            spec: {
                selector: labels,
                ports: [{ name: "proxy-injector", port: 443, targetPort: "proxy-injector" }],
            },
        },
        {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata: metadata("linkerd-proxy-injector"),
            spec: {
                replicas: 2,
                selector: { matchLabels: labels },
                template: {
                    metadata: { labels },
                    spec: {
                        containers: [
                            {
                                name: "proxy-injector",
                                image: `cr.l5d.io/linkerd/controller:${version}`,
                            },
                        ],
                    },
                },
            },
        },
        webhook(base64(authority.certificate)),
    ];
    for (const object of objects) await client.create(object);
    await injectorRolledOut(config);
}

function valuesOf(version: string): string {
    return `linkerdVersion: ${version}
proxy:
  image: { name: cr.l5d.io/linkerd/proxy, version: "" }
proxyInit:
  image: { name: cr.l5d.io/linkerd/proxy-init, version: v2.4.1 }
`;
}

function webhook(caBundle: string) {
    return {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        metadata: { name: "linkerd-proxy-injector-webhook-config" },
        webhooks: [
            {
                name: "linkerd-proxy-injector.linkerd.io",
                admissionReviewVersions: ["v1"],
                sideEffects: "None",
                failurePolicy: "Fail",
                namespaceSelector: {
                    matchExpressions: [
                        {
                            key: "config.linkerd.io/admission-webhooks",
                            operator: "NotIn",
                            values: ["disabled"],
                        },
                    ],
                },
                clientConfig: {
                    caBundle,
                    service: { name: "linkerd-proxy-injector", namespace, path: "/" },
                },
                rules: [
                    {
                        operations: ["CREATE"],
                        apiGroups: [""],
                        apiVersions: ["v1"],
                        resources: ["pods", "services"],
                    },
                ],
            },
        ],
    };
}

/** Writes another version to linkerd-config; the injector's pods stay as they are. */
export async function configureVersion(config: KubeConfig, version: string): Promise<void> {
    const core = config.makeApiClient(CoreV1Api);
    const name = "linkerd-config";
    const body = await core.readNamespacedConfigMap({ namespace, name });
    body.data = { values: valuesOf(version) };
    await core.replaceNamespacedConfigMap({ namespace, name, body });
}

/** Changes the injector's Deployment as `kubectl rollout restart` or `kubectl scale` does. */
export async function changeInjector(
    config: KubeConfig,
    change: { replicas: number } | { restartedAt: string },
): Promise<void> {
    const apps = config.makeApiClient(AppsV1Api);
    const name = "linkerd-proxy-injector";
    const body = await apps.readNamespacedDeployment({ namespace, name });
    if (body.spec === undefined) throw new Error("The injector's Deployment has no spec.");
    if ("replicas" in change) body.spec.replicas = change.replicas;
    else body.spec.template.metadata = { labels, annotations: change };
    await apps.replaceNamespacedDeployment({ namespace, name, body });
    await injectorRolledOut(config);
}

/** Waits until the Deployment's pods are those that it asks for, the old ones gone. */
async function injectorRolledOut(config: KubeConfig): Promise<void> {
    const apps = config.makeApiClient(AppsV1Api);
    const name = "linkerd-proxy-injector";
    await eventually("the injector is rolled out", async () => {
        const { metadata, spec, status } = await apps.readNamespacedDeployment({ namespace, name });
        const wanted = spec?.replicas;
        return (
            status?.observedGeneration === metadata?.generation &&
            (status?.updatedReplicas ?? 0) === wanted &&
            (status?.readyReplicas ?? 0) === wanted &&
            (status?.replicas ?? 0) === wanted
        );
    });
}

/** Image of container linkerd-proxy; undefined for a pod without one. */
export function proxyOf(pod: V1Pod): string | undefined {
    const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    return containers.find(({ name }) => name === "linkerd-proxy")?.image;
}
