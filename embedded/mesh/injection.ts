import type { V1Container, V1Pod, V1SecurityContext, V1Volume } from "@kubernetes/client-node";
import type { PatchStep } from "./admission";
import type { InjectorConfig } from "./injectorConfig";
import { append, merge, workloadOf } from "./podPatch";

type Annotations = Record<string, string>;

const nativeSidecar = [
    "config.beta.linkerd.io/proxy-enable-native-sidecar",
    "config.alpha.linkerd.io/proxy-enable-native-sidecar",
];

/**
 * The patch that makes a pod meshed; empty for a pod that is not to be, cannot be or already is.
 * @param pod as submitted: its own namespace may be unset
 * @param namespace that it is created in, with that namespace's annotations
 */
export function injectionPatch(
    config: InjectorConfig,
    pod: V1Pod,
    namespace: { name: string; annotations: Annotations },
): PatchStep[] {
    if (!isWanted(pod, namespace.annotations) || !isPossible(pod)) return [];
    const annotation = (key: string) =>
        pod.metadata?.annotations?.[key] ?? namespace.annotations[key];
    const version = annotation(VERSION) ?? config.proxyVersion;
    const native = nativeSidecar.map(annotation).find((value) => value !== undefined);
    const asInit = native === undefined ? config.nativeSidecar : native === "true";
    const proxy = proxyContainer(config, version, asInit);
    const init = initContainer(config, version);
    return [
        ...merge("/metadata/annotations", pod.metadata?.annotations, {
            ...inherited(pod.metadata?.annotations ?? {}, namespace.annotations),
            "linkerd.io/created-by": `linkerd/proxy-injector ${config.tag}`,
            "linkerd.io/inject": "enabled",
            "linkerd.io/proxy-version": version,
            "linkerd.io/trust-root-sha256": config.trustAnchorsHash,
        }),
        ...merge("/metadata/labels", pod.metadata?.labels, {
            "linkerd.io/control-plane-ns": config.namespace,
            "linkerd.io/workload-ns": namespace.name,
            ...ownerLabel(pod),
        }),
        ...append("/spec/volumes", pod.spec?.volumes, volumes),
        ...append(
            "/spec/initContainers",
            pod.spec?.initContainers,
            asInit ? [init, proxy] : [init],
        ),
        ...(asInit ? [] : [{ op: "add" as const, path: "/spec/containers/0", value: proxy }]),
    ];
}

const VERSION = "config.linkerd.io/proxy-version";

/**
 * Settings of the namespace that the pod does not make itself; the real injector copies them, too, the version among them,
 * which stands in linkerd.io/proxy-version here.
 */
function inherited(own: Annotations, namespace: Annotations): Annotations {
    return Object.fromEntries(
        Object.entries(namespace).filter(
            ([key]) => key.startsWith("config.linkerd.io/") && key !== VERSION && !(key in own),
        ),
    );
}

function isWanted(pod: V1Pod, namespaceAnnotations: Annotations): boolean {
    const key = "linkerd.io/inject";
    const value = pod.metadata?.annotations?.[key] ?? namespaceAnnotations[key];
    return value === "enabled" || value === "ingress";
}

function isPossible(pod: V1Pod): boolean {
    const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    return !pod.spec?.hostNetwork && !containers.some(({ name }) => name === "linkerd-proxy");
}

/** Label linkerd.io/proxy-<kind> with the workload's name. */
function ownerLabel(pod: V1Pod): Record<string, string> {
    const workload = workloadOf(pod);
    if (workload === undefined) return {};
    return { [`linkerd.io/proxy-${workload.kind.toLowerCase()}`]: workload.name };
}

const volumes: V1Volume[] = [
    { name: "linkerd-proxy-init-xtables-lock", emptyDir: {} },
    { name: "linkerd-identity-end-entity", emptyDir: { medium: "Memory" } },
];

/** As Pod Security level `restricted` asks. */
const unprivileged: V1SecurityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
};

function proxyContainer(config: InjectorConfig, version: string, asInit: boolean): V1Container {
    return {
        name: "linkerd-proxy",
        image: `${config.proxyImage}:${version}`,
        imagePullPolicy: "IfNotPresent",
        ...(asInit ? { restartPolicy: "Always" } : {}),
        env: [
            {
                name: "LINKERD2_PROXY_DESTINATION_SVC_ADDR",
                value: `linkerd-dst-headless.${config.namespace}.svc.cluster.local.:8086`,
            },
            { name: "LINKERD2_PROXY_IDENTITY_DIR", value: "/var/run/linkerd/identity/end-entity" },
            { name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", value: config.trustAnchors },
            { name: "_l5d_ns", value: config.namespace },
            { name: "_l5d_trustdomain", value: config.trustDomain },
        ],
        securityContext: unprivileged,
        ports: [
            { name: "linkerd-proxy", containerPort: 4143 },
            { name: "linkerd-admin", containerPort: 4191 },
        ],
        volumeMounts: [
            {
                name: "linkerd-identity-end-entity",
                mountPath: "/var/run/linkerd/identity/end-entity",
            },
        ],
    };
}

function initContainer(config: InjectorConfig, version: string): V1Container {
    const image = config.initImage ?? `${config.proxyImage}:${version}`;
    if (config.cni) {
        const proxy = `${config.proxyImage}:${version}`;
        return {
            name: "linkerd-network-validator",
            image: proxy,
            imagePullPolicy: "IfNotPresent",
            securityContext: unprivileged,
        };
    }
    return {
        name: "linkerd-init",
        image,
        imagePullPolicy: "IfNotPresent",
        args: ["--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140"],
        volumeMounts: [{ name: "linkerd-proxy-init-xtables-lock", mountPath: "/run" }],
    };
}
