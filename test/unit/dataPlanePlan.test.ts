import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MeshedPod, Workload } from "../../cluster/dataPlane";
import { nameOf, planDataPlane, proxyTarget, verifyDataPlane } from "../../plan/dataPlane";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
/** restartedAt of two restarts, one after the other. */
const FIRST = "2026-11-20T08:00:00Z";
const SECOND = "2026-11-21T08:00:00Z";

const owner = (kind: string, name = "web") => ({ kind, name });

describe("what a wave leaves alone, with the reason that a user reads", () => {
    const cases: {
        name: string;
        pods: MeshedPod[];
        workloads: Workload[];
        kind: string;
        object?: string;
        reason: string;
    }[] = [
        {
            name: "a bare pod",
            pods: [podOf({ owner: undefined, name: "debug" })],
            workloads: [],
            kind: "Pod",
            object: "debug",
            reason: "a bare pod: nothing makes it anew when it is deleted",
        },
        {
            name: "a Job",
            pods: [podOf({ owner: owner("Job", "migrate") })],
            workloads: [],
            kind: "Job",
            object: "migrate",
            reason: "a Job: its pod keeps its proxy until it has finished",
        },
        {
            name: "an owner of another kind",
            pods: [podOf({ owner: owner("CloneSet") })],
            workloads: [],
            kind: "CloneSet",
            reason: "pods of a CloneSet are not restarted",
        },
        {
            name: "a ReplicaSet without a Deployment",
            pods: [podOf({ owner: owner("ReplicaSet") })],
            workloads: [workloadOf()],
            kind: "ReplicaSet",
            reason: "pods of a ReplicaSet are not restarted",
        },
        {
            name: "a Deployment of this name in another namespace only",
            pods: [podOf()],
            workloads: [workloadOf({ namespace: "other" })],
            kind: "Deployment",
            reason: "pods of a Deployment are not restarted",
        },
        {
            name: "a manually injected workload",
            pods: [podOf()],
            workloads: [workloadOf({ manuallyInjected: true })],
            kind: "Deployment",
            reason: "manually injected: the proxy stands in the workload's own template (run linkerd inject, or istioctl kube-inject, again)",
        },
        {
            name: "a pinned proxy",
            pods: [podOf({ pin: OLD })],
            workloads: [workloadOf()],
            kind: "Deployment",
            reason: "pinned by config.linkerd.io/proxy-version: edge-24.5.3",
        },
        {
            name: "a pin that only the current template has, in either order of the pods",
            pods: [podOf({ name: "web-0", currentRevision: false, pin: NEW }), podOf({ pin: OLD })],
            workloads: [workloadOf()],
            kind: "Deployment",
            reason: "pinned by config.linkerd.io/proxy-version: edge-24.5.3",
        },
        {
            name: "OnDelete, where a new pod would get more than a new proxy",
            pods: [
                podOf({ owner: owner("DaemonSet"), currentRevision: false, templateChanged: true }),
            ],
            workloads: [workloadOf({ kind: "DaemonSet", strategy: "OnDelete" })],
            kind: "DaemonSet",
            reason: "update strategy OnDelete, and its template has a change that its pods do not have: they would get that as well; delete them to accept it",
        },
        {
            name: "a paused Deployment",
            pods: [podOf()],
            workloads: [workloadOf({ paused: true })],
            kind: "Deployment",
            reason: "its rollout is paused: kubectl rollout resume",
        },
    ];
    it.each(cases)("$name", ({ pods, workloads, kind, object = "web", reason }) => {
        const plan = planDataPlane(dataPlaneOf({ pods, workloads }), proxyTarget(NEW));
        expect(plan.workloads).toEqual([]);
        expect(plan.unrestartable).toEqual([
            { namespace: "shop", kind, name: object, proxy: OLD, pods: pods.length, reason },
        ]);
        expect(verifyDataPlane(plan)).toEqual([]);
    });

    it("says each reason once for a workload, with all its pods and proxies", () => {
        const pods = [
            podOf({ name: "web-1", proxy: undefined }),
            podOf({ name: "web-2", proxy: "edge-24.6.1" }),
            podOf({ name: "web-3" }),
        ];
        const plan = planDataPlane(
            dataPlaneOf({ pods, workloads: [workloadOf({ paused: true })] }),
            proxyTarget(NEW),
        );
        expect(plan.unrestartable).toMatchObject([
            { pods: 3, proxy: "edge-24.5.3, edge-24.6.1, unknown" },
        ]);
    });

    it("restarts a workload whose pin is the target itself", () => {
        const plan = planDataPlane(
            dataPlaneOf({ pods: [podOf({ pin: NEW })], workloads: [workloadOf()] }),
            proxyTarget(NEW),
        );
        expect(plan.workloads.map((one) => one.action)).toEqual(["restart"]);
    });

    it("waits for a workload whose pin has just been moved to the target", () => {
        const pods = [
            podOf({ name: "web-old", currentRevision: false, pin: OLD }),
            podOf({ name: "web-new", proxy: NEW, pin: NEW }),
        ];
        const plan = planDataPlane(
            dataPlaneOf({ pods, workloads: [workloadOf()] }),
            proxyTarget(NEW),
        );
        expect(plan.unrestartable).toEqual([]);
        expect(plan.workloads.map((one) => one.action)).toEqual(["wait"]);
    });
});

