import type { V1Pod, V1Service } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { healthPod, healthService, type Surroundings } from "../../cluster/health/pods";

const around: Surroundings = {
    within: (address) => address.startsWith("10."),
    trustRoots: "ANCHORS\n",
};

const pod = (namespace: string, some: Partial<V1Pod> = {}): V1Pod => ({
    metadata: {
        namespace,
        name: "web-1",
        creationTimestamp: new Date("2026-11-21T00:00:00Z"),
        labels: { "linkerd.io/control-plane-ns": "linkerd", "linkerd.io/inject": "enabled" },
    },
    spec: {
        containers: [
            { name: "web", image: "shop/web:1" },
            {
                name: "linkerd-proxy",
                image: "cr.l5d.io/linkerd/proxy:edge-24.5.3",
                env: [{ name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", value: "ANCHORS" }],
            },
        ],
    },
    status: {
        phase: "Running",
        podIP: "10.244.0.7",
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [
            { name: "web", ready: false, image: "", imageID: "", restartCount: 9 },
            { name: "linkerd-proxy", ready: true, image: "", imageID: "", restartCount: 0 },
        ],
    },
    ...some,
});

describe("what is kept of a pod for the checks", () => {
    it("of a meshed one what they ask; an application that is not ready is no fault of its proxy", () => {
        expect(healthPod(pod("shop"), around)).toEqual({
            namespace: "shop",
            name: "web-1",
            created: Date.parse("2026-11-21T00:00:00Z"),
            gone: false,
            running: true,
            component: undefined,
            meshed: true,
            proxy: "edge-24.5.3",
            proxyReady: true,
            containersReady: false,
            tags: [],
            trusts: true,
            unschedulable: undefined,
            trouble: "not ready: ",
            outside: undefined,
            misplaced: ["linkerd.io/inject"],
        });
    });

    it("nothing of a pod without a proxy whose address is in clusterNetworks", () => {
        const plain = pod("shop", { spec: { containers: [{ name: "web" }] } });
        expect(healthPod(plain, around)).toBeUndefined();
    });

    it("a pod without a proxy whose address is not, unless it has the host's network", () => {
        const spec = { containers: [{ name: "web" }] };
        const status = { podIP: "192.168.3.4" };
        expect(healthPod(pod("shop", { spec, status }), around)?.outside).toBe("192.168.3.4");
        const host = { ...spec, hostNetwork: true };
        expect(healthPod(pod("shop", { spec: host, status }), around)).toBeUndefined();
    });

    it("other trust anchors, and those of the ConfigMap", () => {
        const proxy = (env: object) => ({
            containers: [{ name: "linkerd-proxy", env: [env as { name: string }] }],
        });
        const name = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS";
        const other = pod("shop", { spec: proxy({ name, value: "OTHER" }) });
        expect(healthPod(other, around)?.trusts).toBe(false);
        const key = { name: "linkerd-identity-trust-roots", key: "ca-bundle.crt" };
        const map = pod("shop", { spec: proxy({ name, valueFrom: { configMapKeyRef: key } }) });
        expect(healthPod(map, around)?.trusts).toBe(true);
    });
});

describe("what is kept of a Service", () => {
    const service = (some: Partial<V1Service>): V1Service => ({
        metadata: { namespace: "shop", name: "web", ...some.metadata },
        spec: { clusterIP: "10.96.0.9", ...some.spec },
    });

    it("nothing where nothing is wrong; of the mesh's own always something", () => {
        expect(healthService(service({}), around)).toBeUndefined();
        expect(healthService(service({ spec: { clusterIP: "None" } }), around)).toBeUndefined();
        expect(
            healthService(service({ metadata: { namespace: "linkerd", name: "web" } }), around),
        ).toMatchObject({ namespace: "linkerd", name: "web" });
    });

    it("an address outside clusterNetworks, and keys of the wrong kind", () => {
        expect(
            healthService(
                service({
                    spec: { clusterIP: "172.30.0.1" },
                    metadata: {
                        namespace: "shop",
                        name: "web",
                        labels: { "config.linkerd.io/opaque-ports": "25" },
                        annotations: { "mirror.linkerd.io/exported": "true" },
                    },
                }),
                around,
            ),
        ).toEqual({
            namespace: "shop",
            name: "web",
            outside: "172.30.0.1",
            misplacedLabels: ["config.linkerd.io/opaque-ports"],
            misplacedAnnotations: ["mirror.linkerd.io/exported"],
        });
    });
});
