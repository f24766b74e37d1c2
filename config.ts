import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Verification } from "./charts/verify";
import { fatalIds, ISTIO_CHECKS, LINKERD_CHECKS } from "./plan/checks/table";
import { extensionsSection, type ExtensionsConfig } from "./plan/extensionsConfig";
import { RefusedError, type Fault } from "./plan/faults";
import {
    certificatesSection,
    identitySection,
    type CertificatesConfig,
    type IdentityConfig,
} from "./plan/identityConfig";
import { resolveIstio, type IstioConfig } from "./plan/istio/config";
import { istioSection } from "./plan/istio/section";
import { proxySection, type ProxyConfig } from "./plan/proxySettings";
import { policyFaults, policyOf, policySection, type PolicyConfig } from "./plan/policy/config";
import { reportSection, type ReportConfig } from "./plan/reportConfig";
import { rollout, type Rollout } from "./plan/waves";
import { isFault, parseLinkerdVersion, type LinkerdVersion } from "./plan/versions";

/** Values of a Helm chart, passed through as they are. */
export type ChartValues = Readonly<Record<string, unknown>>;

/** Where a backup goes before each upgrade. */
export interface BackupConfig {
    /** Path, relative to the project; made where it does not exist. */
    readonly directory: string;
    /** Of age (age1...), public: Secrets are encrypted for it; undefined: they are left out. */
    readonly recipient?: string | undefined;
}

/** What a stack of any mesh says. */
export interface Config {
    /** Context of the kubeconfig; never guessed. */
    readonly context: string;
    /** Path of the kubeconfig; undefined: KUBECONFIG, else ~/.kube/config. */
    readonly kubeconfig: string | undefined;
    /** uid of namespace kube-system: binds the stack to one cluster. */
    readonly clusterUid: string;
    /** What charts are checked against. Defaults to nothing. */
    readonly verify: Verification;
    readonly rollout: Rollout;
    /** What the user decided about rules and notices. */
    readonly policy: PolicyConfig;
    /** Health checks whose failure is listed and does not refuse. Defaults to none. */
    readonly checks: { readonly ignore: readonly string[] };
    readonly report: ReportConfig;
}

/** Linkerd, upgraded in place. */
export interface LinkerdStackConfig extends Config {
    readonly mesh: "linkerd";
    /**
     * Helm repository (https://...), OCI registry (oci://...) or directory with `<chart>-<version>` directories or archives.
     * Defaults to the repository of each release's channel.
     */
    readonly charts: string | undefined;
    readonly linkerdVersion: LinkerdVersion;
    /** What is there and was not made by this stack is taken over, its settings included. Defaults to false. */
    readonly adopt: boolean;
    /** Objects of the control plane that the stack does not declare are deleted. Defaults to false. */
    readonly prune: boolean;
    /** The charts' own values for high availability, under the stack file's. Defaults to false. */
    readonly highAvailability: boolean;
    readonly identity: IdentityConfig;
    readonly certificates: CertificatesConfig;
    /** undefined: no backup is made. */
    readonly backup: BackupConfig | undefined;
    readonly crds: ChartSection & RenderedSection;
    readonly controlPlane: ChartSection & RenderedSection;
    readonly viz: ChartSection & { readonly enabled: boolean };
    /** Settings of the proxies of namespaces. Defaults to none. */
    readonly proxy: ProxyConfig;
    /** The CNI plugin, which takes the place of linkerd-init. Defaults to not enabled. */
    readonly cni: ChartSection & { readonly enabled: boolean };
    /** Extensions that go with the mesh. Defaults to none. */
    readonly extensions: ExtensionsConfig;
}

/** What may come from rendered YAML instead of its chart. */
export interface RenderedSection {
    /** Path of a file, or of a directory of YAML files, relative to the project. Defaults to none: the chart. */
    readonly manifests?: string | undefined;
}

/** What a stack says of one chart. */
export interface ChartSection {
    readonly values: ChartValues;
    /** Where this chart comes from, also an archive of it. Defaults to `charts` of the stack. */
    readonly charts?: string | undefined;
}

/** Istio or Anthos Service Mesh, by revisions side by side. */
export interface IstioStackConfig extends Config {
    readonly mesh: "istio";
    /** The same of Istio's charts. Defaults to the repository of Istio's releases. */
    readonly charts: string;
    readonly istio: IstioConfig;
}

