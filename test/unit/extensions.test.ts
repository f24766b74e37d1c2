import { locateCharts, readDefaults } from "../../charts/source";
import { describe, expect, it } from "vitest";
import { ApiError, type KubeApi, type RawObject } from "../../cluster/api";
import { observeExtensions, type LiveExtension } from "../../cluster/extensions";
import { observeLinks } from "../../cluster/links";
import { observeTrafficSplits, ownTrafficSplits } from "../../cluster/trafficSplits";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import {
    extensionConfigFaults,
    extensionFaults,
    keptLinks,
    leavingJaegerFaults,
    plannedExtensions,
    storedLinksFaults,
    type SeenExtensions,
} from "../../plan/extensions";
import { extensionLines, ownExtensionLines } from "../../plan/extensionLines";
import { RefusedError } from "../../plan/faults";
import { extensionValues } from "../../plan/values";
import { webhooksOf } from "../../plan/webhooks";
import { versionAt } from "./support/releases";

const STACK = "acme/mesh/prod";
const one = (name: string, fields: Partial<LiveExtension> = {}): LiveExtension => ({
    namespace: `linkerd-${name}`,
    name,
    stack: undefined,
    versions: ["edge-24.5.3"],
    workloads: 1,
    charted: 1,
    mirrors: [],
    ...fields,
});
const LINKS_CRD = {
    ...{ stack: STACK, createdBy: "linkerd/helm edge-24.5.3" },
    ...{ stored: ["v1alpha1"], spec: { group: "x" } },
};
const how = (to = "edge-24.7.5", from: string | undefined = "edge-24.5.3") => ({
    ...{ stack: STACK, own: new Set(["linkerd-viz"]), from, to },
});

describe("an extension that the stack does not bring is told, with what the target means for it", () => {
    const meaning = (live: LiveExtension, ...way: Parameters<typeof how>) =>
        extensionLines([live], how(...way))[1]?.replace(/^.*?\): /, "");

    it.each([
        [
            "viz of somebody else's",
            one("viz", { namespace: "metrics" }),
            undefined,
            "upgrade it to edge-24.7.5 after this update",
        ],
        [
            "jaeger, with the versions of its own programs",
            one("jaeger", { versions: ["0.83.0", "1.31", "edge-24.7.5"] }),
            undefined,
            "is of edge-24.7.5",
        ],
        [
            "jaeger at its end",
            one("jaeger"),
            "edge-25.10.1",
            "is not released any more (since edge-25.10.1): move traces to a collector of your own, and uninstall it",
        ],
        [
            "jaeger before it",
            one("jaeger"),
            "edge-25.9.4",
            "upgrade it to edge-25.9.4 after this update",
        ],
        [
            "a mesh of several clusters",
            one("multicluster"),
            undefined,
            "upgrade it to edge-24.7.5 after this update",
        ],
        [
            "smi",
            one("smi", { versions: ["v0.2.7"] }),
            undefined,
            "has releases of its own; TrafficSplits are served by it alone since stable-2.12.0: keep its CRD",
        ],
        [
            "another",
            one("buoyant"),
            undefined,
            "is not known to this program: look whether it goes with edge-24.7.5",
        ],
    ])("%s", (_name, live, to, expected) => {
        expect(meaning(live, to)).toBe(expected);
    });

    it.each([
        [
            "stable-2.10.2",
            "; then, when both sides are upgraded, for each link: linkerd multicluster link again (since stable-2.11.0, stable-2.14.0)",
        ],
        [
            "stable-2.13.7",
            "; then, when both sides are upgraded, for each link: linkerd multicluster link again (since stable-2.14.0)",
        ],
        [
            "unknown",
            "; then, when both sides are upgraded, for each link: linkerd multicluster link again (since stable-2.11.0, stable-2.14.0)",
        ],
        ["stable-2.14.10", ""],
    ])("links of %s", (from, expected) => {
        expect(meaning(one("multicluster"), "edge-24.7.5", from)).toBe(
            `upgrade it to edge-24.7.5 after this update${expected}`,
        );
    });

    it("links are made anew as the target does it", () => {
        expect(meaning(one("multicluster"), "edge-26.8.3", "stable-2.13.7")).toBe(
            "upgrade it to edge-26.8.3 after this update; then, when both sides are upgraded, for each link: linkerd multicluster link-gen, its cluster into value controllers of its chart, and delete the mirror of before (since stable-2.14.0)",
        );
    });

    it("in order, the stack's own left out, and one that has no version", () => {
        expect(
            extensionLines(
                [
                    one("viz", { stack: STACK }),
                    one("smi", { versions: [], workloads: 2 }),
                    one("jaeger", { versions: [], workloads: 0 }),
                    one("multicluster", { stack: "acme/mesh/dev", versions: ["edge-24.7.5"] }),
                ],
                how(),
            ),
        ).toEqual([
            "extensions outside the stack: 3; they are left as they are",
            "  jaeger (namespace linkerd-jaeger, no Deployment): upgrade it to edge-24.7.5 after this update",
            "  multicluster (namespace linkerd-multicluster, edge-24.7.5): is of edge-24.7.5",
            expect.stringContaining("  smi (namespace linkerd-smi, version unknown): has releases"),
        ]);
        expect(extensionLines([one("viz", { stack: STACK })], how())).toEqual([]);
        // What a stack left behind holds nothing.
        const left = one("jaeger", { stack: STACK, versions: [], workloads: 0, charted: 0 });
        expect(extensionLines([left], how("edge-25.10.1"))).toEqual([]);
        expect(extensionLines("HTTP 403", how())).toEqual([
            "extensions outside the stack: unknown: HTTP 403",
        ]);
    });
});

