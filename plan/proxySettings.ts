import { createHash } from "node:crypto";
import { z } from "zod";
import type { ChartValues } from "../config";
import type { Fault } from "./faults";
import { at, isMap } from "./values";

/** Annotation of a namespace: what the stack has set there, and since when pods get it. JSON of SettingsRecord. */
export const PROXY_SETTINGS = "mesh-upgrade/proxy-settings";
/** Of the annotations with which Linkerd is configured for a namespace. */
export const CONFIG_PREFIX = "config.linkerd.io/";

const ports = z.coerce
    .string()
    .regex(
        /^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/,
        "must be ports and ranges of ports, such as 3306 or 3306,8000-8010",
    );
const quantity = z.coerce
    .string()
    .regex(/^\d+(\.\d+)?(m|k|[KMGT]i?)?$/, "must be a quantity, such as 100m or 64Mi");

const settings = z.strictObject({
    opaquePorts: ports.optional(),
    skipInboundPorts: ports.optional(),
    skipOutboundPorts: ports.optional(),
    cpuRequest: quantity.optional(),
    cpuLimit: quantity.optional(),
    memoryRequest: quantity.optional(),
    memoryLimit: quantity.optional(),
    logLevel: z.string().min(1, "must be a level, such as debug or warn,linkerd=info").optional(),
    logFormat: z.enum(["plain", "json"]).optional(),
    accessLog: z.enum(["apache", "json"]).optional(),
});

const ANNOTATIONS: Readonly<Record<keyof z.infer<typeof settings>, string>> = {
    opaquePorts: "opaque-ports",
    skipInboundPorts: "skip-inbound-ports",
    skipOutboundPorts: "skip-outbound-ports",
    cpuRequest: "proxy-cpu-request",
    cpuLimit: "proxy-cpu-limit",
    memoryRequest: "proxy-memory-request",
    memoryLimit: "proxy-memory-limit",
    logLevel: "proxy-log-level",
    logFormat: "proxy-log-format",
    accessLog: "access-log",
};

/** Config key `proxy`: settings of the proxies of a namespace, by its name. */
export const proxySection = z.strictObject({
    namespaces: z
        .record(z.string().regex(/^[a-z0-9-]{1,63}$/, "must name a namespace"), settings)
        .default({}),
});

export type ProxyConfig = z.infer<typeof proxySection>;

/** Annotations with their values. */
export type Annotations = Readonly<Record<string, string>>;

/** What the stack has set. Of a namespace, `set`; of the whole mesh (on namespace linkerd), `digest`. */
export interface SettingsRecord {
    readonly set?: Annotations | undefined;
    readonly digest?: string | undefined;
    /** ISO 8601, by the API server's clock; absent: they were there before it was recorded. */
    readonly since?: string | undefined;
    /** Of the mesh: when new pods may have got the settings of an update that did not end. Without `to`: still so. */
    readonly unfinished?: { readonly from: string; readonly to?: string | undefined } | undefined;
}

/** A namespace, as far as its proxies are configured by it. */
export interface ConfiguredNamespace {
    readonly name: string;
    /** Another one where it was deleted and made anew. */
    readonly uid: string;
    readonly record: SettingsRecord | undefined;
    /** Its annotations with CONFIG_PREFIX, whoever set them. */
    readonly config: Annotations;
}

/** Since when new pods get other settings, in ms since the epoch; Infinity: with this update. */
export interface SettingsSince {
    readonly mesh?: number | undefined;
    /** Pods that were made from then on and before `to` may have others. */
    readonly unfinished?: { readonly from: number; readonly to: number } | undefined;
    readonly namespaces: ReadonlyMap<string, number>;
}

/** What is declared of proxies. */
export interface DeclaredSettings {
    /** Of the values that the injector gives to each proxy; empty: none is set. */
    readonly digest: string;
    readonly namespaces: Readonly<Record<string, Annotations>>;
    /** Of those namespaces: one that was made anew gets its settings again. */
    readonly uids: Readonly<Record<string, string>>;
}

export interface ProxySettingsPlan extends DeclaredSettings {
    readonly since: SettingsSince;
    /** One for each namespace that changes, and for the mesh. */
    readonly lines: readonly string[];
    readonly faults: readonly Fault[];
}

const OWN = ["linkerd", "linkerd-viz", "linkerd-cni"];
/** The namespace with the record of the whole mesh. */
export const MESH = "linkerd";

/**
 * What is declared, what of it is new, and what stands in its way.
 * @param seen the namespaces, or why they could not be read, which only a preview survives
 * @param values of the control plane: those that are set, or with `running` all that it was rendered with
 * @param running of rendered YAML: the values that linkerd-config has now, empty where they are of another version
 */
