import { podAnnotations } from "../../../embedded/stages";

type Text = Readonly<Record<string, string>>;

export interface Workload {
    readonly kind: "Deployment" | "StatefulSet" | "DaemonSet";
    readonly namespace: string;
    /** Also the label `app` of its pods. */
    readonly name: string;
    /** Beside selector and template. */
    readonly spec?: object;
    readonly labels?: Text;
    readonly annotations?: Text;
    /** Of its pods, beside `app`. */
    readonly podLabels?: Text;
    /** Of its pods, beside the one that makes them ready after a second. */
    readonly podAnnotations?: Text;
}

/** Whose pods are meshed. */
export function meshedNamespace(name: string) {
    return {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name, annotations: { "linkerd.io/inject": "enabled" } },
    };
}

export function workload(one: Workload) {
    const { kind, namespace, name, spec = {}, labels = {}, annotations = {} } = one;
    return {
        apiVersion: "apps/v1",
        kind,
        metadata: { namespace, name, labels, annotations },
        spec: {
            ...(kind === "StatefulSet" ? { serviceName: name } : {}),
            ...spec,
            selector: { matchLabels: { app: name } },
            template: podTemplate(name, one.podLabels, one.podAnnotations),
        },
    };
}

export function podTemplate(app: string, labels: Text = {}, annotations: Text = {}) {
    return {
        metadata: {
            labels: { app, ...labels },
            annotations: { [podAnnotations.readyAfter]: "1s", ...annotations },
        },
        spec: { containers: [{ name: "main", image: "registry.example/shop/main:1.0" }] },
    };
}

export function barePod(namespace: string, name: string) {
    const { metadata, spec } = podTemplate(name);
    return { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, namespace, name }, spec };
}

/** @param completeAfter how long its pod runs */
export function job(namespace: string, name: string, completeAfter: string) {
    const annotations = { [podAnnotations.completeAfter]: completeAfter };
    const { metadata, spec } = podTemplate(name, {}, annotations);
    return {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { namespace, name },
        spec: { template: { metadata, spec: { ...spec, restartPolicy: "Never" } } },
    };
}

/** @param limit `minAvailable` or `maxUnavailable` */
export function budget(namespace: string, name: string, matchLabels: Text, limit: object) {
    return {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { namespace, name },
        spec: { selector: { matchLabels }, ...limit },
    };
}
