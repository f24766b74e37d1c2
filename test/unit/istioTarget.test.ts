import { describe, expect, it } from "vitest";
import type { MeshedPod } from "../../cluster/dataPlane";
import { NO_SIDECAR, planDataPlane, type Target } from "../../plan/dataPlane";
import { istioTarget, plannedTarget } from "../../plan/istio/target";
import type { RolloutTarget } from "../../rollout/input";
import { isRevert } from "../../rollout/mesh";
import { injectorOf } from "./support/istioCluster";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const OLD = "1.26.4 (1-26-4)";
const NEW = "1.27.1 (1-27-1)";
const NAMED = { "istio.io/rev": "1-27-1" };
const injection = {
    injectors: [injectorOf("1-26-4"), injectorOf("1-27-1"), injectorOf("1-27-1", "stable")],
    proxies: new Map([
        ["1-26-4", "1.26.4"],
        ["1-27-1", "1.27.1"],
    ]),
};
const wish = { labels: {}, annotations: {}, hostNetwork: false };
const pod = (fields: Partial<MeshedPod> = {}) =>
    podOf({ proxy: OLD, namespaceLabels: NAMED, wish, ...fields });

const planned = new Map([["shop", { revision: "1-27-1", version: "1.27.1" }]]);
const now = istioTarget(injection);

describe("a pod is restarted where a new one would get another sidecar", () => {
    const refuses = { ...wish, labels: { "sidecar.istio.io/inject": "false" } };
    const cases: { name: string; given: Partial<MeshedPod>; to?: string; target?: Target }[] = [
        { name: "of another revision", given: {}, to: NEW },
        {
            name: "of another version of the same revision",
            given: { proxy: "1.27.0 (1-27-1)" },
            to: NEW,
        },
        { name: "not of what it runs", given: { proxy: NEW } },
        {
            name: "through a tag",
            given: { namespaceLabels: { "istio.io/rev": "stable" } },
            to: NEW,
        },
        { name: "not at all so far", given: { proxy: NO_SIDECAR }, to: NEW },
        { name: "none any longer", given: { namespaceLabels: {} }, to: NO_SIDECAR },
        { name: "none, as it has now", given: { namespaceLabels: {}, proxy: NO_SIDECAR } },
        { name: "none by its own refusal", given: { wish: refuses }, to: NO_SIDECAR },
        { name: "none by its refusal, as it has now", given: { wish: refuses, proxy: NO_SIDECAR } },
        {
            name: "none on the host's network",
            given: { wish: { ...wish, hostNetwork: true } },
            to: NO_SIDECAR,
        },
        {
            name: "from somebody whose version cannot be read",
            given: {},
            target: istioTarget({ ...injection, proxies: new Map() }),
            to: "unknown (1-27-1)",
        },
        {
            name: "from more than one",
            given: {},
            target: istioTarget({
                ...injection,
                injectors: [injectorOf("1-27-1"), { ...injectorOf("1-27-1"), name: "another" }],
            }),
            to: "several sidecars",
        },
        {
            name: "as planned, whatever the namespace's labels say before",
            given: { namespaceLabels: {} },
            target: plannedTarget(planned),
            to: NEW,
        },
        {
            name: "as planned, which it runs already",
            given: { namespaceLabels: {}, proxy: NEW },
            target: plannedTarget(planned),
        },
        {
            name: "as planned, unless it refuses",
            given: { wish: refuses },
            target: plannedTarget(planned),
            to: NO_SIDECAR,
        },
        {
            name: "as planned: none in a namespace that is not the stack's",
            given: { namespaceLabels: {}, proxy: NO_SIDECAR },
            target: plannedTarget(new Map()),
        },
    ];
    it.each(cases)("$name", ({ given, target = now, to }) => {
        const plan = planDataPlane(
            dataPlaneOf({ pods: [pod(given)], workloads: [workloadOf()] }),
            target,
        );
        expect(plan.workloads).toMatchObject(
            to === undefined
                ? []
                : [{ action: "restart", from: [given.proxy ?? OLD], to, pods: 1 }],
        );
        expect(plan.unrestartable).toEqual([]);
    });

    it("counts a pod without a sidecar only where it is to get one", () => {
        const pods = [
            pod({ name: "bare", owner: undefined, proxy: NO_SIDECAR, namespaceLabels: {} }),
            pod({ name: "new", proxy: NEW }),
            pod({ name: "wants", proxy: NO_SIDECAR }),
        ];
        expect(planDataPlane(dataPlaneOf({ pods, workloads: [workloadOf()] }), now)).toMatchObject({
            pods: 2,
            current: 1,
            workloads: [{ pods: 1, from: [NO_SIDECAR] }],
        });
    });

    it("names a bare pod that keeps its sidecar", () => {
        const pods = [pod({ name: "debug", owner: undefined })];
        expect(
            planDataPlane(dataPlaneOf({ pods, workloads: [] }), now).unrestartable,
        ).toMatchObject([{ kind: "Pod", name: "debug", proxy: OLD, pods: 1 }]);
    });
});

it("workloads of two namespaces each go to what their own namespace chooses", () => {
    const bank = { namespace: "bank", namespaceLabels: { "istio.io/rev": "1-26-4" } };
    const pods = [
        pod(),
        pod({ name: "web-2", wish: { ...wish, labels: { "sidecar.istio.io/inject": "false" } } }),
        pod({ ...bank, proxy: NEW }),
    ];
    const workloads = [workloadOf(), workloadOf({ namespace: "bank" })];
    for (const target of [
        now,
        plannedTarget(new Map([...planned, ["bank", { revision: "1-26-4", version: "1.26.4" }]])),
    ]) {
        const plan = planDataPlane(dataPlaneOf({ pods, workloads }), target);
        expect(
            plan.workloads.map((one) => [one.workload.namespace, one.from, one.to, one.pods]),
        ).toEqual([
            ["bank", [NEW], OLD, 1],
            ["shop", [OLD], `${NEW}, ${NO_SIDECAR}`, 2],
        ]);
        expect(plan.target).toBe(`${OLD}, ${NEW}, ${NO_SIDECAR}`);
        expect(plan.namespaces).toEqual(["bank", "shop"]);
    }
});

describe("an update that goes back is told from one that goes on", () => {
    const linkerd = (version: string): RolloutTarget => ({
        mesh: "linkerd",
        version,
        proxy: version,
    });
    const istio = (version: string): RolloutTarget => ({
        mesh: "istio",
        version,
        namespace: "istio-system",
        namespaces: [],
    });
    it.each<[string | undefined, RolloutTarget, boolean]>([
        ["edge-24.7.5", linkerd("edge-24.5.3"), true],
        ["edge-24.7.10", linkerd("edge-24.7.9"), true],
        ["edge-24.5.3", linkerd("edge-24.7.5"), false],
        ["edge-24.7.5", linkerd("edge-24.7.5"), false],
        [undefined, linkerd("edge-24.7.5"), false],
        ["1.27.1", linkerd("edge-24.7.5"), false],
        ["1.27.1", istio("1.26.4"), true],
        ["1.10.0", istio("1.9.9"), true],
        ["1.6.14-asm.10", istio("1.6.14-asm.2"), true],
        ["1.26.4", istio("1.27.1"), false],
        ["1.27.1", istio("1.27.1"), false],
        ["1.27.1", istio(""), false],
        [undefined, istio("1.27.1"), false],
        ["edge-24.7.5", istio("1.27.1"), false],
    ])("%s -> %j: %s", (from, to, expected) => {
        expect(isRevert(from, to)).toBe(expected);
    });
});
