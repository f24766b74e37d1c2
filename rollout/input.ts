import { text } from "node:stream/consumers";
import { z } from "zod";
import { selectors, waveSettings, type MetricsSettings } from "../plan/waves";

export const cluster = z.strictObject({
    kubeconfig: z.string().optional(),
    context: z.string(),
    clusterUid: z.string(),
});

/** What the gate behind the CRDs reads on stdin. */
export const establishedInput = z.strictObject({
    cluster,
    /** Label `helm.sh/chart` of the CRDs: `linkerd-crds-2024.7.5`. */
    chart: z.string(),
});

export type EstablishedInput = z.infer<typeof establishedInput>;

/** What the commands that take over what another installer made read on stdin. */
export const takeOverInput = z.strictObject({ cluster });

export type TakeOverInput = z.infer<typeof takeOverInput>;

/** What the command that deletes undeclared objects reads on stdin. */
export const pruneInput = z.strictObject({
    cluster,
    /** What the stack declares: `Deployment linkerd/linkerd-identity`. */
    declared: z.array(z.string()),
});

export type PruneInput = z.infer<typeof pruneInput>;

/** What the hand-over of the certificates (rollout/linkerd/handOver.ts) reads on stdin. */
export const handOverInput = z.strictObject({
    cluster,
    /** Who issues from now on. */
    to: z.enum(["stack", "cert-manager"]),
    /** `organization/mesh-upgrade/prod`. */
    stack: z.string(),
    /** Whether the stack brings jaeger, whose namespace it may have no rights in otherwise. Defaults to no. */
    jaeger: z.literal(true).optional(),
});

export type HandOverInput = z.infer<typeof handOverInput>;

/** What the command that marks the beginning of an update reads on stdin. */
export const begunInput = z.strictObject({
    cluster,
    /** Of the control plane. */
    namespace: z.string(),
    /** Version that the update brings. */
    version: z.string(),
});

export type BegunInput = z.infer<typeof begunInput>;

/** What the guard of the control plane reads on stdin when the stack is destroyed. */
export const linkerdGuardInput = z.strictObject({
    cluster,
    /** Namespaces that go with it: their own pods do not count. */
    own: z.array(z.string()),
});

export type LinkerdGuardInput = z.infer<typeof linkerdGuardInput>;

/** What the command before the control plane reads on stdin, which records that the mesh's settings may change. */
export const proxySettingsBeginInput = z.strictObject({
    cluster,
    /** See plan/proxySettings.ts. */
    digest: z.string(),
});

export type ProxySettingsBeginInput = z.infer<typeof proxySettingsBeginInput>;

/** What the command that writes the proxies' settings reads on stdin. */
export const proxySettingsInput = z.strictObject({
    cluster,
    /** What the command before the control plane printed: another one for each change, whatever became of the one before. */
    begun: z.string(),
    /** See plan/proxySettings.ts. */
    declared: z.strictObject({
        digest: z.string(),
        namespaces: z.record(z.string(), z.record(z.string(), z.string())),
        uids: z.record(z.string(), z.string()),
    }),
});

export type ProxySettingsInput = z.infer<typeof proxySettingsInput>;

/** What its deletion reads: the inputs of when it last ran, which an earlier version of this program may have written. */
export const proxySettingsGoneInput = z.object({ cluster });

/** What the gate behind the CNI plugin reads on stdin. */
export const cniReadyInput = z.strictObject({
    cluster,
    /** Of the control plane: `edge-24.7.5`. */
    version: z.string(),
});

export type CniReadyInput = z.infer<typeof cniReadyInput>;

/** What the gate behind cert-manager's certificates reads on stdin. */
export const issuedInput = z.strictObject({
    cluster,
    namespace: z.string(),
    /** Certificates of the namespace, with the Secret of each and the PEM that it has to lead to. */
    certificates: z.array(
        z.strictObject({ name: z.string(), secretName: z.string(), trust: z.string() }),
    ),
});

export type IssuedInput = z.infer<typeof issuedInput>;

