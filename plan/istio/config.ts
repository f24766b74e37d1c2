import { z } from "zod";
import { isDuration, type Duration } from "../durations";
import type { Fault } from "../faults";
import type { Wave } from "../waves";
import { isFault } from "../versions";
import { SYSTEM_NAMESPACES, type Choice } from "./injection";
import { isFrom, parseIstioVersion, revisionName, RULE_IDS, type IstioVersion } from "./versions";

/** The name that stands for istio-injection=enabled, and for the install without a revision name. */
export const DEFAULT = "default";

const text = z.string().min(1);
const values = z.record(z.string(), z.unknown()).default({});

const archive = z.union(
    [
        z.strictObject({
            path: text,
            sha256: z.string().regex(/^[0-9a-fA-F]{64}$/, "must be 64 hexadecimal digits"),
        }),
        z.strictObject({ path: text, signature: text, publicKey: text }),
    ],
    "must have path and sha256, or path, signature and publicKey",
);

const options = z.strictObject({
    overlays: z.array(text).default([]),
    set: z.array(z.string().regex(/^[^=]+=/, "must read key=value")).default([]),
});

const revision = z.strictObject({
    /** `1.26.4` or `1.6.14-asm.2`. */
    version: text,
    /** Absent: as the guides name it (revisionName). */
    name: z.string().optional(),
    /** Of the chart istiod. */
    values,
    /** Rendered YAML instead of the chart: a file or a directory. */
    manifests: text.optional(),
    /** With which the manifests were rendered: for the record, compared between revisions. */
    options: options.default({ overlays: [], set: [] }),
    /** The release's archive, which is verified before anything is used. */
    archive: archive.optional(),
});

const foreign = z.strictObject({
    /** `default`: the install without a revision name. */
    revision: text,
    /** What is expected to be found; absent: anything. */
    version: text.optional(),
    /** Its own objects are removed once nothing uses it. */
    remove: z.boolean().default(false),
    /** Rendered YAML with which it was installed: the way back of what is upgraded in place. */
    manifests: text.optional(),
    /** With which the manifests were rendered; revisions of ours are held against them. */
    options: options.optional(),
    /** The release's archive, which is verified before anything is used. */
    archive: archive.optional(),
});

const gateway = z.strictObject({
    /** Of the release. */
    name: text,
    namespace: text,
    /** A revision or a tag. */
    revision: text,
    /** Of the chart gateway; absent: that of the revision. */
    version: text.optional(),
    values,
});

const choices = z.record(z.string(), text).default({});

const section = z.strictObject({
    /** Of the control planes. */
    namespace: text.default("istio-system"),
    /** The chart base: CRDs and what revisions share. `adopt`: take over what somebody else made. */
    base: z
        .strictObject({ values, adopt: z.boolean().default(false) })
        .default({ values: {}, adopt: false }),
    /** Control planes of this stack; none only beside a foreign one, to which everybody went back. */
    revisions: z.array(revision),
    /** Control planes that somebody else made. */
    foreign: z.array(foreign).default([]),
    /** Tag -> revision. */
    tags: choices,
    /** The revision of the default validator and of istio-injection=enabled. */
    defaultRevision: text.optional(),
    /** Namespace -> tag, revision, or `default` (istio-injection=enabled). */
    namespaces: choices,
    /** Wave -> the same, for the namespaces that the wave's select names. */
    waves: choices,
    gateways: z.array(gateway).default([]),
    /** How long nothing may use a revision before it goes. */
    guard: z
        .strictObject({
            grace: z
                .custom<Duration>(
                    (value) => typeof value === "string" && isDuration(value),
                    "must be a duration such as 90s, 10m or 1h",
                )
                .default("30s"),
        })
        .default({ grace: "30s" }),
    /** Ids of rules that may be broken (plan/istio/versions.ts). */
    override: z.array(text).default([]),
});

/** The section `istio` of the stack file, each key for itself; resolveIstio checks what goes across keys. */
export const istioSection = section.refine(
    ({ revisions, foreign: others }) => revisions.length > 0 || others.length > 0,
    { path: ["revisions"], message: "must name at least one revision" },
);

export type IstioSection = z.infer<typeof istioSection>;

/** A control plane of this stack. */
export interface IstioRevision extends Omit<IstioSection["revisions"][number], "version" | "name"> {
    readonly version: IstioVersion;
    readonly name: string;
}