describe("an extension of the stack's that its file no longer brings", () => {
    const lines = (...live: readonly LiveExtension[]) =>
        extensionLines(live, { ...how(), own: new Set() });

    it("is told as one that goes, with what stays, and not as one that is left as it is", () => {
        const own = (name: string) => one(name, { stack: STACK });
        expect(lines(own("viz"), own("smi"), own("multicluster"), one("jaeger"))).toEqual([
            "extensions that leave the stack: 3; what it made of them is deleted with this update",
            "  multicluster (namespace linkerd-multicluster, edge-24.5.3): stays: its namespace, the CRD of Links, each Link with its Secret, service mirrors that linkerd multicluster link made",
            expect.stringMatching(/^ {2}smi .*: stays: its namespace, the CRD of TrafficSplits/),
            expect.stringMatching(/^ {2}viz .*: stays: its namespace, the certificates of tap/),
            "extensions outside the stack: 1; they are left as they are",
            expect.stringContaining("  jaeger (namespace linkerd-jaeger, edge-24.5.3): upgrade it"),
        ]);
        expect(lines(own("jaeger"))[1]).toContain(": stays: its namespace, the certificate of");
    });

    it("has gone already where service mirrors are all that is in its namespace", () => {
        const mirrors = [{ name: "linkerd-service-mirror-east", version: "edge-24.5.3" }];
        expect(lines(one("multicluster", { stack: STACK, charted: 0, mirrors }))[0]).toBe(
            "extensions outside the stack: 1; they are left as they are",
        );
    });
});

