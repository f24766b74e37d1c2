import * as semver from "semver";
import { parseAllDocuments, stringify, type Tags } from "yaml";
import { z } from "zod";

/** Any object of the API with its apiVersion, kind and name. */
export interface BackupObject {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: Readonly<Record<string, unknown>> & {
        readonly name: string;
        readonly namespace?: string;
    };
    readonly [field: string]: unknown;
}

/** Names of the files of a backup. The manifest is written last. */
export const MANIFEST_FILE = "manifest.json";
export const OBJECTS_FILE = "objects.yaml";
export const SECRETS_FILE = "secrets.yaml.age";

const count = z.record(z.string(), z.number());

/** `manifest.json` of a backup. */
export const backupManifest = z.strictObject({
    format: z.literal("mesh-upgrade-backup/1"),
    /** `organization/mesh-upgrade/prod`. */
    stack: z.string(),
    /** Version of the control plane then: `edge-24.5.3`; `none` where there was none. */
    from: z.string(),
    /** Version that the update was about to bring. */
    to: z.string(),
    /** uid of namespace kube-system. */
    clusterUid: z.string(),
    /** When the objects had been read: ISO 8601. */
    at: z.string(),
    /** Objects by kind. */
    objects: count,
    /** How many Secrets the encrypted file holds; undefined: they were left out. */
    secrets: z.number().optional(),
    files: z.array(z.strictObject({ name: z.string(), sha256: z.string() })),
});

export type BackupManifest = z.infer<typeof backupManifest>;

/** What is the API server's, a controller's or of one life of an object only. */
const METADATA = [
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    // They name owners by uid; a restored object whose owner is another one would be collected as garbage.
    "ownerReferences",
];
const ANNOTATIONS = [
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
];

/** The object as it would be applied again. */
export function stripped(object: BackupObject): BackupObject {
    const { status: _, ...rest } = object;
    const { annotations, ...metadata } = object.metadata as typeof object.metadata & {
        readonly annotations?: Readonly<Record<string, string>>;
    };
    const kept = without(annotations ?? {}, ANNOTATIONS);
    return {
        ...withoutAllocated(rest),
        metadata: {
            ...(without(metadata, METADATA) as BackupObject["metadata"]),
            ...(Object.keys(kept).length > 0 ? { annotations: kept } : {}),
        },
    };
}

/** Fields that the cluster gives an object, and would give another value the next time. */
function withoutAllocated(object: BackupObject): BackupObject {
    const spec = (object["spec"] ?? {}) as Readonly<Record<string, unknown>>;
    switch (object.kind) {
        case "Namespace":
            return without(object, ["spec"]) as BackupObject;
        case "ServiceAccount":
            // Token Secrets of old clusters, which are not kept.
            return without(object, ["secrets"]) as BackupObject;
        case "Service":
            return {
                ...object,
                spec: without(spec, [
                    "healthCheckNodePort",
                    // "None" is what the user asked for.
                    ...(spec["clusterIP"] === "None" ? [] : ["clusterIP", "clusterIPs"]),
                ]),
            };
        default:
            return object;
    }
}

/** Whether an object may only be kept encrypted: a Secret, or whatever else holds a private key. */
export function isSecret(object: BackupObject): boolean {
    return object.kind === "Secret" || JSON.stringify(object).includes("PRIVATE KEY-----");
}

/** Objects that make themselves again: the cluster's CA in each namespace, tokens bound to a uid. */
export function makesItself({ kind, metadata, ...rest }: BackupObject): boolean {
    return (
        (kind === "ConfigMap" && metadata.name === "kube-root-ca.crt") ||
        (kind === "Secret" && rest["type"] === "kubernetes.io/service-account-token")
    );
}

/** What stands first is restored first; kinds in no list (custom objects) come between the two. */
const STAGES = [
    ["CustomResourceDefinition"],
    ["Namespace"],
    ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    ["ConfigMap", "Secret"],
    ["Service", "NetworkPolicy", "PodDisruptionBudget"],
    ["Deployment", "DaemonSet", "StatefulSet", "CronJob", "HorizontalPodAutoscaler", "Ingress"],
] as const;
/** An API server that calls a webhook whose Service is not there yet refuses what it is asked to write. */
const LAST = ["APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/** 0 for CRDs, the greatest number for webhook configurations. */
export function stageOf(kind: string): number {
    const stage = STAGES.findIndex((kinds) => (kinds as readonly string[]).includes(kind));
    return stage !== -1 ? stage : STAGES.length + (LAST.includes(kind) ? 1 : 0);
}

/** In the order in which they are restored, always the same for the same objects. */
export function inOrder(objects: readonly BackupObject[]): BackupObject[] {
    const key = (object: BackupObject) => [String(stageOf(object.kind)), nameOfObject(object)];
    return objects
        .map((object) => ({ object, key: key(object).join(" ") }))
        .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
        .map(({ object }) => object);
}

/** `Deployment linkerd/linkerd-identity`, `ClusterRole linkerd-policy`. */
export function nameOfObject({
    kind,
    metadata,
}: Pick<BackupObject, "kind"> & {
    readonly metadata: { readonly name: string; readonly namespace?: string };
}): string {
    return `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ""}${metadata.name}`;
}

/** Objects by kind. */
export function countKinds(objects: readonly BackupObject[]): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of objects) {
        counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return Object.fromEntries(Object.entries(counts).sort());
}

