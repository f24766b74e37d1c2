import type { CheckResult } from "../review";

/** When a check runs: before anything changes, between the extensions and a wave, at the end of an update. */
export type Stage = "before" | "between" | "end";

/**
 * Who puts right what a failed check finds before an update. `update`: the stack declares it, so an update that goes on, goes
 * back or stays at its version is the way out, and is not refused. `plan`: the plan judges what will be declared instead, and
 * refuses by itself. `user`: no update can.
 */
export type Cure = "update" | "plan" | "user";

export interface CheckRow {
    readonly id: string;
    readonly category: string;
    readonly severity: CheckResult["severity"];
    /** What it asks. */
    readonly about: string;
    /** What it reads. */
    readonly needs: string;
    readonly when: readonly Stage[];
    readonly cure: Cure;
}

const ALWAYS: readonly Stage[] = ["before", "between", "end"];
/** Restarts are what changes these, so they hold up no wave. */
const AROUND: readonly Stage[] = ["before", "end"];
/** rollouts of the control plane are waited for and judged by cluster/controlPlane.ts then. */
const FIRST: readonly Stage[] = ["before"];

type Line = readonly [id: string, severity: CheckResult["severity"], about: string, needs: string];

function rows(
    category: string,
    { cure = "update", when = ALWAYS }: { cure?: Cure; when?: readonly Stage[] },
    ...lines: readonly Line[]
): CheckRow[] {
    return lines.map(([id, severity, about, needs]) => ({
        ...{ id, category, severity, about, needs, when, cure },
    }));
}

/**
 * The checks of Linkerd that need only the API, in the order in which they are shown. Ids, categories and severities are those
 * of `linkerd check`, `check --pre` and `check --proxy` (pkg/healthcheck and viz/pkg/healthcheck of edge-24.5.3; that of
 * gateway-api-crd of edge-26.8.3); its checks that are neither fatal nor warnings fail it as well, and are fatal here. Checks
 * that share an id within a category are one. Left out are those that need the CLI's version, a release server or a call of a
 * component (docs/checks.md).
 */
