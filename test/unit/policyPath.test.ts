import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NOTICE_IDS } from "../../plan/policy/notices";
import { linkerdPath, type LinkerdWay } from "../../plan/policy/linkerdPath";
import { OVERRIDABLE, RULES, type PathRule } from "../../plan/policy/rules";
import { readRecord, recordText } from "../../plan/policy/record";

const way = (from: string | undefined, to: string, fields: Partial<LinkerdWay> = {}) =>
    linkerdPath({
        from,
        to,
        ran: from === undefined ? [] : [from],
        proxies: new Map(),
        overrides: new Set(),
        ...fields,
    });

const UPGRADE = "linkerd.io/2/tasks/upgrade";
const MARKERS = "linkerd.io/releases (release markers)";
const ONE_CHART = "linkerd.io/2.12/tasks/upgrade";

describe("the way from one version of Linkerd to another", () => {
    it.each<[from: string, to: string, broken: string[], next: string, source: string]>([
        ["edge-24.5.3", "edge-24.5.3", [], "", "nothing changes"],
        ["edge-24.5.3", "edge-24.7.5", [], "", MARKERS],
        ["edge-24.7.5", "edge-24.8.2", [], "", MARKERS],
        ["edge-24.7.5", "edge-24.11.7", [], "", MARKERS],
        ["stable-2.14.10", "edge-24.7.5", [], "", MARKERS],
        ["edge-23.12.4", "edge-24.3.1", [], "", MARKERS],
        ["stable-2.14.3", "stable-2.14.10", [], "", MARKERS],
        ["stable-2.13.7", "stable-2.14.10", [], "", MARKERS],
        [
            "edge-24.3.1",
            "stable-2.14.10",
            ["no-downgrade"],
            "set linkerdVersion to edge-24.3.1; to go on",
            UPGRADE,
        ],
        [
            "stable-2.14.10",
            "edge-26.8.3",
            ["linkerd-one-minor"],
            "go to edge-24.7.5 first, data plane included, then to edge-24.8.2, edge-24.11.8, edge-25.4.4, edge-25.10.7, edge-26.8.3; to go on",
            UPGRADE,
        ],
        [
            "edge-24.7.5",
            "edge-24.11.8",
            ["linkerd-one-minor"],
            "go to edge-24.8.2 first, data plane included, then to edge-24.11.8",
            UPGRADE,
        ],
        [
            "edge-24.7.5",
            "edge-26.8.3",
            ["linkerd-one-minor"],
            "go to edge-24.8.2 first, data plane included, then to edge-24.11.8, edge-25.4.4, edge-25.10.7, edge-26.8.3",
            UPGRADE,
        ],
        [
            "stable-2.13.4",
            "edge-24.7.5",
            ["linkerd-one-minor"],
            "go to stable-2.14.10 first, data plane included, then to edge-24.7.5; to go on",
            UPGRADE,
        ],
        [
            "stable-2.12.5",
            "edge-24.3.1",
            ["linkerd-one-minor"],
            "go to stable-2.13.7 first, data plane included, then to stable-2.14.10, edge-24.3.1 (stable-2.13.7 by hand, with the linkerd CLI or Helm: linkerdVersion does not take it; then take over what runs with adopt); to go on",
            UPGRADE,
        ],
        [
            "stable-2.14.10",
            "edge-24.8.2",
            ["linkerd-one-minor"],
            "go to edge-24.7.5 first, data plane included, then to edge-24.8.2; to go on",
            UPGRADE,
        ],
        [
            "stable-2.11.1",
            "edge-24.7.5",
            ["linkerd-one-chart", "linkerd-one-minor"],
            "by hand, with the linkerd CLI of stable-2.12.6",
            ONE_CHART,
        ],
        [
            "edge-24.7.5",
            "edge-24.5.3",
            ["no-downgrade"],
            "set linkerdVersion to edge-24.7.5",
            UPGRADE,
        ],
        [
            "edge-26.8.3",
            "edge-24.5.3",
            ["no-downgrade"],
            "set linkerdVersion to edge-26.8.3",
            UPGRADE,
        ],
        [
            "dev-undefined",
            "edge-24.5.3",
            ["linkerd-known-origin"],
            "install a release first",
            "linkerd.io/releases",
        ],
    ])("%s -> %s breaks %j: %s (%s)", (from, to, broken, next) => {
        const found = way(from, to);
        expect(found.broken).toEqual(broken);
        expect(found.faults).toHaveLength(broken.length);
        expect(found.faults[0]?.next ?? "").toContain(next);
        found.faults.forEach(({ rule }, index) =>
            expect(rule).toContain(`(rule ${broken[index]})`),
        );
    });

    it("a fault names the way, the rule, the next step and the way around", () => {
        expect(way("edge-24.7.5", "edge-25.1.1").faults).toEqual([
            {
                subject: "linkerdVersion",
                value: "edge-24.7.5 -> edge-25.1.1",
                rule: "Linkerd goes up one minor at a time; an edge is of the minor whose marker it includes: from 2.15 to 2.17 are 2 (rule linkerd-one-minor)",
                next: "go to edge-24.8.2 first, data plane included, then to edge-25.1.1; to go on regardless, add linkerd-one-minor to policy.override",
            },
        ]);
    });

    it("an override turns the fault into a warning that names the rule, and marks the verdict", () => {
        const found = way("edge-24.7.5", "edge-25.1.1", {
            overrides: new Set(["linkerd-one-minor"]),
        });
        expect(found.faults).toEqual([]);
        expect(found.warnings).toEqual([
            "linkerdVersion = edge-24.7.5 -> edge-25.1.1: Linkerd goes up one minor at a time; an edge is of the minor whose marker it includes: from 2.15 to 2.17 are 2 (overridden: linkerd-one-minor)",
        ]);
        expect(found.verdict).toMatchObject({
            verdict: "overridden",
            steps: ["edge-24.7.5", "edge-25.1.1"],
        });
        expect(found.verdict.rules.filter(({ broken }) => broken)).toEqual([
            {
                id: "linkerd-one-minor",
                text: RULES.linkerdOneMinor.text,
                source: RULES.linkerdOneMinor.source,
                broken: true,
            },
        ]);
    });

    it("one chart cannot be overridden", () => {
        const overrides = new Set(Object.values(RULES).map(({ id }) => id));
        const found = way("stable-2.11.1", "edge-24.7.5", { overrides });
        expect(found.faults.map(({ rule }) => rule)).toEqual([
            `${RULES.linkerdOneChart.text} (rule linkerd-one-chart)`,
        ]);
        expect(found.faults[0]?.next).not.toContain("policy.override");
        expect(OVERRIDABLE).not.toContain("linkerd-one-chart");
    });
});

