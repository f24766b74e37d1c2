import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";
import type { PatchStep } from "../../embedded/mesh/admission";
import { istioInjectionPatch } from "../../embedded/mesh/istio/injection";
import { istioInjectorConfig, revisionOf } from "../../embedded/mesh/istio/injectorConfig";

const values = JSON.stringify({ global: { hub: "docker.io/istio", tag: "1.26.4" } });

function istiod(tag: string, env: Record<string, string> = { REVISION: "R" }): V1Pod {
    const image = `docker.io/istio/pilot:${tag}`;
    const list = Object.entries(env).map(([name, value]) => ({ name, value }));
    return {
        metadata: { namespace: "istio-system", labels: { app: "istiod" } },
        spec: { containers: [{ name: "discovery", image, env: list }] },
    };
}

function pod(metadata: V1Pod["metadata"] = {}, spec: object = {}): V1Pod {
    return {
        metadata: { name: "web", ...metadata },
        spec: { containers: [{ name: "main" }], ...spec },
    };
}

const config = istioInjectorConfig(istiod("1.26.4"), values);

function patch(subject: V1Pod, using = config, namespace = "shop"): PatchStep[] {
    return istioInjectionPatch(using, subject, namespace);
}

function valueAt(steps: PatchStep[], path: string): unknown {
    return steps.find((step) => step.path === path)?.value;
}

interface Written {
    status: Record<string, unknown>;
    annotation: string | undefined;
    label: string | undefined;
}

function written(steps: PatchStep[]): Written {
    const annotations = valueAt(steps, "/metadata/annotations") as Record<string, string>;
    const labels = valueAt(steps, "/metadata/labels") as Record<string, string>;
    const status = JSON.parse(annotations["sidecar.istio.io/status"] ?? "") as Written["status"];
    return { status, annotation: annotations["istio.io/rev"], label: labels["istio.io/rev"] };
}

describe("which pods are injected", () => {
    const inject = { "sidecar.istio.io/inject": "false" };
    const status = { "sidecar.istio.io/status": "{}" };
    test.each<[string, V1Pod, string, boolean]>([
        ["one that istiod is asked about", pod(), "shop", true],
        ["a label declines", pod({ labels: inject }), "shop", false],
        ["an annotation declines", pod({ annotations: inject }), "shop", false],
        ["it is on the host's network", pod({}, { hostNetwork: true }), "shop", false],
        ["it has been injected", pod({ annotations: status }), "shop", false],
        ["it is of kube-system", pod(), "kube-system", false],
        ["it is of local-path-storage", pod(), "local-path-storage", false],
    ])("%s", (_case, subject, namespace, injected) => {
        expect(patch(subject, config, namespace).length > 0).toBe(injected);
    });
});

describe("where a pod tells its revision, and how its proxy runs", () => {
    test.each<[string, "none" | "label" | "status" | "annotation", boolean]>([
        ["1.5.10-asm.0", "none", false],
        ["1.6.14-asm.2", "label", false],
        ["1.10.6", "label", false],
        ["1.11.0", "status", false],
        ["1.17.8", "status", false],
        ["1.18.0", "annotation", false],
        ["1.26.4", "annotation", false],
        ["1.27.0-distroless", "annotation", true],
        ["2.0.0", "annotation", true],
        ["latest", "annotation", true],
    ])("%s: %s, native sidecar %s", (tag, where, native) => {
        const steps = patch(pod(), istioInjectorConfig(istiod(tag), values));
        const { status, annotation, label } = written(steps);
        const inStatus = where === "status" || where === "annotation";
        expect(label).toBe(where === "label" ? "R" : undefined);
        expect(annotation).toBe(where === "annotation" ? "R" : undefined);
        expect(status).toEqual({
            initContainers: native ? ["istio-init", "istio-proxy"] : ["istio-init"],
            containers: native ? null : ["istio-proxy"],
            volumes: ["istio-envoy", "istio-data", "istiod-ca-cert"],
            imagePullSecrets: null,
            ...(inStatus && { revision: "R" }),
        });
        const proxy = { name: "istio-proxy", image: "docker.io/istio/proxyv2:1.26.4" };
        expect(valueAt(steps, "/spec/initContainers")).toMatchObject([
            { name: "istio-init" },
            ...(native ? [{ ...proxy, restartPolicy: "Always" }] : []),
        ]);
        if (native) expect(valueAt(steps, "/spec/containers/-")).toBeUndefined();
        else expect(valueAt(steps, "/spec/containers/-")).toMatchObject(proxy);
    });

    test.each([
        ["1.26.4", "true", true],
        ["1.27.1", "false", false],
        ["1.27.1", "unset", true],
    ])("%s with ENABLE_NATIVE_SIDECARS %s", (tag, value, native) => {
        const env = { ENABLE_NATIVE_SIDECARS: value };
        expect(istioInjectorConfig(istiod(tag, env), values).nativeSidecar).toBe(native);
    });
});

