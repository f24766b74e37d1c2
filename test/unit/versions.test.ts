import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDuration, milliseconds, type Duration } from "../../plan/durations";
import {
    isFault,
    latest,
    LINKERD_CHARTS,
    parseLinkerdVersion,
    repositoryOf,
    versionOfChart,
} from "../../plan/versions";
import { compareReleases } from "../../plan/releases";
import { versionAt } from "./support/releases";

describe("a version line", () => {
    it.each([
        ["edge-24.3.1", "2024.3.1"],
        ["edge-24.7.5", "2024.7.5"],
        ["edge-24.12.10", "2024.12.10"],
        ["edge-30.1.1", "2030.1.1"],
    ])("%s stands for the charts %s, from the repository of edges", (tag, chartVersion) => {
        const version = versionAt(tag);
        expect(version).toMatchObject({ tag, channel: "edge" });
        expect(Object.keys(version.charts)).toEqual(LINKERD_CHARTS);
        expect(new Set(Object.values(version.charts))).toEqual(new Set([chartVersion]));
        for (const chart of LINKERD_CHARTS) {
            expect(versionOfChart(chart, chartVersion)).toEqual(version);
        }
        expect(repositoryOf(version)).toBe("https://helm.linkerd.io/edge");
    });

    it.each([
        ["stable-2.14.0", ["1.8.0", "1.15.0", "30.11.0", "30.11.0", "30.10.0", "30.11.0"]],
        ["stable-2.14.1", ["1.8.0", "1.16.2", "30.12.1", "30.12.2", "30.11.2", "30.12.2"]],
        ["stable-2.14.9", ["1.8.0", "1.16.10", "30.12.2", "30.12.10", "30.11.10", "30.12.10"]],
        ["stable-2.14.10", ["1.8.0", "1.16.11", "30.12.2", "30.12.11", "30.11.11", "30.12.11"]],
    ])("%s stands for the charts %s, from the stable repository", (tag, versions) => {
        const version = versionAt(tag);
        expect(version).toMatchObject({
            tag,
            channel: "stable",
            numbers: [2, 14, expect.any(Number)],
        });
        expect(LINKERD_CHARTS.map((chart) => version.charts[chart])).toEqual(versions);
        expect(versionOfChart("linkerd-control-plane", versions[1] ?? "")).toEqual(version);
        expect(versionOfChart("linkerd-viz", versions[3] ?? "")).toEqual(version);
        expect(repositoryOf(version)).toBe("https://helm.linkerd.io/stable");
    });

    it("has a control plane and a viz of its own for each release of stable-2.14", () => {
        const all = Array.from({ length: 11 }, (_, patch) => versionAt(`stable-2.14.${patch}`));
        for (const chart of ["linkerd-control-plane", "linkerd-viz"] as const) {
            expect(new Set(all.map(({ charts }) => charts[chart])).size).toBe(11);
        }
        // The CRDs are the same of all, so that each is as good as the first.
        expect(versionOfChart("linkerd-crds", "1.8.0")?.tag).toBe("stable-2.14.0");
    });

    it.each([
        "",
        "24.7.5",
        "v24.7.5",
        "edge-24.7",
        "edge-24.7.5.1",
        "edge-24.07.5",
        "edge-24.7.05",
        "edge-24.0.5",
        "edge-24.13.1",
        "edge-24.7.0",
        "edge-24.7.5-rc1",
        "edge-24.7.5\n",
        " edge-24.7.5",
        "edge-2024.7.5",
        "edge-24.2.5",
        "edge-23.12.4",
        "edge-09.7.5",
        "edge-24.7.99999999999999999999",
        "stable-2.14.11",
        "stable-2.14.010",
        "stable-2.13.7",
        "stable-2.12.6",
        "stable-2.15.0",
        "stable-2.14",
        "2.14.10",
        "latest",
    ])("%j is refused with what would be accepted", (text) => {
        expect(parseLinkerdVersion(text)).toEqual({
            subject: "linkerdVersion",
            value: text,
            rule: "a Linkerd version reads edge-YY.M.N (year, month 1-12, number) from edge-24.3.1 on, or stable-2.14.N up to stable-2.14.10, without leading zeros",
            next: "pulumi config set linkerdVersion edge-24.7.5 (or another of these releases)",
        });
    });

    it("is named by the key where it stands", () => {
        expect(parseLinkerdVersion("x", "old.linkerdVersion")).toMatchObject({
            subject: "old.linkerdVersion",
        });
    });

    it.each([
        "",
        "1.4.0",
        "2024.7",
        "2024.07.5",
        "2024.2.1",
        "edge-24.7.5",
        "20",
        "0.0.0-undefined",
    ])("the chart version %j belongs to no release", (chartVersion) => {
        expect(versionOfChart("linkerd-crds", chartVersion)).toBeUndefined();
    });

    it("is not read from another chart's number", () => {
        expect(versionOfChart("linkerd-viz", "1.8.0")).toBeUndefined();
    });
});

