import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Budget } from "../../cluster/budgets";
import type { LiveComponent } from "../../cluster/adoption";
import { planDataPlane, proxyTarget } from "../../plan/dataPlane";
import { istioControlPlane, linkerdControlPlane } from "../../plan/controlPlaneRadius";
import type { ControlPlaneRadius } from "../../plan/review";
import { EMPTY, NOTHING, VIZ } from "./support/live";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";
import { NEW, OLD, radiusOf, STILL } from "./support/reviews";
import { versionAt } from "./support/releases";

const pods = (name: string, count: number, fields: Parameters<typeof podOf>[0] = {}) =>
    Array.from({ length: count }, (_, index) =>
        podOf({ name: `${name}-${index}`, owner: { kind: "Deployment", name }, ...fields }),
    );
const budget = (fields: Partial<Budget> = {}): Budget => ({
    namespace: "shop",
    name: "web-pdb",
    allowed: 0,
    healthy: 3,
    desired: 3,
    expected: 3,
    covers: (labels) => labels["app"] === "web",
    ...fields,
});

describe("the blast radius names of each workload", () => {
    const web = workloadOf({ replicas: 3, maxUnavailable: 1, surge: 1 });
    const first = (...args: Parameters<typeof radiusOf>) =>
        radiusOf(...args).waves[0]?.workloads[0];

    it("replicas, proxies, surge, minutes, and the budgets over it with their headroom", () => {
        const budgets = [
            budget({ name: "z", allowed: 1, desired: 2 }),
            budget(),
            budget({ name: "other", covers: () => false }),
        ];
        const dataPlane = dataPlaneOf({ pods: pods("web", 3), workloads: [web], budgets });
        expect(first(dataPlane, { pace: 2 })).toEqual({
            namespace: "shop",
            kind: "Deployment",
            name: "web",
            replicas: 3,
            pods: 3,
            action: "restart",
            by: "wave",
            from: [OLD],
            to: NEW,
            outdated: [],
            takesDown: 1,
            surge: 1,
            budgets: [
                { name: "web-pdb", allowed: 0, healthy: 3, desired: 3, expected: 3 },
                { name: "z", allowed: 1, healthy: 3, desired: 2, expected: 3 },
            ],
            blocked: {
                budget: "web-pdb",
                forever: true,
                reason: "PodDisruptionBudget shop/web-pdb allows 0 of its 3 pods to go down (3 healthy, 3 needed); a restart takes down 1 at a time",
            },
            minutes: 2,
            notes: [],
        });
    });

    it("its budgets also where they are ignored, and then nothing is blocked", () => {
        const dataPlane = dataPlaneOf({
            pods: pods("web", 3),
            workloads: [web],
            budgets: [budget()],
        });
        const found = first(dataPlane, { disruptionBudgets: "ignore" });
        expect(found?.budgets).toHaveLength(1);
        expect(found).not.toHaveProperty("blocked");
    });

    it("no surge, and one pod at a time, where stale pods are evicted", () => {
        const dataPlane = dataPlaneOf({
            pods: pods("web", 3),
            workloads: [{ ...web, strategy: "OnDelete", maxUnavailable: 3 }],
        });
        expect(first(dataPlane)).toMatchObject({ action: "evict", takesDown: 1, surge: 0 });
    });

    it("no minutes without a pace", () => {
        const dataPlane = dataPlaneOf({ pods: pods("web", 3), workloads: [web] });
        const { waves, totals } = radiusOf(dataPlane, { pace: "unlimited", soak: "0s" });
        expect(waves[0]).toMatchObject({ pace: null, minutes: null, restarts: 3 });
        expect(waves[0]?.workloads[0]?.minutes).toBeNull();
        expect(totals.minutes).toEqual({ least: 0, most: 0 });
    });

    it("which pods stay stale, and what becomes of those of Jobs", () => {
        const job = podOf({ name: "migrate-1", owner: { kind: "Job", name: "migrate" } });
        const dataPlane = dataPlaneOf({ pods: [job, podOf({ owner: undefined })], workloads: [] });
        const states = (jobs: string) =>
            radiusOf(dataPlane, { jobs }).waves[0]?.stale.map(({ kind, state }) => [kind, state]);
        const bare = ["Pod", "stays stale"];
        expect(states("report")).toEqual([["Job", "stays stale"], bare]);
        expect(states("wait")).toEqual([["Job", "waited for"], bare]);
        expect(states("skip")).toEqual([["Job", "passed over"], bare]);
    });
});

