import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../cluster/api";
import type { Budget } from "../../cluster/budgets";
import { planWorkload, proxyTarget, type WorkloadPlan } from "../../plan/dataPlane";
import type { RolloutEvent } from "../../rollout/events";
import type { WorkloadResult } from "../../rollout/report";
import { schedule, type ScheduleOptions } from "../../rollout/schedule";
import { DataPlaneInMemory, NEW, OLD } from "./support/dataPlaneInMemory";
import { podOf } from "./support/meshedPods";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const TIMEOUT_MS = 60_000;

/** Runs a schedule with a clock that stands still until `pass`. */
function begin(
    dataPlane: DataPlaneInMemory,
    plans: readonly WorkloadPlan[],
    options: Partial<ScheduleOptions> = {},
) {
    const started = Date.now();
    /** `12 web started`: seconds, workload, state; `rolling` left out. */
    const told: string[] = [];
    const emit = (event: RolloutEvent) => {
        if (event.type === "workload" && event.state !== "rolling") {
            const at = (Date.now() - started) / 1000;
            const reason = "reason" in event ? `: ${event.reason}` : "";
            told.push(`${at} ${event.workload.split("/").at(-1)} ${event.state}${reason}`);
        }
    };
    const { live, api } = dataPlane;
    const stop = new AbortController();
    const ended = new AbortController();
    let results: WorkloadResult[] | undefined;
    let error: unknown;
    schedule(
        plans,
        live,
        {
            api,
            evictions: api,
            live,
            target: proxyTarget(NEW),
            timeoutMs: TIMEOUT_MS,
            emit,
            signal: ended.signal,
        },
        {
            wave: "rest",
            pace: "unlimited",
            atOnce: "unlimited",
            respectBudgets: true,
            summaryMs: 3_600_000,
            ...options,
        },
        stop.signal,
    ).then(
        (given) => (results = given),
        (reason: unknown) => (error = reason),
    );
    return {
        told,
        stop: () => stop.abort(),
        end: () => ended.abort(),
        pass: (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000),
        /** `web done` of each workload; undefined while the schedule runs. */
        results: () => {
            if (error !== undefined) {
                throw error as Error;
            }
            return results?.map((one) => `${one.workload.split("/").at(-1)} ${one.result}`);
        },
        whole: () => results,
    };
}

const budgetOf = (app: string, fields: Partial<Budget> = {}): Budget => ({
    namespace: "shop",
    name: `${app}-pdb`,
    allowed: 1,
    healthy: 3,
    desired: 2,
    expected: 3,
    covers: (labels) => labels["app"] === app,
    ...fields,
});

