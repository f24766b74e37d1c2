import { describe, expect, it } from "vitest";
import { chartsOf } from "../../plan/istio/plan";
import {
    expectRefused,
    foreignOf,
    objectOf,
    planOf,
    type Refused,
    SECTION,
    split,
    STACK,
} from "./support/istioPlans";

describe("the chart base", () => {
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

    it("no chart base where all is rendered", () => {
        const plan = planOf({
            section: { revisions: [{ version: "1.27.1", manifests: "dir" }] },
            manifests: new Map([["1-27-1", split()]]),
        });
        expect([plan.base, chartsOf(plan)]).toEqual([undefined, []]);
    });
});

describe("what is refused before anything changes", () => {
    it.each<Refused>([
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
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});
