import { describe, expect, it } from "vitest";
import type { LiveIstio, LiveIstiod } from "../../cluster/istio/observe";
import { istioSection, resolveIstio } from "../../plan/istio/config";
import type { KubeObject, SplitManifests } from "../../plan/istio/manifests";
import { chartsOf, planIstio, type Manifests } from "../../plan/istio/plan";
import { rollout } from "../../plan/waves";
import { injectorOf, liveOf, userOf } from "./support/istioCluster";

const STACK = "acme/mesh/prod";
const OTHER = "acme/mesh/dev";
const WAVES = [
    { name: "canary", select: [{ namespaces: ["etl", "batch"] }] },
    { name: "shops", select: [{ namespaces: ["shop"] }] },
];
const SECTION = { revisions: [{ version: "1.26.4" }, { version: "1.27.1" }] };

interface Given {
    /** Of the section istio, beside two revisions. */
    readonly section?: object;
    readonly waves?: readonly object[];
    /** Labels by namespace; those of the stack file are there. */
    readonly labels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly live?: Partial<LiveIstio>;
    readonly manifests?: Manifests;
}

function planOf({ section = {}, waves = WAVES, labels = {}, live, manifests }: Given) {
    const resolved = rollout.parse({ waves }).waves;
    const { config, faults } = resolveIstio(
        istioSection.parse({ ...SECTION, ...section }),
        resolved,
    );
    expect(faults).toEqual([]);
    const there = [...config.target.keys()].map((name) => [name, {}] as const);
    const injectors = live?.injection?.injectors ?? [];
    const found = liveOf({
        users: {
            namespaces: new Map([...there, ...Object.entries(labels)]),
            injectors,
            pods: [],
        },
        ...live,
    });
    return planIstio(config, resolved, found, STACK, manifests ?? new Map());
}

const istiodOf = (revision: string, version: string, stack: string | undefined = STACK) => ({
    name: revision === "default" ? "istiod" : `istiod-${revision}`,
    revision,
    version,
    stack,
});
/** Somebody else's. */
const foreignOf = (revision: string, version: string): LiveIstiod => ({
    ...istiodOf(revision, version),
    stack: undefined,
});
const webhooksOf = (name: string, stack: string | undefined): LiveIstio["webhooks"][number] => ({
    kind: "MutatingWebhookConfiguration",
    name,
    revision: "theirs",
    stack,
    caBundle: undefined,
    complete: true,
    tagged: true,
    services: [],
});
const injecting = (...injectors: ReturnType<typeof injectorOf>[]) => ({
    injection: { injectors, proxies: new Map<string, string>() },
});
const split = (fields: Partial<SplitManifests> = {}): SplitManifests => ({
    crds: [],
    own: [],
    shared: [],
    gateways: [],
    version: "1.27.1",
    faults: [],
    ...fields,
});
const objectOf = (kind: string, name: string): KubeObject => ({
    apiVersion: "v1",
    kind,
    metadata: { name },
});

describe("namespaces move wave by wave", () => {
    const plan = planOf({
        section: {
            tags: { stable: "1-27-1", spare: "1-26-4" },
            namespaces: { shop: "stable", zoo: "1-26-4", batch: "1-26-4" },
        },
    });
    it("each in the wave whose select names it, else in the last one", () => {
        expect(
            plan.waves.map(({ name, namespaces, version }) => [name, namespaces, version]),
        ).toEqual([
            ["canary", ["batch"], "1.26.4"],
            ["shops", ["shop"], "1.27.1"],
            ["rest", ["zoo"], "1.26.4"],
        ]);
        expect(plan.namespaces).toEqual(["batch", "shop", "zoo"]);
        expect(plan.newest).toBe("1.27.1");
        expect(plan.wave("nobody").namespaces).toEqual([]);
    });

    it("and what a wave moves is the newest version of it", () => {
        const { waves } = planOf({
            section: {
                revisions: [{ version: "1.9.9" }, { version: "1.10.1" }],
                namespaces: { etl: "1-10-1", batch: "1-9-9" },
            },
        });
        expect(waves.map(({ version }) => version)).toEqual(["1.10.1", "", ""]);
    });

    it("with what each is to run", () => {
        expect(Object.fromEntries(plan.planned)).toEqual({
            shop: { revision: "1-27-1", version: "1.27.1" },
            zoo: { revision: "1-26-4", version: "1.26.4" },
            batch: { revision: "1-26-4", version: "1.26.4" },
        });
    });

    it("also to a control plane of somebody else, whose version is what it runs", () => {
        const { planned } = planOf({
            section: { foreign: [{ revision: "old" }], namespaces: { shop: "old" } },
            live: { istiods: [foreignOf("old", "1.25.0")] },
        });
        expect(planned.get("shop")).toEqual({ revision: "old", version: "1.25.0" });
    });
});