export function planProxySettings(
    { namespaces: wanted }: ProxyConfig,
    values: ChartValues,
    seen: readonly ConfiguredNamespace[] | string,
    running?: ChartValues,
): ProxySettingsPlan {
    const live = typeof seen === "string" ? [] : seen;
    const namespaces = Object.fromEntries(
        Object.entries(wanted)
            .map(([name, settings]) => [name, annotationsOf(settings)] as const)
            .filter(([, set]) => Object.keys(set).length > 0),
    );
    const mesh = live.find(({ name }) => name === MESH)?.record;
    const digest = running ? renderedDigest(values, running, mesh?.digest) : digestOf(values);
    const uids = Object.fromEntries(
        live.filter(({ name }) => name in namespaces).map(({ name, uid }) => [name, uid]),
    );
    const declared = { digest, namespaces, uids };
    const since = new Map<string, number>();
    const lines =
        typeof seen === "string" ? [`proxy settings of namespaces: unknown: ${seen}`] : [];
    for (const { name, record } of live.filter((one) => one.name !== MESH)) {
        const [before, after] = [record?.set ?? {}, namespaces[name] ?? {}];
        if (!sameSettings(before, after)) {
            since.set(name, Infinity);
            lines.push(
                `proxy settings of namespace ${name}: ${textOf(before)} -> ${textOf(after)}`,
            );
        } else if (record?.since !== undefined) {
            since.set(name, Date.parse(record.since));
        }
    }
    const moved = meshMoves(mesh?.digest, digest);
    if (moved) {
        lines.push("proxy settings of the mesh (controlPlane.values) change: every pod restarts");
    } else if (isOpen(mesh)) {
        lines.push(
            `proxy settings of the mesh (controlPlane.values) go back, which an update that did not end had changed: pods that were made since ${mesh.unfinished.from} restart`,
        );
    }
    return {
        ...declared,
        since: { namespaces: since, ...(moved ? { mesh: Infinity } : meshSince(mesh, Infinity)) },
        lines,
        faults: typeof seen === "string" ? [] : settingsFaults(namespaces, live),
    };
}

/**
 * Whether pods of before lack what the mesh's values say. Nobody knows it of a mesh that was never recorded, nor, after
 * rendered YAML was edited, of values that are set.
 */
export function meshMoves(before: string | undefined, after: string): boolean {
    const comparable = !before?.startsWith(RENDERED) || after.startsWith(RENDERED);
    return before !== undefined && before !== after && comparable;
}

type Unfinished = NonNullable<SettingsRecord["unfinished"]>;

/** Whether new pods may get other settings than those that are recorded. */
function isOpen(
    record: SettingsRecord | undefined,
): record is SettingsRecord & { readonly unfinished: Unfinished } {
    return record?.unfinished !== undefined && record.unfinished.to === undefined;
}

/**
 * The mesh's record for the time in which the control plane changes: should the update not end and be taken back, pods
 * that were made meanwhile are known by it.
 * @param now ISO 8601
 * @returns undefined where it stays as it is
 */
export function begunRecord(
    record: SettingsRecord | undefined,
    digest: string,
    now: string,
): SettingsRecord | undefined {
    return meshMoves(record?.digest, digest) && !isOpen(record)
        ? { ...record, unfinished: { from: record?.unfinished?.from ?? now } }
        : undefined;
}

/**
 * The mesh's record from when new pods get what is declared, and whether pods of before are stale by it.
 * @param now ISO 8601
 * @returns undefined where it stays as it is
 */
export function settledRecord(
    record: SettingsRecord | undefined,
    digest: string,
    now: string,
): { readonly record: SettingsRecord; readonly moves: boolean } | undefined {
    if (meshMoves(record?.digest, digest)) {
        return { record: { digest, since: now }, moves: true };
    }
    if (isOpen(record)) {
        const unfinished = { ...record.unfinished, to: now };
        return { record: { ...record, digest, unfinished }, moves: true };
    }
    return record?.digest === digest ? undefined : { record: { ...record, digest }, moves: false };
}

/** @param end what stands for the end of a time that goes on; undefined: such a time does not count */
function meshSince(
    record: SettingsRecord | undefined,
    end?: number,
): Pick<SettingsSince, "mesh" | "unfinished"> {
    const { since, unfinished } = record ?? {};
    const to = unfinished?.to === undefined ? end : Date.parse(unfinished.to);
    return {
        ...(since === undefined ? {} : { mesh: Date.parse(since) }),
        ...(unfinished && to !== undefined
            ? { unfinished: { from: Date.parse(unfinished.from), to } }
            : {}),
    };
}

/** Since when pods get what the stack has set, as it is recorded. */
export function recordedSince(live: readonly ConfiguredNamespace[]): SettingsSince {
    const namespaces = new Map(
        live.flatMap(({ name, record }) =>
            name === MESH || record?.since === undefined
                ? []
                : [[name, Date.parse(record.since)] as const],
        ),
    );
    return { namespaces, ...meshSince(live.find(({ name }) => name === MESH)?.record) };
}