/** The stack's config, validated; plain data. */
export type StackConfig = LinkerdStackConfig | IstioStackConfig;

const values = z.record(z.string(), z.unknown()).default({});
const ownCharts = z.string().min(1, "must name where the chart comes from").optional();
const chartSection = z
    .strictObject({
        values,
        charts: ownCharts,
        manifests: z.string().min(1, "must name a file of rendered YAML").optional(),
    })
    .refine(
        ({ values, charts, manifests }) =>
            manifests === undefined || (charts === undefined && isEmpty(values)),
        "comes from manifests, which are rendered: charts and values are for the chart",
    )
    .default({ values: {} });
const verify = z.strictObject({
    sha256: z
        .record(
            z.string(),
            z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256: 64 digits 0-9 and a-f"),
        )
        .default({}),
    keyring: z.string().min(1, "must be the path of a keyring").optional(),
});

/** A switch at the top of the stack file, which the engine hands on as a text. */
const flag = z.preprocess(
    (value) =>
        value === "true"
            ? true
            : value === "false" || isEmpty(value) || value === ""
              ? false
              : value,
    z.boolean(),
);

const IGNORABLE = fatalIds([...LINKERD_CHECKS, ...ISTIO_CHECKS]);

const schema = z.strictObject({
    context: z.string().min(1, "must name a context of the kubeconfig"),
    kubeconfig: z.string().default(""),
    clusterUid: z
        .string()
        .min(
            1,
            "must be the uid of namespace kube-system, so that no other cluster is ever changed",
        ),
    linkerdVersion: z.string().default(""),
    istio: z.preprocess((value) => (isEmpty(value) ? undefined : value), istioSection.optional()),
    charts: z.string().default(""),
    verify: verify.prefault({}),
    adopt: flag,
    prune: flag,
    highAvailability: flag,
    identity: z.preprocess(
        // An empty section, or none, means the default source.
        (value) => (isEmpty(value) ? { source: "generated" } : value),
        identitySection,
    ),
    certificates: certificatesSection.prefault({}),
    backup: z.preprocess(
        (value) => (isEmpty(value) ? undefined : value),
        z
            .strictObject({
                directory: z.string().min(1, "must name a directory"),
                recipient: z.string().optional(),
            })
            .optional(),
    ),
    crds: chartSection,
    controlPlane: chartSection,
    viz: z
        .strictObject({ enabled: z.boolean().default(true), values, charts: ownCharts })
        .default({ enabled: true, values: {} }),
    proxy: proxySection.prefault({}),
    cni: z
        .strictObject({ enabled: z.boolean().default(false), values, charts: ownCharts })
        .default({ enabled: false, values: {} }),
    extensions: extensionsSection.prefault({}),
    rollout: rollout.prefault({}),
    policy: policySection.prefault({}),
    checks: z
        .strictObject({
            ignore: z
                .array(
                    z.enum(IGNORABLE, "must be the id of a fatal check, as docs/checks.md has it"),
                )
                .default([]),
        })
        .prefault({}),
    report: reportSection.prefault({}),
});

const NEXT: Readonly<Record<string, string>> = {
    context: "kubectl config get-contexts -o name, then: pulumi config set context NAME",
    clusterUid:
        "pulumi config set clusterUid $(kubectl --context NAME get namespace kube-system -o jsonpath={.metadata.uid})",
    verify: "set verify.sha256 to SHA-256 sums by <chart>-<version>, verify.keyring to the path of a keyring (docs/charts.md)",
    backup: "set backup.directory to a path and, for Secrets, backup.recipient to an age recipient (docs/backup.md)",
    "istio.override":
        "move its ids to policy.override, and take istio.override out: pulumi config rm --path istio.override",
    report: "set report.html and report.json to files of the project, report.workloads to short or all, report.permissions to refuse or tell (docs/review.md)",
    extensions:
        "set extensions.smi to { version, charts, values }, extensions.multicluster and extensions.jaeger to { charts, values } (docs/extensions.md)",
    identity:
        "set identity.source to generated, adopted or cert-manager, or to config with identity.trustAnchors, identity.issuer.certificate and (secret) identity.issuer.key; identity.rotation is { issuer: NAME } or { anchor: NAME, stage: bundle, issuer or finish }",
};

