import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    compareIstio,
    kubernetesFaults,
    latestIstio,
    parseIstioVersion,
    pathFaults,
    revisionName,
    runningIstio,
    type IstioVersion,
} from "../../plan/istio/versions";
import { isFault } from "../../plan/versions";

function version(text: string): IstioVersion {
    const parsed = parseIstioVersion(text, "version");
    if (isFault(parsed)) {
        throw new Error(parsed.rule);
    }
    return parsed;
}

describe("a version of Istio or ASM", () => {
    it.each([
        ["1.27.1", "istio", "1.27", "1.27.1", undefined, "1-27-1"],
        ["1.6.14-asm.2", "asm", "1.6", "1.6.14", 2, "asm-1614-2"],
        ["1.10.2-asm.3", "asm", "1.10", "1.10.2", 3, "asm-1102-3"],
        ["1.4.5-asm.0", "asm", "1.4", "1.4.5", 0, "asm-145-0"],
    ])(
        "%s is read, and its revision named as the guides do",
        (text, kind, minor, plain, build, name) => {
            expect(version(text)).toEqual({ text, kind, minor, semver: plain, build });
            expect(revisionName(version(text))).toBe(name);
        },
    );

    it.each([
        "",
        "1.27",
        "v1.27.1",
        "2.0.0",
        "01.2.3",
        "1.02.3",
        "1.2.03",
        "1.6.14-asm",
        "1.6.14-asm.02",
        "1.6.14-asm.2.1",
        "1.27.1\n",
        "1.27.99999999999999999999",
        "1.6.14-asm.99999999999999999999",
    ])("%j is refused with what would be accepted", (text) => {
        expect(parseIstioVersion(text, "istio.revisions.0.version")).toEqual({
            subject: "istio.revisions.0.version",
            value: text,
            rule: "an Istio version reads 1.MINOR.PATCH, one of Anthos Service Mesh 1.MINOR.PATCH-asm.BUILD, without leading zeros",
            next: "set istio.revisions.0.version to a release such as 1.27.1 or 1.6.14-asm.2",
        });
    });

    it.each([
        ["1.20.8", "1.20.8"],
        ["1.20.8-solo", "1.20.8"],
        ["1.27.0-rc.1", "1.27.0"],
        ["1.6.14-asm.2", "1.6.14-asm.2"],
        ["1.6.14-asm.2-acme", "1.6.14-asm.2"],
        ["1.20", undefined],
        ["1.20.8acme", undefined],
        ["main-2024", undefined],
        [undefined, undefined],
    ])("a running image's tag %s is of %s", (tag, text) => {
        expect(runningIstio(tag)?.text).toBe(text);
    });

    it.each(["1.27.0-rc.1", "1.28.0-alpha.abc", "1.27.0-beta"])("%s: no pre-release", (text) => {
        expect(parseIstioVersion(text, "version")).toMatchObject({
            rule: "is a pre-release; only releases are supported",
        });
    });

    it("is ordered by number, the build of ASM included", () => {
        const sorted = [
            "1.6.4-asm.9",
            "1.6.14",
            "1.6.14-asm.1",
            "1.6.14-asm.2",
            "1.6.14-asm.10",
            "1.10.0",
        ];
        fc.assert(
            fc.property(fc.shuffledSubarray(sorted), (texts) => {
                const versions = texts.map(version);
                const back = [...versions].sort(compareIstio).map(({ text }) => text);
                expect(back).toEqual(sorted.filter((text) => texts.includes(text)));
                expect(latestIstio(versions)?.text).toBe(back.at(-1));
            }),
        );
    });
});

