import * as semver from "semver";
import type { Fault } from "../faults";
import { imageTag } from "../images";
import { isFrom, type IstioVersion } from "./versions";

/** An object of a manifest, as YAML has it. */
export interface KubeObject {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: {
        readonly name: string;
        readonly namespace?: string;
        readonly labels?: Readonly<Record<string, string>>;
        readonly [field: string]: unknown;
    };
    readonly [field: string]: unknown;
}

/** Names an object of the cluster. */
export interface ObjectName {
    readonly apiVersion: string;
    readonly kind: string;
    /** Absent for an object of the cluster as a whole. */
    readonly namespace?: string;
    readonly name: string;
}

/** Rendered manifests, by what happens to each object when its revision goes. */
export interface SplitManifests {
    /** Never deleted. */
    readonly crds: readonly KubeObject[];
    /** Goes with the revision. */
    readonly own: readonly KubeObject[];
    /** Used by every revision. */
    readonly shared: readonly KubeObject[];
    /** In place; updated on their own, after the data plane. */
    readonly gateways: readonly KubeObject[];
    /** Image tag of istiod, without `-distroless` and `-debug`; undefined where there is none. */
    readonly version: string | undefined;
    readonly faults: readonly Fault[];
}

/** Rendered manifests by revision; those of a foreign one too, for the way back. */
export type Manifests = ReadonlyMap<string, SplitManifests>;

/** What the manifests are held against. */
export interface Expected {
    /** The version line of the revision. */
    readonly version: IstioVersion;
    /** Of the API server: `v1.34.4`. */
    readonly serverVersion: string;
    /** Config key that names the manifests; default `istio.revisions`. */
    readonly subject?: string;
}

/** The name of the install without a revision name, as its label istio.io/rev has it. */
const DEFAULT = "default";

/** `-1-27-1`; empty for `default`. */
function suffixOf(revision: string): string {
    return revision === DEFAULT ? "" : `-${revision}`;
}

/**
 * Splits rendered manifests (`istioctl manifest generate`) of one revision, installed into `namespace`. A blank caBundle is
 * left out: istiod writes it at run time, and a blank one would have every pod refused. Faults: no istiod of this revision,
 * another version than the line says, kinds that the API server no longer serves.
 */
export function splitManifests(
    objects: readonly KubeObject[],
    revision: string,
    namespace: string,
    expected: Expected,
): SplitManifests {
    const parts = {
        crds: [] as KubeObject[],
        own: [] as KubeObject[],
        shared: [] as KubeObject[],
        gateways: [] as KubeObject[],
    };
    for (const object of objects) {
        parts[partOf(object, revision, namespace)].push(withoutBlankBundles(object));
    }
    const version = istiodTag(istiodOf(objects, revision, namespace));
    const { subject = "istio.revisions" } = expected;
    const faults = [
        ...istiodFaults(objects, revision, namespace, expected.version, subject),
        ...servedFaults(objects, expected.serverVersion, subject),
    ];
    return { ...parts, version, faults };
}

type Part = "crds" | "own" | "shared" | "gateways";

function partOf(object: KubeObject, revision: string, namespace: string): Part {
    const { name, labels } = object.metadata;
    if (object.kind === "CustomResourceDefinition") {
        return "crds";
    }
    if (isGateway(object)) {
        return "gateways";
    }
    // A tag, and the default validator, carry the label of the revision that they point to and move on to the next one.
    if (labels?.["istio.io/tag"] !== undefined || isShared(name, namespace)) {
        return "shared";
    }
    return labels?.["istio.io/rev"] === revision || isNamedFor(object, revision, namespace)
        ? "own"
        : "shared";
}

const GATEWAY_KINDS = [
    "Deployment",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Role",
    "RoleBinding",
];

function isGateway({ kind, metadata: { name, labels } }: KubeObject): boolean {
    return (
        ["IngressGateways", "EgressGateways"].includes(
            labels?.["operator.istio.io/component"] ?? "",
        ) ||
        (GATEWAY_KINDS.includes(kind) && /^istio-(in|e)gressgateway(-|$)/.test(name))
    );
}

/** Names that revisions share although a label may say otherwise; those with `-NS` and the account are of 1.6. */
function isShared(name: string, namespace: string): boolean {
    const shared = [
        "istiod-default-validator",
        "istio-reader-service-account",
        "istiod-service-account",
        `istiod-${namespace}`,
        `istio-reader-${namespace}`,
        "promsd",
        "istio-ca-secret",
        "cacerts",
        "istio-ca-root-cert",
    ];
    // One of each serves all nodes, whatever label its roles carry.
    return shared.includes(name) || /^(istio-cni|ztunnel)(-|$)/.test(name);
}

