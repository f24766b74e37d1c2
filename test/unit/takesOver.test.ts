import { ApiException, type V1ConfigMap } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { ADOPTED_MANAGER } from "../../cluster/adopt";
import type { Connection } from "../../cluster/connection";
import { chartTrustRootHash } from "../../plan/certificates";
import { planDataPlane, proxyTarget, STALE_BEFORE, verifyDataPlane } from "../../plan/dataPlane";
import { takesOverAsItRuns } from "../../plan/given";
import { meshOf } from "../../rollout/mesh";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const OLD = "edge-24.5.3";
const ROOTS = "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n";
const target = { version: OLD, proxy: OLD, trustRoot: chartTrustRootHash(ROOTS) };

describe("an update that only takes over restarts nothing, of what somebody else left stale either", () => {
    const live = { foreign: true, version: OLD, values: {}, trustRoots: ROOTS };
    const image = { proxy: { image: { version: "edge-24.5.3-fips" } } };

    it.each([
        { name: "what runs, as it runs", change: {}, to: {}, expected: true },
        { name: "the stack's own mesh", change: { foreign: false }, to: {}, expected: false },
        { name: "nothing there", change: { version: undefined }, to: {}, expected: false },
        { name: "another version", change: { version: "edge-24.4.1" }, to: {}, expected: false },
        { name: "a proxy of the user's", change: { values: image }, to: {}, expected: false },
        {
            name: "the same proxy of the user's",
            change: { values: image },
            to: { proxy: "edge-24.5.3-fips" },
            expected: true,
        },
        { name: "new anchors", change: {}, to: { trustRoot: "other" }, expected: false },
        { name: "a new issuer", change: {}, to: { issuedAt: "2026-11-21" }, expected: false },
        { name: "unknown anchors", change: { trustRoots: undefined }, to: {}, expected: false },
    ])("$name: $expected", ({ change, to, expected }) => {
        expect(takesOverAsItRuns({ ...target, ...to }, { ...live, ...change })).toBe(expected);
    });

    it.each([
        { manager: "kubectl-client-side-apply", expected: true },
        { manager: ADOPTED_MANAGER, expected: false },
    ])(
        "which is seen before anything changes: linkerd-config of $manager",
        ({ manager, expected }) => {
            const maps: Readonly<Record<string, V1ConfigMap>> = {
                "linkerd-config": {
                    metadata: { managedFields: [{ manager }] },
                    data: { values: `linkerdVersion: ${OLD}\n` },
                },
                "linkerd-identity-trust-roots": { data: { "ca-bundle.crt": ROOTS.trim() } },
            };
            const core = {
                readNamespacedConfigMap: ({ name }: { readonly name: string }) =>
                    maps[name]
                        ? Promise.resolve(maps[name])
                        : Promise.reject(new ApiException(404, name, undefined, {})),
            };
            const mesh = meshOf({ mesh: "linkerd", ...target });
            return expect(mesh.takesOver({ core } as unknown as Connection)).resolves.toBe(
                expected,
            );
        },
    );

    it("names each workload with the stale pods that it has and how to restart it, and fails for none", () => {
        const pods = [podOf({ name: "web-1" }), podOf({ name: "web-2", proxy: "edge-24.7.5" })];
        const plan = planDataPlane(
            dataPlaneOf({ pods, workloads: [workloadOf({ replicas: 2 })] }),
            proxyTarget("edge-24.7.5"),
            undefined,
            STALE_BEFORE,
        );
        expect(plan.workloads).toEqual([]);
        expect(plan.unrestartable).toEqual([
            {
                namespace: "shop",
                kind: "Deployment",
                name: "web",
                proxy: OLD,
                pods: 1,
                reason: STALE_BEFORE,
            },
        ]);
        expect(verifyDataPlane(plan)).toEqual([]);
    });
});