/** The Helm repository of Istio's releases. */
export const ISTIO_REPOSITORY = "https://istio-release.storage.googleapis.com/charts";

/**
 * Validates raw config values by key; `secretKeys` are those that are encrypted in the stack file.
 * @throws RefusedError with every fault at once; a fault never shows a value of `identity`.
 */
export function parseConfig(
    raw: Readonly<Record<string, unknown>>,
    secretKeys: ReadonlySet<string> = new Set(["identity"]),
): StackConfig {
    const result = schema.safeParse(raw);
    const faults: Fault[] = result.success ? [] : result.error.issues.map((i) => toFault(i, raw));
    const text = raw["linkerdVersion"];
    const version = typeof text === "string" && text !== "" ? parseLinkerdVersion(text) : undefined;
    if (version && isFault(version)) {
        faults.push(version);
    }
    faults.push(...meshFaults(version !== undefined, !isEmpty(raw["istio"])));
    faults.push(...linkerdOnlyFaults(raw));
    faults.push(...secretFaults(result.data, secretKeys));
    faults.push(...webhookStageFaults(result.data));
    const istio = result.data?.istio && resolveIstio(result.data.istio, result.data.rollout.waves);
    faults.push(...(istio?.faults ?? []));
    faults.push(...(result.data ? policyFaults(result.data.policy) : []));
    if (!result.success || faults.length > 0) {
        throw new RefusedError(faults);
    }
    const {
        context,
        clusterUid,
        kubeconfig,
        charts,
        verify,
        rollout,
        policy,
        checks,
        report,
        adopt,
        prune,
        highAvailability,
        identity,
        certificates,
        backup,
        crds,
        controlPlane,
        viz,
        cni,
        proxy,
        extensions,
    } = result.data;
    const common = {
        context,
        clusterUid,
        verify,
        rollout,
        report,
        checks,
        policy: policyOf(policy),
        kubeconfig: kubeconfig || undefined,
    };
    if (istio) {
        return {
            ...common,
            mesh: "istio",
            istio: istio.config,
            charts: charts || ISTIO_REPOSITORY,
        };
    }
    return {
        ...common,
        mesh: "linkerd",
        linkerdVersion: version as LinkerdVersion,
        charts: charts || undefined,
        ...{ adopt, prune, highAvailability, identity, backup, crds, controlPlane, viz },
        ...{ cni, proxy, extensions },
        certificates: {
            ...certificates,
            // What is taken over works; its certificates move only when the stack file says so.
            webhooks:
                certificates.webhooks ??
                (adopt && identity.source !== "cert-manager" ? "adopted" : "own"),
        },
    };
}

/** A stack is of one mesh. */
function meshFaults(linkerd: boolean, istio: boolean): Fault[] {
    if (linkerd !== istio) {
        return [];
    }
    return [
        linkerd
            ? {
                  subject: "istio",
                  rule: "and linkerdVersion are both set; a stack upgrades one mesh",
                  next: "remove one of them, and make a stack of its own for the other mesh",
              }
            : {
                  subject: "linkerdVersion",
                  rule: "must name the Linkerd version, such as edge-24.7.5",
                  next: "pulumi config set linkerdVersion edge-24.7.5; for Istio set istio.revisions instead",
              },
    ];
}

/** What a stack of Istio would ignore. */
const LINKERD_ONLY: Readonly<Record<string, string>> = {
    adopt: "docs/istio.md describes istio.base.adopt and istio.foreign",
    prune: "docs/istio.md describes istio.foreign",
    highAvailability:
        "istio.revisions[].values are those of istiod: autoscaling and replicas are among them",
    identity: "istiod has its own CA",
    certificates: "istiod makes and renews its certificates itself",
    backup: "with Istio the old revision stays beside the new one until nothing uses it",
    crds: "istio.base.values are those of Istio's CRDs",
    controlPlane: "istio.revisions[].values are those of istiod",
    viz: "it is an extension of Linkerd",
    proxy: "Istio's proxies are configured by meshConfig in istio.revisions[].values",
    cni: "Istio's CNI plugin is not upgraded by this program",
    extensions: "they are extensions of Linkerd",
};

