import { describe, expect, it } from "vitest";
import type { IstioStackConfig, LinkerdStackConfig } from "../../config";
import { istioUpdateOf, questionBefore, updateOf } from "../../plan/checks/before";
import { liveOf } from "./support/istioCluster";
import { EMPTY, NOTHING, VIZ } from "./support/live";
import { versionAt } from "./support/releases";

const STACK = "organization/mesh-upgrade/demo";
const config = {
    linkerdVersion: versionAt("edge-24.7.5"),
    viz: { enabled: true },
    checks: { ignore: ["cni-plugin-ready"] },
} as unknown as LinkerdStackConfig;
const leaf = (certificate: string) => ({ certificate, key: "" });
const live = {
    ...EMPTY,
    installed: true,
    linkerdVersion: "edge-24.5.3",
    namespaces: [{ name: "linkerd", stack: STACK, updating: "edge-24.7.5" }],
    webhooks: { leaves: { "linkerd-proxy-injector": leaf("old"), tap: leaf("same") }, bundles: {} },
    installation: { ...NOTHING, values: { proxy: { image: { version: "edge-24.5.1" } } } },
};

describe("what is asked before an update", () => {
    it("the mesh as it says that it is, not the target", () => {
        expect(questionBefore(config, live, STACK)).toEqual({
            expected: { version: "edge-24.5.3", proxy: "edge-24.5.1" },
            viz: false,
            install: undefined,
        });
        const withViz = { ...live, installation: { ...live.installation, viz: [VIZ] } };
        expect(questionBefore(config, withViz, STACK).viz).toBe(true);
        const others = { ...config, viz: { enabled: false, values: {} } };
        expect(questionBefore(others, withViz, STACK).viz).toBe(false);
    });

    it("for a new installation whether it may be made", () => {
        expect(questionBefore(config, EMPTY, STACK)).toEqual({
            expected: { version: "edge-24.7.5", proxy: "edge-24.7.5" },
            viz: false,
            install: { stack: STACK },
        });
    });
});

describe("what an update is to the mesh", () => {
    it("its direction, what did not finish, and which certificates it replaces", () => {
        const leaves = { "linkerd-proxy-injector": leaf("new"), tap: leaf("same") };
        const plan = { webhooks: { ca: leaf(""), leaves, bundles: {} } };
        expect(updateOf(config, live, plan, true)).toEqual({
            change: "upgrade",
            unfinished: "edge-24.7.5",
            target: "edge-24.7.5",
            ignore: ["cni-plugin-ready"],
            replaced: ["l5d-proxy-injector-webhook-cert-valid"],
            running: "edge-24.5.3",
            preview: true,
        });
    });

    it("of Istio: an upgrade adds a revision, all else is a repair or the way back", () => {
        const istio = config as unknown as IstioStackConfig;
        const istiod = (revision: string) => ({
            name: `istiod-${revision}`,
            revision,
            version: undefined,
            stack: undefined,
        });
        const change = (declared: string[], running: string[]) =>
            istioUpdateOf(
                istio,
                liveOf({ istiods: running.map(istiod) }),
                {
                    newest: "1.27.1",
                    revisions: declared.map((name) => ({ name, source: {} as never })),
                },
                false,
            ).change;
        expect(change(["1-26-4"], [])).toBe("install");
        expect(change(["1-26-4", "1-27-1"], ["1-26-4"])).toBe("upgrade");
        expect(change(["1-26-4", "1-27-1"], ["1-26-4", "1-27-1"])).toBe("none");
        expect(change(["1-26-4"], ["1-26-4", "1-27-1"])).toBe("none");
    });
});