describe("a tag moves before the first wave that has somebody who chooses it", () => {
    const at = (section: object) =>
        planOf({ section: { tags: { stable: "1-27-1" }, ...section } }).tags;
    const tag = (wave: string | undefined, name = "stable") => ({
        tag: name,
        revision: "1-27-1",
        wave,
    });
    it.each<[string, object, object[]]>([
        ["nobody: before all of them", {}, [tag(undefined)]],
        ["the first of two", { namespaces: { zoo: "stable", etl: "stable" } }, [tag("canary")]],
        ["a later one", { namespaces: { shop: "stable", etl: "1-27-1" } }, [tag("shops")]],
        ["the last one", { namespaces: { zoo: "stable" } }, [tag("rest")]],
        ["all of a wave", { waves: { canary: "stable" } }, [tag("canary")]],
        [
            "default as well",
            { tags: {}, defaultRevision: "1-27-1", namespaces: { shop: "default" } },
            [tag("shops", "default")],
        ],
        ["default of nobody", { tags: {}, defaultRevision: "1-27-1" }, [tag(undefined, "default")]],
    ])("%s", (_, section, expected) => {
        expect(at(section)).toEqual(expected);
    });

    it("another revision, or another version of it, runs the waves concerned and no other", () => {
        const triggers = (stable: string, version = "1.26.4") =>
            planOf({
                section: {
                    revisions: [{ version, name: "old" }, { version: "1.27.1" }],
                    tags: { stable },
                    namespaces: { etl: "1-27-1", shop: "stable", zoo: "old" },
                },
            }).waves.map(({ trigger }) => trigger);
        const [canary, shops, rest] = triggers("old");
        expect(triggers("old")).toEqual([canary, shops, rest]);
        const moved = triggers("1-27-1");
        expect([moved[0], moved[2]]).toEqual([canary, rest]);
        expect(moved[1]).not.toBe(shops);
        const patched = triggers("1-27-1", "1.26.5");
        expect(patched.slice(0, 2)).toEqual(moved.slice(0, 2));
        expect(patched[2]).not.toBe(rest);
    });

    it.each<[string, boolean | undefined, string[], string[]]>([
        ["at once where there is no foreign default", undefined, ["default"], []],
        ["not at all while a foreign default stays", false, [], []],
        ["after a foreign default has gone", true, [], ["default"]],
    ])("the tag default comes %s", (_, remove, early, late) => {
        const plan = planOf({
            section: {
                defaultRevision: "1-27-1",
                foreign: remove === undefined ? [] : [{ revision: "default", remove }],
            },
            live: { istiods: remove === undefined ? [] : [foreignOf("default", "1.26.4")] },
        });
        expect(plan.tags.map((one) => one.tag)).toEqual(early);
        expect(plan.lateTags).toEqual(late.map((one) => ({ tag: one, revision: "1-27-1" })));
        expect(plan.lines.filter((line) => line.startsWith("tag"))).toEqual(
            [...early, ...late].map(() => "tag default: none -> 1-27-1"),
        );
    });
});

