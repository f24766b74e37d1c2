import { z } from "zod";

const text = z.string();
const count = z.int().min(0);
const texts = z.array(text);
const minutes = z
    .strictObject({ least: count, most: count })
    .describe("Minutes, rounded up. Pods that take long to get ready take longer.");

/** plan/faults.ts's Fault. */
const fault = z.strictObject({
    subject: text.describe("A config key or an object."),
    value: text.optional().describe("What was found; never a secret."),
    rule: text.describe("The rule that it breaks."),
    next: text.describe("The next step."),
});

const versions = z
    .strictObject({
        change: z
            .enum(["install", "upgrade", "revert", "none", "revisions"])
            .describe("What the update does; `revisions`: side by side, as Istio is upgraded."),
        target: texts.describe("What the stack file names: `edge-24.7.5`, `1.27.1 (1-27-1)`."),
        controlPlane: z
            .array(z.strictObject({ name: text, version: text.nullable() }))
            .describe("What runs: of Linkerd one, of Istio one for each revision."),
        crds: text.nullable().describe("Version of the CRDs after the update; null: unknown."),
        proxies: z
            .array(z.strictObject({ version: text, pods: count }))
            .describe("What meshed pods run, by version; empty where it could not be read."),
    })
    .describe("Where from and where to.");

const path = z.strictObject({
    verdict: z.enum(["allowed", "overridden", "refused"]),
    steps: texts.describe("Versions to go through, the target last."),
    rules: z.array(
        z.strictObject({
            id: text.describe("As policy.override names it."),
            text,
            source: text,
            broken: z.boolean(),
        }),
    ),
});

const notice = z.strictObject({
    id: text.describe("As policy.acknowledge names it."),
    since: text.describe("Release that brought it."),
    title: text,
    action: text.describe("What to do."),
    source: text,
    applies: z.enum(["yes", "no", "unknown"]),
    evidence: texts.describe("What was found in the cluster or the stack file."),
    blocking: z.boolean(),
    acknowledged: z.boolean(),
});

const check = z.strictObject({
    id: text,
    category: text,
    severity: z.enum(["fatal", "warning"]),
    result: z.enum(["ok", "failed", "skipped", "unknown"]),
    message: text,
    hint: text.optional().describe("URL."),
});

const certificate = z.strictObject({
    name: text,
    subject: text,
    sha256: text,
    notBefore: text.describe("`2026-11-21`"),
    notAfter: text,
    verdict: text,
});

const named = {
    namespace: text,
    kind: text,
    name: text,
};

const budget = z.strictObject({
    name: text,
    allowed: count.describe("Pods that may go down now."),
    healthy: count,
    desired: count.describe("Healthy pods that it asks for."),
    expected: count,
});

const workload = z.strictObject({
    ...named,
    replicas: count,
    pods: count.describe("Pods that are made anew."),
    action: z
        .enum(["restart", "wait", "return", "evict"])
        .describe(
            "restart: new pods from the same template; wait: an earlier run restarted it; return: back to the revision before; evict: stale pods go a few at a time.",
        ),
    by: z.enum(["wave", "viz release"]).describe("Who restarts it."),
    from: texts.describe("Proxies that its stale pods run."),
    to: text,
    outdated: texts.describe("What else is out of date, such as `trust anchors`."),
    takesDown: count.describe("Pods that are missing at a time while it rolls."),
    surge: count.describe("Pods above its replicas while it rolls."),
    budgets: z.array(budget).describe("PodDisruptionBudgets that cover its pods."),
    blocked: z
        .strictObject({ budget: text, forever: z.boolean(), reason: text })
        .optional()
        .describe("The budget that does not let it roll; absent: none, or they are ignored."),
    minutes: count.nullable().describe("At the wave's pace; null: no pace is set."),
    notes: texts,
});

const stale = z.strictObject({
    ...named,
    pods: count,
    proxy: text,
    reason: text,
    state: z
        .enum(["stays stale", "waited for", "passed over"])
        .describe("Pods of Jobs may be waited for, or passed over (rollout.jobs)."),
});

const wave = z.strictObject({
    name: text,
    pods: count.describe("Meshed pods in it."),
    current: count.describe("Of those, pods that run the target already."),
    restarts: count.describe("Pods that are made anew."),
    pace: count.nullable().describe("Pods a minute; null: unlimited."),
    soak: text,
    minutes: count.nullable().describe("Of the restarts, without soak; null: no pace is set."),
    workloads: z.array(workload),
    stale: z.array(stale),
});