describe("the totals of a blast radius", () => {
    it("count a workload of viz once, although the release and a wave both take it", () => {
        const namespace = "linkerd-viz";
        const controlPlane: ControlPlaneRadius = {
            workloads: [
                {
                    namespace,
                    kind: "Deployment",
                    name: "web",
                    change: "restarts",
                    pods: 2,
                    from: OLD,
                    to: NEW,
                },
                {
                    namespace,
                    kind: "Deployment",
                    name: "old",
                    change: "goes",
                    pods: 5,
                    from: OLD,
                    to: null,
                },
            ],
            minutes: { least: 5, most: 10 },
            source: "a guide",
        };
        const dataPlane = dataPlaneOf({
            pods: [...pods("web", 2, { namespace }), ...pods("api", 1)],
            workloads: [workloadOf({ namespace, replicas: 2 }), workloadOf({ name: "api" })],
        });
        const { totals, waves } = radiusOf(dataPlane, { soak: "90s" }, { controlPlane });
        expect(totals).toEqual({
            workloads: 2,
            pods: 3,
            stalePods: 0,
            // A minute of restarts and one and a half of soak.
            minutes: { least: 8, most: 13 },
        });
        expect(waves[0]?.workloads.map(({ by }) => by)).toEqual(["viz release", "wave"]);
    });

    it("say why the data plane is unknown, and still count the control plane", () => {
        const radius = radiusOf("pods is forbidden", {}, { controlPlane: STILL });
        expect(radius).toMatchObject({ unknown: "pods is forbidden", waves: [], pods: 0 });
        expect(radius.totals.workloads).toBe(0);
    });

    it("are what the waves' plans say, whatever the cluster, and every list is sorted", () => {
        const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), {
            minLength: 1,
        });
        const property = fc.property(
            names,
            fc.integer({ min: 1, max: 4 }),
            fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
            fc.integer({ min: 1, max: 200 }),
            (all, replicas, front, pace) => {
                const dataPlane = dataPlaneOf({
                    pods: all.flatMap((name) => pods(name, replicas)),
                    workloads: all.map((name) => workloadOf({ name, replicas })),
                });
                const waves = [{ name: "front", select: [{ workloads: front }] }];
                const radius = radiusOf(dataPlane, { waves, pace, soak: "0s" });
                const planned = planDataPlane(dataPlane, proxyTarget(NEW));
                const listed = radius.waves.flatMap(({ workloads }) => workloads);
                expect(radius.totals.workloads).toBe(planned.workloads.length);
                expect(radius.totals.pods).toBe(all.length * replicas);
                expect(listed.map(({ name }) => name).sort()).toEqual([...all].sort());
                for (const { workloads, restarts, minutes } of radius.waves) {
                    const found = workloads.map(({ name }) => name);
                    expect(found).toEqual([...found].sort());
                    expect(minutes).toBe(Math.ceil(restarts / pace));
                }
            },
        );
        fc.assert(property);
    });
});