describe("charts and values", () => {
    const crd = (chartVersion: string | undefined) => ({
        name: "gateways.networking.istio.io",
        chartVersion,
        stack: STACK,
    });
    it.each<[string, (string | undefined)[], string]>([
        ["none there", [], "1.27.1"],
        ["older ones", ["1.25.0"], "1.27.1"],
        ["newer ones", ["1.28.0"], "1.28.0"],
        ["a half-done update", ["1.25.0", "1.28.0", "1.26.4"], "1.28.0"],
        ["a larger number", ["1.27.9", "1.27.10"], "1.27.10"],
        ["no label", [undefined], "1.27.1"],
        ["a label that is no version", ["main"], "1.27.1"],
    ])("CRDs never move back: %s", (_, live, expected) => {
        expect(planOf({ live: { crds: live.map(crd) } }).base).toBe(expected);
    });

    it("and serve the newest istiod that is there, unless it is of another maker", () => {
        const base = (version: string) =>
            planOf({ live: { istiods: [foreignOf("theirs", version)] } }).base;
        expect(base("1.28.1")).toBe("1.28.1");
        expect(base("1.28.1-asm.3")).toBe("1.27.1");
    });

    it("CRDs of manifests are left to the chart beside them", () => {
        const shared = [objectOf("ServiceAccount", "istio-reader-service-account")];
        const crds = [objectOf("CustomResourceDefinition", "of the manifests")];
        const section = {
            revisions: [...SECTION.revisions, { version: "1.26.9", manifests: "dir" }],
        };
        const kept = objectOf("ClusterRole", "kept");
        const manifests = new Map([["1-26-9", split({ crds, shared: [...shared, kept] })]]);
        expect(planOf({ section, manifests }).shared).toEqual([kept]);
    });

    it("each chart once, by version, and none for rendered manifests", () => {
        const gateway = { namespace: "gw", revision: "1-27-1" };
        const plan = planOf({
            section: {
                revisions: [...SECTION.revisions, { version: "1.26.9", manifests: "dir" }],
                gateways: [
                    { ...gateway, name: "in" },
                    { ...gateway, name: "out" },
                    { ...gateway, name: "old", version: "1.26.4" },
                ],
            },
            manifests: new Map([["1-26-9", split({ own: [objectOf("ConfigMap", "mine")] })]]),
        });
        expect(chartsOf(plan)).toEqual([
            { name: "base", version: "1.27.1" },
            { name: "istiod", version: "1.26.4" },
            { name: "istiod", version: "1.27.1" },
            { name: "gateway", version: "1.27.1" },
            { name: "gateway", version: "1.26.4" },
        ]);
        expect(plan.revisions[2]?.source).toEqual({ objects: [objectOf("ConfigMap", "mine")] });
    });

    it("no chart base where all is rendered", () => {
        const plan = planOf({
            section: { revisions: [{ version: "1.27.1", manifests: "dir" }] },
            manifests: new Map([["1-27-1", split()]]),
        });
        expect([plan.base, chartsOf(plan)]).toEqual([undefined, []]);
    });

    it("the program decides whose objects a revision makes; other values pass through", () => {
        const values = { pilot: { replicas: 2 }, global: { hub: "h" } };
        const { revisions } = planOf({
            section: {
                namespace: "mesh",
                revisions: [{ version: "1.27.1", name: "blue", values }],
            },
        });
        expect(revisions).toEqual([
            {
                name: "blue",
                source: {
                    version: "1.27.1",
                    values: {
                        pilot: { replicas: 2 },
                        global: { hub: "h", istioNamespace: "mesh" },
                        revision: "blue",
                        revisionTags: [],
                    },
                },
            },
        ]);
    });
});

