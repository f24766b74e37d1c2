import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareReleases, hopOf, parseRelease, releaseOf } from "../../plan/releases";
import { isFault, parseLinkerdVersion } from "../../plan/versions";

describe("a release of Linkerd", () => {
    // The minor is the newest marker that an edge includes: linkerd.io/releases, CHANGES.md of linkerd2.
    it.each([
        ["stable-2.11.1", "stable", [2, 11, 1], 11],
        ["stable-2.14.10", "stable", [2, 14, 10], 14],
        ["edge-20.1.1", "edge", [20, 1, 1], 10],
        ["edge-21.9.5", "edge", [21, 9, 5], 11],
        ["edge-23.8.2", "edge", [23, 8, 2], 13],
        ["edge-23.12.4", "edge", [23, 12, 4], 14],
        ["edge-24.2.3", "edge", [24, 2, 3], 14],
        ["edge-24.2.4", "edge", [24, 2, 4], 15],
        ["edge-24.7.5", "edge", [24, 7, 5], 15],
        ["edge-24.8.1", "edge", [24, 8, 1], 15],
        ["edge-24.8.2", "edge", [24, 8, 2], 16],
        ["edge-24.11.8", "edge", [24, 11, 8], 17],
        ["edge-25.4.4", "edge", [25, 4, 4], 18],
        ["edge-25.10.7", "edge", [25, 10, 7], 19],
        ["edge-26.8.3", "edge", [26, 8, 3], 20],
    ])("%s is of 2.%s", (tag, channel, numbers, minor) => {
        expect(parseRelease(tag, "x")).toEqual({ tag, channel, numbers, minor });
    });

    it.each([
        "",
        "2.14.10",
        "stable-2.14",
        "stable-3.0.0",
        "stable-2.12.0-rc2",
        "stable-2.012.0",
        "edge-24.7",
        "edge-24.13.1",
        "edge-24.7.0",
        "edge-24.7.05",
        "edge-24.7.5\n",
        "edge-24.7.99999999999999999999",
        "enterprise-2.15.0",
        "dev-undefined",
    ])("%j is refused with what would be accepted", (text) => {
        expect(parseRelease(text, "live")).toEqual({
            subject: "live",
            value: text,
            rule: "a release of Linkerd reads edge-YY.M.N (year, month 1-12, number) or stable-2.MINOR.PATCH, without leading zeros",
            next: "linkerd.io/releases lists them",
        });
        expect(releaseOf(text)).toBeUndefined();
    });

    it("each minor has a release to go through", () => {
        expect([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21].map(hopOf)).toEqual([
            "stable-2.11.5",
            "stable-2.12.6",
            "stable-2.13.7",
            "stable-2.14.10",
            "edge-24.7.5",
            "edge-24.8.2",
            "edge-24.11.8",
            "edge-25.4.4",
            "edge-25.10.7",
            "edge-26.6.3",
            undefined,
        ]);
    });

    it("nobody is sent to an edge that the version line refuses", () => {
        const edges = [15, 16, 17, 18, 19, 20].map((minor) => hopOf(minor) ?? "");
        expect(edges.map((tag) => "tag" in parseLinkerdVersion(tag))).toEqual(
            edges.map(() => true),
        );
        expect(edges.map((tag) => releaseOf(tag)?.minor)).toEqual([15, 16, 17, 18, 19, 20]);
    });
});

describe("the order over both channels", () => {
    const edge = fc
        .tuple(fc.integer({ min: 20, max: 40 }), fc.integer({ min: 1, max: 12 }), fc.nat(30))
        .map(([year, month, number]) => `edge-${year}.${month}.${number + 1}`);
    const stable = fc
        .tuple(fc.nat(16), fc.nat(30))
        .map(([minor, patch]) => `stable-2.${minor}.${patch}`);
    const release = fc.oneof(edge, stable).map((tag) => {
        const parsed = parseRelease(tag, "x");
        if (isFault(parsed)) {
            throw new Error(tag);
        }
        return parsed;
    });

    it("follows the releases: a stable one, the edges that went on from it, the next minor", () => {
        const inOrder = [
            "stable-2.9.5",
            "edge-21.8.1",
            "stable-2.11.1",
            "stable-2.11.5",
            "edge-21.9.5",
            "stable-2.12.0",
            "edge-22.9.1",
            "stable-2.14.9",
            "stable-2.14.10",
            "edge-23.9.4",
            "edge-24.2.4",
            "edge-24.7.5",
            "edge-24.7.10",
            "edge-24.8.2",
            "edge-24.12.1",
            "edge-25.1.1",
        ].map((tag) => releaseOf(tag));
        expect([...inOrder].reverse().sort((a, b) => (a && b ? compareReleases(a, b) : 0))).toEqual(
            inOrder,
        );
    });

    it("is total: antisymmetric, transitive, and zero for the same release only", () => {
        fc.assert(
            fc.property(release, release, release, (a, b, c) => {
                expect(Math.sign(compareReleases(a, b)) + Math.sign(compareReleases(b, a))).toBe(0);
                expect(compareReleases(a, b) === 0).toBe(a.tag === b.tag);
                const [first, second, third] = [a, b, c].sort(compareReleases);
                if (first && second && third) {
                    expect(compareReleases(first, second)).toBeLessThanOrEqual(0);
                    expect(compareReleases(second, third)).toBeLessThanOrEqual(0);
                    expect(compareReleases(first, third)).toBeLessThanOrEqual(0);
                }
            }),
        );
    });

    it("a release is read back from its parts", () => {
        fc.assert(
            fc.property(release, ({ tag, channel, numbers }) => {
                expect(`${channel}-${numbers.join(".")}`).toBe(tag);
                expect(releaseOf(`${channel}-${numbers.join(".")}`)?.tag).toBe(tag);
            }),
        );
    });

    it("any text is taken without a crash", () => {
        const text = fc.oneof(fc.string(), fc.stringMatching(/^(edge|stable)-[0-9.]{1,12}$/));
        fc.assert(
            fc.property(text, (given) => {
                const parsed = parseRelease(given, "x");
                expect(isFault(parsed) ? parsed.value : parsed.tag).toBe(given);
            }),
        );
    });
});
