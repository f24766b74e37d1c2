// Proves that pods get the proxy that the mesh's own objects ask for, on a webhook of the least
// size. It does not prove that the stand-ins answer as the real programs do.
import {
    ApiregistrationV1Api,
    AppsV1Api,
    CoreV1Api,
    type KubeConfig,
    KubernetesObjectApi,
    type V1Pod,
} from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedCluster, startCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { createSampleApplication, waitForSample } from "../../embedded/sampleApplication";
import { sampleLabel } from "../../embedded/sampleObjects";
import { mint } from "../../plan/certificates";
import { ensureToolchain } from "../../toolchain/index";
import { changeInjector, configureVersion, installInjector, proxyOf } from "./embeddedCluster.mesh";
import { eventually } from "./embeddedCluster.support";
import { waitFor } from "./support/waiting";

const oldProxy = "cr.l5d.io/linkerd/proxy:edge-24.5.3";
const newProxy = "cr.l5d.io/linkerd/proxy:edge-24.7.5";

let cluster: EmbeddedCluster;
let config: KubeConfig;
let core: CoreV1Api;

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "mesh", programs });
    config = loadContext(cluster.kubeconfig, cluster.context);
    core = config.makeApiClient(CoreV1Api);
    for (const [name, annotations] of [
        ["meshed", { "linkerd.io/inject": "enabled" }],
        ["plain", {}],
    ] as const) {
        await core.createNamespace({ body: { metadata: { name, annotations } } });
    }
});

afterAll(async () => {
    await cluster.stop();
});

function createPod(
    namespace: string,
    name: string,
    annotations?: Record<string, string>,
): Promise<V1Pod> {
    const metadata = { name, ...(annotations && { annotations }) };
    const spec = { containers: [{ name: "main", image: "registry.example/main:1" }] };
    return core.createNamespacedPod({ namespace, body: { metadata, spec } });
}

/** Proxy images of the sample's pods, by workload. */
async function sampleProxies(): Promise<Record<string, (string | undefined)[]>> {
    const labelSelector = Object.entries(sampleLabel).map((pair) => pair.join("="))[0] ?? "";
    const { items } = await core.listPodForAllNamespaces({ labelSelector });
    const proxies: Record<string, (string | undefined)[]> = {};
    for (const pod of items)
        (proxies[pod.metadata?.labels?.["app"] ?? ""] ??= []).push(proxyOf(pod));
    return proxies;
}

test("step 1: a pod of a meshed namespace gets the proxy of linkerd-config", async () => {
    await installInjector(config, "edge-24.5.3");
    const pod = await createPod("meshed", "first");
    expect(proxyOf(pod)).toBe(oldProxy);
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(["linkerd-proxy", "main"]);
    expect(pod.spec?.initContainers?.map(({ name }) => name)).toEqual(["linkerd-init"]);
    expect(pod.metadata?.labels).toMatchObject({
        "linkerd.io/control-plane-ns": "linkerd",
        "linkerd.io/workload-ns": "meshed",
    });
    const roots = await core.readNamespacedConfigMap({
        namespace: "linkerd",
        name: "linkerd-identity-trust-roots",
    });
    const bundle = roots.data?.["ca-bundle.crt"] ?? "";
    expect(pod.metadata?.annotations).toMatchObject({
        "linkerd.io/created-by": "linkerd/proxy-injector edge-24.5.3",
        "linkerd.io/proxy-version": "edge-24.5.3",
        "linkerd.io/trust-root-sha256": createHash("sha256").update(bundle).digest("hex"),
    });
});

test("step 2: a pod that nobody asked to mesh stays as it was written", async () => {
    const pod = await createPod("plain", "untouched");
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(["main"]);
    expect(pod.metadata?.annotations).toBeUndefined();
    expect(
        proxyOf(await createPod("meshed", "opted-out", { "linkerd.io/inject": "disabled" })),
    ).toBe(undefined);
});

test("step 3: the sample application is meshed where it asks to be, and can be repeated", async () => {
    const apply = () => createSampleApplication(cluster.kubeconfig, cluster.context);
    await apply();
    await waitForSample(cluster.kubeconfig, cluster.context);
    const before = await sampleProxies();
    expect(before).toEqual({
        web: [oldProxy, oldProxy, oldProxy],
        cart: [oldProxy],
        ledger: [oldProxy, oldProxy],
        "edge-cache": [oldProxy, oldProxy, oldProxy],
        importer: [oldProxy, oldProxy],
        "legacy-report": [undefined],
        "nightly-import": [oldProxy],
        "debug-shell": [oldProxy],
    });
    await apply();
    await waitForSample(cluster.kubeconfig, cluster.context);
    expect(await sampleProxies()).toEqual(before);
});

test("step 4: a new linkerd-config alone changes nothing that is injected", async () => {
    await configureVersion(config, "edge-24.7.5");
    expect(proxyOf(await createPod("meshed", "too-early"))).toBe(oldProxy);
});