/** A control plane that somebody else made. */
export interface ForeignRevision {
    /** `default`: the install without a revision name. */
    readonly revision: string;
    /** Undefined: anything may be found. */
    readonly version: IstioVersion | undefined;
    readonly remove: boolean;
    /** Path of the rendered YAML with which it was installed. */
    readonly manifests?: string | undefined;
    readonly options?: IstioRevision["options"] | undefined;
    readonly archive?: IstioRevision["archive"];
}

/** What somebody is bound to: `choice` as it stands in the stack file, and what it resolves to. */
export interface Target extends Choice {
    readonly choice: string;
}

/** A gateway with what it is bound to. */
export interface IstioGateway extends Target {
    readonly name: string;
    readonly namespace: string;
    /** Of the chart gateway. */
    readonly version: IstioVersion;
    readonly values: Readonly<Record<string, unknown>>;
}

/** The section with every name resolved; plain data but for `revisionOf`. */
export interface IstioConfig {
    readonly namespace: string;
    readonly base: IstioSection["base"];
    readonly revisions: readonly IstioRevision[];
    readonly foreign: readonly ForeignRevision[];
    /** Tag -> revision; without `default`. */
    readonly tags: ReadonlyMap<string, string>;
    readonly defaultRevision: string | undefined;
    /** By namespace, those of the waves among them. */
    readonly target: ReadonlyMap<string, Target>;
    readonly gateways: readonly IstioGateway[];
    readonly guard: IstioSection["guard"];
    readonly overrides: ReadonlySet<string>;
    /** What a tag, a revision or `default` stands for; undefined for any other text. */
    readonly revisionOf: (choice: string) => string | undefined;
}

type NamedWave = Pick<Wave, "name"> & {
    readonly select: readonly Pick<Wave["select"][number], "namespaces">[];
};

/**
 * Resolves the section against the waves of `rollout` and gathers every fault that goes across keys. The config lacks what
 * has a fault; it is of use only without any.
 */
export function resolveIstio(
    section: IstioSection,
    waves: readonly NamedWave[],
): { readonly config: IstioConfig; readonly faults: readonly Fault[] } {
    const faults: Fault[] = [];
    const names = new Names(section, faults);
    const target = targetsOf(section, waves, names, faults);
    const config: IstioConfig = {
        namespace: section.namespace,
        base: section.base,
        revisions: names.revisions,
        foreign: names.foreign,
        tags: names.tags,
        defaultRevision: section.defaultRevision,
        target,
        gateways: gatewaysOf(section, names, target, faults),
        guard: section.guard,
        overrides: new Set(section.override),
        revisionOf: (choice) => names.resolve(choice)?.revision,
    };
    faults.push(...overrideFaults(section));
    return { config, faults };
}

/** Revisions, tags and what they stand for; the faults of their names are added as they are read. */
class Names {
    readonly revisions: readonly IstioRevision[];
    readonly foreign: readonly ForeignRevision[];
    readonly tags = new Map<string, string>();

    constructor(
        private readonly section: IstioSection,
        private readonly faults: Fault[],
    ) {
        this.revisions = section.revisions.flatMap((one, index) => this.readRevision(one, index));
        faults.push(...duplicateFaults(this.revisions));
        this.foreign = section.foreign.flatMap((one, index) => this.readForeign(one, index));
        for (const [tag, revision] of Object.entries(section.tags)) {
            this.readTag(tag, revision);
        }
        this.checkDefault();
    }

    /** Undefined for a text that is neither a tag nor a revision, nor a `default` that somebody serves. */
    resolve(choice: string): Choice | undefined {
        if (
            choice === DEFAULT &&
            this.section.defaultRevision !== undefined &&
            !this.foreign.some((one) => one.revision === DEFAULT && !one.remove)
        ) {
            return { revision: this.section.defaultRevision, tag: DEFAULT };
        }
        const tagged = this.tags.get(choice);
        if (tagged !== undefined) {
            return { revision: tagged, tag: choice };
        }
        return this.has(choice) ? { revision: choice, tag: undefined } : undefined;
    }

    /** Resolves; a fault about `subject` where nobody has the name. */
    resolveAt(subject: string, choice: string): Choice | undefined {
        const found = this.resolve(choice);
        if (!found) {
            this.faults.push(
                choice === DEFAULT ? noDefault(subject) : this.unknown(subject, choice),
            );
        }
        return found;
    }