describe("extensions are found by the label of their namespace", () => {
    const apiOf = (answers: Readonly<Record<string, readonly object[]>>) =>
        ({
            list: (path: string, slim: (item: RawObject) => unknown) =>
                answers[path]
                    ? Promise.resolve({
                          items: answers[path].map((item) => slim(item as RawObject)),
                      })
                    : Promise.reject(new ApiError(403, "HTTP 403")),
        }) as unknown as KubeApi;
    const namespace = (name: string, extension: string, annotations = {}) => ({
        metadata: { name, labels: { "linkerd.io/extension": extension }, annotations },
    });
    const deployment = (metadata: object, image = "x") => ({
        metadata,
        spec: {
            template: {
                spec: {
                    containers: [
                        { name: "linkerd-proxy", image: "proxy:p" },
                        { name: "x", image },
                    ],
                },
            },
        },
    });

    it("with a version from an annotation, a label, or the image", async () => {
        const labels = { "linkerd.io/extension": "multicluster" };
        const found = await observeExtensions(
            apiOf({
                "/api/v1/namespaces": [
                    namespace("a", "multicluster", { "mesh-upgrade/stack": STACK }),
                    namespace("b", "smi"),
                ],
                "/apis/apps/v1/namespaces/a/deployments": [
                    deployment({
                        annotations: { "linkerd.io/created-by": "linkerd/helm edge-24.5.3" },
                        labels: { "app.kubernetes.io/version": "other" },
                    }),
                    deployment({
                        labels: { ...labels, "app.kubernetes.io/version": "edge-24.5.3" },
                    }),
                    deployment(
                        { name: "linkerd-service-mirror-east", labels },
                        "controller:edge-24.5.3",
                    ),
                ],
                "/apis/apps/v1/namespaces/b/deployments": [
                    deployment({}, "cr.l5d.io/linkerd/smi-adaptor:v0.2.7@sha256:00"),
                    deployment({}, "registry:5000/untagged"),
                ],
            }),
        );
        expect(found).toEqual([
            {
                ...{ namespace: "a", name: "multicluster", stack: STACK },
                ...{ versions: ["edge-24.5.3"], workloads: 3, charted: 1 },
                mirrors: [{ name: "linkerd-service-mirror-east", version: "edge-24.5.3" }],
            },
            {
                ...{ namespace: "b", name: "smi", stack: undefined },
                ...{ versions: ["v0.2.7"], workloads: 2, charted: 0, mirrors: [] },
            },
        ]);
    });

    it("a list that is forbidden is no empty one", async () => {
        await expect(observeExtensions(apiOf({}))).rejects.toThrow("HTTP 403");
    });
});

