import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../cluster/connection";
import { observeDataPlane } from "../../cluster/dataPlane";
import { imageTag } from "../../plan/images";

describe("imageTag", () => {
    it.each([
        ["cr.l5d.io/linkerd/proxy:edge-24.7.5", "edge-24.7.5"],
        ["cr.l5d.io/linkerd/proxy:edge-24.7.5@sha256:0a1b", "edge-24.7.5"],
        ["proxy:v1_2-x", "v1_2-x"],
        ["localhost:5000/linkerd/proxy:edge-24.7.5", "edge-24.7.5"],
        ["localhost:5000/linkerd/proxy", undefined],
        ["proxy@sha256:0a1b", undefined],
        ["proxy", undefined],
        ["", undefined],
    ])("reads from %s the version that runs: %s", (image, tag) => {
        expect(imageTag(image)).toBe(tag);
    });
});

/** A connection to lists in memory; what the API server would select is not proved here. */
function cluster(pods: readonly k8s.V1Pod[]): Connection {
    const list = (items: readonly unknown[] = []) => Promise.resolve({ items });
    return {
        core: {
            listPodForAllNamespaces: () => list(pods),
            listNamespace: () => list([{ metadata: { name: "shop" } }]),
        },
        apps: new Proxy({}, { get: () => () => list() }),
    } as unknown as Connection;
}

const sidecar = { name: "linkerd-proxy", image: "cr.l5d.io/linkerd/proxy:edge-24.5.3" };
const app = { name: "app", image: "web:1" };
const podOf = (spec: k8s.V1PodSpec, namespace = "shop"): k8s.V1Pod => ({
    metadata: { name: "web-1", namespace },
    spec,
});

describe("observed pods", () => {
    it.each([
        ["a sidecar", { containers: [app, sidecar] }],
        ["a native sidecar", { containers: [app], initContainers: [sidecar] }],
    ])("of %s show the proxy that they run", async (_, spec) => {
        const { pods } = await observeDataPlane(cluster([podOf(spec)]));
        expect(pods.map((pod) => pod.proxy)).toEqual(["edge-24.5.3"]);
    });

    it("are neither of the control plane nor without a proxy", async () => {
        const { pods } = await observeDataPlane(
            cluster([podOf({ containers: [sidecar] }, "linkerd"), podOf({ containers: [app] })]),
        );
        expect(pods).toEqual([]);
    });
});