    versionOf(revision: string): IstioVersion | undefined {
        return (
            this.revisions.find(({ name }) => name === revision)?.version ??
            this.foreign.find((one) => one.revision === revision)?.version
        );
    }

    private has(revision: string): boolean {
        return (
            this.revisions.some(({ name }) => name === revision) ||
            this.foreign.some((one) => one.revision === revision)
        );
    }

    private readRevision(
        { version: given, name: own, ...rest }: IstioSection["revisions"][number],
        index: number,
    ): IstioRevision[] {
        const key = `istio.revisions.${index}`;
        const version = parseIstioVersion(given, `${key}.version`);
        if (own !== undefined) {
            this.faults.push(...nameFaults(`${key}.name`, own, "istiod-"));
        }
        if (own === DEFAULT) {
            this.faults.push({
                subject: `${key}.name`,
                value: own,
                rule: "stands for the install without a revision name; a revision called so takes over istio-injection=enabled (istio/istio#48643)",
                next: "leave the name out; set istio.defaultRevision instead",
            });
        }
        if (isFault(version)) {
            this.faults.push(version);
            return [];
        }
        return [{ ...rest, version, name: own ?? revisionName(version) }];
    }

    private readForeign(
        { revision: name, version: given, ...rest }: IstioSection["foreign"][number],
        index: number,
    ): ForeignRevision[] {
        const key = `istio.foreign.${index}`;
        const version =
            given === undefined ? undefined : parseIstioVersion(given, `${key}.version`);
        this.faults.push(...nameFaults(`${key}.revision`, name, ""));
        if (this.revisions.some((one) => one.name === name)) {
            this.faults.push({
                subject: `${key}.revision`,
                value: name,
                rule: "is also one of istio.revisions; a control plane is ours or foreign, not both",
                next: `remove it from istio.foreign, or give ours another name`,
            });
        }
        if (this.section.foreign.findIndex((one) => one.revision === name) !== index) {
            this.faults.push({
                subject: `${key}.revision`,
                value: name,
                rule: "is named twice in istio.foreign",
                next: "remove one of the entries",
            });
        }
        if (version && isFault(version)) {
            this.faults.push(version);
            return [{ ...rest, revision: name, version: undefined }];
        }
        return [{ ...rest, revision: name, version }];
    }

    private readTag(tag: string, revision: string): void {
        const subject = `istio.tags.${tag}`;
        const version = this.versionOf(revision);
        // From 1.28 on a tag has a Service of its own.
        const service = version && isFrom(version, "1.28") ? "istiod-revision-tag-" : "";
        this.faults.push(...nameFaults(subject, tag, service));
        if (tag === DEFAULT) {
            this.faults.push({
                subject,
                value: revision,
                rule: "the tag default goes together with the default validator",
                next: `remove it and set istio.defaultRevision: ${revision}`,
            });
            return;
        }
        if (this.has(tag)) {
            this.faults.push({
                subject,
                value: revision,
                rule: `a tag may not have the name of a revision, and ${tag} is one (istio/istio#56128)`,
                next: "give the tag another name",
            });
            return;
        }
        if (!this.has(revision)) {
            this.faults.push(this.unknown(subject, revision, "revision"));
            return;
        }
        this.faults.push(...tagSupportFaults(subject, revision, version));
        this.tags.set(tag, revision);
    }

    private checkDefault(): void {
        const { defaultRevision: revision } = this.section;
        const subject = "istio.defaultRevision";
        if (revision === undefined) {
            return;
        }
        if (!this.has(revision) || revision === DEFAULT) {
            this.faults.push(this.unknown(subject, revision, "revision"));
            return;
        }
        this.faults.push(...tagSupportFaults(subject, revision, this.versionOf(revision)));
    }

    private unknown(subject: string, value: string, kind = "tag or revision"): Fault {
        const known = [
            ...(kind === "revision" ? [] : this.tags.keys()),
            ...this.revisions.map(({ name }) => name),
            ...this.foreign.map((one) => one.revision),
        ];
        return {
            subject,
            value,
            rule: `is no ${kind}; Istio would inject nothing, without an error`,
            next: `set one of: ${known.join(", ")}`,
        };
    }
}

