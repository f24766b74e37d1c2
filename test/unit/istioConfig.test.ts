import { describe, expect, it } from "vitest";
import { resolveIstio } from "../../plan/istio/config";
import { optionWarnings } from "../../plan/istio/rendered";
import { istioSection } from "../../plan/istio/section";

const waves = [
    { name: "canary", select: [{ namespaces: ["batch", "etl"] }, { namespaces: ["etl"] }] },
    { name: "late", select: [{ namespaces: ["batch"] }] },
    { name: "labelled", select: [{}] },
    { name: "rest", select: [] },
];
const base = {
    revisions: [{ version: "1.26.4" }, { version: "1.27.1" }],
    tags: { stable: "1-26-4" },
};
const resolve = (section: object) =>
    resolveIstio(istioSection.parse({ ...base, ...section }), waves);

describe("the section istio of the stack file", () => {
    it("needs one revision only; the rest has defaults", () => {
        expect(istioSection.parse({ revisions: [{ version: "1.27.1" }] })).toEqual({
            namespace: "istio-system",
            base: { values: {}, adopt: false },
            revisions: [{ version: "1.27.1", values: {}, options: { overlays: [], set: [] } }],
            foreign: [],
            tags: {},
            namespaces: {},
            waves: {},
            gateways: [],
            guard: { grace: "30s" },
        });
    });

    it("resolves every name", () => {
        const { config, faults } = resolve({
            foreign: [
                { revision: "default", version: "1.25.0", remove: true },
                { revision: "old" },
            ],
            defaultRevision: "1-27-1",
            namespaces: { shop: "stable", legacy: "default", bank: "1-27-1", attic: "old" },
            waves: { canary: "1-27-1" },
            gateways: [
                { name: "in", namespace: "gw", revision: "stable" },
                {
                    name: "in",
                    namespace: "gw2",
                    revision: "old",
                    version: "1.24.0",
                    values: { a: 1 },
                },
            ],
        });
        expect(faults).toEqual([]);
        expect(config.revisions.map(({ name, version }) => [name, version.text])).toEqual([
            ["1-26-4", "1.26.4"],
            ["1-27-1", "1.27.1"],
        ]);
        expect(Object.fromEntries(config.target)).toEqual({
            shop: { choice: "stable", revision: "1-26-4", tag: "stable" },
            legacy: { choice: "default", revision: "1-27-1", tag: "default" },
            bank: { choice: "1-27-1", revision: "1-27-1", tag: undefined },
            attic: { choice: "old", revision: "old", tag: undefined },
            batch: { choice: "1-27-1", revision: "1-27-1", tag: undefined },
            etl: { choice: "1-27-1", revision: "1-27-1", tag: undefined },
        });
        expect(config.gateways).toMatchObject([
            {
                name: "in",
                namespace: "gw",
                choice: "stable",
                revision: "1-26-4",
                version: { text: "1.26.4" },
            },
            {
                namespace: "gw2",
                revision: "old",
                tag: undefined,
                version: { text: "1.24.0" },
                values: { a: 1 },
            },
        ]);
        expect(config.foreign.map((one) => one.version?.text)).toEqual(["1.25.0", undefined]);
        expect(
            ["stable", "1-27-1", "default", "old", "nobody", "constructor"].map(config.revisionOf),
        ).toEqual(["1-26-4", "1-27-1", "1-27-1", "old", undefined, undefined]);
    });

    it("default is the install without a name where no defaultRevision is set", () => {
        const { config, faults } = resolve({
            foreign: [{ revision: "default" }],
            namespaces: { legacy: "default" },
        });
        expect(faults).toEqual([]);
        expect(config.target.get("legacy")).toEqual({
            choice: "default",
            revision: "default",
            tag: undefined,
        });
    });

    it.each<[object, string]>([
        [{ revisions: [] }, "revisions: must name at least one revision"],
        [{ guard: { grace: "0.5m" } }, "guard.grace: must be a duration such as 90s, 10m or 1h"],
        [
            { revisions: [{ version: "1.27.1", archive: { path: "a", sha256: "ab" } }] },
            "revisions.0.archive.sha256: must be 64 hexadecimal digits",
        ],
        ...[{ path: "a" }, { path: "a", signature: "s" }].map((archive): [object, string] => [
            { revisions: [{ version: "1.27.1", archive }] },
            "revisions.0.archive: must have path and sha256, or path, signature and publicKey",
        ]),
        [
            { revisions: [{ version: "1.27.1", options: { set: ["a"] } }] },
            "revisions.0.options.set.0: must read key=value",
        ],
        [{ tag: {} }, ': Unrecognized key: "tag"'],
    ])("%j is refused by its key", (section, expected) => {
        const issues = istioSection.safeParse({ ...base, ...section }).error?.issues ?? [];
        expect(issues.map(({ path, message }) => `${path.join(".")}: ${message}`)).toEqual([
            expected,
        ]);
    });

    it("takes an archive by its hash or by its signature", () => {
        for (const archive of [
            { path: "a", sha256: "0".repeat(64) },
            { path: "a", signature: "a.sig", publicKey: "key.pem" },
        ]) {
            const parsed = istioSection.parse({ revisions: [{ version: "1.27.1", archive }] });
            expect(parsed.revisions[0]?.archive).toEqual(archive);
        }
    });
});

