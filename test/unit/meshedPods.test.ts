import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { podRecord } from "../../cluster/pods";
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

const sidecar = { name: "linkerd-proxy", image: "cr.l5d.io/linkerd/proxy:edge-24.5.3" };
const app = { name: "app", image: "web:1" };
/** As JSON, so that times are text, as the API server sends them. */
const podOf = (metadata: object, spec: k8s.V1PodSpec, status: object = {}) =>
    JSON.parse(JSON.stringify({ metadata, spec, status })) as k8s.V1Pod;
const meshed = { containers: [app, sidecar] };
const ownedBy = (kind: string, controller = true) => ({
    ownerReferences: [{ apiVersion: "v1", uid: "1", kind, name: "web-7d9f", controller }],
});

describe("a pod is of the mesh", () => {
    it.each([
        ["with a sidecar", meshed],
        ["with a native sidecar", { containers: [app], initContainers: [sidecar] }],
    ])("%s, and shows the proxy that it runs", (_, spec) => {
        expect(podRecord(podOf({}, spec))?.proxy).toBe("edge-24.5.3");
    });

    it("not without a proxy", () => {
        expect(podRecord(podOf({}, { containers: [app] }))).toBeUndefined();
    });
});

describe("what is kept of a pod", () => {
    it("is what a rollout looks at, and no more", () => {
        const pod = podOf(
            {
                namespace: "shop",
                name: "web-7d9f-abcde",
                uid: "u1",
                creationTimestamp: "2026-11-21T08:00:00Z",
                labels: { app: "web", "pod-template-hash": "7d9f" },
                annotations: {
                    "config.linkerd.io/proxy-version": "edge-24.5.3",
                    "kubectl.kubernetes.io/restartedAt": "2026-11-20T08:00:00Z",
                    other: "x",
                },
                ...ownedBy("ReplicaSet"),
            },
            meshed,
            {
                phase: "Running",
                conditions: [
                    { type: "Ready", status: "True", lastTransitionTime: "2026-11-21T08:00:05Z" },
                ],
                containerStatuses: [{ restartCount: 1 }, { restartCount: 2 }],
                initContainerStatuses: [{ restartCount: 4 }],
            },
        );
        expect(podRecord(pod)).toEqual({
            namespace: "shop",
            name: "web-7d9f-abcde",
            uid: "u1",
            phase: "Running",
            ready: true,
            readySince: Date.UTC(2026, 10, 21, 8, 0, 5),
            createdAt: Date.UTC(2026, 10, 21, 8),
            terminating: false,
            restarts: 7,
            trouble: undefined,
            proxy: "edge-24.5.3",
            controller: { kind: "ReplicaSet", name: "web-7d9f" },
            hash: "7d9f",
            pin: "edge-24.5.3",
            restartedAt: "2026-11-20T08:00:00Z",
            labels: {},
        });
    });

    it("tells why a pod is not ready, and that it goes", () => {
        const pod = podOf({ deletionTimestamp: "2026-11-21T08:00:00Z" }, meshed, {
            conditions: [{ type: "Ready", status: "False" }],
        });
        expect(podRecord(pod)).toMatchObject({
            phase: "Unknown",
            ready: false,
            readySince: undefined,
            terminating: true,
            trouble: "is being deleted",
        });
    });

    it.each([
        ["a StatefulSet's or DaemonSet's", { "controller-revision-hash": "web-1" }, "web-1"],
        ["a Deployment's", { "pod-template-hash": "7d9f" }, "7d9f"],
        ["a Rollout's", { "rollouts-pod-template-hash": "55" }, "55"],
        ["none", {}, undefined],
    ])("has %s revision", (_, labels, hash) => {
        expect(podRecord(podOf({ labels }, meshed))?.hash).toBe(hash);
    });

    it.each([
        ["a bare pod", {}, { app: "web" }],
        ["a pod of a Job", ownedBy("Job"), { app: "web" }],
        ["a pod whose owner does not control it", ownedBy("Job", false), { app: "web" }],
        ["a pod with a workload, which has labels of its own", ownedBy("StatefulSet"), {}],
    ])("has labels for waves to select: %s", (_, metadata, labels) => {
        expect(podRecord(podOf({ labels: { app: "web" }, ...metadata }, meshed))?.labels).toEqual(
            labels,
        );
    });
});
