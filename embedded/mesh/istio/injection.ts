import type { V1Container, V1Pod, V1Volume } from "@kubernetes/client-node";
import type { PatchStep } from "../admission";
import { append, merge, prepend, workloadOf } from "../podPatch";
import { type IstioInjectorConfig, isAtLeast } from "./injectorConfig";

const proxyName = "istio-proxy";
const initName = "istio-init";
const injectKey = "sidecar.istio.io/inject";
const statusKey = "sidecar.istio.io/status";
const revisionKey = "istio.io/rev";
const systemNamespaces = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/**
 * The patch that an istiod answers a pod with; empty for a pod that is not to be, cannot be or
 * already is injected. Which pods it is asked about is for the webhook's selectors.
 * @param namespace that the pod is created in: its own may be unset
 */
export function istioInjectionPatch(
    config: IstioInjectorConfig,
    pod: V1Pod,
    namespace: string,
): PatchStep[] {
    if (systemNamespaces.includes(namespace) || !isWanted(pod)) return [];
    const gateway = templatesOf(pod).includes("gateway");
    const added = gateway ? {} : addedContainers(config, pod);
    return [
        ...merge(
            "/metadata/annotations",
            pod.metadata?.annotations,
            annotations(config, statusOf(added)),
        ),
        ...merge("/metadata/labels", pod.metadata?.labels, labels(config, pod)),
        ...append("/spec/volumes", pod.spec?.volumes, volumes),
        ...imageOfPresentProxy(config, pod),
        ...initContainerSteps(config, pod, added.initContainers ?? []),
        ...append("/spec/containers", pod.spec?.containers, added.containers ?? []),
    ];
}

interface Added {
    readonly initContainers?: V1Container[];
    readonly containers?: V1Container[];
}

function isWanted({ metadata, spec }: V1Pod): boolean {
    const { labels = {}, annotations = {} } = metadata ?? {};
    return (
        !spec?.hostNetwork &&
        labels[injectKey] !== "false" &&
        annotations[injectKey] !== "false" &&
        annotations[statusKey] === undefined
    );
}

function templatesOf(pod: V1Pod): string[] {
    const templates = pod.metadata?.annotations?.["inject.istio.io/templates"] ?? "sidecar";
    return templates.split(",").map((one) => one.trim());
}

function addedContainers(config: IstioInjectorConfig, pod: V1Pod): Added {
    const init: V1Container = {
        name: initName,
        image: config.proxyImage,
        args: ["istio-iptables"],
    };
    const present = pod.spec?.containers.some(({ name }) => name === proxyName);
    if (present) return { initContainers: [init] };
    const proxy = proxyContainer(config, pod);
    return config.nativeSidecar
        ? { initContainers: [init, { ...proxy, restartPolicy: "Always" }] }
        : { initContainers: [init], containers: [proxy] };
}

/** A native sidecar starts before the pod's own init containers, iptables else after them. */
function initContainerSteps(
    config: IstioInjectorConfig,
    pod: V1Pod,
    added: V1Container[],
): PatchStep[] {
    if (added.length === 0) return [];
    const add = config.nativeSidecar ? prepend : append;
    return add("/spec/initContainers", pod.spec?.initContainers, added);
}

/** A proxy that the pod brings keeps what it has, its image only where that is not `auto`. */
function imageOfPresentProxy(config: IstioInjectorConfig, pod: V1Pod): PatchStep[] {
    const containers = pod.spec?.containers ?? [];
    const index = containers.findIndex(({ name }) => name === proxyName);
    if (index < 0 || containers[index]?.image !== "auto") return [];
    return [{ op: "add", path: `/spec/containers/${index}/image`, value: config.proxyImage }];
}

function statusOf({ initContainers = [] }: Added): object {
    const names = initContainers.map(({ name }) => name);
    return {
        initContainers: names.length > 0 ? names : null,
        // Also of a gateway, whose pod brings the container.
        containers: names.includes(proxyName) ? null : [proxyName],
        volumes: volumes.map(({ name }) => name),
        imagePullSecrets: null,
    };
}

function annotations(config: IstioInjectorConfig, status: object): Record<string, string> {
    const { istiodVersion, revision } = config;
    const inStatus = isAtLeast(istiodVersion, [1, 11]);
    return {
        [statusKey]: JSON.stringify({ ...status, ...(inStatus && { revision }) }),
        ...(isAtLeast(istiodVersion, [1, 18]) && { [revisionKey]: revision }),
    };
}

function labels(config: IstioInjectorConfig, pod: V1Pod): Record<string, string> {
    const { istiodVersion, revision } = config;
    const own = pod.metadata?.labels ?? {};
    const canonical = "service.istio.io/canonical-name";
    const asLabel = isAtLeast(istiodVersion, [1, 6]) && !isAtLeast(istiodVersion, [1, 11]);
    return {
        "security.istio.io/tlsMode": "istio",
        [canonical]:
            own[canonical] ?? own["app.kubernetes.io/name"] ?? own["app"] ?? workloadName(pod),
        "service.istio.io/canonical-revision":
            own["app.kubernetes.io/version"] ?? own["version"] ?? "latest",
        ...(asLabel && { [revisionKey]: revision }),
    };
}

function workloadName(pod: V1Pod): string {
    const { name, generateName = "" } = pod.metadata ?? {};
    return workloadOf(pod)?.name ?? name ?? generateName.replace(/-$/, "");
}

const volumes: V1Volume[] = [
    { name: "istio-envoy", emptyDir: { medium: "Memory" } },
    { name: "istio-data", emptyDir: {} },
    { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert" } },
];

function proxyContainer(config: IstioInjectorConfig, pod: V1Pod): V1Container {
    const { namespace, revision, proxyImage } = config;
    const service = revision === "default" ? "istiod" : `istiod-${revision}`;
    const field = (name: string, fieldPath: string) => ({
        name,
        valueFrom: { fieldRef: { fieldPath } },
    });
    return {
        name: proxyName,
        image: proxyImage,
        args: ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
        env: [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            { name: "CA_ADDR", value: `${service}.${namespace}.svc:15012` },
            { name: "PROXY_CONFIG", value: "{}" },
            { name: "ISTIO_META_WORKLOAD_NAME", value: workloadName(pod) },
        ],
        ports: [{ name: "http-envoy-prom", containerPort: 15090 }],
        volumeMounts: [
            { name: "istio-envoy", mountPath: "/etc/istio/proxy" },
            { name: "istio-data", mountPath: "/var/lib/istio/data" },
            { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio" },
        ],
    };
}
