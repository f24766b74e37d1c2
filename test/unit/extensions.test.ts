import { describe, expect, it } from "vitest";
import { ApiError, type KubeApi, type RawObject } from "../../cluster/api";
import { observeExtensions, type LiveExtension } from "../../cluster/extensions";
import { extensionLines } from "../../plan/extensions";

const STACK = "acme/mesh/prod";
const one = (name: string, fields: Partial<LiveExtension> = {}): LiveExtension => ({
    namespace: `linkerd-${name}`,
    name,
    stack: undefined,
    versions: ["edge-24.5.3"],
    workloads: 1,
    ...fields,
});
const how = (to = "edge-24.7.5", from: string | undefined = "edge-24.5.3") => ({
    ...{ own: new Set(["linkerd-viz"]), from, to },
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

    it("in order, the stack's own left out, and one that has no version", () => {
        expect(
            extensionLines(
                [
                    one("viz", { stack: STACK }),
                    one("smi", { versions: [], workloads: 2 }),
                    one("jaeger", { versions: [], workloads: 0 }),
                    one("multicluster", { stack: STACK, versions: ["edge-24.7.5"] }),
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
        expect(extensionLines("HTTP 403", how())).toEqual([
            "extensions outside the stack: unknown: HTTP 403",
        ]);
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
                    deployment({ labels: { "app.kubernetes.io/version": "edge-24.5.3" } }),
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
                ...{ versions: ["edge-24.5.3"], workloads: 2 },
            },
            { namespace: "b", name: "smi", stack: undefined, versions: ["v0.2.7"], workloads: 2 },
        ]);
    });

    it("a list that is forbidden is no empty one", async () => {
        await expect(observeExtensions(apiOf({}))).rejects.toThrow("HTTP 403");
    });
});
