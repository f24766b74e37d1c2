import type { PlannedExtension } from "./extensions";
import type { Fault } from "./faults";
import type { BlastRadius, Permission, Permissions } from "./review";
import { at } from "./values";

/** A permission that an update needs. */
export interface Asked extends Permission {
    /** `maybe`: only where the update changes, or takes away, something of this kind. */
    readonly needed: "always" | "maybe";
}

/**
 * What the provider does with an object that the stack declares: server-side apply. The API server asks for create only where
 * it makes the object (createValidation in apiserver/pkg/endpoints/handlers/patch.go).
 */
const DECLARES = ["get", "create", "patch"];
const RBAC = "rbac.authorization.k8s.io";
const ADMISSION = "admissionregistration.k8s.io";
const NAMESPACES = "namespaces";
const CRDS = "customresourcedefinitions.apiextensions.k8s.io";
const CLUSTER_ROLES = [`clusterroles.${RBAC}`, `clusterrolebindings.${RBAC}`];
const MUTATING = `mutatingwebhookconfigurations.${ADMISSION}`;
const VALIDATING = `validatingwebhookconfigurations.${ADMISSION}`;
const API_SERVICES = "apiservices.apiregistration.k8s.io";
const CLUSTER_WIDE = [NAMESPACES, CRDS, ...CLUSTER_ROLES, MUTATING, VALIDATING];
const EVERYWHERE = ["configmaps", "serviceaccounts", "services", "deployments.apps"];
const ROLES = [`roles.${RBAC}`, `rolebindings.${RBAC}`];
/** Kinds of the published charts at their default values (test/fixtures/charts/objects.json lists them). */
const LINKERD = [...EVERYWHERE, ...ROLES, "secrets", "cronjobs.batch"];
const POLICY = [
    ...["authorizationpolicies", "meshtlsauthentications", "networkauthentications", "servers"],
].map((one) => `${one}.policy.linkerd.io`);
const VIZ = [
    ...[...EVERYWHERE, ...ROLES, "secrets", "jobs.batch", "serviceprofiles.linkerd.io"],
    ...POLICY,
];
const BUDGETS = "poddisruptionbudgets.policy";
const CNI = ["configmaps", "serviceaccounts", "daemonsets.apps"];
/** Of an extension's chart: kinds in its namespace, those for the whole cluster, and whether it has a CRD. */
const EXTENSIONS: Readonly<
    Record<
        PlannedExtension["name"],
        {
            readonly inside: readonly string[];
            readonly clusterWide: readonly string[];
            readonly crd: boolean;
        }
    >
> = {
    jaeger: {
        inside: [
            ...[...EVERYWHERE, "secrets"],
            ...POLICY.filter((one) => !one.startsWith("meshtlsauthentications")),
        ],
        clusterWide: [...CLUSTER_ROLES, MUTATING],
        crd: false,
    },
    multicluster: {
        inside: ["serviceaccounts", "services", "deployments.apps", "secrets", ...POLICY],
        clusterWide: CLUSTER_ROLES,
        crd: true,
    },
    smi: { inside: ["serviceaccounts", "deployments.apps"], clusterWide: CLUSTER_ROLES, crd: true },
};
type Extension = Pick<PlannedExtension, "name" | "namespace"> &
    Partial<Pick<PlannedExtension, "values">>;

/** What service mirrors of the chart add, from edge-25.3.3 on; budgets are also of the gateway. */
function ofMirrors({ controllers, ...others }: PlannedExtension["values"] = {}): string[] {
    const mirrors = Array.isArray(controllers) ? (controllers as unknown[]) : [];
    const spread = [others, ...mirrors].some((one) => at(one, "enablePodAntiAffinity") === true);
    return [...(mirrors.length > 0 ? ROLES : []), ...(spread ? [BUDGETS] : [])];
}
const CERT_MANAGER = ["issuers.cert-manager.io", "certificates.cert-manager.io"];
const ISTIOD = [...EVERYWHERE, ...ROLES];
const SCALED = ["horizontalpodautoscalers.autoscaling"];

/** What a wave follows while it rolls (cluster/liveDataPlane.ts). */
const WATCHED = [
    ...["pods", "namespaces", "replicasets.apps", "controllerrevisions.apps", "deployments.apps"],
    ...["statefulsets.apps", "daemonsets.apps", BUDGETS],
];
const RESOURCE: Readonly<Record<string, string>> = {
    Deployment: "deployments.apps",
    StatefulSet: "statefulsets.apps",
    DaemonSet: "daemonsets.apps",
    Rollout: "rollouts.argoproj.io",
};

type Needed = Asked["needed"];