describe("the order of releases", () => {
    const parts = fc
        .tuple(fc.integer({ min: 25, max: 99 }), fc.integer({ min: 1, max: 12 }), fc.nat(300))
        .map(([year, month, number]) => [year, month, number + 1] as const);
    const toVersion = (numbers: readonly number[]) => versionAt(`edge-${numbers.join(".")}`);
    const release = parts.map(toVersion);

    it("is by number, never by letter: .10 comes after .9, month 12 after month 2", () => {
        fc.assert(
            fc.property(parts, parts, (a, b) => {
                const [first, second] = [toVersion(a), toVersion(b)];
                const index = a.findIndex((number, i) => number !== b[i]);
                const expected = index < 0 ? 0 : Math.sign((a[index] ?? 0) - (b[index] ?? 0));
                expect(Math.sign(compareReleases(first, second))).toBe(expected);
                expect(compareReleases(second, first) + compareReleases(first, second)).toBe(0);
            }),
        );
    });

    it("reads every release back from its charts", () => {
        fc.assert(
            fc.property(release, (version) => {
                expect(versionOfChart("linkerd-viz", version.charts["linkerd-viz"])).toEqual(
                    version,
                );
            }),
        );
    });

    it("puts stable-2.14 before the edges that the version line takes", () => {
        const tags = [
            "stable-2.14.0",
            "stable-2.14.9",
            "stable-2.14.10",
            "edge-24.3.1",
            "edge-26.8.3",
        ];
        const versions = tags.map(versionAt);
        expect([...versions].reverse().sort(compareReleases)).toEqual(versions);
        expect(latest(versions)?.tag).toBe("edge-26.8.3");
    });

    it("has one latest, whatever the order of the list", () => {
        fc.assert(
            fc.property(fc.array(release), (versions) => {
                const best = latest(versions);
                expect(best === undefined).toBe(versions.length === 0);
                expect(latest([...versions].reverse())).toEqual(best);
                for (const version of versions) {
                    expect(best && compareReleases(best, version)).toBeGreaterThanOrEqual(0);
                }
            }),
        );
    });

    it("takes any text without a crash, and what it accepts is that very text", () => {
        const text = fc.oneof(fc.string(), fc.stringMatching(/^edge-[0-9.]{1,12}$/));
        fc.assert(
            fc.property(text, (given) => {
                const version = parseLinkerdVersion(given);
                expect(isFault(version) ? version.value : version.tag).toBe(given);
            }),
        );
    });
});

describe("durations", () => {
    it.each<[Duration, number]>([
        ["1s", 1_000],
        ["90s", 90_000],
        ["10m", 600_000],
        ["1h", 3_600_000],
        ["999999h", 3_599_996_400_000],
    ])("%s waits %i ms", (text, expected) => {
        expect(isDuration(text)).toBe(true);
        expect(milliseconds(text)).toBe(expected);
    });

    it.each(["", "10", "0s", "-1m", "1.5h", "01m", "10 m", "10M", "1h30m", "1e3s", "1d", "10m\n"])(
        "%j is not taken for a time to wait",
        (text) => {
            expect(isDuration(text)).toBe(false);
        },
    );
});