describe("what a wave does with a workload", () => {
    const stuck = (fields: Partial<MeshedPod> = {}) =>
        podOf({ name: "web-stuck", ready: false, restartedAt: SECOND, ...fields });
    const running = (fields: Partial<MeshedPod> = {}) =>
        podOf({ proxy: NEW, currentRevision: false, restartedAt: FIRST, ...fields });
    const revisions = [
        { restartedAt: FIRST, current: false, fingerprint: "a" },
        { restartedAt: SECOND, current: true, fingerprint: "a" },
    ];
    const cases: {
        name: string;
        pods: MeshedPod[];
        workload?: Partial<Workload>;
        expected: { action: string; restartedAt?: string | undefined; from?: string[] };
    }[] = [
        {
            name: "restarts pods of the current template",
            pods: [podOf()],
            expected: { action: "restart" },
        },
        {
            name: "restarts pods whose image names no version, whatever they run",
            pods: [podOf({ proxy: undefined })],
            expected: { action: "restart", from: ["unknown"] },
        },
        {
            name: "waits where an earlier run restarted all that is stale, and restarts nothing twice",
            pods: [podOf({ currentRevision: false }), podOf({ name: "web-2", proxy: NEW })],
            expected: { action: "wait" },
        },
        {
            name: "returns a stuck restart to the revision that runs the target",
            pods: [running(), stuck()],
            workload: { revisions },
            expected: { action: "return", restartedAt: FIRST },
        },
        {
            name: "returns to a revision that was never restarted",
            pods: [running({ restartedAt: undefined }), stuck()],
            workload: {
                revisions: revisions.map((one) =>
                    one.current ? one : { ...one, restartedAt: undefined },
                ),
            },
            expected: { action: "return", restartedAt: undefined },
        },
        {
            name: "does not undo a change of the template that came with the stuck revision",
            pods: [running(), stuck()],
            workload: { revisions: revisions.map((one, i) => ({ ...one, fingerprint: `${i}` })) },
            expected: { action: "restart" },
        },
        {
            name: "does not return to a revision that is not ready either",
            pods: [running({ ready: false }), stuck()],
            workload: { revisions },
            expected: { action: "restart" },
        },
        {
            name: "does not return to a revision of which a pod is stale as well",
            pods: [running(), running({ name: "web-2", proxy: OLD }), stuck()],
            workload: { revisions },
            expected: { action: "restart" },
        },
        {
            name: "does not take the ready pod of another workload for its own",
            pods: [running({ owner: owner("Deployment", "api") }), stuck()],
            workload: { revisions },
            expected: { action: "restart" },
        },
    ];
    it.each(cases)("$name", ({ pods, workload, expected }) => {
        const plan = planDataPlane(
            dataPlaneOf({ pods, workloads: [workloadOf(workload)] }),
            proxyTarget(NEW),
        );
        const stale = pods.filter((pod) => pod.proxy !== NEW).length;
        expect(plan.workloads).toEqual([
            {
                workload: workloadOf(workload),
                from: [OLD],
                to: NEW,
                pods: stale,
                notes: [],
                ...expected,
            },
        ]);
    });
});