describe("an extension of the stack file", () => {
    const required = { context: "kind", clusterUid: "0a1b", linkerdVersion: "edge-24.7.5" };
    const configOf = (extensions?: object) =>
        parseConfig({ ...required, extensions }) as LinkerdStackConfig;
    const smi = plannedExtensions(configOf({ smi: { version: "1.0.4" } }));
    const nothing: SeenExtensions = { live: [], trafficSplits: undefined, links: undefined };
    const told = (seen: Partial<SeenExtensions>, acting = true, planned = smi) =>
        extensionFaults(planned, { ...nothing, ...seen }, { stack: STACK, acting }).map(
            ({ subject, value, rule }) => `${subject} = ${value}: ${rule}`,
        );
    const splits = { stack: undefined, marks: [], stored: ["v1alpha1"] };

    it("has a chart of its own version, from its own repository unless the file says another", () => {
        expect(plannedExtensions(configOf())).toEqual([]);
        expect(smi).toMatchObject([
            {
                name: "smi",
                namespace: "linkerd-smi",
                chart: { name: "linkerd-smi", version: "1.0.4" },
                source: "https://linkerd.github.io/linkerd-smi",
                values: {},
            },
        ]);
    });

    it.each([
        [{ smi: {} }, "extensions.smi.version"],
        [{ smi: { version: "edge-24.7.5" } }, "extensions.smi.version"],
        [{ smi: { version: "1.0" } }, "extensions.smi.version"],
        [{ smi: { version: "1.0.4", value: {} } }, "extensions.smi"],
        [{ jaeger: { version: "1.0.4" } }, "extensions.jaeger"],
        [{ multicluster: { charts: "" } }, "extensions.multicluster.charts"],
        [{ viz: {} }, "extensions"],
    ])("%j is refused, with the key", (extensions, subject) => {
        try {
            configOf(extensions);
            expect.unreachable();
        } catch (error) {
            const { faults } = error as RefusedError;
            expect(faults).toHaveLength(1);
            expect(faults[0]?.subject).toBe(subject);
            expect(faults[0]?.next).toContain("docs/extensions.md");
        }
    });

    it.each([
        ["nothing is there", {}, []],
        ["its namespace is there, empty", { live: [one("smi", { workloads: 0 })] }, []],
        ["the stack's own", { live: [one("smi", { stack: STACK })] }, []],
        ["others", { live: [one("jaeger"), one("viz")] }, []],
        ["the CRD of Linkerd's of before", { trafficSplits: splits }, []],
        ["the stack's CRD", { trafficSplits: { ...splits, stack: STACK } }, []],
        [
            "somebody's",
            { live: [one("smi")] },
            [
                "extensions.smi = Namespace linkerd-smi: holds this extension already, and this stack did not make it",
            ],
        ],
        [
            "somebody's in another namespace",
            { live: [one("smi", { namespace: "splits" })] },
            [
                "extensions.smi = Namespace splits: holds this extension already, and this stack did not make it",
            ],
        ],
        [
            "another stack's, empty or not",
            { live: [one("smi", { stack: "acme/mesh/dev", workloads: 0 })] },
            ["extensions.smi = Namespace linkerd-smi: is owned by another stack, acme/mesh/dev"],
        ],
        [
            "another stack's CRD",
            { trafficSplits: { ...splits, stack: "acme/mesh/dev" } },
            [
                "CustomResourceDefinition trafficsplits.split.smi-spec.io = acme/mesh/dev: is owned by another stack, not by acme/mesh/prod",
            ],
        ],
        [
            "another stack's CRD of Links",
            { links: { ...LINKS_CRD, stack: "acme/mesh/dev" } },
            [
                "CustomResourceDefinition links.multicluster.linkerd.io = acme/mesh/dev: is owned by another stack, not by acme/mesh/prod",
            ],
        ],
        ["the stack's CRD of Links", { links: { ...LINKS_CRD, stack: STACK } }, []],
        [
            "objects in a version that the chart lacks",
            { trafficSplits: { ...splits, stored: ["v1alpha1", "v1alpha4"] } },
            [
                "CustomResourceDefinition trafficsplits.split.smi-spec.io = v1alpha4: has TrafficSplits stored in a version that the chart linkerd-smi does not have, so that the API server would refuse its CRD",
            ],
        ],
        [
            "what cannot be read",
            { live: "HTTP 403", trafficSplits: "HTTP 403", links: "HTTP 403" },
            [
                "extensions = undefined: what there is of them could not be read: HTTP 403",
                "extensions = undefined: what there is of them could not be read: HTTP 403",
                "extensions = undefined: what there is of them could not be read: HTTP 403",
            ],
        ],
    ] as [string, Partial<SeenExtensions>, string[]][])("%s", (_name, seen, expected) => {
        expect(told(seen)).toEqual(expected);
    });

    it("a preview goes on with what cannot be read, and so does a stack without extensions", () => {
        expect(told({ live: "HTTP 403" }, false)).toEqual([]);
        expect(told({ live: "HTTP 403" }, true, [])).toEqual([]);
    });

    it("a chart that is missing names the keys of the extension, not the version line", async () => {
        const { faults } = await locateCharts(
            "test/fixtures/charts",
            smi.map(({ chart }) => ({ ...chart, version: "9.9.9" })),
        );
        expect(faults[0]?.next).toBe(
            "set extensions.smi.version to one that exists, or extensions.smi.charts to a repository or directory that has it",
        );
    });

    it("is told with its chart, and whose marks go from the CRD of TrafficSplits", () => {
        const lines = (trafficSplits: SeenExtensions["trafficSplits"]) =>
            ownExtensionLines(smi, { ...nothing, trafficSplits }, how());
        expect(lines(splits)).toEqual([
            "extension smi: chart linkerd-smi 1.0.4, namespace linkerd-smi",
        ]);
        expect(lines({ ...splits, marks: ["a: b"] })[1]).toBe(
            "TrafficSplits: their CRD becomes the stack's first and stays for good; marks of its owner go: a: b",
        );
    });
});

