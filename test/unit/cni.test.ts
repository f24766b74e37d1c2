import { describe, expect, it } from "vitest";
import type { KubeApi } from "../../cluster/api";
import { readCni } from "../../cluster/health/cni";
import { cniFaults, cniValueFaults, onNodes, onNodesText, usesCni } from "../../plan/cni";
import type { HealthCni } from "../../plan/checks/observation";

const STACK = "acme/mesh/prod";
const cniOf = (fields: Partial<HealthCni> = {}): HealthCni => ({
    objects: {
        ConfigMap: true,
        ClusterRole: true,
        ClusterRoleBinding: true,
        ServiceAccount: true,
        DaemonSet: true,
    },
    ready: 3,
    desired: 3,
    down: [],
    owners: [undefined],
    ...fields,
});
const NONE = cniOf({
    objects: { ...cniOf().objects, DaemonSet: false },
    ready: 0,
    desired: 0,
    owners: [],
});
const STACKS = cniOf({ owners: [STACK] });
const faultsOf = (
    enabled: boolean,
    value: HealthCni,
    change: "upgrade" | "revert" | "none" = "upgrade",
) =>
    cniFaults({ cni: { enabled, values: {} } }, STACK, { value }, change).map(
        ({ subject, rule }) => `${subject}: ${rule}`,
    );

describe("pods never rely on a CNI plugin that is not there", () => {
    it("what the user's own plugin needs is asked: that it is there, on every node", () => {
        expect(faultsOf(false, cniOf())).toEqual([]);
        expect(faultsOf(false, NONE)).toEqual([
            "controlPlane.values.cniEnabled: needs a CNI plugin, and none runs (no DaemonSet with label k8s-app=linkerd-cni): traffic of new pods would pass their proxy by, or their start would fail",
        ]);
        expect(faultsOf(false, cniOf({ ready: 2 }))).toEqual([
            "controlPlane.values.cniEnabled: the CNI plugin is ready on 2 of 3 nodes: pods on the others would not start",
        ]);
        // A pod may be left on a node that is to have none.
        expect(faultsOf(false, cniOf({ ready: 2, desired: 1 }))).toEqual([]);
        expect(faultsOf(false, cniOf({ ready: 2 }), "revert")).toEqual([]);
        expect(faultsOf(false, cniOf({ ready: 2 }), "none")).toEqual([]);
        expect(faultsOf(false, NONE, "revert")).toHaveLength(1);
    });

    it("a node that is not ready itself is named, not waited for", () => {
        const pod = (node: string, ready: boolean, hash = "new") => ({ node, ready, hash });
        const pods = {
            desired: 3,
            pods: [pod("a", true, "old"), pod("a", true), pod("b", true, "old"), pod("c", false)],
            notReady: new Set(["c", "master"]),
        };
        expect(onNodes(pods)).toEqual({ ready: 2, desired: 2, down: ["c"] });
        expect(onNodes(pods, "new")).toEqual({ ready: 1, desired: 2, down: ["c"] });
        // Its kubelet is gone, and what it said last is not to be believed.
        expect(onNodes({ ...pods, pods: [pod("a", true), pod("c", true)] }).ready).toBe(1);
        expect(onNodes({ ...pods, notReady: new Set() })).toMatchObject({ ready: 2, desired: 3 });
        expect(onNodesText(onNodes(pods))).toBe(
            "the CNI plugin is ready on 2 of 2 nodes (beside c, not ready itself)",
        );
        expect(faultsOf(false, cniOf({ ready: 2, desired: 2, down: ["c"] }))).toEqual([]);
    });

    it("the stack's own is not taken away while it is needed", () => {
        expect(faultsOf(false, STACKS)).toEqual([
            "cni.enabled: would remove the CNI plugin that this stack made, and controlPlane.values.cniEnabled: true needs it",
        ]);
    });

    it("the stack brings its own, and never over somebody else's", () => {
        expect(faultsOf(true, NONE)).toEqual([]);
        expect(faultsOf(true, { ...STACKS, ready: 0 })).toEqual([]);
        expect(faultsOf(true, cniOf())).toEqual([
            "cni.enabled: a CNI plugin runs already that this stack did not make",
        ]);
        expect(faultsOf(true, cniOf({ owners: [STACK, "acme/mesh/dev"] }))).toEqual([
            "cni.enabled: a CNI plugin runs already that this stack did not make (it is of acme/mesh/dev)",
        ]);
    });

    it("one that may not be looked at is no plugin", () => {
        const [fault] = cniFaults(
            { cni: { enabled: false, values: {} } },
            STACK,
            { unknown: "daemonsets is forbidden" },
            "upgrade",
        );
        expect(fault?.rule).toBe(
            "needs a CNI plugin, which could not be looked at: daemonsets is forbidden",
        );
    });

    it("values that contradict the plugin are named", () => {
        const cni = { enabled: true, values: {} };
        const off = { cni, controlPlane: { values: { cniEnabled: false } } };
        expect(cniValueFaults(off).map(({ subject }) => subject)).toEqual([
            "controlPlane.values.cniEnabled",
        ]);
        expect(cniValueFaults({ ...off, controlPlane: { values: {} } })).toEqual([]);
        expect(cniValueFaults({ ...off, cni: { ...cni, enabled: false } })).toEqual([]);
        expect(usesCni({ controlPlane: { cniEnabled: true } })).toBe(true);
        expect(usesCni({ controlPlane: {} })).toBe(false);
    });

    it("rendered YAML has to be of the same mind as cni.enabled", () => {
        const rendered = (enabled: boolean, values: Record<string, unknown>) =>
            cniValueFaults({
                cni: { enabled, values: {} },
                controlPlane: { manifests: "mesh.yaml", values },
            }).map(({ subject, rule }) => `${subject} ${rule}`);
        expect(rendered(true, {})).toEqual([
            "cni.enabled mesh.yaml was rendered without cniEnabled: true",
        ]);
        expect(rendered(true, { cniEnabled: true })).toEqual([]);
        expect(rendered(false, {})).toEqual([]);
    });
});

describe("whose a plugin is", () => {
    const OWNED = { "mesh-upgrade/stack": STACK };
    const setOf = (namespace: string, own: Record<string, string>, ofPods = {}) => ({
        metadata: { name: "linkerd-cni", namespace, annotations: own },
        spec: { template: { metadata: { annotations: ofPods } } },
    });
    const ownersOf = async (set: object) => {
        const api = {
            list: (path: string, keep: (item: never) => unknown) =>
                Promise.resolve({ items: path.endsWith("daemonsets") ? [keep(set as never)] : [] }),
            send: (_: string, path: string) =>
                Promise.resolve({
                    metadata: {
                        annotations: path === "/api/v1/namespaces/linkerd-cni" ? OWNED : {},
                    },
                }),
        };
        const read = await readCni(api as unknown as KubeApi);
        return "value" in read ? read.value.owners : read.unknown;
    };

    it("its DaemonSet says; of one that was made before that was written, its pods and the namespace", async () => {
        const hash = { "mesh-upgrade/config": "5e7" };
        expect(await ownersOf(setOf("linkerd-cni", OWNED))).toEqual([STACK]);
        expect(await ownersOf(setOf("linkerd-cni", {}, hash))).toEqual([STACK]);
        // Somebody's own, in a namespace that the stack left behind.
        expect(await ownersOf(setOf("linkerd-cni", {}))).toEqual([undefined]);
        expect(await ownersOf(setOf("kube-system", {}, hash))).toEqual([undefined]);
    });
});