describe("a control plane is not put onto a Kubernetes that cannot run it", () => {
    const outcome = (text: string, server: string, ...overrides: string[]) => {
        const { faults, warnings } = kubernetesFaults(version(text), server, new Set(overrides));
        return faults.length > 0 ? "fault" : warnings.length > 0 ? "warning" : "fine";
    };
    it.each([
        ["1.6.14-asm.2", "v1.15.0", "fine"],
        ["1.6.14-asm.2", "v1.18.20", "fine"],
        ["1.6.14-asm.2", "v1.14.9", "fault"],
        ["1.6.14-asm.2", "v1.19.0", "fault"],
        ["1.6.14-asm.2", "v1.34.4", "fault"],
        ["1.5.10-asm.2", "v1.21.0", "fine"],
        ["1.5.10-asm.2", "v1.22.0", "fault"],
        ["1.20.8", "v1.25.3", "fine"],
        ["1.20.8", "v1.24.0", "fault"],
        ["1.25.0", "v1.33.0", "fault"],
        ["1.26.4", "v1.29.0", "fine"],
        ["1.26.4", "v1.28.15", "fault"],
        ["1.26.4", "v1.33.1-eks-7", "fine"],
        ["1.26.4", "v1.34.4", "warning"],
        ["1.29.0", "v1.30.0", "warning"],
        ["1.29.0", "v1.29.0", "fault"],
        ["1.30.1", "v1.31.0", "fault"],
        ["1.30.1", "v1.40.0", "fine"],
        ["1.99.0", "v1.20.0", "fine"],
        ["1.27.1", "what?", "fault"],
    ])("%s on %s: %s", (text, server, expected) => {
        expect(outcome(text, server)).toBe(expected);
        if (expected === "fault") {
            expect(outcome(text, server, "kubernetes-range")).toBe("warning");
            expect(outcome(text, server, "asm-one-minor")).toBe("fault");
        }
    });

    it("the fault names rule and way out, the override the rule", () => {
        const asm = version("1.6.14-asm.2");
        expect(kubernetesFaults(asm, "v1.34.4", new Set()).faults).toEqual([
            {
                subject: "istio 1.6.14-asm.2",
                value: "v1.34.4",
                rule: "Istio 1.6 runs on Kubernetes up to 1.18 (rule kubernetes-range)",
                next: "choose a newer version; to go on regardless, add kubernetes-range to policy.override",
            },
        ]);
        expect(kubernetesFaults(asm, "v1.34.4", new Set(["kubernetes-range"])).warnings).toEqual([
            "istio 1.6.14-asm.2 = v1.34.4: Istio 1.6 runs on Kubernetes up to 1.18 (overridden: kubernetes-range)",
        ]);
    });
});

describe("an upgrade takes no step that is not supported", () => {
    const path = (from: string[], to: string, ...overrides: string[]) =>
        pathFaults({
            from: from.map(version),
            to: version(to),
            overrides: new Set(overrides),
        });
    it.each([
        ["1.4.10-asm.1", "1.5.10-asm.2", undefined],
        ["1.4.10-asm.1", "1.6.14-asm.2", "asm-one-minor"],
        ["1.5.3-asm.1", "1.6.14-asm.2", "asm-1.6.14-origin"],
        ["1.5.4-asm.2", "1.6.14-asm.2", undefined],
        ["1.6.3-asm.1", "1.6.14-asm.2", "asm-1.6.14-origin"],
        ["1.6.4-asm.9", "1.6.14-asm.2", undefined],
        ["1.5.3-asm.1", "1.6.11-asm.1", undefined],
        ["1.7.3-asm.1", "1.6.14-asm.2", undefined],
        ["1.9.3-asm.2", "1.11.2-asm.1", "asm-one-minor"],
        ["1.10.2-asm.3", "1.11.2-asm.1", undefined],
        ["1.26.4", "1.26.4", undefined],
        ["1.25.0", "1.27.1", undefined],
        ["1.24.0", "1.27.1", "istio-two-minors"],
        ["1.27.1", "1.25.0", undefined],
        ["1.27.1", "1.24.0", "istio-two-minors"],
    ])("%s -> %s: %s", (from, to, id) => {
        const { faults, warnings } = path([from], to);
        expect(faults.map(({ rule }) => /\(rule (.*)\)$/.exec(rule)?.[1])).toEqual(id ? [id] : []);
        expect(warnings).toEqual([]);
        if (id) {
            const overridden = path([from], to, id);
            expect(overridden.faults).toEqual([]);
            expect(overridden.warnings).toEqual([expect.stringContaining(`(overridden: ${id})`)]);
        }
    });

    it("says what to go through, for each control plane that runs", () => {
        expect(
            path(["1.4.10-asm.1", "1.4.10-asm.1", "1.5.3-asm.1"], "1.6.14-asm.2").faults,
        ).toEqual([
            {
                subject: "istio.revisions",
                value: "1.4.10-asm.1 -> 1.6.14-asm.2",
                rule: "Anthos Service Mesh on premises goes one minor at a time (rule asm-one-minor)",
                next: "go through 1.5; to go on regardless, add asm-one-minor to policy.override",
            },
            {
                subject: "istio.revisions",
                value: "1.5.3-asm.1 -> 1.6.14-asm.2",
                rule: "Anthos Service Mesh 1.6.14 is reached from 1.5.4 or newer, or from 1.6.4 or newer (rule asm-1.6.14-origin)",
                next: "upgrade to the latest 1.5 first; to go on regardless, add asm-1.6.14-origin to policy.override",
            },
        ]);
        expect(path(["1.27.1"], "1.24.0").faults[0]?.next).toContain("go through 1.25;");
        expect(path([], "1.6.14-asm.2")).toEqual({ faults: [], warnings: [], broken: [] });
    });

    it("and a change of the distribution is warned of", () => {
        expect(path(["1.26.4"], "1.27.1-asm.1").warnings).toEqual([
            "1.26.4 -> 1.27.1-asm.1 changes between Istio and Anthos Service Mesh: a change of the CA means downtime",
        ]);
    });
});