describe("workloads roll", () => {
    it("the longest first: most pods, by the number that its strategy takes at a time", async () => {
        const dataPlane = new DataPlaneInMemory();
        const run = begin(
            dataPlane,
            [
                dataPlane.add({ name: "one" }),
                dataPlane.add({ name: "six-by-three", replicas: 6, step: 3 }),
                dataPlane.add({ name: "six", replicas: 6 }),
            ],
            { atOnce: 1 },
        );
        await run.pass(10);
        expect(run.told).toEqual([
            "0 six started",
            "1 six done",
            "1 six-by-three started",
            "2 six-by-three done",
            "2 one started",
            "3 one done",
        ]);
        expect(run.results()).toEqual(["six done", "six-by-three done", "one done"]);
    });

    it.each([
        [2, 2],
        ["unlimited", 5],
    ] as const)("at most %s at once", async (atOnce, peak) => {
        const dataPlane = new DataPlaneInMemory();
        const plans = ["a", "b", "c", "d", "e"].map((name) => dataPlane.add({ name }));
        const run = begin(dataPlane, plans, { atOnce });
        await run.pass(10);
        expect(run.results()).toHaveLength(5);
        expect(dataPlane.peak).toBe(peak);
    });

    it("at the pace of pods, not of workloads", async () => {
        const dataPlane = new DataPlaneInMemory();
        const plans = [10, 5, 1].map((replicas) =>
            dataPlane.add({ name: `of-${replicas}`, replicas }),
        );
        const run = begin(dataPlane, plans, { pace: 60 });
        await run.pass(60);
        expect(run.told.filter((line) => line.endsWith("started"))).toEqual([
            "0 of-10 started",
            "10 of-5 started",
            "15 of-1 started",
        ]);
    });

    it("one that an earlier run restarted is only waited for, and its pods cost no pace", async () => {
        const dataPlane = new DataPlaneInMemory();
        const before = dataPlane.add({ name: "before", replicas: 10 });
        dataPlane.restarted(before, 5_000);
        const run = begin(dataPlane, [before, dataPlane.add({ name: "web" })], { pace: 60 });
        await run.pass(10);
        expect(run.told).toEqual([
            "0 before started",
            "0 web started",
            "1 web done",
            "5 before done",
        ]);
    });

    it("each with what it was, what became of it, and how long it took", async () => {
        const dataPlane = new DataPlaneInMemory();
        const run = begin(dataPlane, [dataPlane.add({ name: "web", replicas: 3 }, 2_500)]);
        await run.pass(10);
        expect(run.whole()).toEqual([
            {
                workload: "shop/Deployment/web",
                action: "restart",
                from: [OLD],
                pods: 3,
                result: "done",
                seconds: 2.5,
            },
        ]);
    });

    it("not at all where nothing is to be done", async () => {
        const run = begin(new DataPlaneInMemory(), []);
        await run.pass(0);
        expect(run.results()).toEqual([]);
    });
});

describe("the first failure keeps what has not begun from beginning", () => {
    it("and what rolls is waited for", async () => {
        const dataPlane = new DataPlaneInMemory();
        const refused = new ApiError(403, "admission webhook denied the request");
        const plans = [
            dataPlane.add({ name: "slow", replicas: 3 }, 20_000),
            dataPlane.add({ name: "bad", replicas: 2 }, refused),
            dataPlane.add({ name: "later" }),
        ];
        const run = begin(dataPlane, plans, { atOnce: 2 });
        await run.pass(19);
        expect(run.results()).toBeUndefined();
        await run.pass(1);
        expect(run.results()).toEqual(["bad failed", "slow done"]);
        expect(run.whole()?.[0]?.failure).toBe(
            "shop/Deployment/bad: admission webhook denied the request",
        );
        expect(run.told.join()).not.toContain("later");
    });

    it("also where a workload makes no progress for the time allowed", async () => {
        const dataPlane = new DataPlaneInMemory();
        const plans = [
            dataPlane.add({ name: "stuck", replicas: 2 }, Number.POSITIVE_INFINITY),
            dataPlane.add({ name: "later" }),
        ];
        const run = begin(dataPlane, plans, { atOnce: 1 });
        await run.pass(TIMEOUT_MS / 1000 - 1);
        expect(run.told).toEqual(["0 stuck started"]);
        await run.pass(3);
        expect(run.results()).toEqual(["stuck failed"]);
        expect(run.whole()?.[0]?.failure).toMatch(
            /^shop\/Deployment\/stuck: no progress for 60 s: /,
        );
    });
});

