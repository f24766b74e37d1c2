import { z } from "zod";
import { isDuration, milliseconds, type Duration } from "./durations";
import type { Fault } from "./faults";

/** Labels that an object must have, all of them. */
type Labels = Readonly<Record<string, string>>;

/** What one entry of `select` asks for; everything that it names must hold. */
export interface Selector {
    /** Names of namespaces; any of them. */
    readonly namespaces?: readonly string[] | undefined;
    /** Labels of the namespace. */
    readonly namespaceLabels?: Labels | undefined;
    /** `web`, or `Deployment/web`; any of them. */
    readonly workloads?: readonly string[] | undefined;
    /** Labels of the workload itself (of the pod, where it has none). */
    readonly workloadLabels?: Labels | undefined;
}

/** What a selector is held against: a workload, or a pod without one. */
export interface Selectable {
    readonly namespace: string;
    readonly kind: string;
    readonly name: string;
    readonly labels: Labels;
}

/** What the data plane's waves have in common; a wave may set each of them for itself. */
const settings = {
    /** How long a workload may go without progress. */
    timeout: duration(),
    /** How long a wave may take altogether; absent: for ever. */
    limit: duration().optional(),
    /** Pods per minute: 100 is the rate that the guides of Anthos Service Mesh name. */
    pace: countOrUnlimited("must be pods per minute, 1 or more, or unlimited"),
    /** Workloads that roll at the same time. */
    atOnce: countOrUnlimited("must be a number of workloads, 1 or more, or unlimited"),
    /** How long the new pods must stay ready, without a restart, before the wave is done. */
    soak: duration(true),
    /** Pods of Jobs that run an old proxy: named, waited for, or passed over. */
    jobs: z.enum(["report", "wait", "skip"]),
    /** `ignore`: restart also where a PodDisruptionBudget does not allow the pods that go down meanwhile. */
    disruptionBudgets: z.enum(["respect", "ignore"]),
};

const limitOfCheck = duration().default("1m");

/** Checks after a wave, which hold the next one. */
const gates = z.strictObject({
    /** Golden metrics from Prometheus. */
    metrics: z
        .strictObject({
            /** `viz`: the one that linkerd-viz has its metrics from; else the URL of another. */
            prometheus: z
                .string()
                .regex(/^(viz|https?:\/\/.+)$/, "must be viz, or the http(s) URL of a Prometheus")
                .default("viz"),
            window: duration().default("5m"),
            /** How long to wait for data that span the window. */
            limit: duration().default("15m"),
            /** Absent: success rate and p95 latency of the wave's namespaces (plan/gates.ts). */
            rules: z
                .array(
                    z
                        .strictObject({
                            name: z.string().min(1),
                            query: z.string().min(1),
                            min: z.number().optional(),
                            max: z.number().optional(),
                            maxDrop: z.number().positive().optional(),
                            maxRise: z.number().positive().optional(),
                        })
                        .refine(
                            ({ min, max, maxDrop, maxRise }) =>
                                [min, max, maxDrop, maxRise].some((one) => one !== undefined),
                            "must set a limit: min, max, maxDrop or maxRise",
                        ),
                )
                .min(1)
                .optional(),
        })
        .refine(({ window, limit }) => milliseconds(limit) > milliseconds(window), {
            path: ["limit"],
            message: "must be longer than the window, which data have to span",
        })
        .optional(),
    /** A program of the user's, without a shell; ends with 0 where all is well. */
    command: z
        .strictObject({ run: z.array(z.string().min(1)).min(1), limit: limitOfCheck })
        .optional(),
    http: z
        .strictObject({
            url: z.string().regex(/^https?:\/\/.+/, "must be an http(s) URL"),
            /** Absent: any of 2xx. */
            status: z.number().int().min(100).max(599).optional(),
            contains: z.string().optional(),
            limit: limitOfCheck,
        })
        .optional(),
    /** Stops the update after this wave. */
    pause: z.boolean().default(false),
    /** The version for which the pause is over: `edge-24.7.5`. */
    continueFor: z.string().optional(),
});

const labels = z.record(z.string(), z.string());

const selector = z
    .strictObject({
        namespaces: z.array(z.string().min(1)).min(1).optional(),
        namespaceLabels: labels.optional(),
        workloads: z
            .array(
                z
                    .string()
                    .regex(
                        /^([A-Z][A-Za-z]+\/)?[^/]+$/,
                        "must be a name, such as web, or Kind/name",
                    ),
            )
            .min(1)
            .optional(),
        workloadLabels: labels.optional(),
    })
    .refine(
        (one) => Object.values(one).some((value) => Object.keys(value ?? {}).length > 0),
        "selects nothing; name namespaces, namespaceLabels, workloads or workloadLabels",
    );

export const selectors: z.ZodType<readonly Selector[]> = z.array(selector);

/** What a wave's program gets about how to run it. */
export const waveSettings = z.strictObject({ ...settings, gates });

export type WaveSettings = Readonly<z.infer<typeof waveSettings>>;
export type Gates = WaveSettings["gates"];
/** The gate on golden metrics, as the stack file has it. */
export type MetricsSettings = Gates["metrics"];

/** A part of the data plane that is restarted together. */
export interface Wave extends WaveSettings {
    readonly name: string;
    /** Empty for the last one, which takes what no other selects. */
    readonly select: readonly Selector[];
}

/** Name of the last wave: what is left. */
export const REST = "rest";

