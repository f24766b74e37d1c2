import type { V1Pod } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";
import type { PatchStep } from "../../embedded/mesh/admission";
import { injectionPatch } from "../../embedded/mesh/injection";
import { injectorConfig, tagOf } from "../../embedded/mesh/injectorConfig";

const values = `
linkerdVersion: edge-24.7.5
identityTrustDomain: cluster.local
proxy:
  image: { name: cr.l5d.io/linkerd/proxy, version: "" }
  nativeSidecar: false
proxyInit:
  image: { name: cr.l5d.io/linkerd/proxy-init, version: v2.4.1 }
`;
const mounted = { namespace: "linkerd", tag: "edge-24.7.5", values, trustAnchors: "PEM" };
const config = injectorConfig(mounted);
const enabled = { "linkerd.io/inject": "enabled" };

function pod(annotations?: Record<string, string>, spec: object = {}): V1Pod {
    return {
        metadata: { name: "web", ...(annotations && { annotations }) },
        spec: { containers: [{ name: "main" }], ...spec },
    };
}

function patch(subject: V1Pod, annotations: Record<string, string> = {}, using = config) {
    return injectionPatch(using, subject, { name: "shop", annotations });
}

function valueAt(steps: PatchStep[], path: string): unknown {
    return steps.find((step) => step.path === path)?.value;
}

describe("which pods are meshed", () => {
    test.each<[string, V1Pod, Record<string, string>, boolean]>([
        ["nobody asks", pod(), {}, false],
        ["the namespace asks", pod(), enabled, true],
        ["the pod asks", pod(enabled), {}, true],
        ["the pod asks for ingress mode", pod({ "linkerd.io/inject": "ingress" }), {}, true],
        ["the pod declines", pod({ "linkerd.io/inject": "disabled" }), enabled, false],
        [
            "the namespace declines, the pod asks",
            pod(enabled),
            { "linkerd.io/inject": "disabled" },
            true,
        ],
        ["the value is unknown", pod({ "linkerd.io/inject": "yes" }), {}, false],
        ["it is on the host's network", pod(enabled, { hostNetwork: true }), {}, false],
        [
            "it was injected by hand",
            pod(enabled, { containers: [{ name: "linkerd-proxy" }] }),
            {},
            false,
        ],
        [
            "it was injected by hand as a native sidecar",
            pod(enabled, { initContainers: [{ name: "linkerd-proxy" }] }),
            {},
            false,
        ],
    ])("%s", (_case, subject, namespace, meshed) => {
        expect(patch(subject, namespace).length > 0).toBe(meshed);
    });
});