describe("which pods count", () => {
    it("neither waits for nor restarts for pods that have finished or are going", () => {
        const pods = [
            podOf({ name: "done", phase: "Succeeded" }),
            podOf({ name: "failed", phase: "Failed" }),
            podOf({ name: "going", terminating: true }),
            podOf({ name: "fresh", proxy: NEW }),
        ];
        expect(
            planDataPlane(dataPlaneOf({ pods, workloads: [workloadOf()] }), proxyTarget(NEW)),
        ).toEqual({
            target: NEW,
            workloads: [],
            unrestartable: [],
            namespaces: ["shop"],
            pods: 1,
            current: 1,
        });
    });

    it("counts a pod that cannot start yet: it is of the mesh", () => {
        const pods = [podOf({ phase: "Pending", ready: false })];
        expect(
            planDataPlane(dataPlaneOf({ pods, workloads: [workloadOf()] }), proxyTarget(NEW)),
        ).toMatchObject({
            pods: 1,
            current: 0,
        });
    });

    it("leaves no stale pod out of the plan, and plans the same for any order of the pods", () => {
        const fields = fc.record({
            namespace: fc.constantFrom("a", "b"),
            name: fc.uuid(),
            phase: fc.constantFrom("Running", "Pending", "Succeeded", "Failed"),
            ready: fc.boolean(),
            terminating: fc.boolean(),
            proxy: fc.constantFrom(OLD, NEW, undefined),
            owner: fc.constantFrom(owner("Deployment"), owner("Job"), undefined),
            currentRevision: fc.boolean(),
            pin: fc.constantFrom(undefined, OLD),
            restartedAt: fc.constantFrom(FIRST, SECOND, undefined),
        });
        const pod = fields.map((one) => podOf(one));
        const workloads = ["a", "b"].map((namespace) => workloadOf({ namespace }));
        fc.assert(
            fc.property(fc.uniqueArray(pod, { selector: (one) => one.name }), (pods) => {
                const plan = planDataPlane(dataPlaneOf({ pods, workloads }), proxyTarget(NEW));
                const planned = [...plan.workloads, ...plan.unrestartable];
                const stale = planned.reduce((sum, one) => sum + one.pods, 0);
                expect(plan.current + stale).toBe(plan.pods);
                const names = plan.workloads.map((one) => nameOf(one.workload));
                expect(names).toEqual([...new Set(names)].sort());
                const reversed = dataPlaneOf({ pods: [...pods].reverse(), workloads });
                expect(planDataPlane(reversed, proxyTarget(NEW))).toEqual(plan);
            }),
        );
    });
});

it("verification names each workload that still runs another proxy, and what to look at", () => {
    const pods = [podOf(), podOf({ name: "web-2" })];
    expect(
        verifyDataPlane(
            planDataPlane(dataPlaneOf({ pods, workloads: [workloadOf()] }), proxyTarget(NEW)),
        ),
    ).toEqual([
        {
            subject: "shop/Deployment/web",
            value: "edge-24.5.3",
            rule: "2 pod(s) still run this proxy, not edge-24.7.5",
            next: "see that the injector's pods are ready, then: pulumi up",
        },
    ]);
});