describe("extensions that go with the version line", () => {
    const configOf = (extensions: object, linkerdVersion = "edge-24.7.5") =>
        parseConfig({
            ...{ context: "kind", clusterUid: "0a1b", linkerdVersion, extensions },
            charts: "vendor",
        }) as LinkerdStackConfig;
    const both = { jaeger: {}, multicluster: { charts: "elsewhere", values: { gateway: {} } } };
    const told = (extensions: object, version?: string) =>
        extensionConfigFaults(configOf(extensions, version));

    it("have its version and the stack's charts, unless the file says others", () => {
        expect(plannedExtensions(configOf(both))).toMatchObject([
            {
                ...{ name: "jaeger", namespace: "linkerd-jaeger", source: "vendor", values: {} },
                chart: { name: "linkerd-jaeger", version: "2024.7.5" },
            },
            {
                ...{ name: "multicluster", namespace: "linkerd-multicluster" },
                ...{ source: "elsewhere", values: { gateway: {} } },
                chart: { name: "linkerd-multicluster", version: "2024.7.5" },
            },
        ]);
        expect(told(both)).toEqual([]);
    });

    it("jaeger is refused where Linkerd has it no more, by one fault: its chart is not looked for", () => {
        expect(told(both, "edge-25.9.4")).toEqual([]);
        expect(told(both, "edge-25.10.1")).toMatchObject([
            { subject: "extensions.jaeger", value: "edge-25.10.1" },
        ]);
        expect(plannedExtensions(configOf(both, "edge-25.10.1"))).toMatchObject([
            { name: "multicluster" },
        ]);
        expect(told({ multicluster: {} }, "edge-26.8.3")).toEqual([]);
    });

    it.each([
        ["goes beyond its last release", {}, {}, true],
        ["what runs is unknown", {}, { from: "unknown" }, true],
        ["its namespace is all that is there", { charted: 0 }, {}, false],
        ["it is another stack's", { stack: "acme/mesh/dev" }, {}, false],
        ["the target has it", {}, { to: "edge-25.9.4" }, false],
        ["a revert", {}, { from: "edge-26.8.3" }, false],
        ["an update that was interrupted goes on", {}, { from: "edge-25.10.1" }, false],
        ["it is in the file, which is refused for itself", {}, { asked: true }, false],
    ])("jaeger leaves the stack in an update of its own: %s", (_name, fields, how, refused) => {
        const faults = leavingJaegerFaults(
            { live: [one("jaeger", { stack: STACK, ...fields }), one("smi", { stack: STACK })] },
            { asked: false, stack: STACK, from: "edge-25.9.4", to: "edge-25.10.1", ...how },
        );
        expect(faults).toHaveLength(refused ? 1 : 0);
        expect(faults.every(({ subject }) => subject === "linkerdVersion")).toBe(true);
    });

    it("values that are derived are refused, each with its key", () => {
        expect(
            told({
                jaeger: { values: { linkerdVersion: "x", webhook: { caBundle: "x" } } },
                multicluster: { values: { linkerdVersion: "x", identityTrustDomain: "own.org" } },
            }).map(({ subject }) => subject),
        ).toEqual([
            "extensions.jaeger.values.linkerdVersion",
            "extensions.jaeger.values.webhook.caBundle",
            "extensions.multicluster.values.linkerdVersion",
        ]);
    });

    it("get what is derived: a certificate of the stack's, the mesh's trust domain", () => {
        const pair = { certificate: "CERT", key: "KEY" };
        const plan = {
            version: versionAt("edge-24.7.5"),
            trustDomain: "mesh.example",
            webhooks: { ca: pair, leaves: {}, bundles: { "jaeger-injector": "CA" } },
        };
        expect(
            extensionValues({ name: "jaeger", values: { webhook: { logLevel: "debug" } } }, plan),
        ).toEqual({
            linkerdVersion: "edge-24.7.5",
            webhook: { logLevel: "debug", externalSecret: true, caBundle: "CA" },
        });
        const domain = (values: object) =>
            extensionValues({ name: "multicluster", values: { ...values } }, plan);
        expect(domain({})).toEqual({
            linkerdVersion: "edge-24.7.5",
            identityTrustDomain: "mesh.example",
        });
        expect(domain({ identityTrustDomain: "own" })["identityTrustDomain"]).toBe("own");
    });

    it.each([
        ["none", undefined, "edge-24.5.3", undefined],
        ["one of the same release", "linkerd/helm edge-24.5.3", "edge-24.5.3", undefined],
        ["one of before", "linkerd/cli stable-2.14.10", "edge-24.5.3", undefined],
        ["one of nobody knows who", "kubectl", "edge-24.5.3", undefined],
        ["a later one", "linkerd/cli edge-25.9.1", "edge-24.7.5", "edge-25.9.1"],
    ])("the CRD of Links goes forward only: %s", (_name, createdBy, to, kept) => {
        const links = createdBy === undefined ? undefined : { ...LINKS_CRD, createdBy };
        const seen = { live: [], trafficSplits: undefined, links };
        expect(keptLinks(seen, to)).toEqual(kept === undefined ? undefined : links);
        expect(ownExtensionLines([], seen, how(to))).toEqual(
            kept === undefined
                ? []
                : [
                      `Links: their CRD stays at ${kept}: it moves forward only (linkerdVersion is ${to})`,
                  ],
        );
    });

    it.each([
        ["of no release", "kubectl", ["v1alpha1", "v1alpha3"], ["v1alpha3"]],
        ["of one of before", "linkerd/cli edge-24.5.3", ["v1alpha2"], ["v1alpha2"]],
        ["of a later release, which stays", "linkerd/cli edge-25.9.1", ["v1alpha3"], []],
        ["that the chart has", "kubectl", ["v1alpha1"], []],
    ])("Links stored in versions of a CRD %s", async (_name, createdBy, stored, lost) => {
        const planned = plannedExtensions(configOf({ multicluster: {} }));
        const { located } = await locateCharts(
            "test/fixtures/charts",
            planned.map(({ chart }) => chart),
        );
        const links = { ...LINKS_CRD, createdBy, stored };
        const faults = (defaults: Awaited<ReturnType<typeof readDefaults>>) =>
            storedLinksFaults({ links }, planned, defaults, "edge-24.7.5");
        expect(faults(await readDefaults(located)).map(({ value }) => value)).toEqual(lost);
        expect(faults(new Map())).toEqual([]);
    });

    it("service mirrors of another version are named, and what makes them anew", () => {
        const mirrors = [
            { name: "linkerd-service-mirror-east", version: "stable-2.13.7" },
            { name: "linkerd-service-mirror-west", version: "edge-24.7.5" },
            { name: "linkerd-service-mirror-own", version: undefined },
        ];
        const lines = (
            from: string,
            planned = plannedExtensions(configOf(both)),
            to = "edge-24.7.5",
        ) =>
            ownExtensionLines(
                planned,
                {
                    live: [one("multicluster", { stack: STACK, mirrors })],
                    ...{ trafficSplits: undefined, links: undefined },
                },
                how(to, from),
            ).slice(2);
        const line =
            "Links: linkerd-service-mirror-east (stable-2.13.7), linkerd-service-mirror-own (version unknown) stay as they are, with a new proxy: when both sides are upgraded, for each link: linkerd multicluster link again";
        expect(lines("edge-24.5.3")).toEqual([line]);
        expect(lines("stable-2.13.7")).toEqual([`${line} (since stable-2.14.0 they need it)`]);
        expect(lines("edge-24.5.3", [])).toEqual([]);
        expect(lines("edge-24.7.5", undefined, "edge-25.3.3")[0]).toMatch(
            /: linkerd .*link again$/,
        );
        expect(lines("edge-24.7.5", undefined, "edge-25.3.4")[0]).toMatch(
            /: when both sides are upgraded, for each link: linkerd multicluster link-gen, its cluster into extensions\.multicluster\.values\.controllers, and delete the mirror of before$/,
        );
    });

    it("the webhook of jaeger's injector concerns a stack that brings it only", () => {
        const services = (asked: object) => webhooksOf(asked).map(({ service }) => service);
        expect(services({ jaeger: {} })).toEqual([...services({}), "jaeger-injector"]);
    });

    it("the CRD of Links shows its owner and its release", async () => {
        const apiOf = (send: () => Promise<unknown>) => ({ send }) as unknown as KubeApi;
        const annotations = {
            "mesh-upgrade/stack": STACK,
            "linkerd.io/created-by": LINKS_CRD.createdBy,
        };
        const status = { storedVersions: LINKS_CRD.stored };
        const crd = { metadata: { annotations }, spec: LINKS_CRD.spec, status };
        const failing = (status: number) =>
            apiOf(() => Promise.reject(new ApiError(status, `HTTP ${status}`)));
        expect(await observeLinks(apiOf(() => Promise.resolve(crd)))).toEqual(LINKS_CRD);
        expect(await observeLinks(failing(404))).toBeUndefined();
        await expect(observeLinks(failing(403))).rejects.toThrow("HTTP 403");
    });
});