function each(
    verbs: readonly string[],
    resources: readonly string[],
    namespaces: readonly (string | null)[],
    needed: Needed,
): Asked[] {
    return namespaces.flatMap((namespace) =>
        resources.flatMap((resource) =>
            verbs.map((verb) => ({ verb, resource, namespace, needed })),
        ),
    );
}

/** `made`: kinds of which an object is missing; undefined: that is not known, so that all may be made. */
function declares(
    resources: readonly string[],
    namespace: string | null,
    needed: Needed,
    made: readonly string[] = resources,
): Asked[] {
    return resources.flatMap((resource) => [
        ...DECLARES.map((verb) => ({
            ...{ verb, resource, namespace },
            needed: verb === "create" && !made.includes(resource) ? "maybe" : needed,
        })),
        // What the new version lacks is deleted; which that is, the engine knows.
        ...each(["delete"], [resource], [namespace], "maybe"),
    ]);
}

/** What is there of Linkerd before the update: it is changed, not made. */
export interface PresentLinkerd {
    readonly namespaces: readonly string[];
    readonly controlPlane: boolean;
    readonly viz: boolean;
    /** The stack's own CNI plugin. */
    readonly cni: boolean;
    /** Namespaces of extensions that run. */
    readonly extensions: readonly string[];
    /** Extensions whose CRD is there. */
    readonly extensionCrds: readonly PlannedExtension["name"][];
}

/**
 * Of Linkerd. Without a `change` only the engine knows whether anything is written. In the mesh's own namespaces create is asked
 * for in any case: each release of Helm, and each rotation, makes a Secret there.
 */
export function linkerdPermissions(
    how: {
        readonly change: boolean;
        readonly viz: boolean;
        readonly certManager: boolean;
        readonly highAvailability: boolean;
        readonly cni: boolean;
        readonly present: PresentLinkerd;
        /** Beside viz. Defaults to none. */
        readonly extensions?: readonly Extension[];
    },
    radius: BlastRadius,
): Asked[] {
    const { viz, present, extensions = [] } = how;
    const needed = how.change ? "always" : "maybe";
    const issued = how.certManager ? CERT_MANAGER : [];
    const namespaces = ["linkerd", ...(viz ? ["linkerd-viz"] : [])];
    const ofViz = present.viz ? [] : [API_SERVICES, `rolebindings.${RBAC}`];
    const made = [
        ...(namespaces.every((one) => present.namespaces.includes(one)) ? [] : [NAMESPACES]),
        ...(present.controlPlane ? [] : [CRDS, ...CLUSTER_ROLES, MUTATING, VALIDATING]),
        ...(viz && !present.viz ? [...CLUSTER_ROLES, MUTATING] : []),
    ];
    const creates = (resources: readonly string[], namespace: string | null) =>
        each(["create"], resources, [namespace], "always");
    const inside = (one: Extension) => [
        ...EXTENSIONS[one.name].inside,
        ...(one.name === "jaeger" ? issued : []),
        ...(one.name === "multicluster" ? ofMirrors(one.values) : []),
    ];
    // They may come to a mesh that stays as it is: what is missing of them is made for sure.
    const added = [
        ...(how.cni && !present.cni
            ? [{ namespace: "linkerd-cni", kinds: CNI, clusterWide: CLUSTER_ROLES }]
            : []),
        ...extensions
            .filter(({ namespace }) => !present.extensions.includes(namespace))
            .map((one) => ({ ...one, ...EXTENSIONS[one.name], kinds: inside(one) })),
    ].flatMap(({ namespace, kinds, clusterWide }) => [
        ...creates(kinds, namespace),
        ...creates(clusterWide, null),
        ...(present.namespaces.includes(namespace) ? [] : creates([NAMESPACES], null)),
    ]);
    const crdsMissing = extensions.some(
        ({ name }) => EXTENSIONS[name].crd && !present.extensionCrds.includes(name),
    );
    return unique([
        ...declares(CLUSTER_WIDE, null, needed, made),
        ...declares([...LINKERD, ...issued], "linkerd", needed),
        ...(viz
            ? [
                  ...declares([API_SERVICES], null, needed, ofViz),
                  ...declares([...VIZ, ...issued], "linkerd-viz", needed),
                  ...declares([`rolebindings.${RBAC}`], "kube-system", needed, ofViz),
              ]
            : []),
        ...(how.highAvailability
            ? ["linkerd", ...(viz ? ["linkerd-viz"] : [])].flatMap((one) =>
                  declares([BUDGETS], one, needed),
              )
            : []),
        ...(how.cni ? declares(CNI, "linkerd-cni", needed, []) : []),
        ...extensions.flatMap((one) => declares(inside(one), one.namespace, needed, [])),
        ...added,
        ...(crdsMissing ? creates([CRDS], null) : []),
        ...restarts(radius, "linkerd"),
    ]);
}

