import { describe, expect, it } from "vitest";
import { ApiError, type KubeApi } from "../../cluster/api";
import { CHART_KINDS, listLabelled, nameOfObject, POLICY_KINDS } from "../../cluster/meshObjects";
import { findUndeclared } from "../../cluster/undeclared";

/** Kinds of the charts linkerd-control-plane and linkerd-viz (stable-2.14.10 to edge-26.8.3), but hooks, old policies and claims of volumes. */
const RENDERED = [
    ...["ConfigMap", "Secret", "Service", "ServiceAccount", "Deployment", "CronJob"],
    ...["PodDisruptionBudget", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    ...["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService"],
    ...["PodMonitor", "AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication"],
    ...["Server", "ServiceProfile"],
];

/** Serves these lists by path, and knows no other kind. */
function serving(lists: Readonly<Record<string, readonly object[]>>): KubeApi {
    const list = (path: string, slim: (item: unknown) => unknown) =>
        lists[path]
            ? Promise.resolve({ items: lists[path].map(slim).filter(Boolean) })
            : Promise.reject(new ApiError(404, "the server could not find the requested resource"));
    return { list } as unknown as KubeApi;
}

const monitor = {
    metadata: {
        name: "linkerd-controller",
        namespace: "linkerd",
        labels: { "linkerd.io/control-plane-ns": "linkerd" },
        managedFields: [{ manager: "helm", operation: "Update" }],
    },
};
const PATH = "/apis/monitoring.coreos.com/v1/podmonitors";

describe("objects that a chart made", () => {
    it("are looked for in every kind that the charts have, or they would keep their installer", () => {
        const kinds = [...CHART_KINDS, ...POLICY_KINDS].map(({ kind }) => kind);
        expect(RENDERED.filter((kind) => !kinds.includes(kind))).toEqual([]);
    });

    it("are found, PodMonitors too, where the cluster has the kind", async () => {
        const found = await listLabelled(serving({ [PATH]: [monitor] }), CHART_KINDS, "");
        expect(found.map(nameOfObject)).toEqual(["PodMonitor linkerd/linkerd-controller"]);
        expect(found[0]?.managers).toEqual(["helm"]);
        expect(await listLabelled(serving({}), CHART_KINDS, "")).toEqual([]);
    });

    it("are reported where nobody declares them", async () => {
        const api = serving({ [PATH]: [monitor] });
        const name = "PodMonitor linkerd/linkerd-controller";
        expect((await findUndeclared(api, new Set())).map(nameOfObject)).toEqual([name]);
        expect(await findUndeclared(api, new Set([name]))).toEqual([]);
    });
});
