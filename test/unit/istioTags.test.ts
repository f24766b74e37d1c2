import { describe, expect, it } from "vitest";
import { injectorOf } from "./support/istioCluster";
import { foreignOf, injecting, linesOf, planOf } from "./support/istioPlans";

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

describe("what a reader is told before it happens", () => {
    it("each tag, before and after", () => {
        expect(
            linesOf("tag", {
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
});