test("step 5: with the injector replaced, restarted workloads get the new proxy at once", async () => {
    await changeInjector(config, { restartedAt: "step 5" });
    expect(proxyOf(await createPod("meshed", "after"))).toBe(newProxy);
    const apps = config.makeApiClient(AppsV1Api);
    const restart = (spec: { template: { metadata?: object } } | undefined) => {
        const annotations = { "kubectl.kubernetes.io/restartedAt": "step 5" };
        Object.assign(spec?.template.metadata ?? {}, { annotations });
    };
    const web = { namespace: "shop", name: "web" };
    const deployment = await apps.readNamespacedDeployment(web);
    restart(deployment.spec);
    await apps.replaceNamespacedDeployment({ ...web, body: deployment });
    const ledger = { namespace: "shop", name: "ledger" };
    const statefulSet = await apps.readNamespacedStatefulSet(ledger);
    restart(statefulSet.spec);
    await apps.replaceNamespacedStatefulSet({ ...ledger, body: statefulSet });
    const cache = { namespace: "shop", name: "edge-cache" };
    const daemonSet = await apps.readNamespacedDaemonSet(cache);
    restart(daemonSet.spec);
    await apps.replaceNamespacedDaemonSet({ ...cache, body: daemonSet });
    await waitForSample(cluster.kubeconfig, cluster.context);
    expect(await sampleProxies()).toMatchObject({
        web: [newProxy, newProxy, newProxy],
        ledger: [newProxy, newProxy],
        "edge-cache": [newProxy, newProxy, newProxy],
        cart: [oldProxy],
    });
});

test("step 6: a pinned pod keeps the version that it names", async () => {
    const pinned = { "config.linkerd.io/proxy-version": "edge-24.6.1" };
    const pod = await createPod("meshed", "pinned", pinned);
    expect(proxyOf(pod)).toBe("cr.l5d.io/linkerd/proxy:edge-24.6.1");
});

test("step 7: without a Ready injector pods are refused, as failurePolicy Fail has it", async () => {
    const namespace = "linkerd";
    for (const pod of (await core.listNamespacedPod({ namespace })).items) {
        const name = pod.metadata?.name ?? "";
        for (const one of pod.status?.conditions ?? []) one.status = "False";
        await core.replaceNamespacedPodStatus({ namespace, name, body: pod });
    }
    await expect(createPod("meshed", "refused")).rejects.toThrow(/failed calling webhook/);
    await changeInjector(config, { replicas: 0 });
    await expect(createPod("meshed", "refused")).rejects.toThrow(/failed calling webhook/);
    await core.deleteCollectionNamespacedPod({ namespace: "shop", labelSelector: "app=cart" });
    const apps = config.makeApiClient(AppsV1Api);
    // Until the controller has seen the deletion, the Deployment's status still counts the pod.
    await waitFor("the status of cart", async () => {
        const cart = await apps.readNamespacedDeployment({ namespace: "shop", name: "cart" });
        return (cart.status?.readyReplicas ?? 0) === 0;
    });
    await expect(waitForSample(cluster.kubeconfig, cluster.context, 2000)).rejects.toThrow(
        /not ready:\n {2}Deployment shop\/cart: 0 of 1 ready.*failed calling webhook/,
    );
    await changeInjector(config, { replicas: 1 });
    expect(proxyOf(await createPod("meshed", "refused"))).toBe(newProxy);
});

test("step 8: viz's aggregated API is Available and discovery of the cluster works", async () => {
    const now = new Date();
    const authority = await mint({ name: "tap-ca", authority: true, years: 1, now });
    const leaf = await mint({
        name: "tap.linkerd-viz.svc",
        issuer: authority,
        authority: false,
        years: 1,
        now,
    });
    const namespace = "linkerd-viz";
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const client = KubernetesObjectApi.makeApiClient(config);
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    await client.create({
        apiVersion: "v1",
        kind: "Secret",
        type: "kubernetes.io/tls",
        metadata: { name: "tap-k8s-tls", namespace },
        data: { "tls.crt": base64(leaf.certificate), "tls.key": base64(leaf.key) },
    });
    const spec = {
        selector: { component: "tap" },
        ports: [{ name: "apiserver", port: 443, targetPort: "apiserver" }],
    };
    await core.createNamespacedService({ namespace, body: { metadata: { name: "tap" }, spec } });
    const ports = [{ name: "apiserver", containerPort: 8089 }];
    const containers = [{ name: "tap", image: "cr.l5d.io/linkerd/tap:1", ports }];
    const metadata = { name: "tap", labels: { component: "tap" } };
    await core.createNamespacedPod({ namespace, body: { metadata, spec: { containers } } });
    const registration = config.makeApiClient(ApiregistrationV1Api);
    const name = "v1alpha1.tap.linkerd.io";
    await registration.createAPIService({
        body: {
            metadata: { name },
            spec: {
                group: "tap.linkerd.io",
                version: "v1alpha1",
                groupPriorityMinimum: 1000,
                versionPriority: 100,
                service: { name: "tap", namespace },
                caBundle: base64(authority.certificate),
            },
        },
    });
    await eventually(`${name} is Available`, async () => {
        const { status } = await registration.readAPIService({ name });
        return (status?.conditions ?? []).some(
            (one) => one.type === "Available" && one.status === "True",
        );
    });
    // A generic client reads the discovery document of the group before it can name a resource.
    const pods = await client
        .list("tap.linkerd.io/v1alpha1", "Tap")
        .catch((error: unknown) => error);
    expect(String(pods)).toContain("discovery only");
});
