import { describe, expect, it } from "vitest";
import type { Budget } from "../../cluster/budgets";
import type { DataPlane } from "../../cluster/dataPlane";
import type { BlastRadius, ControlPlaneRadius, Permissions } from "../../plan/review";
import type { Length } from "../../report/blastRadius";
import { previewLines } from "../../report/preview";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";
import { NEW, radiusOf, reviewOf } from "./support/reviews";

/** What preview says of an upgrade; without the plan's own lines. */
const told = (
    dataPlane: DataPlane | string,
    section: object = {},
    more: Partial<Pick<BlastRadius, "controlPlane" | "waiting">> = {},
    length: Length = "short",
) =>
    previewLines(
        { lines: [] },
        reviewOf({ blastRadius: radiusOf(dataPlane, section, more) }),
        length,
    );

const pods = (name: string, count: number, fields: Parameters<typeof podOf>[0] = {}) =>
    Array.from({ length: count }, (_, index) =>
        podOf({ name: `${name}-${index}`, owner: { kind: "Deployment", name }, ...fields }),
    );
const job = podOf({ name: "migrate-1", owner: { kind: "Job", name: "migrate" } });

describe("preview says for each wave what it will do", () => {
    const waves = {
        waves: [{ name: "front", select: [{ workloads: ["web"] }], pace: 2 }],
        pace: "unlimited",
    };

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
        expect(told(dataPlane, waves)).toEqual([
            "data plane: 2 of 7 pods run edge-24.7.5; 2 workloads to restart",
            "wave front: 1 workloads, 5 pods to restart, about 3 min at 2 pods a minute",
            "  shop/Deployment/web: 5 pods, proxy edge-24.5.3 -> edge-24.7.5",
            "    managed by Argo CD (Application shop), which may take restartedAt off again: one more restart",
            "wave rest: 1 workloads, 2 pods to restart",
            "  shop/Deployment/api: 2 pods, proxy unknown -> edge-24.7.5",
            "  stays stale: shop/Job/migrate (1 pods, proxy edge-24.5.3): a Job: its pod keeps its proxy until it has finished",
            "in all: 2 workloads, 7 pods restart, about 4 min; 1 pods stay stale",
        ]);
    });

    it("also that it has nothing to do, or no pods at all", () => {
        const dataPlane = dataPlaneOf({
            pods: pods("api", 1, { proxy: NEW }),
            workloads: [workloadOf({ name: "api" })],
        });
        expect(told(dataPlane, waves)).toEqual([
            "data plane: 1 of 1 pods run edge-24.7.5; 0 workloads to restart",
            "wave front: has no meshed pods",
            "wave rest: 0 workloads, 0 pods to restart",
        ]);
    });

    it("that an update which takes the mesh over as it runs leaves stale workloads alone, and how they restart", () => {
        const dataPlane = dataPlaneOf({ pods: pods("web", 3), workloads: [workloadOf()] });
        expect(told(dataPlane, {}, { waiting: "held" })).toEqual([
            "data plane: 0 of 3 pods run edge-24.7.5; 0 workloads to restart",
            "wave rest: 0 workloads, 0 pods to restart",
            "  stays stale: shop/Deployment/web (3 pods, proxy edge-24.5.3): stale before the take-over, which restarts nothing; it restarts with the next change of the version, or by: npm run rollout -- --help",
        ]);
    });

    it("that Jobs are passed over where the stack file says so, and other pods are not", () => {
        const bare = podOf({ name: "debug", owner: undefined });
        const dataPlane = dataPlaneOf({ pods: [job, bare], workloads: [] });
        const lines = (jobs: string) => told(dataPlane, { jobs }).slice(2, -1);
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
        const lines = told(dataPlane);
        expect(lines).toHaveLength(2 + 40 + 2);
        expect(lines.at(-3)).toMatch(/^ {2}shop\/Deployment\/web-49: /);
        expect(lines.at(-2)).toBe("  and 5 workloads more");
        const all = told(dataPlane, {}, {}, "all");
        expect(all.filter((line) => line.startsWith("  shop/Deployment/"))).toHaveLength(45);
    });

    it("what the release of viz restarts anyway", () => {
        const namespace = "linkerd-viz";
        const web = { namespace, kind: "Deployment", name: "web", pods: 1, from: null, to: NEW };
        const ofViz: ControlPlaneRadius = {
            workloads: [{ ...web, change: "restarts" }],
            minutes: { least: 5, most: 10 },
            source: "a guide",
        };
        const dataPlane = dataPlaneOf({
            pods: pods("web", 1, { namespace }),
            workloads: [workloadOf({ namespace })],
        });
        expect(told(dataPlane, {}, { controlPlane: ofViz }).at(-2)).toBe(
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
        expect(told(dataPlane, { disruptionBudgets }).slice(3, -1)).toEqual(expected);
    });
});