function linkerdOnlyFaults(raw: Readonly<Record<string, unknown>>): Fault[] {
    if (isEmpty(raw["istio"])) {
        return [];
    }
    return Object.entries(LINKERD_ONLY)
        .filter(([key]) => !isEmpty(raw[key]) && !["", "false", false].includes(raw[key] as string))
        .map(([key, instead]) => ({
            subject: key,
            rule: "is a setting for Linkerd, and this stack is of Istio",
            next: `pulumi config rm ${key}; ${instead}`,
        }));
}

/** cert-manager signs with the stack's CA, and API servers trust nothing else then. */
function webhookStageFaults(config: z.infer<typeof schema> | undefined): Fault[] {
    const stage = config?.certificates.webhooks;
    return config?.identity.source !== "cert-manager" || stage === undefined || stage === "own"
        ? []
        : [
              {
                  subject: "certificates.webhooks",
                  value: stage,
                  rule: "is not for identity.source: cert-manager, whose certificates are of the stack's CA",
                  next: "go on to own with the identity.source of before, then change the source",
              },
          ];
}

/** Reads the stack's config; the only place that does. */
export async function readConfig(): Promise<StackConfig> {
    const config = new pulumi.Config();
    const raw: Record<string, unknown> = {};
    for (const key of [
        "context",
        "kubeconfig",
        "clusterUid",
        "linkerdVersion",
        "charts",
        "adopt",
        "prune",
        "highAvailability",
    ]) {
        raw[key] = config.get(key) ?? "";
    }
    for (const key of [
        "verify",
        "certificates",
        "backup",
        "crds",
        "controlPlane",
        "viz",
        "cni",
        "proxy",
        "extensions",
        "rollout",
        "checks",
        "report",
        "istio",
        "policy",
    ]) {
        raw[key] = parseJson(config.get(key));
    }
    // The PEM texts are needed in plain to be checked; what is declared with them is marked secret again.
    const secret = config.getSecret("identity");
    raw["identity"] =
        secret && parseJson(await new Promise<string>((resolve) => void secret.apply(resolve)));
    return parseConfig(raw, secretKeys());
}

/** A text that is no JSON stays as it is and fails the schema; Pulumi's own reader would print it, secret or not. */
function parseJson(text: string | undefined): unknown {
    try {
        return JSON.parse(text ?? "{}");
    } catch {
        return text;
    }
}

/** Keys of the stack's config that hold a secret; the engine tells a program only so. */
function secretKeys(): ReadonlySet<string> {
    const keys = JSON.parse(process.env["PULUMI_CONFIG_SECRET_KEYS"] ?? "[]") as string[];
    return new Set(keys.map((key) => key.split(":").at(-1) ?? ""));
}

function secretFaults(config: z.infer<typeof schema> | undefined, keys: ReadonlySet<string>) {
    const faults: Fault[] = [];
    if (config?.identity.source === "config" && !keys.has("identity")) {
        faults.push({
            subject: "identity.issuer.key",
            rule: "stands in plaintext in the stack file",
            next: "pulumi config set --secret --path identity.issuer.key < KEY.pem, and make a new key: this one has been seen",
        });
    }
    const withValues = ["crds", "controlPlane", "viz", "cni", "extensions", "istio"];
    for (const key of withValues.filter((one) => keys.has(one))) {
        faults.push({
            subject: key === "extensions" ? key : `${key}.values`,
            rule: "holds a secret; values of a chart stand in plaintext in the state",
            next: "put it into a Secret of the cluster that the chart refers to",
        });
    }
    return faults;
}

function isEmpty(value: unknown): boolean {
    return value === undefined || (value instanceof Object && Object.keys(value).length === 0);
}

function toFault(issue: z.core.$ZodIssue, raw: Readonly<Record<string, unknown>>): Fault {
    const [key = ""] = issue.path.map(String);
    const path = issue.path.map(String).join(".");
    const next =
        NEXT[path] ??
        NEXT[key] ??
        `edit ${path || "the stack file"}; Pulumi.yaml describes each key`;
    const found = issue.path.reduce<unknown>(
        (value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part],
        raw,
    );
    // A whole section may hold anything; only a scalar outside the identity is shown.
    const shown = key !== "identity" && ["string", "number", "boolean"].includes(typeof found);
    return {
        subject: path || "config",
        ...(shown ? { value: String(found) } : {}),
        rule: issue.message,
        next,
    };
}