const wave = z.strictObject({
    name: z
        .string()
        .regex(
            /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/,
            "must be of 1 to 40 lower-case letters, digits and dashes, a letter first",
        )
        .refine(
            (name) => !name.endsWith("-begin") && name !== "baseline",
            "is the name of a resource that goes with the waves; choose another",
        ),
    select: z.array(selector).min(1, "must name what the wave takes").optional(),
    ...z.strictObject(settings).partial().shape,
    gates: gates.optional(),
});

const wavesInOrder = z.array(wave).superRefine((waves, context) => {
    const problem = (index: number, key: string, message: string) =>
        context.addIssue({ code: "custom", path: [index, key], message });
    const names = waves.map((one) => one.name);
    waves.forEach((one, index) => {
        if (names.indexOf(one.name) !== index) {
            problem(index, "name", "is the name of an earlier wave");
        }
        if (one.name === REST) {
            if (one.select) {
                problem(index, "select", "rest takes what is left and has no select");
            }
            if (index !== waves.length - 1) {
                problem(index, "name", "rest takes what is left, so it must be the last wave");
            }
        } else if (!one.select) {
            problem(index, "select", "must name what the wave takes");
        }
    });
});

/** The section `rollout` of the stack file. Resolves to the waves in their order, `rest` last. */
export const rollout = z
    .strictObject({
        timeout: settings.timeout.default("10m"),
        limit: settings.limit,
        pace: settings.pace.default(100),
        atOnce: settings.atOnce.default(50),
        soak: settings.soak.default("10s"),
        jobs: settings.jobs.default("report"),
        disruptionBudgets: settings.disruptionBudgets.default("respect"),
        gates: gates.default({ pause: false }),
        /** Write each event as a line of JSON to `.rollout/<wave>.events.jsonl`. */
        events: z.boolean().default(false),
        waves: wavesInOrder.default([]),
    })
    .transform(({ waves, events, ...common }) => {
        const all = waves.some((one) => one.name === REST) ? waves : [...waves, { name: REST }];
        return {
            events,
            waves: all.map(({ name, select = [], ...own }: z.infer<typeof wave>): Wave => {
                const given = Object.entries(own).filter(([, value]) => value !== undefined);
                return { ...common, ...Object.fromEntries(given), name, select };
            }),
        };
    });

export type Rollout = z.infer<typeof rollout>;

function countOrUnlimited(rule: string) {
    return z.custom<number | "unlimited">(
        (value) => value === "unlimited" || (Number.isInteger(value) && Number(value) >= 1),
        rule,
    );
}

function duration(zero = false) {
    return z.custom<Duration>(
        (value) =>
            typeof value === "string" && (isDuration(value) || (zero && /^0[smh]$/.test(value))),
        `must be a duration such as 90s, 10m or 1h${zero ? ", or 0s" : ""}`,
    );
}

/** Whether any entry of `select` takes it. */
export function selects(
    select: readonly Selector[],
    one: Selectable,
    namespaceLabels: ReadonlyMap<string, Labels>,
): boolean {
    return select.some(
        (entry) =>
            (entry.namespaces?.includes(one.namespace) ?? true) &&
            (entry.workloads?.some(
                (name) => name === one.name || name === `${one.kind}/${one.name}`,
            ) ??
                true) &&
            hasLabels(namespaceLabels.get(one.namespace), entry.namespaceLabels) &&
            hasLabels(one.labels, entry.workloadLabels),
    );
}

function hasLabels(labels: Labels | undefined, wanted: Labels | undefined): boolean {
    return Object.entries(wanted ?? {}).every(([key, value]) => labels?.[key] === value);
}

/** Which wave takes what: its own entries, and those of the other waves. */
export interface Scope {
    readonly wave: string;
    readonly select: readonly Selector[];
    /** The other waves that have a `select`, by name. */
    readonly others: Readonly<Record<string, readonly Selector[]>>;
}

/** Of the wave `name` among all. */
export function scopeOf(waves: readonly Pick<Wave, "name" | "select">[], name: string): Scope {
    return {
        wave: name,
        select: waves.find((one) => one.name === name)?.select ?? [],
        others: Object.fromEntries(
            waves
                .filter((one) => one.name !== name && one.name !== REST)
                .map((one) => [one.name, one.select]),
        ),
    };
}

/** `rest` has no entries of its own: it takes what no other wave does. */
export function isInWave(
    scope: Scope,
    one: Selectable,
    namespaceLabels: ReadonlyMap<string, Labels>,
): boolean {
    return scope.select.length > 0
        ? selects(scope.select, one, namespaceLabels)
        : !Object.values(scope.others).some((select) => selects(select, one, namespaceLabels));
}

/** A fault for each workload that more than one wave takes. */
export function overlapFaults(
    waves: readonly Pick<Wave, "name" | "select">[],
    all: readonly Selectable[],
    namespaceLabels: ReadonlyMap<string, Labels>,
): Fault[] {
    return all.flatMap((one) => {
        const names = waves
            .filter(({ select }) => selects(select, one, namespaceLabels))
            .map(({ name }) => name);
        return names.length < 2
            ? []
            : [
                  {
                      subject: "rollout.waves",
                      value: names.join(", "),
                      rule: `each of these waves takes ${one.namespace}/${one.kind}/${one.name}; a workload belongs to one wave`,
                      next: "narrow the select of one of them",
                  },
              ];
    });
}