describe("the way back", () => {
    const back = ["edge-24.7.5", "edge-24.5.3"] as const;

    it("is open to what ran before, whatever lies between", () => {
        expect(way(...back, { ran: ["edge-24.5.3", "edge-24.7.5"] }).faults).toEqual([]);
        expect(way("edge-26.8.3", "edge-24.5.3", { ran: ["edge-24.5.3"] }).faults).toEqual([]);
    });

    it("is open where proxies tell that it ran before there was a record", () => {
        expect(way(...back, { proxies: new Map([["edge-24.5.3", 1]]) }).faults).toEqual([]);
    });

    it("is closed to all others, and names those to which it is open", () => {
        expect(
            way(...back, { ran: ["edge-24.6.1", "edge-24.7.5"] }).faults.map(({ next }) => next),
        ).toEqual([
            "set linkerdVersion to edge-24.7.5, or one that ran before: edge-24.6.1; to go on regardless, add no-downgrade to policy.override",
        ]);
    });

    it("names none that the version line refuses, though it ran before", () => {
        expect(
            way(...back, { ran: ["stable-2.13.7", "edge-24.7.5"] }).faults.map(({ next }) => next),
        ).toEqual([
            "set linkerdVersion to edge-24.7.5; to go on regardless, add no-downgrade to policy.override",
        ]);
    });

    it("is not held up by old proxies, which it brings closer", () => {
        const proxies = new Map([["stable-2.12.0", 3]]);
        expect(way(...back, { ran: ["edge-24.5.3"], proxies }).faults).toEqual([]);
    });
});

