import { describe, expect, it } from "vitest";
import type { CheckResult } from "../../plan/review";
import { fatalIds, ISTIO_CHECKS, LINKERD_CHECKS, linkerdHint } from "../../plan/checks/table";
import {
    checkFaults,
    judgeAfter,
    judgeBefore,
    repairWith,
    type Update,
    reviewedChecks,
} from "../../plan/checks/verdict";
import { checkLines } from "../../report/checks";

const result = (id: string, some: Partial<CheckResult> = {}): CheckResult => {
    const row = LINKERD_CHECKS.find((one) => one.id === id);
    return {
        id,
        category: row?.category ?? "",
        severity: row?.severity ?? "fatal",
        result: "failed",
        message: "it is sick",
        hint: linkerdHint(id),
        ...some,
    };
};

const upgrade: Update = {
    change: "upgrade",
    unfinished: undefined,
    target: "edge-24.7.5",
    ignore: [],
    replaced: [],
    running: "edge-24.5.3",
    preview: false,
};

/** Declared by the stack; judged by the plan; nobody's but the user's. */
const [STACK, PLAN, USER] = [
    "l5d-api-control-ready",
    "l5d-identity-issuer-cert-is-time-valid",
    "k8s-api",
];

describe("whether a failed check refuses an update: never the one that cures it", () => {
    const repair = "the version stays, so this update is a repair";
    const back = "going back is a way out";
    const judged = "what this update declares is judged by itself";
    it.each<[string, string, Partial<Update>, string | undefined]>([
        ["an upgrade of a sick mesh", STACK, {}, undefined],
        ["a new installation", STACK, { change: "install" }, undefined],
        ["the same version", STACK, { change: "none" }, repair],
        ["a revert", STACK, { change: "revert" }, back],
        [
            "an upgrade after one that did not finish",
            STACK,
            { unfinished: "edge-24.7.5" },
            "the update to edge-24.7.5 did not finish, and this one goes on",
        ],
        [
            "an upgrade to another version than the one that did not finish",
            STACK,
            { unfinished: "edge-24.6.1" },
            undefined,
        ],
        ["what the config ignores", STACK, { ignore: [STACK] }, "checks.ignore names it"],
        ["what the update replaces", STACK, { replaced: [STACK] }, "this update replaces it"],
        ["what the plan judges", PLAN, {}, judged],
        ["a CNI plugin that no update can mend", USER, {}, undefined],
        ["the same, at the same version", USER, { change: "none" }, undefined],
        ["the same, after an update that did not finish", USER, { unfinished: "x" }, undefined],
        ["the same, in a revert", USER, { change: "revert" }, back],
    ])("%s", (_, id, some, because) => {
        const [verdict] = judgeBefore([result(id)], LINKERD_CHECKS, { ...upgrade, ...some });
        expect(verdict?.refuses).toBe(because === undefined);
        expect(verdict?.because).toBe(because);
    });

    it.each([
        ["warning", result("l5d-viz-prometheus")],
        ["passed", result(STACK, { result: "ok" })],
        ["skipped", result(STACK, { result: "skipped" })],
    ])("%s: never", (_, one) => {
        expect(judgeBefore([one], LINKERD_CHECKS, upgrade)).toEqual([
            { result: one, refuses: false },
        ]);
    });

    it("what could not be looked at is listed in a preview and refused in an update", () => {
        const one = result(STACK, { result: "unknown", message: "pods is forbidden" });
        const [shown] = judgeBefore([one], LINKERD_CHECKS, { ...upgrade, preview: true });
        expect(shown).toMatchObject({
            refuses: false,
            because: "a preview may go on, an update would be refused",
        });
        expect(checkFaults(judgeBefore([one], LINKERD_CHECKS, upgrade), "mend it")).toEqual([
            {
                subject: "check l5d-api-control-ready (linkerd-existence)",
                rule: "could not be made: pods is forbidden",
                next: "https://linkerd.io/2/checks/#l5d-api-control-ready; kubectl auth can-i --list, and ask for the missing permission; or name it in checks.ignore",
            },
        ]);
    });

    it("after something was changed only the config excuses", () => {
        const all = [result(STACK), result(PLAN), result("l5d-viz-prometheus")];
        expect(judgeAfter(all, [PLAN]).map(({ refuses, because }) => [refuses, because])).toEqual([
            [true, undefined],
            [false, "checks.ignore names it"],
            [false, undefined],
        ]);
    });

    it("the fault names the check, what it found, and how the stack repairs", () => {
        const verdicts = judgeBefore([result(STACK)], LINKERD_CHECKS, upgrade);
        expect(checkFaults(verdicts, repairWith(upgrade))).toEqual([
            {
                subject: "check l5d-api-control-ready (linkerd-existence)",
                rule: "it is sick",
                next: "https://linkerd.io/2/checks/#l5d-api-control-ready; mend it; what the stack declares it repairs at the version that runs: pulumi config set linkerdVersion edge-24.5.3, then: pulumi up --refresh; or name it in checks.ignore",
            },
        ]);
    });
});

describe("the lines of preview", () => {
    it("one when all is well", () => {
        const well = [result(STACK, { result: "ok" }), result(PLAN, { result: "skipped" })];
        expect(checkLines(reviewedChecks(judgeBefore(well, LINKERD_CHECKS, upgrade)))).toEqual([
            "health checks: 1 ok, 1 skipped",
        ]);
    });

    it("one more for each that did not pass, with the reason why it does not refuse", () => {
        const sick = [
            result(STACK),
            result("l5d-viz-prometheus", { message: "no pod" }),
            result(USER, { result: "unknown", message: "daemonsets is forbidden" }),
        ];
        const update: Update = { ...upgrade, change: "revert" };
        expect(checkLines(reviewedChecks(judgeBefore(sick, LINKERD_CHECKS, update)))).toEqual([
            "health checks: 1 warning, 1 failed, 1 unknown",
            "  failed: l5d-api-control-ready (linkerd-existence): it is sick; it does not refuse: going back is a way out; https://linkerd.io/2/checks/#l5d-api-control-ready",
            "  warning: l5d-viz-prometheus (linkerd-viz): no pod; https://linkerd.io/2/checks/#l5d-viz-prometheus",
            "  unknown: k8s-api (kubernetes-api): daemonsets is forbidden; it does not refuse: going back is a way out; https://linkerd.io/2/checks/#k8s-api",
        ]);
    });
});

describe("what checks.ignore may name", () => {
    it("ids of fatal checks only", () => {
        const ids = fatalIds([...LINKERD_CHECKS, ...ISTIO_CHECKS]);
        expect(ids).toContain(STACK);
        expect(ids).toContain("istio-istiod-ready");
        expect(ids).not.toContain("l5d-viz-prometheus");
        expect(new Set(ids).size).toBe(ids.length);
    });
});
