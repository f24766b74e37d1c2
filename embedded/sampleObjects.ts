import type { KubernetesObject } from "@kubernetes/client-node";

/** The label that all objects and pods of the sample application carry. */
export const sampleLabel = { "app.kubernetes.io/part-of": "mesh-upgrade-sample" };

const meshed = { "linkerd.io/inject": "enabled" };

interface Manifest extends KubernetesObject {
    [field: string]: unknown;
}

/**
 * A small shop. Namespace `shop` is meshed as a whole; in `batch` each workload opts in by an
 * annotation on its pods, and one, legacy-report, does not.
 */
export function sampleObjects(webReplicas: number): Manifest[] {
    return [
        namespace("shop", meshed),
        namespace("batch", {}),
        service("shop", "web"),
        deployment("shop", "web", webReplicas),
        service("shop", "cart"),
        deployment("shop", "cart", 1),
        service("shop", "ledger", { clusterIP: "None" }),
        workload("StatefulSet", "shop", "ledger", {
            replicas: 2,
            serviceName: "ledger",
            podManagementPolicy: "OrderedReady",
        }),
        workload("DaemonSet", "shop", "edge-cache", {}),
        deployment("batch", "importer", 2, meshed),
        deployment("batch", "legacy-report", 1),
        job("batch", "nightly-import", meshed),
        {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { namespace: "batch", ...podTemplate("debug-shell", meshed).metadata },
            spec: podTemplate("debug-shell", meshed).spec,
        },
    ].map((object) => ({
        ...object,
        metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...sampleLabel } },
    }));
}

function namespace(name: string, annotations: Record<string, string>) {
    return { apiVersion: "v1", kind: "Namespace", metadata: { name, annotations, labels: {} } };
}

function service(namespace: string, name: string, more: object = {}) {
    return {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, namespace, labels: { app: name } },
        spec: { selector: { app: name }, ports: [{ name: "http", port: 8080 }], ...more },
    };
}

function deployment(
    namespace: string,
    name: string,
    replicas: number,
    annotations: Record<string, string> = {},
) {
    return workload("Deployment", namespace, name, { replicas }, annotations);
}

function workload(
    kind: "Deployment" | "StatefulSet" | "DaemonSet",
    namespace: string,
    name: string,
    spec: object,
    annotations: Record<string, string> = {},
) {
    return {
        apiVersion: "apps/v1",
        kind,
        metadata: { name, namespace, labels: { app: name } },
        spec: {
            ...spec,
            selector: { matchLabels: { app: name } },
            template: podTemplate(name, annotations),
        },
    };
}

function job(namespace: string, name: string, annotations: Record<string, string>) {
    const template = podTemplate(name, annotations);
    return {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name, namespace, labels: { app: name } },
        spec: { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } },
    };
}

function podTemplate(name: string, annotations: Record<string, string>) {
    return {
        metadata: { name, annotations, labels: { app: name, ...sampleLabel } },
        spec: {
            containers: [
                {
                    name: "main",
                    image: `registry.example/shop/${name}:1.0`,
                    ports: [{ name: "http", containerPort: 8080 }],
                },
            ],
        },
    };
}
