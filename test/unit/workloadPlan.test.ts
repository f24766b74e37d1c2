import { describe, expect, it } from "vitest";
import { isProgressing, type Canary } from "../../cluster/canaries";
import type { MeshedPod, Workload } from "../../cluster/dataPlane";
import { planDataPlane, planWorkload, progressingCanary, proxyTarget } from "../../plan/dataPlane";
import { ALONE, dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
const FIRST = "2026-11-20T08:00:00Z";
const SECOND = "2026-11-21T08:00:00Z";

const canaryOf = (fields: Partial<Canary> = {}): Canary => ({
    namespace: "shop",
    name: "web-canary",
    target: { kind: "Deployment", name: "web" },
    phase: "Initialized",
    step: "0/0",
    ...fields,
});

describe("a Canary of Flagger is waited for while it moves", () => {
    it.each([
        ["Initialized", false],
        ["Succeeded", false],
        ["Failed", false],
        ["Waiting", false],
        ["Initializing", true],
        ["Progressing", true],
        ["WaitingPromotion", true],
        ["Promoting", true],
        ["Finalising", true],
    ])("phase %s: %s", (phase, progressing) => {
        expect(isProgressing(canaryOf({ phase }))).toBe(progressing);
    });

    const moving = canaryOf({ phase: "Progressing" });
    const cases: [name: string, workload: Partial<Workload>, canaries: Canary[], waits: boolean][] =
        [
            ["its target", {}, [moving], true],
            ["the primary that serves", { name: "web-primary" }, [moving], true],
            ["its target, when another Canary rests", {}, [canaryOf(), moving], true],
            ["a target that rests", {}, [canaryOf()], false],
            ["a workload of another name", { name: "web-2" }, [moving], false],
            ["another namespace", { namespace: "pay" }, [moving], false],
            ["another kind", { kind: "DaemonSet" }, [moving], false],
        ];
    it.each(cases)("%s", (_, workload, canaries, waits) => {
        const found = progressingCanary(workloadOf(workload), canaries);
        expect(found).toEqual(waits ? moving : undefined);
    });
});

describe("what a reader is told about a workload before it is restarted", () => {
    const flux = "Flux (Kustomization flux-system/apps)";
    const undone = `managed by ${flux}, which may take restartedAt off again: one more restart`;
    const target = "target of Flagger's Canary web-canary: a restart begins an analysis";
    const primary = "the primary of Flagger's Canary web-canary";
    const cases: [
        name: string,
        workload: Partial<Workload>,
        pod: Partial<MeshedPod>,
        canaries: Canary[],
        notes: string[],
    ][] = [
        ["nothing of interest", {}, {}, [], []],
        ["managed by GitOps", { manager: flux }, {}, [], [undone]],
        ["managed, and restarted already", { manager: flux }, { currentRevision: false }, [], []],
        [
            "managed, and evicted",
            { manager: flux, strategy: "OnDelete" },
            {},
            [],
            [
                "its stale pods are evicted, 1 at a time: its update strategy (OnDelete) does not replace them",
            ],
        ],
        ["a canary's target", {}, {}, [canaryOf()], [target]],
        [
            "a target that moves",
            {},
            {},
            [canaryOf({ phase: "Progressing" })],
            [target, "waits for Canary web-canary, which is Progressing"],
        ],
        ["a primary", { name: "web-primary" }, {}, [canaryOf()], [primary]],
        [
            "a primary whose canary moves, managed",
            { name: "web-primary", manager: flux },
            {},
            [canaryOf({ phase: "Promoting" })],
            [undone, primary, "waits for Canary web-canary, which is Promoting"],
        ],
        ["a canary of another namespace", {}, {}, [canaryOf({ namespace: "pay" })], []],
    ];
    it.each(cases)("%s", (_, workload, pod, canaries, notes) => {
        const plan = planWorkload(workloadOf(workload), [podOf(pod)], proxyTarget(NEW), {
            ...ALONE,
            canaries,
        });
        expect(plan?.notes).toEqual(notes);
    });

    it("and the plan of the whole data plane has these notes too", () => {
        const plan = planDataPlane(
            dataPlaneOf({ pods: [podOf()], workloads: [workloadOf()], canaries: [canaryOf()] }),
            proxyTarget(NEW),
        );
        expect(plan.workloads.map((one) => one.notes)).toEqual([[target]]);
    });
});

describe("how a workload gets new pods", () => {
    const stuck = podOf({ name: "web-2", ready: false, restartedAt: SECOND });
    const running = (name: string) =>
        podOf({ name, proxy: NEW, currentRevision: false, restartedAt: FIRST });
    const revisions = [
        { restartedAt: FIRST, current: false, fingerprint: "a" },
        { restartedAt: SECOND, current: true, fingerprint: "a" },
    ];
    const cases: {
        name: string;
        workload: Partial<Workload>;
        pods: MeshedPod[];
        action: string;
        count: number;
        restartedAt?: string;
    }[] = [
        {
            name: "a Deployment of which one pod is stale makes all of them anew",
            workload: { replicas: 3 },
            pods: [podOf(), podOf({ name: "web-2", proxy: NEW })],
            action: "restart",
            count: 3,
        },
        {
            name: "a Deployment with surplus pods counts what is there",
            workload: { replicas: 1 },
            pods: [podOf(), podOf({ name: "web-2" })],
            action: "restart",
            count: 2,
        },
        {
            name: "a Rollout of Argo is restarted",
            workload: { kind: "Rollout", strategy: "restartAt", replicas: 2 },
            pods: [podOf()],
            action: "restart",
            count: 2,
        },
        {
            name: "a Rollout of Argo that was restarted is waited for",
            workload: { kind: "Rollout", strategy: "restartAt", replicas: 2 },
            pods: [podOf({ currentRevision: false })],
            action: "wait",
            count: 1,
        },
        {
            name: "a StatefulSet with OnDelete: only its stale pods go, of whichever revision",
            workload: { kind: "StatefulSet", strategy: "OnDelete", replicas: 3 },
            pods: [
                podOf(),
                podOf({ name: "web-2", proxy: NEW }),
                podOf({ name: "web-3", currentRevision: false }),
            ],
            action: "evict",
            count: 2,
        },
        {
            name: "a DaemonSet with OnDelete likewise",
            workload: { kind: "DaemonSet", strategy: "OnDelete", replicas: 3 },
            pods: [podOf()],
            action: "evict",
            count: 1,
        },
        {
            name: "a StatefulSet with a partition: a restart would leave the ordinals below it",
            workload: { kind: "StatefulSet", partition: 2, replicas: 3 },
            pods: [podOf()],
            action: "evict",
            count: 1,
        },
        {
            name: "a StatefulSet whose restart is stuck at the highest ordinal returns",
            workload: { kind: "StatefulSet", replicas: 3, revisions },
            pods: [running("web-0"), running("web-1"), stuck],
            action: "return",
            count: 1,
            restartedAt: FIRST,
        },
        {
            name: "a StatefulSet that is stuck with a change of its template does not return",
            workload: {
                kind: "StatefulSet",
                replicas: 3,
                revisions: revisions.map((one, i) => ({ ...one, fingerprint: `${i}` })),
            },
            pods: [running("web-0"), running("web-1"), stuck],
            action: "restart",
            count: 3,
        },
    ];
    it.each(cases)("$name", ({ workload, pods, action, count, restartedAt }) => {
        const plan = planWorkload(workloadOf(workload), pods, proxyTarget(NEW), ALONE);
        expect(plan).toMatchObject({ action, pods: count, from: [OLD] });
        expect(plan?.restartedAt).toBe(restartedAt);
    });

    it("OnDelete with a change of the template is held back only for the pods that are stale", () => {
        const onDelete = workloadOf({ kind: "StatefulSet", strategy: "OnDelete" });
        const changed = { currentRevision: false, templateChanged: true };
        const current = podOf({ proxy: NEW, ...changed });
        expect(planWorkload(onDelete, [current, podOf()], proxyTarget(NEW), ALONE)?.action).toBe(
            "evict",
        );
        expect(planWorkload(onDelete, [podOf(changed)], proxyTarget(NEW), ALONE)).toBeUndefined();
    });

    it("nothing is planned where every pod that counts is current", () => {
        const pods = [podOf({ proxy: NEW }), podOf({ terminating: true })];
        expect(planWorkload(workloadOf(), pods, proxyTarget(NEW), ALONE)).toBeUndefined();
    });
});

describe("a wave plans only what it takes", () => {
    const pods = [
        podOf(),
        podOf({ name: "api-1", owner: { kind: "Deployment", name: "api" } }),
        podOf({ name: "debug", owner: undefined, labels: { app: "debug" } }),
        podOf({ name: "pay-1", namespace: "pay", proxy: NEW }),
    ];
    const workloads = [
        workloadOf({ labels: { tier: "front" } }),
        workloadOf({ name: "api" }),
        workloadOf({ namespace: "pay" }),
    ];
    const front = [{ workloadLabels: { tier: "front" } }, { workloadLabels: { app: "debug" } }];
    const planOf = (wave: string, select: typeof front, others = {}) => {
        const plan = planDataPlane(dataPlaneOf({ pods, workloads }), proxyTarget(NEW), {
            wave,
            select,
            others,
        });
        return {
            ...plan,
            workloads: plan.workloads.map(({ workload }) => workload.name),
            unrestartable: plan.unrestartable.map(({ name }) => name),
        };
    };

    it("by the labels of the workload, and of the pod where there is none", () => {
        expect(planOf("front", front)).toEqual({
            target: NEW,
            workloads: ["web"],
            unrestartable: ["debug"],
            namespaces: ["shop"],
            pods: 2,
            current: 0,
        });
    });

    it("and rest what is left", () => {
        expect(planOf("rest", [], { front })).toEqual({
            target: NEW,
            workloads: ["api"],
            unrestartable: [],
            namespaces: ["pay", "shop"],
            pods: 2,
            current: 1,
        });
    });
});