describe("proxies that were left behind before", () => {
    it.each<[proxies: [string, number][], value: string | undefined]>([
        [[["edge-24.5.3", 12]], undefined],
        [[["edge-24.2.4", 2]], undefined],
        [[["unknown", 2]], undefined],
        [[["edge-23.12.4", 2]], "edge-23.12.4 2"],
        [[["stable-2.14.10", 2]], "stable-2.14.10 2"],
        [
            [
                ["stable-2.12.0", 1],
                ["edge-24.5.3", 40],
                ["stable-2.13.7", 3],
            ],
            "stable-2.13.7 3, stable-2.12.0 1",
        ],
    ])("%j on the way from 2.15 to 2.16: %s", (proxies, value) => {
        const { faults } = way("edge-24.5.3", "edge-24.8.2", { proxies: new Map(proxies) });
        expect(faults.map((one) => one.value)).toEqual(value === undefined ? [] : [value]);
    });

    it.each([
        ["edge-24.8.2", "edge-24.8.3"],
        ["edge-24.5.3", "edge-24.7.5"],
        ["stable-2.14.10", "edge-23.12.4"],
    ])("do not hold up %s -> %s, which leads them by no more", (from, to) => {
        const proxies = new Map([
            ["stable-2.12.0", 1],
            ["stable-2.13.7", 2],
        ]);
        expect(way(from, to, { proxies }).broken).toEqual([]);
    });

    it("count against the target: one behind is too far for the next minor", () => {
        const proxies = new Map([["stable-2.14.10", 1]]);
        expect(way("edge-24.7.5", "edge-24.8.2", { proxies }).faults).toEqual([
            {
                subject: "proxies left from before",
                value: "stable-2.14.10 1",
                rule: "the control plane may lead its proxies by one minor, and edge-24.8.2 is of 2.16 (rule linkerd-skew)",
                next: "restart them at edge-24.7.5 first: npm run rollout -- --help; a bare pod or a Job's is deleted or waited for; to go on regardless, add linkerd-skew to policy.override",
            },
        ]);
    });

    it("of the live minor are no news: the jump itself is told", () => {
        const proxies = new Map([["edge-24.7.5", 9]]);
        expect(way("edge-24.7.5", "edge-26.8.3", { proxies }).broken).toEqual([
            "linkerd-one-minor",
        ]);
    });
});

describe("the record of versions", () => {
    it("has each once, in the same order whatever comes first", () => {
        expect(recordText(["edge-24.7.5", undefined, "edge-24.5.3", "edge-24.7.5", ""])).toBe(
            "edge-24.5.3,edge-24.7.5",
        );
        expect(recordText(readRecord("edge-24.5.3,edge-24.7.5"))).toBe("edge-24.5.3,edge-24.7.5");
        expect(readRecord(undefined)).toEqual([]);
    });
});

it("every rule has an id of its own, a text and a source", () => {
    const all: readonly PathRule[] = Object.values(RULES);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(all.every(({ text, source }) => text !== "" && source !== "")).toBe(true);
});

it("docs/policy.md has every rule and every notice", async () => {
    const text = await readFile(join(__dirname, "../../docs/policy.md"), "utf8");
    const ids = [...Object.values(RULES).map(({ id }) => id), ...NOTICE_IDS];
    expect(ids.filter((id) => !text.includes(`\`${id}\``))).toEqual([]);
});
