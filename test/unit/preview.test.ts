import { describe, expect, it } from "vitest";
import type { Budget } from "../../cluster/budgets";
import type { LinkerdPlan } from "../../plan/linkerd";
import { rollout, type Wave } from "../../plan/waves";
import { previewLines } from "../../report/preview";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const NEW = "edge-24.7.5";
const plan = (fields: Partial<LinkerdPlan> = {}) =>
    ({
        lines: ["linkerd: edge-24.5.3 -> edge-24.7.5"],
        proxy: NEW,
        change: "upgrade",
        identity: { lines: [] },
        certificates: [],
        renewedCertificates: [],
        leavingCertificates: [],
        ...fields,
    }) as LinkerdPlan;
const wavesOf = (section: object): readonly Wave[] => rollout.parse(section).waves;

const pods = (name: string, count: number, fields: Parameters<typeof podOf>[0] = {}) =>
    Array.from({ length: count }, (_, index) =>
        podOf({ name: `${name}-${index}`, owner: { kind: "Deployment", name }, ...fields }),
    );
const job = podOf({ name: "migrate-1", owner: { kind: "Job", name: "migrate" } });

describe("preview says for each wave what it will do", () => {
    const waves = wavesOf({
        waves: [{ name: "front", select: [{ workloads: ["web"] }], pace: 2 }],
        pace: "unlimited",
    });

    it("workload by workload, with the time that it takes at least, and what stays as it is", () => {
        const dataPlane = dataPlaneOf({
            pods: [
                ...pods("web", 3),
                ...pods("api", 1, { proxy: undefined }),
                ...pods("done", 2, { proxy: NEW }),
                job,
            ],
            workloads: [
                workloadOf({ replicas: 5, manager: "Argo CD (Application shop)" }),
                workloadOf({ name: "api", replicas: 2 }),
                workloadOf({ name: "done" }),
            ],
        });
        expect(previewLines(plan(), dataPlane, waves)).toEqual([
            "linkerd: edge-24.5.3 -> edge-24.7.5",
            "data plane: 2 of 7 pods run edge-24.7.5; 2 workloads to restart",
            "wave front: 1 workloads, 5 pods to restart, about 3 min at 2 pods a minute",
            "  shop/Deployment/web: 5 pods, proxy edge-24.5.3 -> edge-24.7.5",
            "    managed by Argo CD (Application shop), which may take restartedAt off again: one more restart",
            "wave rest: 1 workloads, 2 pods to restart",
            "  shop/Deployment/api: 2 pods, proxy unknown -> edge-24.7.5",
            "  stays stale: shop/Job/migrate (1 pods, proxy edge-24.5.3): a Job: its pod keeps its proxy until it has finished",
        ]);
    });

    it("also that it has nothing to do, or no pods at all", () => {
        const dataPlane = dataPlaneOf({
            pods: pods("api", 1, { proxy: NEW }),
            workloads: [workloadOf({ name: "api" })],
        });
        expect(previewLines(plan({ lines: [] }), dataPlane, waves)).toEqual([
            "data plane: 1 of 1 pods run edge-24.7.5; 0 workloads to restart",
            "wave front: has no meshed pods",
            "wave rest: 0 workloads, 0 pods to restart",
        ]);
    });

    it("that an update which takes the mesh over as it runs leaves stale workloads alone, and how they restart", () => {
        const dataPlane = dataPlaneOf({ pods: pods("web", 3), workloads: [workloadOf()] });
        const fields = { lines: [], change: "none", takesOver: true } as const;
        expect(previewLines(plan(fields), dataPlane, wavesOf({}))).toEqual([
            "data plane: 0 of 3 pods run edge-24.7.5; 0 workloads to restart",
            "wave rest: 0 workloads, 0 pods to restart",
            "  stays stale: shop/Deployment/web (3 pods, proxy edge-24.5.3): stale before the take-over, which restarts nothing; it restarts with the next change of the version, or by: npm run rollout -- --help",
        ]);
    });

    it("that Jobs are passed over where the stack file says so, and other pods are not", () => {
        const bare = podOf({ name: "debug", owner: undefined });
        const dataPlane = dataPlaneOf({ pods: [job, bare], workloads: [] });
        const lines = (jobs: string) =>
            previewLines(plan({ lines: [] }), dataPlane, wavesOf({ jobs })).slice(2);
        const ofBare =
            "  stays stale: shop/Pod/debug (1 pods, proxy edge-24.5.3): a bare pod: nothing makes it anew when it is deleted";
        expect(lines("skip")).toEqual([ofBare]);
        expect(lines("report")).toEqual([
            "  stays stale: shop/Job/migrate (1 pods, proxy edge-24.5.3): a Job: its pod keeps its proxy until it has finished",
            ofBare,
        ]);
    });

    it("of 45 workloads 40, and how many more there are", () => {
        const names = Array.from({ length: 45 }, (_, index) => `web-${index + 10}`);
        const dataPlane = dataPlaneOf({
            pods: names.flatMap((name) => pods(name, 1)),
            workloads: names.map((name) => workloadOf({ name })),
        });
        const lines = previewLines(plan({ lines: [] }), dataPlane, wavesOf({}));
        expect(lines).toHaveLength(2 + 40 + 1);
        expect(lines.at(-2)).toMatch(/^ {2}shop\/Deployment\/web-49: /);
        expect(lines.at(-1)).toBe("  and 5 workloads more");
    });

    it("what the release of viz restarts anyway", () => {
        const namespace = "linkerd-viz";
        const dataPlane = dataPlaneOf({
            pods: pods("web", 1, { namespace }),
            workloads: [workloadOf({ namespace })],
        });
        expect(previewLines(plan(), dataPlane, wavesOf({})).at(-1)).toBe(
            "  linkerd-viz/Deployment/web: 1 pods, proxy edge-24.5.3 -> edge-24.7.5 (by the viz release)",
        );
    });
});