function noDefault(subject: string): Fault {
    return {
        subject,
        value: DEFAULT,
        rule: "nobody serves istio-injection=enabled: there is neither istio.defaultRevision nor a foreign revision default",
        next: "set istio.defaultRevision, or name a tag or revision here",
    };
}

/** Tags came with 1.10. Source: istio.io, announcing 1.10. */
function tagSupportFaults(
    subject: string,
    revision: string,
    version: IstioVersion | undefined,
): Fault[] {
    return version && !isFrom(version, "1.10")
        ? [
              {
                  subject,
                  value: revision,
                  rule: `is Istio ${version.text}; revision tags exist from 1.10 on`,
                  next: `name the revision ${revision} itself in istio.namespaces, without a tag`,
              },
          ]
        : [];
}

/** One fault for each entry whose name, or else whose version, an earlier one has. */
function duplicateFaults(revisions: readonly IstioRevision[]): Fault[] {
    return revisions.flatMap(({ name, version }, index): Fault[] => {
        const earlier = revisions.slice(0, index);
        if (earlier.some((one) => one.name === name)) {
            return [
                {
                    subject: "istio.revisions",
                    value: name,
                    rule: "two revisions have this name",
                    next: "remove one of them, or set its name",
                },
            ];
        }
        const same = earlier.find((one) => one.version.text === version.text);
        return same
            ? [
                  {
                      subject: "istio.revisions",
                      value: version.text,
                      rule: `two names for one version: ${same.name} and ${name}`,
                      next: "remove one of them",
                  },
              ]
            : [];
    });
}

/** RFC 1123 labels; `prefix` stands before the name in the name of a Service, which is a label as well. */
function nameFaults(subject: string, name: string, prefix: string): Fault[] {
    const most = 63 - prefix.length;
    if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) && name.length <= most) {
        return [];
    }
    const service = prefix === "" ? "" : ` (Service ${prefix}NAME)`;
    return [
        {
            subject,
            value: name,
            rule: `must be an RFC 1123 label: lower-case letters, digits and dashes, at most ${most} characters${service}`,
            next: "choose a shorter name in lower case",
        },
    ];
}

interface Claim {
    readonly subject: string;
    readonly namespace: string;
    readonly choice: string;
}

function targetsOf(
    section: IstioSection,
    waves: readonly NamedWave[],
    names: Names,
    faults: Fault[],
): ReadonlyMap<string, Target> {
    const target = new Map<string, Target>();
    const claimedBy = new Map<string, string>();
    const resolved = new Map<string, Choice | undefined>();
    for (const { subject, namespace, choice } of claimsOf(section, waves, faults)) {
        faults.push(...namespaceFaults(subject, namespace, section.namespace));
        const earlier = claimedBy.get(namespace);
        if (earlier !== undefined) {
            faults.push({
                subject,
                value: namespace,
                rule: `the namespace is mapped already by ${earlier}`,
                next: "leave it in one of the two places",
            });
            continue;
        }
        claimedBy.set(namespace, subject);
        // A wave has one choice for all its namespaces: one fault for it.
        if (!resolved.has(subject)) {
            resolved.set(subject, names.resolveAt(subject, choice));
        }
        const found = resolved.get(subject);
        if (found) {
            target.set(namespace, { choice, ...found });
        }
    }
    return target;
}

function claimsOf(section: IstioSection, waves: readonly NamedWave[], faults: Fault[]): Claim[] {
    const direct = Object.entries(section.namespaces).map(([namespace, choice]) => ({
        subject: `istio.namespaces.${namespace}`,
        namespace,
        choice,
    }));
    const byWave = Object.entries(section.waves).flatMap(([name, choice]) => {
        const subject = `istio.waves.${name}`;
        const wave = waves.find((one) => one.name === name);
        const namespaces = new Set(wave?.select.flatMap((one) => one.namespaces ?? []));
        if (!wave) {
            faults.push({
                subject,
                value: choice,
                rule: "rollout.waves has no wave of this name",
                next: `add it to rollout.waves, or choose one of: ${waves.map((one) => one.name).join(", ")}`,
            });
        } else if (namespaces.size === 0) {
            faults.push({
                subject,
                value: choice,
                rule: "the wave's select names no namespaces, so there is nothing to label",
                next: `add namespaces to the select of wave ${name}, or use istio.namespaces`,
            });
        }
        return [...namespaces].map((namespace) => ({ subject, namespace, choice }));
    });
    return [...direct, ...byWave];
}