function isNamedFor(object: KubeObject, revision: string, namespace: string): boolean {
    const { name } = object.metadata;
    return revision === DEFAULT
        ? ownNames(DEFAULT, namespace, "1.26").some(
              (own) => own.kind === object.kind && own.name === name,
          )
        : name.endsWith(`-${revision}`) || name.endsWith(`-${revision}-${namespace}`);
}

/** A deep copy without any `caBundle: ""` (or null). */
function withoutBlankBundles<T>(value: T): T {
    if (Array.isArray(value)) {
        return value.map((one: unknown) => withoutBlankBundles(one)) as T;
    }
    if (typeof value !== "object" || value === null) {
        return value;
    }
    return Object.fromEntries(
        Object.entries(value)
            .filter(([key, field]) => key !== "caBundle" || (field !== "" && field !== null))
            .map(([key, field]: [string, unknown]) => [key, withoutBlankBundles(field)]),
    ) as T;
}

function istiodOf(objects: readonly KubeObject[], revision: string, namespace: string) {
    return objects.find(
        ({ kind, metadata }) =>
            kind === "Deployment" &&
            metadata.name === `istiod${suffixOf(revision)}` &&
            (metadata.namespace ?? namespace) === namespace,
    );
}

interface PodTemplate {
    readonly template?: {
        readonly spec?: {
            readonly containers?: readonly { readonly name?: string; readonly image?: string }[];
        };
    };
}

/** Image tag of container `discovery`. */
function istiodTag(deployment: KubeObject | undefined): string | undefined {
    const spec = deployment?.["spec"] as PodTemplate | null | undefined;
    const container = spec?.template?.spec?.containers?.find(({ name }) => name === "discovery");
    return imageTag(container?.image ?? "")?.replace(/-(distroless|debug)$/, "");
}

function istiodFaults(
    objects: readonly KubeObject[],
    revision: string,
    namespace: string,
    version: IstioVersion,
    subject: string,
): Fault[] {
    const istiod = istiodOf(objects, revision, namespace);
    const render = `render them again with istioctl ${version.text}${revision === DEFAULT ? "" : ` and --set revision=${revision}`}`;
    if (!istiod) {
        const others = objects
            .filter(
                ({ kind, metadata }) => kind === "Deployment" && /^istiod(-|$)/.test(metadata.name),
            )
            .map(({ metadata }) => `${metadata.namespace ?? namespace}/${metadata.name}`);
        return [
            {
                subject,
                value: others.length > 0 ? others.join(", ") : undefined,
                rule: `the manifests have no Deployment ${namespace}/istiod${suffixOf(revision)}, so they are not of revision ${revision}`,
                next: render,
            },
        ];
    }
    const tag = istiodTag(istiod);
    return tag === version.text
        ? []
        : [
              {
                  subject,
                  value: tag,
                  rule: `the manifests' istiod is not of the version line, ${version.text}`,
                  next: `${render}, or set the version line to what they hold`,
              },
          ];
}

/** Versions of API groups, and the minor of Kubernetes 1 that no longer serves them. Source: its deprecation guide. */
const GONE: Readonly<Record<string, number>> = {
    "admissionregistration.k8s.io/v1beta1": 22,
    "apiextensions.k8s.io/v1beta1": 22,
    "rbac.authorization.k8s.io/v1beta1": 22,
    "policy/v1beta1": 25,
    "autoscaling/v2beta1": 25,
    "autoscaling/v2beta2": 26,
};

/** ValidatingAdmissionPolicy came back to v1beta1 of that group in 1.28. */
const SERVED_AGAIN = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

/** One fault for all objects of versions that are gone. */
function servedFaults(
    objects: readonly KubeObject[],
    serverVersion: string,
    subject: string,
): Fault[] {
    const server = semver.coerce(serverVersion)?.minor ?? 0;
    const gone = objects
        .filter(({ kind }) => !SERVED_AGAIN.includes(kind))
        .filter(({ apiVersion }) => server >= (GONE[apiVersion] ?? Infinity))
        .map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
    return gone.length > 0
        ? [
              {
                  subject,
                  value: [...new Set(gone)].sort().join(", "),
                  rule: `the manifests hold ${gone.length} object(s) of versions that Kubernetes ${serverVersion} no longer serves`,
                  next: "choose a newer version of Istio, or convert the manifests to the served versions",
              },
          ]
        : [];
}