describe("what is injected", () => {
    test("settings of the namespace are copied onto the pod, but for those that it makes itself", () => {
        const port = "config.linkerd.io/opaque-ports";
        const log = "config.linkerd.io/proxy-log-level";
        const steps = patch(pod({ ...enabled, [log]: "info" }), { [port]: "25", [log]: "debug" });
        const added = steps.filter(({ path }) => path.startsWith("/metadata/annotations/config"));
        expect(added.map(({ path, value }) => `${path} ${String(value)}`)).toEqual([
            "/metadata/annotations/config.linkerd.io~1opaque-ports 25",
        ]);
    });

    test("the proxy comes first, with the anchors that the injector was started with", () => {
        const proxy = valueAt(patch(pod(enabled)), "/spec/containers/0");
        expect(proxy).toMatchObject({
            name: "linkerd-proxy",
            image: "cr.l5d.io/linkerd/proxy:edge-24.7.5",
        });
        expect(proxy).toHaveProperty(
            "env",
            expect.arrayContaining([
                { name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", value: "PEM" },
            ]),
        );
    });

    test.each<[string, Record<string, string>, Record<string, string>, string]>([
        ["of linkerd-config", {}, {}, "edge-24.7.5"],
        ["that the pod pins", { pin: "a" }, { pin: "b" }, "a"],
        ["that the namespace pins", {}, { pin: "b" }, "b"],
    ])("the version %s", (_case, own, ofNamespace, version) => {
        const key = (pins: Record<string, string>): Record<string, string> =>
            pins["pin"] === undefined ? {} : { "config.linkerd.io/proxy-version": pins["pin"] };
        const steps = patch(pod({ ...enabled, ...key(own) }), key(ofNamespace));
        expect(valueAt(steps, "/spec/containers/0")).toHaveProperty(
            "image",
            `cr.l5d.io/linkerd/proxy:${version}`,
        );
        expect(valueAt(steps, "/metadata/annotations/linkerd.io~1proxy-version")).toBe(version);
    });

    test("a native sidecar is an init container that stays", () => {
        const native = injectorConfig({
            ...mounted,
            values: values.replace("nativeSidecar: false", "nativeSidecar: true"),
        });
        const steps = patch(pod(enabled), {}, native);
        expect(valueAt(steps, "/spec/containers/0")).toBeUndefined();
        expect(valueAt(steps, "/spec/initContainers")).toMatchObject([
            { name: "linkerd-init", image: "cr.l5d.io/linkerd/proxy-init:v2.4.1" },
            { name: "linkerd-proxy", restartPolicy: "Always" },
        ]);
        const key = "config.alpha.linkerd.io/proxy-enable-native-sidecar";
        const declined = patch(pod({ ...enabled, [key]: "false" }), {}, native);
        expect(valueAt(declined, "/spec/containers/0")).toBeDefined();
        const asked = patch(pod({ ...enabled, [key]: "true" }));
        expect(valueAt(asked, "/spec/initContainers")).toHaveLength(2);
    });

    test("what the pod has stays: containers, volumes, annotations are added to", () => {
        const own = pod(enabled, {
            initContainers: [{ name: "migrate" }],
            volumes: [{ name: "v" }],
        });
        const paths = patch(own).map(({ path }) => path);
        expect(paths).toContain("/spec/initContainers/-");
        expect(paths).toContain("/spec/volumes/-");
        expect(paths).toContain("/metadata/annotations/linkerd.io~1trust-root-sha256");
        expect(paths).toContain("/metadata/labels");
        expect(paths).not.toContain("/metadata/annotations");
    });

    test.each([
        ["ReplicaSet", "web-5d8f", { "pod-template-hash": "5d8f" }, "proxy-deployment", "web"],
        ["ReplicaSet", "bare", {}, "proxy-replicaset", "bare"],
        ["StatefulSet", "ledger", {}, "proxy-statefulset", "ledger"],
        ["DaemonSet", "cache", {}, "proxy-daemonset", "cache"],
        ["Job", "import", {}, "proxy-job", "import"],
    ])("a pod of %s %s names its workload", (kind, name, labels, label, workload) => {
        const owner = { apiVersion: "apps/v1", kind, name, uid: "1", controller: true };
        const subject = pod(enabled);
        subject.metadata = { ...subject.metadata, labels, ownerReferences: [owner] };
        const steps = patch(subject);
        expect(valueAt(steps, `/metadata/labels/linkerd.io~1${label}`)).toBe(workload);
    });
});

describe("what an injector reads when it starts", () => {
    test("a proxy version of its own beats the control plane's", () => {
        const own = values.replace('version: ""', "version: edge-24.6.1");
        expect(injectorConfig({ ...mounted, values: own }).proxyVersion).toBe("edge-24.6.1");
    });

    test("values without an init image (from edge-25.11.3 on) use the proxy's", () => {
        const later = injectorConfig({ ...mounted, values: values.replace(/proxyInit:[^]*/, "") });
        expect(valueAt(patch(pod(enabled), {}, later), "/spec/initContainers")).toMatchObject([
            { name: "linkerd-init", image: "cr.l5d.io/linkerd/proxy:edge-24.7.5" },
        ]);
    });

    test("values without a version keep the injector from starting", () => {
        expect(() => injectorConfig({ ...mounted, values: "proxy: {}" })).toThrow("linkerdVersion");
    });

    test.each([
        ["cr.l5d.io/linkerd/controller:edge-24.7.5", "edge-24.7.5"],
        ["localhost:5000/controller:v1@sha256:ab", "v1"],
        ["localhost:5000/controller", "latest"],
    ])("the tag of %s", (image, tag) => {
        expect(tagOf(image)).toBe(tag);
    });
});