/** A pod is outdated where its namespace's settings, or the mesh's, came after it, or others before those were put back. */
export function lacksSettings(
    { namespace, createdAt }: { readonly namespace: string; readonly createdAt: number },
    { mesh = -Infinity, namespaces, unfinished }: SettingsSince,
): boolean {
    return (
        createdAt < Math.max(mesh, namespaces.get(namespace) ?? -Infinity) ||
        (unfinished !== undefined && createdAt >= unfinished.from && createdAt < unfinished.to)
    );
}

function annotationsOf(settings: ProxyConfig["namespaces"][string]): Annotations {
    return Object.fromEntries(
        Object.entries(ANNOTATIONS).flatMap(([key, name]) => {
            const value = settings[key as keyof typeof settings];
            return value === undefined ? [] : [[`${CONFIG_PREFIX}${name}`, value]];
        }),
    );
}

export function sameSettings(one: Annotations, other: Annotations): boolean {
    return canonical(one) === canonical(other);
}

function textOf(settings: Annotations): string {
    const texts = Object.entries(settings).map(
        ([name, value]) => `${name.slice(CONFIG_PREFIX.length)}=${value}`,
    );
    return texts.sort().join(" ") || "none";
}

function settingsFaults(
    namespaces: DeclaredSettings["namespaces"],
    live: readonly ConfiguredNamespace[],
): Fault[] {
    return Object.entries(namespaces).flatMap(([name, set]): Fault[] => {
        const subject = `proxy.namespaces.${name}`;
        const found = live.find((one) => one.name === name);
        if (OWN.includes(name)) {
            const next =
                "set values of its chart instead, and take the namespace out of proxy.namespaces";
            return [{ subject, rule: "is a namespace of the mesh itself", next }];
        }
        if (!found) {
            const next = `kubectl create namespace ${name}, or take it out of the stack file`;
            return [{ subject, rule: "the cluster has no such namespace", next }];
        }
        return Object.keys(set)
            .filter((one) => one in found.config && !(one in (found.record?.set ?? {})))
            .map((one) => ({
                subject: `${subject} (annotation ${one})`,
                value: found.config[one] ?? "",
                rule: "is set already, by somebody else",
                next: `kubectl annotate namespace ${name} ${one}-, and take it out of whatever writes it; or take the setting out of the stack file`,
            }));
    });
}

/** Values that reach a proxy, beside its version, which is looked at by itself. */
const MESH_WIDE = ["proxy", "proxyInit", "cniEnabled", "clusterNetworks"];

/** Of a digest of rendered values, in which the chart's defaults stand as well. */
const RENDERED = "rendered:";

/** What is recorded holds until they differ from those that run: YAML of a chart and its values are one and the same. */
function renderedDigest(
    values: ChartValues,
    running: ChartValues,
    recorded: string | undefined,
): string {
    const after = countedOf(values);
    const [one, other] = [withoutUnset(countedOf(running)), withoutUnset(after)];
    const same = Object.keys(one).length === 0 || canonical(one) === canonical(other);
    return same ? (recorded ?? "") : `${RENDERED}${hashOf(after)}`;
}

/**
 * Whole values without what means the same as its absence. The linkerd CLI writes each field of its Go structures, set or
 * not (`accessLog: ""`, `isGateway: false`), a chart what its values.yaml has (`cores: 0`).
 */
function withoutUnset(values: ChartValues): ChartValues {
    const kept = Object.entries(values).flatMap(([key, value]) => {
        const inner = isMap(value) ? withoutUnset(value) : value;
        const unset = !inner || (isMap(inner) && Object.keys(inner).length === 0);
        return unset ? [] : [[key, inner] as const];
    });
    return Object.fromEntries(kept);
}

function digestOf(values: ChartValues): string {
    const set = countedOf(values);
    return Object.keys(set).length === 0 ? "" : hashOf(set);
}

/** What of them counts; nothing of what is empty. */
function countedOf(values: ChartValues): ChartValues {
    const { image, ...proxy } = (values["proxy"] ?? {}) as { image?: Record<string, unknown> };
    const { version: _tag, ...rest } = image ?? {};
    const counted = {
        ...values,
        proxy: { ...proxy, ...(Object.keys(rest).length > 0 ? { image: rest } : {}) },
    };
    return Object.fromEntries(
        MESH_WIDE.map((key) => [key, at(counted, key)] as const).filter(
            ([, value]) =>
                value !== undefined && !(isMap(value) && Object.keys(value).length === 0),
        ),
    );
}

function hashOf(set: ChartValues): string {
    return createHash("sha256").update(canonical(set)).digest("hex").slice(0, 16);
}

/** Of declared settings, for triggers; undefined where there is none. */
export function settingsDigest({ digest, namespaces, uids }: DeclaredSettings): string | undefined {
    return digest === "" && Object.keys(namespaces).length === 0
        ? undefined
        : canonical({ digest, namespaces, uids });
}

/** The order of keys in a stack file means nothing. */
function canonical(value: unknown): string {
    return JSON.stringify(value, (_, one: unknown) =>
        isMap(one)
            ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => a.localeCompare(b)))
            : one,
    );
}
