import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { budgetRecord } from "../../cluster/budgets";
import { blockedBy, budgetsOf } from "../../plan/budgets";
import { workloadOf } from "./support/meshedPods";

interface Numbers {
    readonly allowed: number;
    readonly healthy: number;
    readonly desired: number;
    readonly expected: number;
}

const web: k8s.V1LabelSelector = { matchLabels: { app: "web" } };
const budget = (
    { allowed, healthy, desired, expected }: Numbers,
    selector: k8s.V1LabelSelector | undefined = web,
    metadata: object = {},
) =>
    budgetRecord({
        metadata: { namespace: "shop", name: "web-pdb", ...metadata },
        spec: selector && { selector },
        status: {
            disruptionsAllowed: allowed,
            currentHealthy: healthy,
            desiredHealthy: desired,
            expectedPods: expected,
        },
    });

describe("a workload does not roll where a PodDisruptionBudget does not allow what goes down", () => {
    const cases: {
        name: string;
        /** Pods that the workload's own strategy takes down at a time. */
        down: number;
        status: Numbers;
        reserved?: Record<string, number>;
        /** Undefined: it may roll. */
        blocked?: "now" | "for ever";
    }[] = [
        {
            name: "minAvailable 2 of 3, all healthy",
            down: 1,
            status: { allowed: 1, healthy: 3, desired: 2, expected: 3 },
        },
        {
            name: "minAvailable 2 of 3, one is down",
            down: 1,
            status: { allowed: 0, healthy: 2, desired: 2, expected: 3 },
            blocked: "now",
        },
        {
            name: "minAvailable 3 of 3",
            down: 1,
            status: { allowed: 0, healthy: 3, desired: 3, expected: 3 },
            blocked: "for ever",
        },
        {
            name: "minAvailable 3 of 3, for a Deployment that only adds pods before it takes any",
            down: 0,
            status: { allowed: 0, healthy: 3, desired: 3, expected: 3 },
        },
        {
            name: "minAvailable more than there are pods, for a Deployment that only adds pods",
            down: 0,
            status: { allowed: 0, healthy: 3, desired: 5, expected: 3 },
        },
        {
            name: "minAvailable more than there are pods",
            down: 1,
            status: { allowed: 0, healthy: 3, desired: 5, expected: 3 },
            blocked: "for ever",
        },
        {
            name: "maxUnavailable 1 of 10, and the workload takes down 2 at a time",
            down: 2,
            status: { allowed: 1, healthy: 10, desired: 9, expected: 10 },
            blocked: "for ever",
        },
        {
            name: "maxUnavailable 2 of 10, exactly as many as go down",
            down: 2,
            status: { allowed: 2, healthy: 10, desired: 8, expected: 10 },
        },
        {
            name: "maxUnavailable 2 of 10, where another workload that rolls may take one",
            down: 2,
            status: { allowed: 2, healthy: 10, desired: 8, expected: 10 },
            reserved: { "shop/web-pdb": 1 },
            blocked: "now",
        },
        {
            name: "maxUnavailable 2 of 10, where what rolls is under other budgets",
            down: 2,
            status: { allowed: 2, healthy: 10, desired: 8, expected: 10 },
            reserved: { "shop/api-pdb": 1, "pay/web-pdb": 1 },
        },
    ];
    it.each(cases)("$name", ({ down, status, reserved = {}, blocked }) => {
        const found = blockedBy(
            workloadOf({ maxUnavailable: down }),
            [budget(status)],
            new Map(Object.entries(reserved)),
        );
        expect(found && (found.forever ? "for ever" : "now")).toBe(blocked);
    });

    it("and is told which budget, with its numbers", () => {
        const status = { allowed: 0, healthy: 2, desired: 2, expected: 3 };
        const free = budget({ allowed: 3, healthy: 3, desired: 0, expected: 3 }, web, {
            name: "free",
        });
        const found = blockedBy(workloadOf({ maxUnavailable: 1 }), [free, budget(status)]);
        expect(found?.budget.name).toBe("web-pdb");
        expect(found?.reason).toBe(
            "PodDisruptionBudget shop/web-pdb allows 0 of its 3 pods to go down (2 healthy, 2 needed); a restart takes down 1 at a time",
        );
    });

    it("where several budgets cover the same pods, each of them counts", () => {
        const status = { allowed: 1, healthy: 3, desired: 2, expected: 3 };
        const two = [budget(status), budget({ ...status, allowed: 0 }, {}, { name: "all" })];
        const one = workloadOf({ maxUnavailable: 1 });
        expect(blockedBy(one, two)?.budget.name).toBe("all");
        expect(blockedBy(one, two.slice(0, 1))).toBeUndefined();
    });
});

describe("which pods a budget covers", () => {
    const labels = { app: "web", tier: "front" };
    const expressions = (
        ...matchExpressions: k8s.V1LabelSelectorRequirement[]
    ): k8s.V1LabelSelector => ({ matchExpressions });
    const cases: [name: string, selector: k8s.V1LabelSelector | undefined, covers: boolean][] = [
        ["labels that they have", web, true],
        ["a label that they have not", { matchLabels: { app: "web", team: "a" } }, false],
        ["an empty selector: all", {}, true],
        ["no selector: none", undefined, false],
        ["In", expressions({ key: "app", operator: "In", values: ["api", "web"] }), true],
        ["In, another value", expressions({ key: "app", operator: "In", values: ["api"] }), false],
        ["In, no such label", expressions({ key: "team", operator: "In", values: ["a"] }), false],
        ["NotIn", expressions({ key: "app", operator: "NotIn", values: ["web"] }), false],
        [
            "NotIn, another value",
            expressions({ key: "app", operator: "NotIn", values: ["x"] }),
            true,
        ],
        [
            "NotIn, no such label",
            expressions({ key: "team", operator: "NotIn", values: ["a"] }),
            true,
        ],
        ["Exists", expressions({ key: "tier", operator: "Exists" }), true],
        ["Exists, no such label", expressions({ key: "team", operator: "Exists" }), false],
        ["DoesNotExist", expressions({ key: "tier", operator: "DoesNotExist" }), false],
        [
            "DoesNotExist, no such label",
            expressions({ key: "team", operator: "DoesNotExist" }),
            true,
        ],
        [
            "all of several",
            {
                matchLabels: { app: "web" },
                matchExpressions: [
                    { key: "tier", operator: "Exists" },
                    { key: "team", operator: "Exists" },
                ],
            },
            false,
        ],
    ];
    it.each(cases)("%s", (_, selector, covers) => {
        const spec = selector && { selector };
        expect(budgetRecord({ metadata: {}, ...(spec && { spec }) }).covers(labels)).toBe(covers);
    });

    it("only those of its own namespace, by the labels of the pods and not of the workload", () => {
        const status = { allowed: 1, healthy: 1, desired: 0, expected: 1 };
        const all = [budget(status), budget(status, web, { namespace: "pay" })];
        const one = workloadOf({ labels: { app: "api" }, podLabels: { app: "web" } });
        expect(budgetsOf(one, all)).toEqual([all[0]]);
        expect(budgetsOf(workloadOf({ labels: { app: "web" }, podLabels: {} }), all)).toEqual([]);
    });
});