describe("the CRD of TrafficSplits", () => {
    const path =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficsplits.split.smi-spec.io";
    const failing = (status: number) => () =>
        Promise.reject(new ApiError(status, `HTTP ${status}`));
    const apiOf = (fields: object) => fields as unknown as KubeApi;

    it("shows its owner", async () => {
        const crd = {
            metadata: {
                labels: { "linkerd.io/control-plane-ns": "linkerd", other: "x" },
                annotations: {
                    "meta.helm.sh/release-name": "linkerd2",
                    "mesh-upgrade/stack": STACK,
                    "kubectl.kubernetes.io/last-applied-configuration": "{...}",
                },
            },
            status: { storedVersions: ["v1alpha1"] },
        };
        expect(await observeTrafficSplits(apiOf({ send: () => Promise.resolve(crd) }))).toEqual({
            stack: STACK,
            marks: ["linkerd.io/control-plane-ns: linkerd", "meta.helm.sh/release-name: linkerd2"],
            stored: ["v1alpha1"],
        });
        expect(await observeTrafficSplits(apiOf({ send: failing(404) }))).toBeUndefined();
        await expect(observeTrafficSplits(apiOf({ send: failing(403) }))).rejects.toThrow(
            "HTTP 403",
        );
    });

    it("loses every mark by which somebody would delete it, and Helm is told to keep it", async () => {
        const patches: unknown[] = [];
        const mergePatch = (...patch: unknown[]) => Promise.resolve(patches.push(patch));
        expect(await ownTrafficSplits(apiOf({ mergePatch }))).toBe(true);
        expect(patches).toEqual([
            [
                path,
                {
                    metadata: {
                        labels: {
                            "linkerd.io/control-plane-ns": null,
                            "app.kubernetes.io/managed-by": null,
                            "helm.sh/chart": null,
                        },
                        annotations: {
                            "meta.helm.sh/release-name": null,
                            "meta.helm.sh/release-namespace": null,
                            "linkerd.io/created-by": null,
                            "kubectl.kubernetes.io/last-applied-configuration": null,
                            "helm.sh/resource-policy": "keep",
                        },
                    },
                },
            ],
        ]);
        expect(await ownTrafficSplits(apiOf({ mergePatch: failing(404) }))).toBe(false);
        await expect(ownTrafficSplits(apiOf({ mergePatch: failing(403) }))).rejects.toThrow("403");
    });
});