describe("a PodDisruptionBudget", () => {
    it("is waited for, named once, while others roll", async () => {
        const dataPlane = new DataPlaneInMemory();
        const web = dataPlane.add({ name: "web", replicas: 3, maxUnavailable: 1 });
        const api = dataPlane.add({ name: "api" });
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web", { allowed: 0, healthy: 2 }));
        const run = begin(dataPlane, [web, api]);
        await run.pass(30);
        const waits =
            "0 web waits: PodDisruptionBudget shop/web-pdb allows 0 of its 3 pods to go down (2 healthy, 2 needed); a restart takes down 1 at a time";
        expect(run.told).toEqual([waits, "0 api started", "1 api done"]);
        dataPlane.tellBudgets();
        await run.pass(0);
        expect(run.told).toHaveLength(3);
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web"));
        dataPlane.tellBudgets();
        await run.pass(1);
        expect(run.told.slice(3)).toEqual(["30 web started", "31 web done"]);
        expect(run.results()).toEqual(["api done", "web done"]);
    });

    it("counts what rolls already: two workloads under one of them go one after the other", async () => {
        const dataPlane = new DataPlaneInMemory();
        const podLabels = { app: "web" };
        const plans = ["a", "b"].map((name) =>
            dataPlane.add({ name, maxUnavailable: 1, podLabels }, 5_000),
        );
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web"));
        const run = begin(dataPlane, plans);
        await run.pass(20);
        expect(run.told.filter((line) => !line.includes("waits"))).toEqual([
            "0 a started",
            "5 a done",
            "5 b started",
            "10 b done",
        ]);
    });

    it("that can never allow it ends the wave at once, with two ways out", async () => {
        const dataPlane = new DataPlaneInMemory();
        const never = { allowed: 0, desired: 3 };
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web", never));
        const plans = [
            dataPlane.add({ name: "big", replicas: 9 }),
            dataPlane.add({ name: "web", replicas: 2, maxUnavailable: 1 }),
            dataPlane.add({ name: "later" }),
        ];
        const run = begin(dataPlane, plans);
        await run.pass(1);
        expect(run.results()).toEqual(["web failed", "big done"]);
        expect(run.whole()?.[0]?.failure).toBe(
            "shop/Deployment/web: PodDisruptionBudget shop/web-pdb allows 0 of its 3 pods to go down (3 healthy, 3 needed); a restart takes down 1 at a time. It can never be restarted as it is: let the budget allow a pod, or set rollout.disruptionBudgets to ignore",
        );
    });

    it("that allows fewer than the workload's own strategy takes down: its pods are evicted", () => {
        const dataPlane = new DataPlaneInMemory();
        const { workload } = dataPlane.add({ name: "web", replicas: 3, maxUnavailable: 2 });
        const budgets = [budgetOf("web", { allowed: 1, desired: 2 })];
        const pods = Array.from({ length: 3 }, () => podOf());
        expect(
            planWorkload(workload, pods, proxyTarget(NEW), { budgets, canaries: [] }),
        ).toMatchObject({
            action: "evict",
            atOnce: 1,
            pods: 3,
        });
    });

    it("that does not allow it for as long as the limit ends the wave", async () => {
        const dataPlane = new DataPlaneInMemory();
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web", { allowed: 0, healthy: 2 }));
        const web = dataPlane.add({ name: "web", maxUnavailable: 1 });
        const run = begin(dataPlane, [web, dataPlane.add({ name: "api" }, 50_000)]);
        // As long as another rolls there is progress, and that may be what frees the budget.
        await run.pass(50 + 59);
        expect(run.results()).toBeUndefined();
        await run.pass(1);
        expect(run.results()).toEqual(["api done", "web failed"]);
        expect(run.whole()?.[1]?.failure).toMatch(/shop\/web-pdb allows 0 .*, for 60 s$/);
    });

    it.each([
        ["where the stack file says to ignore it", {}, { respectBudgets: false }],
        ["where nothing goes down, because new pods come first", { maxUnavailable: 0 }, {}],
        ["where it covers other pods", { podLabels: { app: "api" } }, {}],
    ])("is no obstacle %s", async (_, fields, options) => {
        const dataPlane = new DataPlaneInMemory();
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web", { allowed: 0, desired: 3 }));
        const web = dataPlane.add({ name: "web", maxUnavailable: 1, ...fields });
        const run = begin(dataPlane, [web], options);
        await run.pass(1);
        expect(run.results()).toEqual(["web done"]);
    });
});

it("a Canary that moves is waited for, and its target rolls when it rests", async () => {
    const dataPlane = new DataPlaneInMemory();
    const canary = {
        namespace: "shop",
        name: "web",
        target: { kind: "Deployment", name: "web" },
        phase: "Progressing",
        step: "0/0",
    };
    dataPlane.canaries.set("shop/web", canary);
    const run = begin(dataPlane, [dataPlane.add({ name: "web" })]);
    await run.pass(10);
    expect(run.told).toEqual(["0 web waits: Canary shop/web of Flagger is Progressing"]);
    dataPlane.canaries.set("shop/web", { ...canary, phase: "Succeeded" });
    dataPlane.tellBudgets();
    await run.pass(1);
    expect(run.told.slice(1)).toEqual(["10 web started", "11 web done"]);
});