/** Whether the cluster lacks one of these. A revision has roles and webhooks of its own. */
export interface MadeOfIstio {
    readonly namespace: boolean;
    readonly crds: boolean;
    readonly revision: boolean;
    readonly tag: boolean;
    /** The default validator. */
    readonly validator: boolean;
}

/** Of Istio. */
export function istioPermissions(
    how: {
        readonly change: boolean;
        readonly namespace: string;
        /** Whether somebody else's control plane goes. */
        readonly removes: boolean;
        readonly gatewayNamespaces: readonly string[];
        /** What is missing, and therefore made. */
        readonly makes: MadeOfIstio;
    },
    radius: BlastRadius,
): Asked[] {
    const needed = how.change ? "always" : "maybe";
    const { makes } = how;
    const made = [
        ...(makes.namespace ? [NAMESPACES] : []),
        ...(makes.crds ? [CRDS] : []),
        ...(makes.revision ? [...CLUSTER_ROLES, MUTATING, VALIDATING] : []),
        ...(makes.tag ? [MUTATING] : []),
        ...(makes.validator ? [VALIDATING] : []),
    ];
    const own = [...ISTIOD, ...SCALED, BUDGETS];
    const gateway = ["serviceaccounts", "services", "deployments.apps", ...ROLES, ...SCALED];
    return unique([
        ...declares(CLUSTER_WIDE, null, needed, made),
        ...declares(own, how.namespace, needed),
        ...[...new Set(how.gatewayNamespaces)].flatMap((one) => declares(gateway, one, needed)),
        ...(how.removes ? each(["delete"], own, [how.namespace], "always") : []),
        ...restarts(radius, how.namespace),
    ]);
}

/** What restarting takes; nothing where no wave runs. */
function restarts({ waves, waiting }: BlastRadius, namespace: string): Asked[] {
    const workloads = waves.flatMap((one) => one.workloads);
    if (workloads.length === 0 || waiting !== "none") {
        return [];
    }
    return [
        ...each(
            ["get", "create", "update", "delete"],
            ["leases.coordination.k8s.io"],
            [namespace],
            "always",
        ),
        ...each(["list", "watch"], WATCHED, [null], "always"),
        ...workloads.flatMap(({ kind, namespace, action }) =>
            action === "evict"
                ? each(["create"], ["pods/eviction"], [namespace], "always")
                : action === "wait"
                  ? []
                  : each(["patch"], [RESOURCE[kind] ?? kind], [namespace], "always"),
        ),
        // A broken pod that holds up its StatefulSet is deleted.
        ...workloads
            .filter(({ kind }) => kind === "StatefulSet")
            .flatMap(({ namespace }) => each(["delete"], ["pods"], [namespace], "maybe")),
    ];
}

/** Each once; needed always goes before needed maybe. */
function unique(all: readonly Asked[]): Asked[] {
    const found = new Map<string, Asked>();
    for (const one of all) {
        const key = [one.resource, one.namespace ?? "", one.verb].join(" ");
        if (one.needed === "always" || !found.has(key)) {
            found.set(key, one);
        }
    }
    return [...found].sort(([a], [b]) => a.localeCompare(b)).map(([, one]) => one);
}

/**
 * For people, one text for each resource and place: `create, patch deployments.apps in linkerd, shop`.
 */
export function permissionTexts(permissions: readonly Permission[]): string[] {
    const verbs = new Map<string, string[]>();
    for (const { verb, resource, namespace } of permissions) {
        const key = JSON.stringify([resource, namespace]);
        verbs.set(key, [...(verbs.get(key) ?? []), verb]);
    }
    const places = new Map<string, string[]>();
    for (const [key, list] of verbs) {
        const [resource = "", namespace] = JSON.parse(key) as [string, string | null];
        const what = `${list.join(", ")} ${resource}`;
        places.set(what, [...(places.get(what) ?? []), namespace ?? "the whole cluster"]);
    }
    return [...places].map(([what, namespaces]) => `${what} in ${namespaces.join(", ")}`);
}

/** Missing permissions refuse an update before it changes anything; those that it may need do not. */
export function permissionFaults({ missing }: Permissions): Fault[] {
    const [first] = missing;
    if (!first) {
        return [];
    }
    const where = first.namespace === null ? "" : ` -n ${first.namespace}`;
    return [
        {
            subject: "permissions",
            value: String(missing.length),
            rule: `the user of this kubeconfig may not: ${permissionTexts(missing).join("; ")}`,
            next: `ask for them, and see: kubectl auth can-i ${first.verb} ${first.resource}${where}; where the access review is wrong (rights on single objects by name): report.permissions: tell`,
        },
    ];
}
