import { z } from "zod";
import { isDuration, type Duration } from "../durations";

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
    override: z.never("has moved: it is policy.override").optional(),
});

/** The section `istio` of the stack file, each key for itself; resolveIstio checks what goes across keys. */
export const istioSection = section.refine(
    ({ revisions, foreign: others }) => revisions.length > 0 || others.length > 0,
    { path: ["revisions"], message: "must name at least one revision" },
);

export type IstioSection = z.infer<typeof istioSection>;