describe("a mistake across keys is refused before anything changes", () => {
    const unknown = "is no tag or revision; Istio would inject nothing, without an error";
    const label = (most: number, service = "") =>
        `must be an RFC 1123 label: lower-case letters, digits and dashes, at most ${most} characters${service}`;
    const gateway = { name: "in", namespace: "gw", revision: "stable" };
    const cases: [section: object, ...faults: string[]][] = [
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.27.1", name: "1-26-4" }] },
            "istio.revisions = 1-26-4: two revisions have this name",
        ],
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.26.4", name: "b" }] },
            "istio.revisions = 1.26.4: two names for one version: 1-26-4 and b",
        ],
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.27.1-rc.0" }] },
            "istio.revisions.1.version = 1.27.1-rc.0: is a pre-release; only releases are supported",
        ],
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.27.1", name: "Blue" }] },
            `istio.revisions.1.name = Blue: ${label(56, " (Service istiod-NAME)")}`,
        ],
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.27.1", name: "b".repeat(57) }] },
            `istio.revisions.1.name = ${"b".repeat(57)}: ${label(56, " (Service istiod-NAME)")}`,
        ],
        [{ revisions: [{ version: "1.26.4" }, { version: "1.27.1", name: "b".repeat(56) }] }],
        [
            { revisions: [{ version: "1.26.4" }, { version: "1.27.1", name: "default" }] },
            "istio.revisions.1.name = default: stands for the install without a revision name; a revision called so takes over istio-injection=enabled (istio/istio#48643)",
        ],
        [
            { tags: { "1-27-1": "1-26-4" } },
            "istio.tags.1-27-1 = 1-26-4: a tag may not have the name of a revision, and 1-27-1 is one (istio/istio#56128)",
        ],
        [
            { foreign: [{ revision: "old" }], tags: { old: "1-26-4" } },
            "istio.tags.old = 1-26-4: a tag may not have the name of a revision, and old is one (istio/istio#56128)",
        ],
        [
            { tags: { default: "1-26-4" } },
            "istio.tags.default = 1-26-4: the tag default goes together with the default validator",
        ],
        [{ tags: { T: "1-26-4" } }, `istio.tags.T = T: ${label(63)}`],
        [{ tags: { ["t".repeat(63)]: "1-26-4" } }],
        [
            { tags: { ["t".repeat(64)]: "1-26-4" } },
            `istio.tags.${"t".repeat(64)} = ${"t".repeat(64)}: ${label(63)}`,
        ],
        [
            { revisions: [{ version: "1.28.0" }], tags: { ["t".repeat(44)]: "1-28-0" } },
            `istio.tags.${"t".repeat(44)} = ${"t".repeat(44)}: ${label(43, " (Service istiod-revision-tag-NAME)")}`,
        ],
        [
            { tags: { stable: "1-25-0" } },
            "istio.tags.stable = 1-25-0: is no revision; Istio would inject nothing, without an error",
        ],
        [
            { revisions: [{ version: "1.6.14-asm.2" }], tags: { stable: "asm-1614-2" } },
            "istio.tags.stable = asm-1614-2: is Istio 1.6.14-asm.2; revision tags exist from 1.10 on",
        ],
        [{ revisions: [{ version: "1.10.6" }], tags: { stable: "1-10-6" } }],
        [
            { defaultRevision: "stable" },
            "istio.defaultRevision = stable: is no revision; Istio would inject nothing, without an error",
        ],
        [
            { revisions: [{ version: "1.9.1" }], tags: {}, defaultRevision: "1-9-1" },
            "istio.defaultRevision = 1-9-1: is Istio 1.9.1; revision tags exist from 1.10 on",
        ],
        [{ namespaces: { shop: "canary" } }, `istio.namespaces.shop = canary: ${unknown}`],
        [
            { namespaces: { shop: "default" } },
            "istio.namespaces.shop = default: nobody serves istio-injection=enabled: there is neither istio.defaultRevision nor a foreign revision default",
        ],
        [
            { namespaces: { "istio-system": "stable", "kube-system": "stable" } },
            "istio.namespaces.istio-system = istio-system: is the namespace of the control planes, which are not injected",
            "istio.namespaces.kube-system = kube-system: is a system namespace, which Istio never injects",
        ],
        [{ namespaces: { Shop: "stable" } }, `istio.namespaces.Shop = Shop: ${label(63)}`],
        [
            { namespaces: { batch: "stable" }, waves: { canary: "stable", late: "stable" } },
            "istio.waves.canary = batch: the namespace is mapped already by istio.namespaces.batch",
            "istio.waves.late = batch: the namespace is mapped already by istio.namespaces.batch",
        ],
        [
            { waves: { canary: "stable", late: "1-27-1" } },
            "istio.waves.late = batch: the namespace is mapped already by istio.waves.canary",
        ],
        [
            { waves: { first: "stable" } },
            "istio.waves.first = stable: rollout.waves has no wave of this name",
        ],
        ...["labelled", "rest"].map((name): [object, string] => [
            { waves: { [name]: "stable" } },
            `istio.waves.${name} = stable: the wave's select names no namespaces, so there is nothing to label`,
        ]),
        [{ waves: { canary: "x" } }, `istio.waves.canary = x: ${unknown}`],
        [
            { gateways: [{ ...gateway, revision: "x" }] },
            `istio.gateways.0.revision = x: ${unknown}`,
        ],
        [
            { gateways: [gateway, { ...gateway, namespace: "gw2" }, gateway] },
            "istio.gateways.2.name = in: namespace gw has a gateway of this name already (istio.gateways.0)",
        ],
        [
            { gateways: [{ ...gateway, name: "In_1" }] },
            `istio.gateways.0.name = In_1: ${label(63)}`,
        ],
        [
            { foreign: [{ revision: "old" }], gateways: [{ ...gateway, revision: "old" }] },
            "istio.gateways.0.version = undefined: is needed: the gateway's revision is foreign, and its version is not told",
        ],
        [
            { namespaces: { gw: "1-27-1" }, gateways: [gateway] },
            "istio.gateways.0.revision = stable: the namespace gw is mapped to 1-27-1 (revision 1-27-1), and a namespace goes before its pods",
        ],
        [
            { foreign: [{ revision: "1-27-1" }] },
            "istio.foreign.0.revision = 1-27-1: is also one of istio.revisions; a control plane is ours or foreign, not both",
        ],
        [
            { foreign: [{ revision: "old" }, { revision: "old" }] },
            "istio.foreign.1.revision = old: is named twice in istio.foreign",
        ],
        [
            { namespaces: { shop: "x" }, waves: { first: "stable" } },
            "istio.waves.first = stable: rollout.waves has no wave of this name",
            `istio.namespaces.shop = x: ${unknown}`,
        ],
    ];
    it.each(cases)("%j", (section, ...expected) => {
        const { faults } = resolve(section);
        expect(faults.map(({ subject, value, rule }) => `${subject} = ${value}: ${rule}`)).toEqual(
            expected,
        );
        expect(faults.every(({ next }) => next !== "")).toBe(true);
    });

    it("what would be accepted is named", () => {
        expect(resolve({ namespaces: { shop: "x" } }).faults[0]?.next).toBe(
            "set one of: stable, 1-26-4, 1-27-1",
        );
    });
});

describe("options with which manifests were rendered", () => {
    it("that a later revision lacks are told: its features would be lost", () => {
        const one = { manifests: "a", options: { overlays: ["o.yaml"], set: ["a=1", "b=2"] } };
        const two = { manifests: "b", options: { set: ["a=1", "c=3"] } };
        const { config } = resolve({
            revisions: [
                { version: "1.26.4", ...one },
                { version: "1.26.9" },
                { version: "1.27.1", ...two },
            ],
        });
        expect(optionWarnings(config.revisions)).toEqual([
            "istio: revision 1-27-1 was rendered without -f o.yaml, which 1-26-4 has",
            "istio: revision 1-27-1 was rendered without --set b=2, which 1-26-4 has",
        ]);
    });
});
