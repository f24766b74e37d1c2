/**
 * The aggregated API of viz, as far as the API server looks at it by itself: with it the APIService
 * is Available and discovery of the cluster works. Tapping answers 501.
 */
export function answerTapApi(url: string): Promise<{ status: number; body: unknown }> {
    const path = url.split("?")[0] ?? url;
    const body = documents[path];
    if (body !== undefined) return Promise.resolve({ status: 200, body });
    const found = path.startsWith("/apis/tap.linkerd.io/v1alpha1/");
    return Promise.resolve({
        status: found ? 501 : 404,
        body: {
            apiVersion: "v1",
            kind: "Status",
            status: "Failure",
            code: found ? 501 : 404,
            reason: found ? "NotImplemented" : "NotFound",
            message: "The embedded cluster has a stand-in for linkerd-viz's tap: discovery only.",
        },
    });
}

const groupVersion = "tap.linkerd.io/v1alpha1";
const group = {
    name: "tap.linkerd.io",
    versions: [{ groupVersion, version: "v1alpha1" }],
    preferredVersion: { groupVersion, version: "v1alpha1" },
};

const kinds: [resource: string, namespaced: boolean][] = [
    ["namespaces", false],
    ["cronjobs", true],
    ["daemonsets", true],
    ["deployments", true],
    ["jobs", true],
    ["pods", true],
    ["replicasets", true],
    ["replicationcontrollers", true],
    ["services", true],
    ["statefulsets", true],
];

const documents: Record<string, unknown> = {
    "/healthz": { status: "ok" },
    "/livez": { status: "ok" },
    "/readyz": { status: "ok" },
    "/apis": { apiVersion: "v1", kind: "APIGroupList", groups: [group] },
    "/apis/tap.linkerd.io": { apiVersion: "v1", kind: "APIGroup", ...group },
    "/apis/tap.linkerd.io/v1alpha1": {
        apiVersion: "v1",
        kind: "APIResourceList",
        groupVersion,
        resources: kinds.flatMap(([name, namespaced]) => [
            { name, singularName: "", namespaced, kind: "Tap", verbs: ["watch"] },
            { name: `${name}/tap`, singularName: "", namespaced, kind: "Tap", verbs: ["watch"] },
        ]),
    },
};