export const LINKERD_CHECKS: readonly CheckRow[] = [
    ...rows("kubernetes-api", { cure: "user" }, [
        "k8s-api",
        "fatal",
        "the API server answers",
        "version",
    ]),
    ...rows("kubernetes-version", { cure: "plan" }, [
        "k8s-version",
        "fatal",
        "the API server is new enough for this release",
        "version",
    ]),
    ...rows("gateway-api-crd", { when: FIRST }, [
        "gateway-api-crd",
        "fatal",
        "the CRDs of the Gateway API exist or come with this update, where its release needs them",
        "CustomResourceDefinitions, the stack file",
    ]),
    ...rows("pre-kubernetes-setup", { cure: "plan", when: FIRST }, [
        "pre-ns",
        "fatal",
        "namespace linkerd is free, or this stack's",
        "Namespace",
    ]),
    ...rows(
        "pre-kubernetes-setup",
        { cure: "user", when: FIRST },
        [
            "pre-k8s-cluster-k8s",
            "fatal",
            "objects without a namespace may be created",
            "SelfSubjectAccessReview",
        ],
        [
            "pre-k8s",
            "fatal",
            "objects in namespace linkerd may be created, Secrets be read, and request headers be trusted",
            "SelfSubjectAccessReview, ConfigMap kube-system/extension-apiserver-authentication",
        ],
        ["pre-k8s-clock-skew", "warning", "the nodes' clocks agree with this one", "Nodes"],
    ),
    ...rows(
        "linkerd-config",
        {},
        ["l5d-existence-ns", "fatal", "namespace linkerd exists", "Namespace"],
        ["l5d-existence-cr", "fatal", "the control plane's ClusterRoles exist", "ClusterRoles"],
        [
            "l5d-existence-crb",
            "fatal",
            "the control plane's ClusterRoleBindings exist",
            "ClusterRoleBindings",
        ],
        [
            "l5d-existence-sa",
            "fatal",
            "the control plane's ServiceAccounts exist",
            "ServiceAccounts",
        ],
        ["l5d-existence-crd", "fatal", "Linkerd's CRDs exist", "CustomResourceDefinitions"],
        [
            "l5d-existence-mwc",
            "fatal",
            "the injector's webhook exists and calls a Service that exists",
            "MutatingWebhookConfigurations, Services",
        ],
        [
            "l5d-existence-vwc",
            "fatal",
            "the validators' webhooks exist and call Services that exist",
            "ValidatingWebhookConfigurations, Services",
        ],
        [
            "l5d-proxy-init-run-as-root",
            "fatal",
            "proxy-init runs as root where a node's runtime is Docker",
            "Nodes, ConfigMap linkerd-config",
        ],
    ),
    ...rows(
        "linkerd-existence",
        {},
        [
            "l5d-existence-linkerd-config",
            "fatal",
            "ConfigMap linkerd-config exists and names a version",
            "ConfigMap linkerd-config",
        ],
        ["l5d-existence-sa", "fatal", "the heartbeat's ServiceAccount exists", "ServiceAccounts"],
        [
            "l5d-existence-replicasets",
            "fatal",
            "the control plane's ReplicaSets can make pods",
            "ReplicaSets of namespace linkerd",
        ],
        [
            "l5d-existence-unschedulable-pods",
            "warning",
            "each pod of the control plane has a node",
            "Pods",
        ],
        [
            "l5d-api-control-ready",
            "fatal",
            "each component of the control plane has a ready pod",
            "Pods",
        ],
        [
            "l5d-cluster-networks-cidr",
            "fatal",
            "clusterNetworks holds the nodes' pod ranges",
            "Nodes, ConfigMap linkerd-config",
        ],
        [
            "l5d-cluster-networks-pods",
            "fatal",
            "clusterNetworks holds the addresses of pods and Services",
            "Pods, Services, ConfigMap linkerd-config",
        ],
    ),
    ...rows(
        "linkerd-cni-plugin",
        {},
        ["cni-plugin-cm-exists", "fatal", "the CNI plugin's ConfigMap exists", "ConfigMap"],
        ["cni-plugin-cr-exists", "fatal", "its ClusterRole exists", "ClusterRole"],
        ["cni-plugin-crb-exists", "fatal", "its ClusterRoleBinding exists", "ClusterRoleBinding"],
        ["cni-plugin-sa-exists", "fatal", "its ServiceAccount exists", "ServiceAccount"],
        ["cni-plugin-ds-exists", "fatal", "its DaemonSet exists", "DaemonSet"],
        ["cni-plugin-ready", "fatal", "its pod is ready on every node that is ready", "DaemonSet"],
    ),
    ...rows(
        "linkerd-identity",
        { cure: "plan" },
        [
            "l5d-identity-cert-config-valid",
            "fatal",
            "issuer, key and trust anchors can be read and belong together",
            "Secret linkerd-identity-issuer, ConfigMap linkerd-identity-trust-roots",
        ],
        [
            "l5d-identity-trustAnchors-use-supported-crypto",
            "fatal",
            "the trust anchors' keys and signatures are supported",
            "trust anchors",
        ],
        [
            "l5d-identity-trustAnchors-are-time-valid",
            "fatal",
            "the trust anchors are valid now",
            "trust anchors",
        ],
        [
            "l5d-identity-trustAnchors-not-expiring-soon",
            "warning",
            "the trust anchors are valid for 60 days more",
            "trust anchors",
        ],
        [
            "l5d-identity-issuer-cert-uses-supported-crypto",
            "fatal",
            "the issuer's key and signature are supported",
            "issuer",
        ],
        ["l5d-identity-issuer-cert-is-time-valid", "fatal", "the issuer is valid now", "issuer"],
        [
            "l5d-identity-issuer-cert-not-expiring-soon",
            "warning",
            "the issuer is valid for 60 days more",
            "issuer",
        ],
        [
            "l5d-identity-issuer-cert-issued-by-trust-anchor",
            "fatal",
            "the issuer leads to a trust anchor",
            "issuer, trust anchors",
        ],
    ),
    ...rows(
        "linkerd-webhooks-and-apisvc-tls",
        {},
        ...["proxy-injector", "sp-validator", "policy-validator"].flatMap((name): Line[] => [
            [
                `l5d-${name}-webhook-cert-valid`,
                "fatal",
                `the certificate of linkerd-${name} leads to its caBundle, names it and is valid`,
                `Secret linkerd-${name}-k8s-tls, caBundle`,
            ],
            [
                `l5d-${name}-webhook-cert-not-expiring-soon`,
                "warning",
                "it is valid for 60 days more",
                `Secret linkerd-${name}-k8s-tls`,
            ],
        ]),
    ),
    ...rows("linkerd-identity-data-plane", { when: AROUND }, [
        "l5d-identity-data-plane-proxies-certs-match-ca",
        "warning",
        "each proxy has the trust anchors of now",
        "Pods, ConfigMap linkerd-identity-trust-roots",
    ]),
    ...rows("control-plane-version", {}, [
        "l5d-version-control",
        "warning",
        "linkerd-config and the control plane's images are of the expected version",
        "Pods, ConfigMap linkerd-config, the stack file",
    ]),
    ...rows(
        "linkerd-control-plane-proxy",
        {},
        ["l5d-cp-proxy-healthy", "fatal", "the control plane's proxies are ready", "Pods"],
        [
            "l5d-cp-proxy-version",
            "warning",
            "the control plane's proxies are of the expected version",
            "Pods, the stack file",
        ],
    ),
    ...rows(
        "linkerd-data-plane",
        { when: AROUND },
        ["l5d-data-plane-ready", "fatal", "each proxy of the data plane is ready", "Pods"],
        [
            "l5d-data-plane-version",
            "warning",
            "each proxy of the data plane is of the expected version",
            "Pods, the stack file",
        ],
        ["l5d-data-plane-pod-labels", "warning", "no pod has an annotation as a label", "Pods"],
        [
            "l5d-data-plane-services-labels",
            "warning",
            "no Service has an annotation as a label",
            "Services",
        ],
        [
            "l5d-data-plane-services-annotations",
            "warning",
            "no Service has a label as an annotation",
            "Services",
        ],
    ),
    ...rows("linkerd-ha-checks", {}, [
        "l5d-control-plane-replicas",
        "warning",
        "with highAvailability each Deployment has more than one available replica",
        "Deployments of namespace linkerd",
    ]),
    ...rows("linkerd-extension-checks", {}, [
        "l5d-extension-namespaces",
        "warning",
        "each extension has one namespace",
        "Namespaces",
    ]),
    ...rows(
        "linkerd-viz",
        {},
        ["l5d-viz-ns-exists", "fatal", "namespace linkerd-viz exists", "Namespaces"],
        ["l5d-viz-cr-exists", "fatal", "viz's ClusterRoles exist", "ClusterRoles"],
        ["l5d-viz-crb-exists", "fatal", "viz's ClusterRoleBindings exist", "ClusterRoleBindings"],
        [
            "l5d-tap-cert-valid",
            "fatal",
            "tap's certificate leads to its caBundle, names it and is valid",
            "Secret tap-k8s-tls, APIService",
        ],
        [
            "l5d-tap-cert-not-expiring-soon",
            "warning",
            "it is valid for 60 days more",
            "Secret tap-k8s-tls",
        ],
        [
            "l5d-tap-api",
            "warning",
            "the API of tap is available",
            "APIService v1alpha1.tap.linkerd.io",
        ],
        ["l5d-viz-pods-injection", "warning", "viz's pods have a proxy", "Pods"],
        ["l5d-viz-pods-running", "warning", "viz's components have pods, and they run", "Pods"],
        [
            "l5d-viz-proxy-healthy",
            "warning",
            "viz's proxies are ready and have the trust anchors of now",
            "Pods",
        ],
        [
            "l5d-viz-proxy-cp-version",
            "warning",
            "viz's proxies are of the expected version",
            "Pods, the stack file",
        ],
        [
            "l5d-viz-prometheus",
            "warning",
            "the Prometheus of viz is there, where it is enabled",
            "ClusterRoles, ClusterRoleBindings, ConfigMap prometheus-config, Pods",
        ],
    ),
];