const controlPlaneWorkload = z.strictObject({
    ...named,
    change: z.enum(["restarts", "new", "goes"]),
    pods: count.describe("0 where it is new."),
    from: text.nullable(),
    to: text.nullable(),
});

const blastRadius = z
    .strictObject({
        unknown: text
            .optional()
            .describe("Why the data plane could not be read; its parts are empty then."),
        waiting: z
            .enum(["none", "unchanged", "held"])
            .describe(
                "unchanged: the version line did not change, so waves do not run by themselves; held: the mesh is taken over as it runs.",
            ),
        target: text.describe("What pods are to run."),
        pods: count.describe("Meshed pods."),
        current: count.describe("Of those, pods that run the target already."),
        stale: count.describe("Workloads of the data plane that are to restart."),
        controlPlane: z.strictObject({
            workloads: z.array(controlPlaneWorkload),
            minutes,
            source: text.describe("Where the figure comes from."),
        }),
        waves: z.array(wave),
        totals: z
            .strictObject({
                workloads: count,
                pods: count.describe("Control plane included."),
                stalePods: count.describe("Pods that stay stale."),
                minutes,
            })
            .describe("Each workload counts once."),
    })
    .describe("What restarts.");

const permission = z.strictObject({
    verb: text,
    resource: text.describe("`deployments.apps`, `pods/eviction`"),
    namespace: text.nullable().describe("null: in the whole cluster"),
});

const permissions = z.strictObject({
    unknown: text.optional().describe("Why the API server could not be asked."),
    asked: count.describe("Permissions that the update needs or may need."),
    missing: z.array(permission),
    maybe: z
        .array(permission)
        .describe("Missing, but needed only where an object goes that the new version lacks."),
});

const stage = z.strictObject({
    kind: z.enum([
        "backup",
        "crds",
        "controlPlane",
        "extension",
        "wave",
        "gateways",
        "removal",
        "check",
    ]),
    title: text,
    detail: text,
    parts: z
        .array(z.strictObject({ name: text, detail: text }))
        .describe("What goes side by side in it."),
});

/**
 * The review of one update: what report/ shows as lines, JSON and HTML. Plain JSON without secrets; its lists are sorted, and
 * it holds dates, never days left, so that the same cluster gives the same review.
 */
export const review = z
    .strictObject({
        format: z.literal("mesh-upgrade-review/1"),
        mesh: z.enum(["linkerd", "istio"]),
        stack: text.describe("`organization/mesh-upgrade/prod`"),
        context: text.describe("Context of the kubeconfig."),
        refusals: z.array(fault).describe("Why the update is refused; empty: it is not."),
        versions,
        path,
        notices: z.array(notice),
        checks: z.array(
            check.extend({
                because: text
                    .optional()
                    .describe("Why the failure of a fatal one does not refuse; absent: it does."),
            }),
        ),
        certificates: z.array(certificate),
        blastRadius,
        permissions,
        order: z.array(stage).describe("What happens, one after the other."),
    })
    .describe("What `pulumi preview` and `pulumi up` of mesh-upgrade say about an update.");

/** Whoever has a review only reads it. */
type Frozen<T> = T extends readonly (infer Item)[]
    ? readonly Frozen<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Frozen<T[Key]> }
      : T;

export type Review = Frozen<z.infer<typeof review>>;
export type Versions = Review["versions"];
export type PathVerdict = Frozen<z.infer<typeof path>>;
export type NoticeResult = Frozen<z.infer<typeof notice>>;
export type CheckResult = Frozen<z.infer<typeof check>>;
export type ReviewedCheck = Review["checks"][number];
export type BlastRadius = Review["blastRadius"];
export type ControlPlaneRadius = BlastRadius["controlPlane"];
export type ControlPlaneChange = Frozen<z.infer<typeof controlPlaneWorkload>>;
export type WaveRadius = Frozen<z.infer<typeof wave>>;
export type WorkloadRadius = Frozen<z.infer<typeof workload>>;
export type StaleRadius = Frozen<z.infer<typeof stale>>;
export type Permission = Frozen<z.infer<typeof permission>>;
export type Permissions = Review["permissions"];
export type Stage = Frozen<z.infer<typeof stage>>;
