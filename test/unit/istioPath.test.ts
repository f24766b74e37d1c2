import { describe, expect, it } from "vitest";
import type { LiveIstio } from "../../cluster/istio/observe";
import {
    expectRefused,
    foreignOf,
    istiodOf,
    linesOf,
    planOf,
    type Refused,
} from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    it.each<Refused>([
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
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});

describe("what a reader is told before it happens", () => {
    it("the way back to what ran before is open, to anything else it is refused", () => {
        const older = { revisions: [{ version: "1.26.4" }], tags: {}, namespaces: {}, waves: {} };
        const section = { ...older, defaultRevision: undefined, gateways: [] };
        const faultsOf = (live: Partial<LiveIstio>) =>
            planOf({ section, live }).faults.map(({ value, rule }) => `${value}: ${rule}`);
        const refused = (from: string) =>
            `${from} -> 1.26.4: an older version is taken only where this mesh ran it before (rule no-downgrade)`;
        const newer = foreignOf("1-27-1", "1.27.1");
        expect(faultsOf({ istiods: [newer] })).toEqual([refused("1.27.1")]);
        expect(faultsOf({ istiods: [newer], ran: ["1.26.4"] })).toEqual([]);
        // In place, under the same name.
        expect(faultsOf({ istiods: [istiodOf("1-26-4", "1.26.9")] })).toEqual([refused("1.26.9")]);
        expect(faultsOf({ istiods: [istiodOf("1-26-4", "1.26.9")], ran: ["1.26.4"] })).toEqual([]);
        expect(planOf({ section, live: { istiods: [newer], ran: ["1.25.1"] } }).ran).toBe(
            "1.25.1,1.26.4,1.27.1",
        );
    });

    it("the verdict names the way and the rules, and no way where nothing is added", () => {
        const live = { istiods: [foreignOf("ancient", "1.24.0")] };
        const { path } = planOf({ override: ["istio-two-minors"], live });
        expect([path.verdict, path.steps]).toEqual(["overridden", ["1.24.0", "1.26.4", "1.27.1"]]);
        expect(path.rules.filter(({ broken }) => broken).map(({ id }) => id)).toEqual([
            "istio-two-minors",
        ]);
        const istiods = [istiodOf("1-27-1", "1.27.1"), istiodOf("1-26-4", "1.26.4")];
        expect(planOf({ live: { istiods } }).path).toMatchObject({ verdict: "allowed", steps: [] });
    });

    it("nothing is added beside a control plane of no release unless the rule is overridden", () => {
        const live = { istiods: [{ ...foreignOf("acme", ""), version: undefined }] };
        const { faults, path } = planOf({ live });
        expect(faults).toEqual([
            {
                subject: "Deployment istiod-acme (revision acme)",
                value: "no tag",
                rule: "what runs must be of a release of Istio, or nothing can be said about the way from it (rule istio-known-origin)",
                next: "give its image a tag that begins with the release it is of (1.20.8, 1.20.8-acme); to go on regardless, add istio-known-origin to policy.override",
            },
        ]);
        expect([path.verdict, path.steps]).toEqual(["refused", ["unknown", "1.26.4", "1.27.1"]]);
        const overridden = planOf({ live, override: ["istio-known-origin"] });
        expect([overridden.faults, overridden.path.verdict]).toEqual([[], "overridden"]);
    });

    it("a vendor's build is held to the distance of the release that it names", () => {
        const { faults } = planOf({ live: { istiods: [foreignOf("old", "1.20.8-solo")] } });
        expect(faults.map(({ value }) => value)).toEqual(["1.20.8 -> 1.26.4", "1.20.8 -> 1.27.1"]);
    });

    it("a private tag is of the version that the stack file gives its revision", () => {
        const istiods = [istiodOf("1-26-4", "main-2024")];
        const { faults, path } = planOf({ live: { istiods } });
        expect([faults, path.steps]).toEqual([[], ["1.26.4", "1.27.1"]]);
        const both = [...istiods, istiodOf("1-27-1", "other")];
        expect(planOf({ live: { istiods: both } }).path.steps).toEqual([]);
    });

    it("warnings: what is overridden", () => {
        expect(
            linesOf("warning", {
                override: ["istio-two-minors"],
                live: { istiods: [foreignOf("ancient", "1.24.0")] },
            }),
        ).toEqual([
            "warning: istio.revisions = 1.24.0 -> 1.27.1: a jump between revisions spans at most two minors (overridden: istio-two-minors)",
        ]);
    });
});
