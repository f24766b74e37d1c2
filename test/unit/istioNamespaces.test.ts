import { describe, expect, it } from "vitest";
import { injectorOf, liveOf, userOf } from "./support/istioCluster";
import {
    expectRefused,
    foreignOf,
    type Given,
    injecting,
    istiodOf,
    linesOf,
    planOf,
    type Refused,
} from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    const both = { "istio-injection": "enabled", "istio.io/rev": "1-26-4" };
    it.each<Refused>([
        [
            "a namespace that is missing",
            {
                section: { namespaces: { shop: "1-27-1" } },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
            "istio.namespaces.shop = undefined: the cluster has no such namespace",
        ],
        [
            "a namespace with both labels",
            { section: { namespaces: { shop: "1-27-1" } }, labels: { shop: both } },
            "Namespace shop = istio-injection=enabled, istio.io/rev=1-26-4: has both labels: the second is ignored as long as the first is there",
        ],
        ["not another namespace with both labels", { labels: { other: both } }],
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});

describe("what a reader is told before it happens", () => {
    it("each namespace, before and after", () => {
        expect(
            linesOf("namespace", {
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
            return linesOf("pod", {
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
});