/**
 * What a revision has for itself and nobody shares: for the removal of one that somebody else made. `default` has the names
 * without a suffix. `minor` is of Istio (`1.6`), undefined
 * where nobody knows: then of the newest; a name that this install does not have is to be passed over. apiVersions are
 * those that an API server of `serverVersion` serves. Services are to be held against the webhooks first (`unreferred`).
 * Source: the charts istio-discovery of 1.6, 1.20 and 1.30. Never in it: CRDs, `istiod-default-validator`, accounts and
 * roles of 1.6 and older (shared), CNI, ztunnel, gateways, the CA's Secrets.
 */
export function ownNames(
    revision: string,
    namespace: string,
    minor: string | undefined,
    serverVersion = "v1.34.0",
): readonly ObjectName[] {
    const isSince = (first: string) => minor === undefined || isFrom({ minor }, first);
    const server = semver.coerce(serverVersion)?.minor ?? 34;
    const suffix = suffixOf(revision);
    const inNamespace = (apiVersion: string, kind: string, name: string): ObjectName => ({
        apiVersion,
        kind,
        namespace,
        name: `${name}${suffix}`,
    });
    const webhooks = `admissionregistration.k8s.io/${server < 16 ? "v1beta1" : "v1"}`;
    return [
        inNamespace("apps/v1", "Deployment", "istiod"),
        inNamespace("v1", "Service", "istiod"),
        inNamespace("autoscaling/v1", "HorizontalPodAutoscaler", "istiod"),
        inNamespace(`policy/${server < 21 ? "v1beta1" : "v1"}`, "PodDisruptionBudget", "istiod"),
        inNamespace("v1", "ConfigMap", "istio"),
        inNamespace("v1", "ConfigMap", "istio-sidecar-injector"),
        ...(isSince("1.26") ? [inNamespace("v1", "ConfigMap", "values")] : []),
        {
            apiVersion: webhooks,
            kind: "MutatingWebhookConfiguration",
            name: `istio-sidecar-injector${suffix}${namespace === "istio-system" ? "" : `-${namespace}`}`,
        },
        ...(isSince("1.7")
            ? [
                  {
                      apiVersion: webhooks,
                      kind: "ValidatingWebhookConfiguration",
                      name: `istio-validator${suffix}-${namespace}`,
                  },
                  ...accessNames(suffix, namespace),
              ]
            : []),
        ...(minor === "1.6" && suffix !== "" ? filterNames(suffix, namespace) : []),
    ];
}

const RBAC = "rbac.authorization.k8s.io/v1";

function accessNames(suffix: string, namespace: string): ObjectName[] {
    const name = `istiod${suffix}`;
    const cluster = ["istiod-clusterrole", "istiod-gateway-controller", "istio-reader-clusterrole"];
    return [
        { apiVersion: "v1", kind: "ServiceAccount", namespace, name },
        { apiVersion: RBAC, kind: "Role", namespace, name },
        { apiVersion: RBAC, kind: "RoleBinding", namespace, name },
        ...["ClusterRole", "ClusterRoleBinding"].flatMap((kind) =>
            cluster.map((role) => ({
                apiVersion: RBAC,
                kind,
                name: `${role}${suffix}-${namespace}`,
            })),
        ),
    ];
}

/** EnvoyFilters and the record of istioctl, which a revision of 1.6 has for itself. */
function filterNames(suffix: string, namespace: string): ObjectName[] {
    const filters = [
        "metadata-exchange",
        "tcp-metadata-exchange",
        "stats-filter",
        "tcp-stats-filter",
    ];
    return [
        ...filters.map((filter) => ({
            apiVersion: "networking.istio.io/v1alpha3",
            kind: "EnvoyFilter",
            namespace,
            name: `${filter}-1.6${suffix}`,
        })),
        {
            apiVersion: "install.istio.io/v1alpha1",
            kind: "IstioOperator",
            namespace,
            name: `installed-state${suffix}`,
        },
    ];
}

/** A webhook configuration, with the Services that it calls. */
export interface WebhookUse {
    readonly kind: string;
    readonly name: string;
    readonly services: readonly { readonly namespace: string; readonly name: string }[];
}

/**
 * The names without those Services that a webhook outside the list still calls. Service `istiod` of ASM 1.5 is such a one: the
 * validating webhook `istiod-NS`, shared with 1.6, goes on calling it, and every write of an Istio object would fail without it
 * (istio/istio#28880). Once nothing calls it, it goes with its control plane, as the guide has it.
 */
export function unreferred(
    names: readonly ObjectName[],
    webhooks: readonly WebhookUse[],
): readonly ObjectName[] {
    const others = webhooks.filter(
        (one) => !names.some(({ kind, name }) => kind === one.kind && name === one.name),
    );
    return names.filter(
        ({ kind, namespace, name }) =>
            kind !== "Service" ||
            !others.some(({ services }) =>
                services.some((one) => one.namespace === namespace && one.name === name),
            ),
    );
}