/** `organization/mesh-upgrade/prod` -> `organization-mesh-upgrade-prod`: one folder for each stack. */
export function stackFolder(stack: string): string {
    return safe(stack);
}

/** `edge-24.5.3-20261121T144005Z`. */
export function backupName(from: string, at: Date): string {
    const time = at.toISOString().replace(/[-:]|\.\d+/g, "");
    return `${safe(from)}-${time}`;
}

/** A name for a file on any system, which does not begin with a dot. */
function safe(text: string): string {
    return text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^\.+/, "") || "unnamed";
}

/** Texts that YAML 1.1 takes for something else are quoted, because kubectl reads that; a key `<<` is a key. */
const YAML = {
    version: "1.1" as const,
    customTags: (tags: Tags) =>
        tags.filter((tag) => typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:merge"),
};

/** Objects as a stream of YAML documents. */
export function toYaml(objects: readonly BackupObject[]): string {
    const options = { ...YAML, lineWidth: 0, aliasDuplicateObjects: false };
    return objects.map((object) => `---\n${stringify(object, options)}`).join("");
}

/** @throws Error where the text is no stream of objects */
export function fromYaml(text: string): BackupObject[] {
    return parseAllDocuments(text, YAML).flatMap((document) => {
        const [error] = document.errors;
        if (error) {
            // Only the first line: the parser adds a snippet, which may be of a Secret.
            throw new Error(error.message.split("\n")[0]);
        }
        const object = document.toJS() as BackupObject | null;
        return object ? [object] : [];
    });
}

interface Crd {
    readonly metadata?: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec?: { readonly versions?: readonly { readonly name: string }[] };
    readonly status?: { readonly storedVersions?: readonly string[] };
}

/**
 * Why a CRD that is live is not replaced by that of the backup; undefined: it may be. CRDs move forward only: the API server
 * refuses to drop a version in which objects are stored, and clients may use every version that is served.
 */
export function crdLeftAlone(live: unknown, backup: unknown): string | undefined {
    const [now, then] = [live as Crd, backup as Crd];
    const versions = then.spec?.versions?.map(({ name }) => name) ?? [];
    const missing = (names: readonly string[] | undefined) =>
        (names ?? []).filter((name) => !versions.includes(name));
    const stored = missing(now.status?.storedVersions);
    if (stored.length > 0) {
        return `objects are stored in ${stored.join(", ")}, which the backup's CRD does not have`;
    }
    const served = missing(now.spec?.versions?.map(({ name }) => name));
    if (served.length > 0) {
        return `it serves ${served.join(", ")}, which the backup's CRD does not have`;
    }
    const newer = releaseOf(now);
    const older = releaseOf(then);
    return newer && older && semver.gt(newer, older)
        ? `it is of a newer release (${newer.version}) than the backup's (${older.version})`
        : undefined;
}

/** Of the chart that brought a CRD, or of the Gateway API's bundle. */
function releaseOf({ metadata }: Crd): semver.SemVer | null {
    const chart = /-(\d+\.\d+\.\d+[^-]*)$/.exec(metadata?.labels?.["helm.sh/chart"] ?? "")?.[1];
    const bundle = metadata?.annotations?.["gateway.networking.k8s.io/bundle-version"];
    return semver.parse(chart ?? bundle ?? "");
}

/** Name of the Helm release that a Secret records; undefined: it is no such record. */
export function helmReleaseOf(object: BackupObject): string | undefined {
    const labels = object.metadata["labels"] as Readonly<Record<string, string>> | undefined;
    return object.kind === "Secret" && object["type"] === "helm.sh/release.v1"
        ? labels?.["name"]
        : undefined;
}

function without<T extends object>(map: T, keys: readonly string[]): Partial<T> {
    return Object.fromEntries(
        Object.entries(map).filter(([key]) => !keys.includes(key)),
    ) as Partial<T>;
}