describe("preview names the PodDisruptionBudget that stands in the way", () => {
    const budget = (fields: Partial<Budget>): Budget => ({
        namespace: "shop",
        name: "web-pdb",
        allowed: 0,
        healthy: 2,
        desired: 2,
        expected: 3,
        covers: () => true,
        ...fields,
    });
    const numbers = (healthy: number, desired: number) =>
        `PodDisruptionBudget shop/web-pdb allows 0 of its 3 pods to go down (${healthy} healthy, ${desired} needed); a restart takes down 1 at a time`;
    it.each([
        ["for now", {}, {}, "respect", [`    blocked now: ${numbers(2, 2)}`]],
        [
            "for ever",
            { healthy: 3, desired: 3 },
            {},
            "respect",
            [`    blocked for ever: ${numbers(3, 3)}`],
        ],
        ["not, where it allows it", { allowed: 1 }, {}, "respect", []],
        ["not, where it is to be ignored", {}, {}, "ignore", []],
        [
            "not, where pods are evicted: that asks for itself",
            {},
            { strategy: "OnDelete" },
            "respect",
            [
                "    its stale pods are evicted, 1 at a time: its update strategy (OnDelete) does not replace them",
            ],
        ],
    ])("%s", (_, fields, workload, disruptionBudgets, expected) => {
        const dataPlane = dataPlaneOf({
            pods: pods("web", 1),
            workloads: [workloadOf({ maxUnavailable: 1, ...workload })],
            budgets: [budget(fields)],
        });
        const lines = previewLines(plan({ lines: [] }), dataPlane, wavesOf({ disruptionBudgets }));
        expect(lines.slice(3)).toEqual(expected);
    });
});

describe("preview says about the data plane", () => {
    it("why it could not be read", () => {
        expect(previewLines(plan({ lines: ["linkerd: ..."] }), "pods is forbidden", [])).toEqual([
            "linkerd: ...",
            "data plane: unknown: pods is forbidden",
        ]);
    });

    it("that nothing is meshed", () => {
        const lines = previewLines(
            plan({ lines: [] }),
            dataPlaneOf({ pods: [podOf({ phase: "Succeeded" })], workloads: [] }),
            wavesOf({}),
        );
        expect(lines).toEqual(["data plane: no meshed pods"]);
    });

    it.each([
        ["a stale workload", "edge-24.5.3", 1],
        ["no stale workload", NEW, 0],
    ])("how to restart by hand where the version stays, with %s", (_, proxy, hints) => {
        const dataPlane = dataPlaneOf({
            pods: pods("web", 1, { proxy }),
            workloads: [workloadOf()],
        });
        const hint =
            "  the version line did not change: unless its wave is listed as replaced, a stale workload waits; to restart it now: npm run rollout -- --help";
        const told = (change: LinkerdPlan["change"]) =>
            previewLines(plan({ change }), dataPlane, wavesOf({})).filter((line) => line === hint);
        expect(told("none")).toHaveLength(hints);
        expect(told("upgrade")).toEqual([]);
    });
});
