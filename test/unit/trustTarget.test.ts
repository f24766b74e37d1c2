import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { meshedProxies } from "../../cluster/dataPlane";
import { podRecordWithAnchors } from "../../cluster/pods";
import { isStale, planDataPlane, proxyTarget } from "../../plan/dataPlane";
import { plannedEnd } from "../../plan/plannedEnd";
import { rollout } from "../../plan/waves";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const NEW = "edge-24.7.5";

describe("a pod with the right proxy is stale all the same", () => {
    const target = proxyTarget(NEW, { trustRoot: "new", issuerSince: 2_000 });
    const of = (fields: Parameters<typeof podOf>[0]) =>
        podOf({ proxy: NEW, createdAt: 3_000, trustRoot: "new", ...fields });

    it.each([
        ["of these anchors, after the issuer", of({}), undefined],
        ["of other anchors", of({ trustRoot: "old" }), "trust anchors"],
        ["before the issuer", of({ createdAt: 1_000 }), "issuer"],
        ["of the issuer's very second", of({ createdAt: 2_000 }), undefined],
    ])("%s", (_, pod, why) => {
        expect(isStale(pod, target)).toBe(why !== undefined);
        const plan = planDataPlane(dataPlaneOf({ pods: [pod], workloads: [workloadOf()] }), target);
        expect(plan.workloads.map((one) => one.outdated)).toEqual(why ? [[why]] : []);
    });

    it("but not without the annotation, which older proxies lack", () => {
        const { trustRoot: _, ...pod } = of({});
        expect(isStale(pod, target)).toBe(false);
    });

    it("and is restarted although its proxy is pinned: it would never trust the new anchor", () => {
        const pod = of({ proxy: "edge-24.5.3", pin: "edge-24.5.3", trustRoot: "old" });
        const dataPlane = dataPlaneOf({ pods: [pod], workloads: [workloadOf()] });
        expect(planDataPlane(dataPlane, target).workloads).toHaveLength(1);
        const after = { ...pod, trustRoot: "new" };
        const { workloads, unrestartable } = planDataPlane({ ...dataPlane, pods: [after] }, target);
        expect(workloads).toEqual([]);
        expect(unrestartable).toMatchObject([
            { reason: expect.stringContaining("pinned") as string },
        ]);
    });
});

describe("what running proxies trust", () => {
    const pod = (name: string, env: object, init = false): V1Pod => {
        const proxy = {
            name: "linkerd-proxy",
            image: "proxy:edge-24.7.5",
            env: [{ name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", ...env }],
        };
        return {
            metadata: { namespace: "shop", name },
            spec: init ? { containers: [], initContainers: [proxy] } : { containers: [proxy] },
        };
    };

    it("is kept once for each bundle, whatever the number of pods", () => {
        const bundles = new Map<string, string>();
        const record = podRecordWithAnchors(bundles);
        const configMap = { configMapKeyRef: { name: "linkerd-identity-trust-roots", key: "x" } };
        const records = [
            pod("a", { value: "ONE\n" }),
            pod("b", { value: "ONE" }, true),
            pod("c", { value: "TWO" }),
            pod("d", { valueFrom: configMap }),
            pod("e", {}),
        ].map((one) => record(one));
        expect(bundles.size).toBe(2);
        const pods = records.map((one) => podOf({ ...one }));
        expect(meshedProxies(pods, bundles, "ROOTS").map((one) => one.anchors)).toEqual([
            "ONE",
            "ONE",
            "TWO",
            "ROOTS",
            undefined,
        ]);
    });
});

describe("the planned end of an update", () => {
    it.each([
        [{ pace: 2, soak: "1m" }, 3, 2.5 * 60],
        [{ pace: "unlimited", soak: "10s" }, 3, 10],
        [{ pace: 100, soak: "0s" }, 0, 0],
        [
            { pace: 2, soak: "1m", waves: [{ name: "a", select: [{ namespaces: ["none"] }] }] },
            3,
            3.5 * 60,
        ],
    ])("with %o and %i pods is %d s away", (section, count, seconds) => {
        const pods = Array.from({ length: count }, (_, index) => podOf({ name: `web-${index}` }));
        const now = new Date("2026-11-21T00:00:00Z");
        const { waves } = rollout.parse(section);
        const dataPlane = dataPlaneOf({ pods, workloads: [workloadOf()] });
        const end = plannedEnd(now, dataPlane, waves);
        expect((end.getTime() - now.getTime()) / 1000).toBe(seconds);
    });
});
