import { describe, expect, it } from "vitest";
import { chartsOf } from "../../plan/istio/plan";
import {
    expectRefused,
    objectOf,
    OTHER,
    planOf,
    type Refused,
    SECTION,
    split,
} from "./support/istioPlans";

describe("the charts that a plan needs", () => {
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
});

describe("what is refused before anything changes", () => {
    it.each<Refused>([
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
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));

    it("all at once", () => {
        const { faults } = planOf({
            section: { namespaces: { shop: "1-27-1" }, foreign: [{ revision: "old" }] },
            labels: { shop: { "istio-injection": "enabled", "istio.io/rev": "1-26-4" } },
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