describe("of Linkerd's own workloads", () => {
    const component = (name: string, replicas: number): LiveComponent => ({
        ...VIZ,
        name,
        replicas,
    });
    const live = {
        ...EMPTY,
        installed: true,
        linkerdVersion: OLD,
        installation: {
            ...NOTHING,
            controlPlane: [component("linkerd-identity", 3), component("linkerd-destination", 1)],
            viz: [component("tap", 1)],
        },
    };
    const version = versionAt(NEW);
    const names = (change: "install" | "upgrade" | "revert" | "none", viz = true) =>
        linkerdControlPlane({ change, version, trustRoot: "" }, live, viz).workloads.map(
            ({ namespace, name, pods }) => `${namespace}/${name} ${pods}`,
        );
    const own = ["linkerd-destination 1", "linkerd-identity 3"].map((one) => `linkerd/${one}`);

    it.each(["upgrade", "revert"] as const)("an %s restarts all, viz included", (change) => {
        expect(names(change)).toEqual(["linkerd-viz/tap 1", ...own]);
        expect(names(change, false)).toEqual(own);
    });

    it("an update without another version restarts none, unless the trust anchors move", () => {
        expect(names("none")).toEqual([]);
        const key = { certificate: "c", key: "k", scheme: "linkerd.io/tls" as const };
        const identity = { installed: true, issuer: { ...key, trustAnchors: "before" } };
        const plan = { change: "none" as const, version, trustRoot: "another" };
        const moved = linkerdControlPlane(plan, { ...live, identity }, true);
        expect(moved.workloads.map(({ name }) => name)).toEqual([
            "linkerd-destination",
            "linkerd-identity",
        ]);
        expect(moved.minutes).toEqual({ least: 5, most: 10 });
    });

    it("with no minutes where none restarts, and the figure's source where some do", () => {
        const radius = linkerdControlPlane({ change: "none", version, trustRoot: "" }, live, true);
        expect(radius.minutes).toEqual({ least: 0, most: 0 });
        expect(radius.source).toBe(
            "the upgrade guide of Anthos Service Mesh: 5 to 10 minutes; Linkerd's guides give no figure",
        );
    });
});

describe("of Istio's own workloads", () => {
    type Args = Parameters<typeof istioControlPlane>;
    const version = { text: "1.27.1" };
    const config = {
        namespace: "istio-system",
        revisions: [{ name: "1-27-1", version }],
        foreign: [{ revision: "default", remove: true }],
    } as unknown as Args[1];
    const gateway = { namespace: "istio-ingress", name: "ingress", revision: "1-27-1" };
    const gatewayPod = (name: string, running: string) => ({
        ...{ namespace: "istio-ingress", name, running, gateway: true },
        ...{ asked: undefined, asksDefault: false },
    });
    const radius = (istiods: object[], pods: object[]) =>
        istioControlPlane(
            { revisions: [{ name: "1-27-1" }], gateways: [gateway] } as unknown as Args[0],
            config,
            { istiods, users: { pods } } as unknown as Args[2],
            "organization/mesh-upgrade/prod",
        ).workloads.map(({ name, change, pods: count, from, to }) => [
            name,
            change,
            count,
            from,
            to,
        ]);

    it("a revision comes, somebody else's control plane goes, and a gateway goes over", () => {
        const before = { name: "istiod", revision: "default", version: "1.26.4" };
        const pods = [
            gatewayPod("ingress-6d4cf56db6-x2x9z", "default"),
            gatewayPod("ingress-two-6d4cf56db6-x2x9z", "default"),
        ];
        expect(radius([before], pods)).toEqual([
            ["ingress", "restarts", 1, "default", "1-27-1"],
            ["istiod", "goes", 0, "1.26.4", null],
            ["istiod-1-27-1", "new", 0, null, "1.27.1"],
        ]);
    });

    it("nothing changes where everything is there; what the stack dropped goes", () => {
        const stack = "organization/mesh-upgrade/prod";
        const present = { name: "istiod-1-27-1", revision: "1-27-1", version: "1.27.1", stack };
        const dropped = { name: "istiod-1-26-4", revision: "1-26-4", version: "1.26.4", stack };
        const pods = [gatewayPod("ingress-6d4cf56db6-x2x9z", "1-27-1")];
        expect(radius([present], pods)).toEqual([]);
        expect(radius([present, dropped], pods)).toEqual([
            ["istiod-1-26-4", "goes", 0, "1.26.4", null],
        ]);
    });
});