/** What the record of a new issuer (rollout/served.ts) reads on stdin. */
export const servedInput = z.strictObject({ cluster });

export type ServedInput = z.infer<typeof servedInput>;

const linkerdTarget = z.strictObject({
    mesh: z.literal("linkerd"),
    /** `edge-24.7.5`, of the control plane. */
    version: z.string(),
    /** Image tag of the proxy that new pods must get. */
    proxy: z.string(),
    /** Annotation linkerd.io/trust-root-sha256 that they must get; absent: it does not count. */
    trustRoot: z.string().optional(),
    /** When the issuer became this one (ISO 8601); pods made before it was served are stale. */
    issuedAt: z.string().optional(),
});

/** What new pods get is decided by labels and webhooks, which are read when the wave begins. */
const istioTarget = z.strictObject({
    mesh: z.literal("istio"),
    /** The newest version that the wave's namespaces choose: `1.27.1`. */
    version: z.string(),
    /** The control planes' namespace. */
    namespace: z.string(),
    /** The stack's namespaces; pods elsewhere are left alone. */
    namespaces: z.array(z.string()),
    /** Revision, tag or `default` by namespace, as the stack file has it; absent: labels are taken as they are. */
    choices: z.record(z.string(), z.string()).optional(),
});

const target = z.discriminatedUnion("mesh", [linkerdTarget, istioTarget]);

export type RolloutTarget = z.infer<typeof target>;

const scope = z.strictObject({
    wave: z.string(),
    select: selectors,
    others: z.record(z.string(), selectors),
});

/** Metrics of one wave, as they were before the upgrade, by the rule's name. */
const recorded = z.strictObject({
    values: z.record(z.string(), z.number()),
    /** Why there is no value. */
    problems: z.record(z.string(), z.string()),
});

/** What `baseline` prints: how it was before the upgrade. */
export const baseline = z.strictObject({
    /** Version of the control plane then; absent where there was none. */
    from: z.string().optional(),
    /** Whether the update takes that over as it runs: what is stale then is reported, not restarted. */
    takesOver: z.literal(true).optional(),
    /** When that was: ISO 8601. */
    at: z.string(),
    /** By the wave's entries as JSON: a wave that is renamed keeps what was recorded for it. */
    metrics: z.record(z.string(), recorded),
});

export type Baseline = z.infer<typeof baseline>;

/** What `baseline` reads on stdin. */
export const baselineInput = z.strictObject({
    cluster,
    target,
    waves: z.array(z.strictObject({ scope, metrics: z.custom<MetricsSettings>() })),
});

export type BaselineInput = z.infer<typeof baselineInput>;

/** What `backup` reads on stdin. */
export const backupInput = z.strictObject({
    cluster,
    /** `organization/mesh-upgrade/prod`. */
    stack: z.string(),
    /** Version that the update brings: `edge-24.7.5`. */
    to: z.string(),
    /** Path; relative to the project. */
    directory: z.string(),
    /** Of age; undefined: Secrets are left out. */
    recipient: z.string().optional(),
});

export type BackupInput = z.infer<typeof backupInput>;

/** What a wave's command reads on stdin: JSON, without credentials. */
export const waveInput = z.strictObject({
    target,
    cluster,
    scope,
    settings: waveSettings,
    /** Write each event to `.rollout/<wave>.events.jsonl`. */
    events: z.boolean(),
    baseline,
    /** The health checks that have to pass before a restart; absent: only the control plane is asked. */
    checks: z
        .strictObject({
            /** Whether viz is looked at. */
            viz: z.boolean(),
            /** Ids whose failure does not count. */
            ignore: z.array(z.string()),
        })
        .optional(),
});

export type HealthChecks = NonNullable<WaveInput["checks"]>;

export type WaveInput = z.infer<typeof waveInput>;

/** Reads the whole of stdin. @throws Error that names what is wrong with it. */
export async function readInput<T>(schema: z.ZodType<T>): Promise<T> {
    return schema.parse(JSON.parse(await text(process.stdin)));
}