describe("what happens between the plan and a workload's turn", () => {
    it("a workload that is current by then is not restarted", async () => {
        const dataPlane = new DataPlaneInMemory();
        const plans = [
            dataPlane.add({ name: "first", replicas: 2 }),
            dataPlane.add({ name: "web" }),
        ];
        const run = begin(dataPlane, plans, { atOnce: 1 });
        plans.slice(1).forEach((plan) => dataPlane.finish(plan));
        await run.pass(2);
        expect(run.told).toEqual(["0 first started", "1 first done", "1 web current"]);
        expect(run.results()).toEqual(["first done", "web current"]);
    });

    it("a workload that is deleted while it rolls is no failure", async () => {
        const dataPlane = new DataPlaneInMemory();
        const web = dataPlane.add({ name: "web" }, 20_000);
        const run = begin(dataPlane, [web]);
        await run.pass(3);
        dataPlane.remove(web);
        await run.pass(0);
        expect(run.told).toEqual(["0 web started", "3 web gone"]);
        expect(run.results()).toEqual(["web gone"]);
    });
});

describe("ended from outside", () => {
    const plans = (dataPlane: DataPlaneInMemory) => [
        dataPlane.add({ name: "web", replicas: 2 }, 20_000),
        dataPlane.add({ name: "later" }),
    ];

    it("begins nothing new, and waits for what rolls", async () => {
        const dataPlane = new DataPlaneInMemory();
        const run = begin(dataPlane, plans(dataPlane), { atOnce: 1 });
        await run.pass(3);
        run.stop();
        await run.pass(10);
        expect(run.results()).toBeUndefined();
        await run.pass(10);
        expect(run.told).toEqual(["0 web started", "20 web done"]);
        expect(run.results()).toEqual(["web done"]);
    });

    it("ends at once where everything waits", async () => {
        const dataPlane = new DataPlaneInMemory();
        dataPlane.budgets.set("shop/web-pdb", budgetOf("web", { allowed: 0, healthy: 2 }));
        const run = begin(dataPlane, [dataPlane.add({ name: "web", maxUnavailable: 1 })]);
        await run.pass(3);
        run.stop();
        await run.pass(0);
        expect(run.results()).toEqual([]);
    });

    it("by its time limit, it leaves what rolls as it is and says so", async () => {
        const dataPlane = new DataPlaneInMemory();
        const run = begin(dataPlane, plans(dataPlane), { atOnce: 1 });
        await run.pass(3);
        run.end();
        await run.pass(0);
        expect(run.results()).toEqual(["web failed"]);
        expect(run.told.at(-1)).toBe("3 web failed: left as it is: the wave was ended");
    });
});

describe("a workload that changed before its turn came", () => {
    const both = (dataPlane: DataPlaneInMemory) => [
        dataPlane.add({ name: "first", replicas: 2 }),
        dataPlane.add({ name: "web" }),
    ];

    it("is gone, where it was deleted", async () => {
        const dataPlane = new DataPlaneInMemory();
        const plans = both(dataPlane);
        const run = begin(dataPlane, plans, { atOnce: 1 });
        plans.slice(1).forEach((plan) => dataPlane.remove(plan));
        await run.pass(3);
        expect(run.results()).toEqual(["first done", "web gone"]);
    });

    it("is held back with the reason, where it was paused, and not called current", async () => {
        const dataPlane = new DataPlaneInMemory();
        const plans = both(dataPlane);
        const run = begin(dataPlane, plans, { atOnce: 1 });
        plans.slice(1).forEach((plan) => dataPlane.pause(plan));
        await run.pass(3);
        expect(run.results()).toEqual(["first done", "web held"]);
        expect(run.told.at(-1)).toBe("1 web held: its rollout is paused: kubectl rollout resume");
    });
});
