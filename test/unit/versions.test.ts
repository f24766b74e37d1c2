import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDuration, milliseconds, type Duration } from "../../plan/durations";
import {
    compareVersions,
    isFault,
    latest,
    parseLinkerdVersion,
    versionOfChart,
    type LinkerdVersion,
} from "../../plan/versions";

describe("a version line", () => {
    it.each([
        ["edge-24.3.1", "2024.3.1"],
        ["edge-24.7.5", "2024.7.5"],
        ["edge-24.12.10", "2024.12.10"],
        ["edge-30.1.1", "2030.1.1"],
    ])("%s stands for the charts %s", (tag, chartVersion) => {
        expect(parseLinkerdVersion(tag)).toEqual({ tag, chartVersion });
        expect(versionOfChart(chartVersion)).toEqual({ tag, chartVersion });
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
        "stable-2.14.10",
        "latest",
    ])("%j is refused with what would be accepted", (text) => {
        expect(parseLinkerdVersion(text)).toEqual({
            subject: "linkerdVersion",
            value: text,
            rule: "a Linkerd version reads edge-YY.M.N (year, month 1-12, number), from edge-24.3.1 on, without leading zeros",
            next: "pulumi config set linkerdVersion edge-24.7.5 (or another edge release)",
        });
    });

    it("is named by the key where it stands", () => {
        expect(parseLinkerdVersion("x", "old.linkerdVersion")).toMatchObject({
            subject: "old.linkerdVersion",
        });
    });

    it.each([
        "",
        "1.8.0",
        "2024.7",
        "2024.07.5",
        "2024.2.1",
        "edge-24.7.5",
        "20",
        "0.0.0-undefined",
    ])("the chart version %j belongs to no release", (chartVersion) => {
        expect(versionOfChart(chartVersion)).toBeUndefined();
    });
});

describe("the order of releases", () => {
    const parts = fc
        .tuple(fc.integer({ min: 25, max: 99 }), fc.integer({ min: 1, max: 12 }), fc.nat(300))
        .map(([year, month, number]) => [year, month, number + 1] as const);
    const toVersion = (numbers: readonly number[]): LinkerdVersion => {
        const version = parseLinkerdVersion(`edge-${numbers.join(".")}`);
        if (isFault(version)) {
            throw new Error(version.rule);
        }
        return version;
    };
    const release = parts.map(toVersion);

    it("is by number, never by letter: .10 comes after .9, month 12 after month 2", () => {
        fc.assert(
            fc.property(parts, parts, (a, b) => {
                const [first, second] = [toVersion(a), toVersion(b)];
                const index = a.findIndex((number, i) => number !== b[i]);
                const expected = index < 0 ? 0 : Math.sign((a[index] ?? 0) - (b[index] ?? 0));
                expect(Math.sign(compareVersions(first, second))).toBe(expected);
                expect(compareVersions(second, first) + compareVersions(first, second)).toBe(0);
            }),
        );
    });

    it("reads every release back from its charts", () => {
        fc.assert(
            fc.property(release, (version) => {
                expect(versionOfChart(version.chartVersion)).toEqual(version);
            }),
        );
    });

    it("has one latest, whatever the order of the list", () => {
        fc.assert(
            fc.property(fc.array(release), (versions) => {
                const best = latest(versions);
                expect(best === undefined).toBe(versions.length === 0);
                expect(latest([...versions].reverse())).toEqual(best);
                for (const version of versions) {
                    expect(best && compareVersions(best, version)).toBeGreaterThanOrEqual(0);
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
