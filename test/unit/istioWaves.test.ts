import { describe, expect, it } from "vitest";
import { expectRefused, foreignOf, planOf, type Refused } from "./support/istioPlans";

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

describe("what is refused before anything changes", () => {
    it.each<Refused>([
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
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});