const HINTS = "https://linkerd.io/2/checks/#";

/** The page of a check of Linkerd. */
export function linkerdHint(id: string): string {
    return `${HINTS}${id}`;
}

/** Every id that `checks.ignore` may name: those whose failure refuses. */
export function fatalIds(table: readonly CheckRow[]): readonly string[] {
    return [...new Set(table.filter((one) => one.severity === "fatal").map(({ id }) => id))];
}

/** The rows of a result, in the order in which they are shown. */
export function rowOf(table: readonly CheckRow[], one: Pick<CheckResult, "id" | "category">) {
    return table.find(({ id, category }) => id === one.id && category === one.category);
}

/**
 * The like for Istio and Anthos Service Mesh. Their own tools have no such list (istioctl analyze looks at configuration), so
 * the ids are ours, and there is no page.
 */
export const ISTIO_CHECKS: readonly CheckRow[] = [
    ...rows("istio-api", { cure: "user" }, [
        "istio-api",
        "fatal",
        "the API server answers",
        "version",
    ]),
    ...rows("istio-control-plane", {}, [
        "istio-istiod-ready",
        "fatal",
        "each istiod in use has a ready pod",
        "Deployments of the control planes' namespace",
    ]),
    ...rows(
        "istio-webhooks",
        {},
        [
            "istio-webhook-services",
            "fatal",
            "each webhook of a revision or tag calls a Service that exists",
            "MutatingWebhookConfigurations, ValidatingWebhookConfigurations, Services",
        ],
        [
            "istio-default-validator",
            "warning",
            "a webhook validates Istio's objects without a revision's label",
            "ValidatingWebhookConfigurations",
        ],
    ),
    ...rows("istio-injection", {}, [
        "istio-single-injector",
        "fatal",
        "no webhook but one injects a pod, by the selectors as they are",
        "MutatingWebhookConfigurations, Namespaces, Pods",
    ]),
    ...rows("istio-crds", {}, [
        "istio-crd-versions",
        "warning",
        "Istio's CRDs are of one release",
        "CustomResourceDefinitions",
    ]),
];