function namespaceFaults(subject: string, namespace: string, own: string): Fault[] {
    if (namespace !== own && !SYSTEM_NAMESPACES.includes(namespace)) {
        return nameFaults(subject, namespace, "");
    }
    return [
        {
            subject,
            value: namespace,
            rule:
                namespace === own
                    ? "is the namespace of the control planes, which are not injected"
                    : "is a system namespace, which Istio never injects",
            next: "remove it",
        },
    ];
}

function gatewaysOf(
    section: IstioSection,
    names: Names,
    target: ReadonlyMap<string, Target>,
    faults: Fault[],
): IstioGateway[] {
    return section.gateways.flatMap((one, index) => {
        const { name, namespace, revision: choice, version: given, ...rest } = one;
        const key = `istio.gateways.${index}`;
        faults.push(
            ...nameFaults(`${key}.name`, name, ""),
            ...nameFaults(`${key}.namespace`, namespace, ""),
        );
        const first = section.gateways.findIndex(
            (other) => other.name === name && other.namespace === namespace,
        );
        if (first !== index) {
            faults.push({
                subject: `${key}.name`,
                value: name,
                rule: `namespace ${namespace} has a gateway of this name already (istio.gateways.${first})`,
                next: "give one of them another name or namespace",
            });
        }
        const found = names.resolveAt(`${key}.revision`, choice);
        if (!found) {
            return [];
        }
        faults.push(...gatewayNamespaceFaults(key, namespace, { choice, ...found }, target));
        const version = gatewayVersion(key, given, names.versionOf(found.revision));
        if (isFault(version)) {
            faults.push(version);
            return [];
        }
        return [{ ...rest, ...found, name, namespace, choice, version }];
    });
}

/** The pod's istio.io/rev, which the gateway sets, is ignored where the namespace has a label (istio/istio#42654). */
function gatewayNamespaceFaults(
    key: string,
    namespace: string,
    own: Target,
    target: ReadonlyMap<string, Target>,
): Fault[] {
    const other = target.get(namespace);
    return other && other.revision !== own.revision
        ? [
              {
                  subject: `${key}.revision`,
                  value: own.choice,
                  rule: `the namespace ${namespace} is mapped to ${other.choice} (revision ${other.revision}), and a namespace goes before its pods`,
                  next: "give the gateway a namespace of its own, or map both to one revision",
              },
          ]
        : [];
}

function gatewayVersion(
    key: string,
    given: string | undefined,
    ofRevision: IstioVersion | undefined,
): IstioVersion | Fault {
    if (given !== undefined) {
        return parseIstioVersion(given, `${key}.version`);
    }
    return (
        ofRevision ?? {
            subject: `${key}.version`,
            rule: "is needed: the gateway's revision is foreign, and its version is not told",
            next: `set ${key}.version, or the version in istio.foreign`,
        }
    );
}

function overrideFaults(section: IstioSection): Fault[] {
    return section.override.flatMap((id, index) =>
        RULE_IDS.includes(id)
            ? []
            : [
                  {
                      subject: `istio.override.${index}`,
                      value: id,
                      rule: "is the id of no rule",
                      next: `remove it, or set one of: ${RULE_IDS.join(", ")}`,
                  },
              ],
    );
}

/**
 * A line for each option with which an earlier revision's manifests were rendered and a later one's were not: optional
 * features that are not given again are lost. Source: Anthos Service Mesh, upgrade guide.
 */
export function optionWarnings(
    revisions: readonly Pick<IstioRevision, "name" | "manifests" | "options">[],
): readonly string[] {
    const rendered = revisions.filter(({ manifests }) => manifests !== undefined);
    return rendered.flatMap((later, index) => {
        const earlier = rendered[index - 1];
        const all = ({ options }: Pick<IstioRevision, "options">) => [
            ...options.overlays.map((path) => `-f ${path}`),
            ...options.set.map((pair) => `--set ${pair}`),
        ];
        return earlier
            ? all(earlier)
                  .filter((option) => !all(later).includes(option))
                  .map(
                      (option) =>
                          `istio: revision ${later.name} was rendered without ${option}, which ${earlier.name} has`,
                  )
            : [];
    });
}