describe("what is injected", () => {
    test("what the pod has stays, a native sidecar comes before it", () => {
        const own = pod(
            { annotations: { a: "b" }, labels: { app: "web" } },
            { initContainers: [{ name: "migrate" }], volumes: [{ name: "v" }] },
        );
        const paths = (tag: string) =>
            patch(own, istioInjectorConfig(istiod(tag), values)).map(({ path }) => path);
        expect(paths("1.26.4")).toEqual([
            "/metadata/annotations/sidecar.istio.io~1status",
            "/metadata/annotations/istio.io~1rev",
            "/metadata/labels/security.istio.io~1tlsMode",
            "/metadata/labels/service.istio.io~1canonical-name",
            "/metadata/labels/service.istio.io~1canonical-revision",
            "/spec/volumes/-",
            "/spec/volumes/-",
            "/spec/volumes/-",
            "/spec/initContainers/-",
            "/spec/containers/-",
        ]);
        expect(paths("1.27.1").slice(-2)).toEqual([
            "/spec/initContainers/0",
            "/spec/initContainers/1",
        ]);
    });

    test.each([
        ["of its app label", { labels: { app: "cart" } }, "cart"],
        [
            "of its Deployment",
            {
                labels: { "pod-template-hash": "5d8f" },
                ownerReferences: [
                    {
                        apiVersion: "apps/v1",
                        kind: "ReplicaSet",
                        name: "web-5d8f",
                        uid: "1",
                        controller: true,
                    },
                ],
            },
            "web",
        ],
        ["of its own", { name: "debug" }, "debug"],
    ])("the canonical name is that %s", (_case, metadata, name) => {
        const steps = patch(pod({ ...metadata }));
        const path = "/metadata/labels";
        const added = valueAt(steps, path) as Record<string, string> | undefined;
        const key = "service.istio.io/canonical-name";
        const label = `${path}/service.istio.io~1canonical-name`;
        expect(added?.[key] ?? valueAt(steps, label)).toBe(name);
    });

    test.each([
        ["auto", "docker.io/istio/proxyv2:1.26.4"],
        ["registry.example/own:1", undefined],
    ])("a gateway brings its proxy, with image %s", (image, given) => {
        const annotations = { "inject.istio.io/templates": "gateway" };
        const steps = patch(pod({ annotations }, { containers: [{ name: "istio-proxy", image }] }));
        expect(valueAt(steps, "/spec/containers/0/image")).toBe(given);
        const paths = steps.map(({ path }) => path);
        expect(paths).not.toContain("/spec/initContainers");
        expect(paths).not.toContain("/spec/containers/-");
        const status = valueAt(steps, "/metadata/annotations/sidecar.istio.io~1status");
        expect(JSON.parse(String(status))).toMatchObject({
            initContainers: null,
            containers: ["istio-proxy"],
        });
    });

    test("a pod that brings a proxy of its own gets no second one", () => {
        const steps = patch(pod({}, { containers: [{ name: "istio-proxy", image: "auto" }] }));
        expect(valueAt(steps, "/spec/containers/0/image")).toBe("docker.io/istio/proxyv2:1.26.4");
        expect(valueAt(steps, "/spec/containers/-")).toBeUndefined();
        expect(valueAt(steps, "/spec/initContainers")).toMatchObject([{ name: "istio-init" }]);
    });
});

describe("what an istiod reads when it starts", () => {
    test.each([
        ["hub and tag of the values", values, "docker.io/istio/proxyv2:1.26.4"],
        ["nothing: its own image counts", "{}", "docker.io/istio/proxyv2:1.27.1"],
        ["no values at all", "", "docker.io/istio/proxyv2:1.27.1"],
        ["empty ones", `{"global":{"hub":"","tag":""}}`, "docker.io/istio/proxyv2:1.27.1"],
        [
            "an ASM hub",
            `{"global":{"hub":"gcr.io/gke-release/asm","tag":"1.6.14-asm.2"}}`,
            "gcr.io/gke-release/asm/proxyv2:1.6.14-asm.2",
        ],
    ])("%s", (_case, text, image) => {
        expect(istioInjectorConfig(istiod("1.27.1"), text).proxyImage).toBe(image);
    });

    test("the revision is that of REVISION, else of the pod's label, else default", () => {
        const labelled = (subject: V1Pod): V1Pod => ({
            ...subject,
            metadata: { labels: { "istio.io/rev": "asm-1614-2" } },
        });
        expect(revisionOf(labelled(istiod("1.26.4")))).toBe("R");
        expect(revisionOf(labelled(istiod("1.26.4", {})))).toBe("asm-1614-2");
        expect(revisionOf(istiod("1.26.4", {}))).toBe("default");
    });
});