describe("preview says about the data plane", () => {
    it("why it could not be read", () => {
        expect(told("pods is forbidden")).toEqual(["data plane: unknown: pods is forbidden"]);
    });

    it("that nothing is meshed", () => {
        const dataPlane = dataPlaneOf({ pods: [podOf({ phase: "Succeeded" })], workloads: [] });
        expect(told(dataPlane)).toEqual(["data plane: no meshed pods"]);
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
        const hinted = (waiting: BlastRadius["waiting"]) =>
            told(dataPlane, {}, { waiting }).filter((line) => line === hint);
        expect(hinted("unchanged")).toHaveLength(hints);
        expect(hinted("none")).toEqual([]);
    });
});

describe("preview says what else of an update matters", () => {
    const web = dataPlaneOf({
        pods: pods("web", 4),
        workloads: [workloadOf({ replicas: 4, maxUnavailable: 1, surge: 1 })],
        budgets: [
            {
                ...{ namespace: "shop", name: "web-pdb", covers: () => true },
                ...{ allowed: 2, healthy: 4, desired: 2, expected: 4 },
            },
        ],
    });
    const part = {
        kind: "Deployment",
        namespace: "linkerd",
        pods: 1,
        from: "edge-24.5.3",
        to: NEW,
    };
    const controlPlane: ControlPlaneRadius = {
        workloads: [
            { ...part, name: "linkerd-destination", change: "restarts" },
            { ...part, name: "linkerd-identity", pods: 3, change: "restarts" },
        ],
        minutes: { least: 5, most: 10 },
        source: "a guide",
    };

    it("the control plane's own workloads, and the whole in pods and minutes", () => {
        const lines = told(web, { soak: "2m" }, { controlPlane });
        expect(lines[0]).toBe("control plane: of its workloads 2 restart, 5 to 10 min (a guide)");
        expect(lines[1]).toBe(
            "  linkerd/Deployment/linkerd-destination, linkerd/Deployment/linkerd-identity",
        );
        expect(lines.at(-1)).toBe(
            "in all: 3 workloads, 8 pods restart, about 8 to 13 min; 0 pods stay stale",
        );
    });

    it("on demand, replicas, surge, minutes and each budget's headroom, also where nothing is in the way", () => {
        expect(told(web, { pace: 3 }, {}, "all").slice(2, -1)).toEqual([
            "  shop/Deployment/web: 4 pods, proxy edge-24.5.3 -> edge-24.7.5",
            "    4 replicas; 1 down and 1 more at a time, about 2 min",
            "    PodDisruptionBudget web-pdb: 2 of 4 pods may go down (4 healthy, 2 needed)",
        ]);
    });

    it("which permissions are missing, and nothing where none is", () => {
        const patch = { verb: "patch", resource: "deployments.apps" };
        const lines = (permissions: Partial<Permissions>, length: Length = "short") =>
            previewLines(
                { lines: [] },
                reviewOf({ permissions: { asked: 9, missing: [], maybe: [], ...permissions } }),
                length,
            ).slice(1);
        expect(lines({})).toEqual([]);
        expect(lines({ unknown: "HTTP 403" })).toEqual(["permissions: unknown: HTTP 403"]);
        expect(
            lines({
                missing: [
                    { ...patch, namespace: "batch" },
                    { ...patch, namespace: "shop" },
                    { verb: "create", resource: "clusterroles", namespace: null },
                ],
            }),
        ).toEqual([
            "permissions: 3 that the update needs are missing (9 asked)",
            "  may not: patch deployments.apps in batch, shop",
            "  may not: create clusterroles in the whole cluster",
        ]);
        const maybe = [{ verb: "delete", resource: "secrets", namespace: "linkerd" }];
        expect(lines({ maybe })).toEqual([]);
        expect(lines({ maybe }, "all")).toEqual([
            "permissions: 1 more are missing that an update may need",
            "  may not: delete secrets in linkerd",
        ]);
    });
});