describe("what is refused before anything changes", () => {
    const crd = { name: "gateways.networking.istio.io", chartVersion: "1.26.4", stack: undefined };
    const both = { "istio-injection": "enabled", "istio.io/rev": "1-26-4" };
    const cases: [name: string, given: Given, ...faults: string[]][] = [
        [
            "another stack's namespace, without a word on its CRDs",
            { live: { namespaceStack: OTHER, crds: [{ ...crd, stack: OTHER }] } },
            `Namespace istio-system = ${OTHER}: holds the installation of another stack`,
        ],
        ["its own namespace", { live: { namespaceStack: STACK } }],
        [
            "CRDs that somebody else made",
            { live: { crds: [{ ...crd, stack: STACK }, crd, crd, crd] } },
            "CustomResourceDefinitions = gateways.networking.istio.io and 2 more: exist already and were not made by this stack",
        ],
        ["CRDs that are adopted", { section: { base: { adopt: true } }, live: { crds: [crd] } }],
        [
            "an istiod of that name that somebody else made",
            { live: { istiods: [foreignOf("1-26-4", "1.26.4")] } },
            "istio revision 1-26-4 = Deployment istio-system/istiod-1-26-4: is in the cluster and was not made by this stack",
        ],
        [
            "an istiod of that name of another stack",
            { live: { istiods: [istiodOf("1-26-4", "1.26.4", OTHER)] } },
            "istio revision 1-26-4 = Deployment istio-system/istiod-1-26-4: is in the cluster and was not made by this stack",
        ],
        [
            "another minor in place",
            {
                section: { revisions: [{ version: "1.27.1", name: "blue" }] },
                live: { istiods: [istiodOf("blue", "1.26.4")] },
            },
            "istio.revisions blue = 1.26.4 -> 1.27.1: another minor under the same name would change the control plane under its proxies",
        ],
        [
            "not another patch in place",
            {
                section: { revisions: [{ version: "1.27.1", name: "blue" }] },
                live: { istiods: [istiodOf("blue", "1.27.0")] },
            },
        ],
        [
            "values that the program sets",
            {
                section: {
                    revisions: [
                        { version: "1.27.1", values: { revision: "x", revisionTags: ["y"] } },
                    ],
                    base: { values: { defaultRevision: "z" } },
                },
            },
            ...[
                'istio.revisions 1-27-1: values.revision = "x"',
                'istio.revisions 1-27-1: values.revisionTags = ["y"]',
                'istio.base.values.defaultRevision = "z"',
            ].map(
                (one) =>
                    `${one}: is set by the program, from the name of the revision, tags and defaultRevision`,
            ),
        ],
        [
            "waves that take less than whole namespaces",
            {
                waves: [
                    { name: "a", select: [{ namespaceLabels: { tier: "web" } }] },
                    { name: "b", select: [{ namespaces: ["x"], workloads: ["web"] }] },
                    { name: "c", select: [{ namespaces: ["y"], workloadLabels: { a: "b" } }] },
                    { name: "d", select: [{ namespaces: ["z"] }, { workloads: ["web"] }] },
                    { name: "e", select: [{ namespaces: ["v"] }] },
                ],
            },
            ...["a", "b", "c", "d"].map(
                (name) =>
                    `rollout.waves ${name}: select = undefined: must name namespaces and nothing else: with Istio a namespace moves as a whole, by its label`,
            ),
        ],
        [
            "a namespace in two waves",
            {
                waves: [
                    { name: "a", select: [{ namespaces: ["x", "y"] }, { namespaces: ["y"] }] },
                    { name: "b", select: [{ namespaces: ["x"] }] },
                ],
            },
            "rollout.waves = x: the namespace is in the select of a and b",
        ],
        [
            "a namespace that is missing",
            {
                section: { namespaces: { shop: "1-27-1" } },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
            "istio.namespaces.shop = undefined: the cluster has no such namespace",
        ],
        [
            "a gateway in a namespace that is missing",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "ingress", revision: "1-27-1" }],
                },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
            "istio.gateways edge: namespace = ingress: the cluster has no such namespace",
        ],
        [
            "not a gateway beside the control planes, whose namespace the stack makes",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
        ],
        [
            "a gateway whose namespace has a label that goes before its pods'",
            {
                section: { gateways: [{ name: "edge", namespace: "shop", revision: "1-27-1" }] },
                labels: { shop: { "istio-injection": "enabled" } },
            },
            "istio.gateways edge: revision = 1-27-1: namespace shop has the label istio-injection=enabled, which goes before what its pods choose",
        ],
        [
            "not where the label leads to the same revision",
            {
                section: {
                    tags: { stable: "1-27-1" },
                    gateways: [{ name: "edge", namespace: "shop", revision: "1-27-1" }],
                },
                labels: { shop: { "istio.io/rev": "stable" } },
            },
        ],
        [
            "a gateway that somebody else made",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { gateways: [{ namespace: "istio-system", name: "edge", stack: undefined }] },
            },
            "istio.gateways edge = Deployment istio-system/edge: is in the cluster and was not made by this stack",
        ],
        [
            "not where adopting is asked for",
            {
                section: {
                    base: { adopt: true },
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { gateways: [{ namespace: "istio-system", name: "edge", stack: undefined }] },
            },
        ],
        [
            "a tag that somebody else made",
            {
                section: { tags: { stable: "1-27-1" } },
                live: { webhooks: [webhooksOf("istio-revision-tag-stable", undefined)] },
            },
            "MutatingWebhookConfiguration istio-revision-tag-stable = theirs: tag stable is in the cluster and was not made by this stack",
        ],
        [
            "the default validator of somebody else",
            {
                section: { defaultRevision: "1-27-1" },
                live: { webhooks: [webhooksOf("istiod-default-validator", undefined)] },
            },
            "MutatingWebhookConfiguration istiod-default-validator = theirs: the default validator is in the cluster and was not made by this stack",
        ],
        [
            "not the stack's own tags",
            {
                section: { tags: { stable: "1-27-1" } },
                live: { webhooks: [webhooksOf("istio-revision-tag-stable", STACK)] },
            },
        ],
        [
            "rendered CRDs older than the live ones",
            {
                section: { revisions: [{ version: "1.26.9", manifests: "dir" }] },
                live: {
                    crds: [{ name: "a", chartVersion: "1.27.1", stack: STACK }],
                },
                manifests: new Map([
                    ["1-26-9", split({ crds: [objectOf("CustomResourceDefinition", "a")] })],
                ]),
            },
            "istio.revisions 1-26-9: manifests = 1.26.9: its CRDs are older than the live ones (1.27.1), which move forward only",
        ],
        [
            "rendered manifests newer than the chart beside them",
            {
                section: {
                    revisions: [{ version: "1.26.4" }, { version: "1.27.1", manifests: "dir" }],
                },
                manifests: new Map([
                    ["1-27-1", split({ crds: [objectOf("CustomResourceDefinition", "a")] })],
                ]),
            },
            "istio.revisions 1-27-1: manifests = 1.27.1: is newer than what the chart base brings (1.26.4), and CRDs come from one of them",
        ],
        [
            "a namespace with both labels",
            { section: { namespaces: { shop: "1-27-1" } }, labels: { shop: both } },
            "Namespace shop = istio-injection=enabled, istio.io/rev=1-26-4: has both labels: the second is ignored as long as the first is there",
        ],
        ["not another namespace with both labels", { labels: { other: both } }],
        [
            "a foreign one that is missing",
            { section: { foreign: [{ revision: "old" }] } },
            "istio.foreign.0.revision = old: namespace istio-system has no istiod of this revision",
        ],
        [
            "not one that is missing because it was to go",
            { section: { foreign: [{ revision: "old", remove: true }] } },
        ],
        [
            "a foreign one of another version",
            {
                section: { foreign: [{ revision: "old", version: "1.25.0" }] },
                live: { istiods: [foreignOf("old", "1.25.1")] },
            },
            "istio.foreign.0.version = 1.25.0: Deployment istio-system/istiod-old runs 1.25.1",
        ],
        [
            "the removal of the default validator's control plane without another",
            {
                section: { foreign: [{ revision: "default", remove: true }] },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.defaultRevision = undefined: must be set before the control plane without a revision name goes: the default validator calls it, and without it no object of Istio could be written",
        ],
        ["not once it has gone", { section: { foreign: [{ revision: "default", remove: true }] } }],
        [
            "tag default beside the control plane without a revision name, which left the file too early",
            {
                section: { defaultRevision: "1-27-1" },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.defaultRevision = 1-27-1: the control plane without a revision name is still there and injects the namespaces that choose default: two would inject them",
        ],
        ["not without the tag", { live: { istiods: [foreignOf("default", "1.26.4")] } }],
        [
            "namespaces bound by istio-injection to a control plane that is to go",
            {
                section: {
                    foreign: [{ revision: "default", remove: true }],
                    defaultRevision: "1-27-1",
                    namespaces: { shop: "default", zoo: "1-27-1" },
                },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.namespaces.shop = default: is injected by the control plane without a revision name, which would go last and only if nothing uses it",
        ],
        [
            "not once it has gone: the tag default serves them",
            {
                section: {
                    foreign: [{ revision: "default", remove: true }],
                    defaultRevision: "1-27-1",
                    namespaces: { shop: "default" },
                },
            },
        ],
        [
            "a jump over two minors",
            { live: { istiods: [foreignOf("ancient", "1.24.0")] } },
            "istio.revisions = 1.24.0 -> 1.27.1: a jump between revisions spans at most two minors (rule istio-two-minors)",
        ],
        [
            "not of a revision that is there already",
            {
                live: {
                    istiods: [
                        foreignOf("ancient", "1.24.0"),
                        istiodOf("1-26-4", "1.26.4"),
                        istiodOf("1-27-1", "1.27.1"),
                    ],
                },
            },
        ],
        [
            "a Kubernetes that is too old for what is new",
            { live: { serverVersion: "v1.28.3", istiods: [istiodOf("1-26-4", "1.26.4")] } },
            "istio 1.27.1 = v1.28.3: Istio 1.27 needs Kubernetes 1.29 or newer (rule kubernetes-range)",
        ],
        [
            "faults of rendered manifests",
            {
                section: { revisions: [{ version: "1.27.1", manifests: "dir" }] },
                manifests: new Map([
                    ["1-27-1", split({ faults: [{ subject: "s", rule: "r", next: "n" }] })],
                ]),
            },
            "s = undefined: r",
        ],
    ];
    it.each(cases)("%s", (_, given, ...expected) => {
        const { faults } = planOf(given);
        expect(faults.map(({ subject, value, rule }) => `${subject} = ${value}: ${rule}`)).toEqual(
            expected,
        );
        expect(faults.every(({ next }) => next !== "")).toBe(true);
    });

    it("all at once", () => {
        const { faults } = planOf({
            section: { namespaces: { shop: "1-27-1" }, foreign: [{ revision: "old" }] },
            labels: { shop: both },
            live: { namespaceStack: OTHER, serverVersion: "v1.25.0" },
        });
        expect(faults.map(({ subject }) => subject)).toEqual([
            "Namespace istio-system",
            "istio 1.26.4",
            "istio 1.27.1",
            "Namespace shop",
            "istio.foreign.0.revision",
        ]);
    });
});

describe("what a reader is told before it happens", () => {
    const of = (start: string, given: Given) =>
        planOf(given).lines.filter((line) => line.startsWith(start));

    it("each control plane, ours and those of others", () => {
        expect(
            of("istio revision", {
                section: {
                    revisions: [
                        { version: "1.26.4" },
                        { version: "1.26.9", name: "patched" },
                        { version: "1.27.1" },
                    ],
                    foreign: [
                        { revision: "default" },
                        { revision: "leaving", remove: true },
                        { revision: "left", remove: true },
                    ],
                    tags: { stable: "1-26-4" },
                },
                labels: { shop: { "istio.io/rev": "used" } },
                live: {
                    istiods: [
                        istiodOf("1-26-4", "1.26.4"),
                        istiodOf("patched", "1.26.8"),
                        istiodOf("used", "1.25.2"),
                        istiodOf("unused", "1.25.1"),
                        foreignOf("default", "1.26.0"),
                        foreignOf("leaving", "1.25.3"),
                        foreignOf("stranger", "1.25.4"),
                        istiodOf("theirs", "1.25.5", OTHER),
                    ],
                    ...injecting(injectorOf("used"), injectorOf("used", "prod")),
                },
            }),
        ).toEqual([
            "istio revision 1-26-4: 1.26.4 (unchanged)",
            "istio revision patched: 1.26.9 (in place from 1.26.8)",
            "istio revision 1-27-1: 1.27.1 (new)",
            "istio revision default: 1.26.0, not made by this stack (stays)",
            "istio revision leaving: 1.25.3, not made by this stack (goes at the end, if nothing uses it)",
            "istio revision used: 1.25.2 goes, if nothing uses it then; used now by: tag prod; namespace shop (istio.io/rev=used)",
            "istio revision unused: 1.25.1 goes, if nothing uses it then; used now by: nothing",
            "istio revision stranger: 1.25.4 was not made by this stack and is not in istio.foreign: it is left alone",
            "istio revision theirs: 1.25.5 was not made by this stack and is not in istio.foreign: it is left alone",
        ]);
    });

    it("each tag, before and after", () => {
        expect(
            of("tag", {
                section: {
                    tags: { stable: "1-26-4", moves: "1-27-1", comes: "1-27-1" },
                    defaultRevision: "1-27-1",
                },
                live: injecting(
                    injectorOf("1-26-4"),
                    injectorOf("1-26-4", "stable"),
                    injectorOf("1-26-4", "moves"),
                    injectorOf("1-26-4", "goes"),
                    injectorOf("1-26-4", "default"),
                ),
            }),
        ).toEqual([
            "tag stable: 1-26-4",
            "tag moves: 1-26-4 -> 1-27-1",
            "tag comes: none -> 1-27-1",
            "tag default: 1-26-4 -> 1-27-1",
            "tag goes: 1-26-4 -> not in the stack file",
        ]);
    });

    it("each namespace, before and after", () => {
        expect(
            of("namespace", {
                section: {
                    tags: { stable: "1-27-1", same: "1-26-4" },
                    foreign: [{ revision: "default" }],
                    namespaces: {
                        moves: "stable",
                        fresh: "stable",
                        off: "1-27-1",
                        legacy: "1-27-1",
                        stays: "default",
                        same: "same",
                        bare: "1-26-4",
                        ghost: "1-27-1",
                    },
                },
                labels: {
                    moves: { "istio.io/rev": "stable" },
                    off: { "istio-injection": "disabled" },
                    legacy: { "istio-injection": "enabled" },
                    stays: { "istio-injection": "enabled" },
                    same: { "istio.io/rev": "same" },
                    bare: { "istio.io/rev": "1-26-4" },
                    ghost: { "istio.io/rev": "gone" },
                },
                live: {
                    istiods: [foreignOf("default", "1.26.4")],
                    ...injecting(
                        injectorOf("default"),
                        injectorOf("1-26-4"),
                        injectorOf("1-26-4", "stable"),
                        injectorOf("1-26-4", "same"),
                    ),
                },
            }),
        ).toEqual([
            "namespace bare: injected by 1-26-4",
            "namespace fresh: injected by nobody -> stable (1-27-1)",
            "namespace ghost: injected by gone (nobody) -> 1-27-1",
            "namespace legacy: injected by default -> 1-27-1",
            "namespace moves: injected by stable (1-26-4) -> stable (1-27-1)",
            "namespace off: injected by nobody -> 1-27-1",
            "namespace same: injected by same (1-26-4)",
            "namespace stays: injected by default",
        ]);
    });

    describe("pods that choose by their own label, which no namespace moves", () => {
        const old = istiodOf("old", "1.10.6");
        const lines = (
            pods: readonly Partial<Parameters<typeof userOf>[0]>[],
            given: Given = {},
        ) => {
            const { section, labels = {} } = given;
            return of("pod", {
                section: { tags: { stable: "1-27-1" }, foreign: [{ revision: "old" }], ...section },
                live: {
                    istiods: [old],
                    users: {
                        namespaces: new Map([["shop", {}], ...Object.entries(labels)]),
                        injectors: [],
                        pods: pods.map((one) => userOf(one)),
                    },
                },
            });
        };
        const edit = "edit the template of its workload to move it";
        const again = "no wave restarts it; restart its workload once the tag has moved";
        it.each<[string, object, string | undefined, Given?]>([
            ["an old revision", { asked: "1-26-4" }, edit],
            ["an old revision, without a sidecar", { asked: "1-26-4", running: undefined }, edit],
            ["the newest revision", { asked: "1-27-1" }, undefined],
            ["a tag that moves", { asked: "stable" }, again],
            ["a tag that has moved", { asked: "stable", running: "1-27-1" }, undefined],
            ["what nobody has", { asked: "nobody" }, edit],
            ["nothing", {}, undefined],
            ["a gateway", { asked: "1-26-4", gateway: true }, undefined],
            ["what the injector of 1.10 wrote", { asked: "old", running: "old" }, undefined],
            [
                "in a namespace with a label: the pod's is ignored",
                { asked: "1-26-4" },
                undefined,
                { labels: { shop: { "istio.io/rev": "1-26-4" } } },
            ],
            [
                "in a namespace without injection",
                { asked: "1-26-4" },
                undefined,
                { labels: { shop: { "istio-injection": "disabled" } } },
            ],
            [
                "in a namespace that is about to get a label",
                { asked: "1-26-4" },
                undefined,
                { section: { namespaces: { shop: "1-27-1" } } },
            ],
        ])("%s", (_, pod, next, given) => {
            const { asked } = pod as { asked?: string };
            expect(lines([pod], given)).toEqual(
                next === undefined
                    ? []
                    : [`pod shop/web-1 chooses ${asked} by its own label istio.io/rev: ${next}`],
            );
        });

        it("twenty by name, more by number", () => {
            const pods = Array.from({ length: 23 }, () => ({ asked: "1-26-4" }));
            expect(lines(pods)).toHaveLength(20);
            expect(
                planOf({
                    live: liveOf({
                        users: {
                            namespaces: new Map(),
                            injectors: [],
                            pods: pods.map((one) => userOf(one)),
                        },
                    }),
                }).lines.at(-1),
            ).toBe("3 more pods choose by their own label");
        });
    });

    it("warnings: what is overridden", () => {
        expect(
            of("warning", {
                section: { override: ["istio-two-minors"] },
                live: { istiods: [foreignOf("ancient", "1.24.0")] },
            }),
        ).toEqual([
            "warning: istio.revisions = 1.24.0 -> 1.27.1: a jump between revisions spans at most two minors (overridden: istio-two-minors)",
        ]);
    });
});
