import type { LiveLinkerd } from "../../cluster/linkerd";
import type { Read } from "./result";

/** A pod as far as checks look at it; others are not kept (cluster/health/pods.ts). */
export interface HealthPod {
    readonly namespace: string;
    readonly name: string;
    /** In ms since the epoch. */
    readonly created: number;
    /** Succeeded, Failed, or on its way out: nothing runs in it that counts. */
    readonly gone: boolean;
    readonly running: boolean;
    /** Of the control plane or viz: `identity`, `web`. */
    readonly component: string | undefined;
    readonly meshed: boolean;
    /** Image tag of its proxy. */
    readonly proxy: string | undefined;
    readonly proxyReady: boolean;
    readonly containersReady: boolean;
    /** Image tags of its other containers. */
    readonly tags: readonly string[];
    /** Whether its proxy has the trust anchors of now; undefined where it does not tell. */
    readonly trusts: boolean | undefined;
    /** The scheduler's reason why it has no node. */
    readonly unschedulable: string | undefined;
    /** Why it is not ready. */
    readonly trouble: string | undefined;
    /** Its address, where clusterNetworks does not hold it. */
    readonly outside: string | undefined;
    /** Labels that should be annotations. */
    readonly misplaced: readonly string[];
}

/** A Service as far as checks look at it. */
export interface HealthService {
    readonly namespace: string;
    readonly name: string;
    readonly outside: string | undefined;
    readonly misplacedLabels: readonly string[];
    readonly misplacedAnnotations: readonly string[];
}

export interface HealthNode {
    readonly name: string;
    readonly podCidr: string | undefined;
    /** `docker://24.0.7`. */
    readonly runtime: string;
    /** Last heartbeat of a ready node, in ms since the epoch. */
    readonly heartbeat: number | undefined;
    readonly labels: Readonly<Record<string, string>>;
    readonly cordoned: boolean;
    /** Those that keep pods off which do not tolerate them. */
    readonly taints: readonly {
        readonly key: string;
        readonly value?: string | undefined;
        readonly effect: string;
    }[];
}

export interface HealthWebhooks {
    readonly name: string;
    /** `linkerd/linkerd-proxy-injector`, once each. */
    readonly services: readonly string[];
}

/** A namespace with label `linkerd.io/extension`. */
export interface HealthExtension {
    readonly name: string;
    /** `viz`. */
    readonly extension: string;
    /** Whether it says that viz uses a Prometheus of the user's. */
    readonly externalPrometheus: boolean;
}

/** The CNI plugin's objects: by kind, whether there is one. */
export interface HealthCni {
    readonly objects: Readonly<
        Record<
            "ConfigMap" | "ClusterRole" | "ClusterRoleBinding" | "ServiceAccount" | "DaemonSet",
            boolean
        >
    >;
    /** Nodes with a ready pod of it, of those that are ready and are to have one. */
    readonly ready: number;
    readonly desired: number;
    /** Names of nodes that are to have one and are not ready: no pod can start there. */
    readonly down: readonly string[];
    /** Of each of its DaemonSets, wherever it is, the stack that made it; undefined: somebody else. */
    readonly owners: readonly (string | undefined)[];
}

/** What may be done, for a new installation: each right that is asked for, and whether it is given. */
export interface HealthAccess {
    readonly cluster: Readonly<Record<string, boolean>>;
    readonly namespaced: Readonly<Record<string, boolean>>;
    /** Whether API servers know whose headers to trust. */
    readonly requestHeaders: boolean;
}

/** What was looked at for the checks of Linkerd, and what is expected. */
export interface LinkerdHealth {
    readonly now: Date;
    /** Pods made later may still start: in a busy cluster some always do. */
    readonly since: Date;
    readonly live: Pick<
        LiveLinkerd,
        "namespaces" | "linkerdVersion" | "crds" | "identity" | "webhooks" | "serverVersion"
    > & {
        /** Secrets of certificates that cert-manager wrote: it renews them a day before they end. */
        readonly certManager: Pick<LiveLinkerd["certManager"], "wrote">;
        /** Of linkerd-config. */
        readonly values: unknown;
    };
    /** Version and proxy's image tag that must run. */
    readonly expected: { readonly version: string; readonly proxy: string };
    /** Whether viz is to be looked at. */
    readonly viz: boolean;
    /** Whether this is a new installation by this stack. */
    readonly install: { readonly stack: string } | undefined;
    /** Release that an update brings, and whether its charts bring the CRDs of the Gateway API; absent after an update. */
    readonly gatewayApi?: { readonly target: string; readonly brought: boolean };
    readonly pods: Read<readonly HealthPod[]>;
    readonly services: Read<readonly HealthService[]>;
    readonly nodes: Read<readonly HealthNode[]>;
    /** Reasons for which ReplicaSets of the control plane make no pods. */
    readonly replicaFailures: Read<readonly string[]>;
    /** Available replicas by Deployment of the control plane. */
    readonly available: Read<Readonly<Record<string, number>>>;
    readonly clusterRoles: Read<readonly string[]>;
    readonly clusterRoleBindings: Read<readonly string[]>;
    readonly serviceAccounts: Read<readonly string[]>;
    readonly mutating: Read<readonly HealthWebhooks[]>;
    readonly validating: Read<readonly HealthWebhooks[]>;
    readonly extensions: Read<readonly HealthExtension[]>;
    /** Undefined where the CNI plugin is not used. */
    readonly cni: Read<HealthCni> | undefined;
    /** Undefined: available; else why not. */
    readonly tap: Read<string | undefined> | undefined;
    readonly prometheusConfig: Read<boolean> | undefined;
    readonly access: Read<HealthAccess> | undefined;
}
