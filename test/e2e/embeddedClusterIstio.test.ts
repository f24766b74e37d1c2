// Proves that the stand-in for istiod injects, repairs webhooks and validates as istiod does, on
// revisions of the least size. It does not prove that the real charts render such objects.
import {
    AdmissionregistrationV1Api,
    ApiException,
    AppsV1Api,
    CoreV1Api,
    type KubeConfig,
    type KubernetesObject,
    KubernetesObjectApi,
    type V1LabelSelector,
    type V1MutatingWebhook,
    type V1ObjectMeta,
    type V1Pod,
} from "@kubernetes/client-node";
import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedCluster, startCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { rejectAnnotation } from "../../embedded/mesh/istio/istiod";
import { ensureToolchain } from "../../toolchain/index";
import { PodProber } from "./support/podProber";
import { waitFor } from "./support/waiting";

const istioNamespace = "istio-system";
const [old, next] = ["1-26-4", "1-27-1"] as const;

const namespaces: Record<string, Record<string, string>> = {
    [istioNamespace]: {},
    enabled: { "istio-injection": "enabled" },
    revisioned: { "istio.io/rev": old },
    tagged: { "istio.io/rev": "prod" },
    newest: { "istio.io/rev": next },
    plain: {},
    lost: { "istio.io/rev": "lost" },
    aged: { age: "1.6" },
};

let cluster: EmbeddedCluster;
let config: KubeConfig;
let core: CoreV1Api;
let admission: AdmissionregistrationV1Api;

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "istio", programs });
    config = loadContext(cluster.kubeconfig, cluster.context);
    core = config.makeApiClient(CoreV1Api);
    admission = config.makeApiClient(AdmissionregistrationV1Api);
    for (const [name, labels] of Object.entries(namespaces)) {
        await core.createNamespace({ body: { metadata: { name, labels } } });
        await waitFor(`the account of ${name}`, async () => {
            await core.readNamespacedServiceAccount({ namespace: name, name: "default" });
            return true;
        });
    }
});

afterAll(async () => {
    await cluster.stop();
});

const inSet = (key: string, ...values: string[]) => ({ key, operator: "In", values });
const notIn = (key: string, ...values: string[]) => ({ key, operator: "NotIn", values });
const absent = (key: string) => ({ key, operator: "DoesNotExist" });
const [revision, injection, inject] = [
    "istio.io/rev",
    "istio-injection",
    "sidecar.istio.io/inject",
];

function webhook(
    name: string,
    service: string,
    inNamespaces: V1LabelSelector,
    of: V1LabelSelector,
) {
    const rules = [
        { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
    ];
    return {
        name: `${name}.sidecar-injector.istio.io`,
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        failurePolicy: "Fail",
        clientConfig: {
            service: { name: service, namespace: istioNamespace, path: "/inject", port: 443 },
        },
        namespaceSelector: inNamespaces,
        objectSelector: of,
        rules,
    };
}

/** The webhooks of a revision or a tag, as the charts have them. */
function injectors(name: string, service: string): V1MutatingWebhook[] {
    const all = (...matchExpressions: object[]) => ({ matchExpressions }) as V1LabelSelector;
    const wanted = notIn(inject, "false");
    const unlabelled = all(absent(revision), absent(injection));
    return [
        webhook(
            "rev.namespace",
            service,
            all(inSet(revision, name), absent(injection)),
            all(wanted),
        ),
        webhook("rev.object", service, unlabelled, all(wanted, inSet(revision, name))),
        ...(name === "default"
            ? [
                  webhook("namespace", service, all(inSet(injection, "enabled")), all(wanted)),
                  webhook(
                      "object",
                      service,
                      unlabelled,
                      all(inSet(inject, "true"), absent(revision)),
                  ),
              ]
            : []),
    ];
}

function mutating(name: string, labels: Record<string, string>, webhooks: V1MutatingWebhook[]) {
    const kind = "MutatingWebhookConfiguration";
    return {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind,
        metadata: { name, labels },
        webhooks,
    };
}

function tag(name: string, of: string, service = `istiod-${of}`) {
    const labels = { "istio.io/tag": name, [revision]: of };
    return mutating(`istio-revision-tag-${name}`, labels, injectors(name, service));
}

function validator(of: string) {
    return {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: `istio-validator-${of}-${istioNamespace}`, labels: { [revision]: of } },
        webhooks: [
            {
                name: "rev.validation.istio.io",
                admissionReviewVersions: ["v1"],
                sideEffects: "None",
                failurePolicy: "Ignore",
                clientConfig: {
                    service: { name: `istiod-${of}`, namespace: istioNamespace, path: "/validate" },
                },
                // Stands for Istio's own kinds: in one namespace, so that no other write depends on it.
                namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "plain" } },
                objectSelector: { matchLabels: { validated: "yes" } },
                rules: [
                    {
                        operations: ["CREATE", "UPDATE"],
                        apiGroups: [""],
                        apiVersions: ["v1"],
                        resources: ["configmaps"],
                    },
                ],
            },
        ],
    };
}

function serviceOf(name: string, selector: Record<string, string>) {
    const ports = [{ name: "https-webhook", port: 443 }];
    const metadata = { name, namespace: istioNamespace };
    return { apiVersion: "v1", kind: "Service", metadata, spec: { selector, ports } };
}

/** The control plane of one revision: what the istiod chart makes, as far as istiod reads it. */
async function installRevision(of: string, version: string): Promise<void> {
    const name = `istiod-${of}`;
    const labels = { app: "istiod", [revision]: of };
    const metadata = { name, namespace: istioNamespace, labels };
    const env = [{ name: "REVISION", value: of }];
    const containers = [{ name: "discovery", image: `docker.io/istio/pilot:${version}`, env }];
    const values = JSON.stringify({ global: { hub: "docker.io/istio", tag: version } });
    await create(
        {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name: `istio-sidecar-injector-${of}`, namespace: istioNamespace },
            data: { values },
        },
        serviceOf(name, labels),
        mutating(`istio-sidecar-injector-${of}`, { [revision]: of }, injectors(of, name)),
        {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata,
            spec: {
                replicas: 1,
                selector: { matchLabels: labels },
                // Without inject=false the revision's own webhook would ask for this pod first.
                template: {
                    metadata: { labels: { ...labels, [inject]: "false" } },
                    spec: { containers },
                },
            },
        },
    );
}

async function create(...objects: (KubernetesObject & Record<string, unknown>)[]): Promise<void> {
    const client = KubernetesObjectApi.makeApiClient(config);
    for (const object of objects) await client.create(object);
}

/** Base64 of the certificate that the istiods share. */
async function caBundle(): Promise<string> {
    const secret = { namespace: istioNamespace, name: "istio-ca-secret" };
    return (await core.readNamespacedSecret(secret)).data?.["ca-cert.pem"] ?? "";
}

function untilTrusted(name: string): Promise<void> {
    return waitFor(`the CA bundle of ${name}`, async () => {
        const { webhooks = [] } = await admission.readMutatingWebhookConfiguration({ name });
        const bundle = await caBundle();
        return webhooks.every(({ clientConfig }) => clientConfig.caBundle === bundle);
    });
}

/** A webhook that has just been changed takes the API server a moment to see. */
async function untilInjected(namespace: string, labels = {}): Promise<void> {
    await waitFor(`injection in ${namespace}`, async () => {
        const body = podOf("try", { labels });
        const pod = await core.createNamespacedPod({ namespace, body, dryRun: "All" });
        return proxiesOf(pod).length > 0;
    });
}

function podOf(name: string, metadata: V1ObjectMeta, image?: string): V1Pod {
    const main = image === undefined ? "main" : "istio-proxy";
    const containers = [{ name: main, image: image ?? "registry.example/main:1" }];
    return { metadata: { name, ...metadata }, spec: { containers } };
}

function createPod(namespace: string, name: string, metadata: V1ObjectMeta = {}, image?: string) {
    return core.createNamespacedPod({ namespace, body: podOf(name, metadata, image) });
}

function proxiesOf(pod: V1Pod): string[] {
    const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    return all.filter(({ name }) => name === "istio-proxy").map(({ image }) => image ?? "");
}

const oldProxy = ["docker.io/istio/proxyv2:1.26.4"];
const newProxy = ["docker.io/istio/proxyv2:1.27.1"];

function managersOf({ metadata }: { metadata?: V1ObjectMeta }, field: string): string[] {
    return (metadata?.managedFields ?? [])
        .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1 ?? {}).includes(`"f:${field}"`))
        .map(({ manager, operation }) => `${manager} ${operation}`);
}

test("step 1: a new revision makes the CA and writes its bundle, as pilot-discovery", async () => {
    await installRevision(old, "1.26.4");
    await create(validator(old));
    const name = `istio-sidecar-injector-${old}`;
    await untilTrusted(name);
    const certificate = new X509Certificate(Buffer.from(await caBundle(), "base64"));
    expect(certificate.ca && certificate.verify(certificate.publicKey)).toBe(true);
    const injector = await admission.readMutatingWebhookConfiguration({ name });
    expect(managersOf(injector, "caBundle")).toEqual(["pilot-discovery Update"]);
    const validating = { name: `istio-validator-${old}-${istioNamespace}` };
    await waitFor("validation that fails closed", async () => {
        const { webhooks } = await admission.readValidatingWebhookConfiguration(validating);
        return webhooks?.[0]?.failurePolicy === "Fail";
    });
    const after = await admission.readValidatingWebhookConfiguration(validating);
    expect(after.webhooks?.[0]?.clientConfig.caBundle).toBe(await caBundle());
    for (const field of ["caBundle", "failurePolicy"])
        expect(managersOf(after, field)).toContain("pilot-discovery Update");
});

test("step 2: tags are served by the revision that they point to", async () => {
    await create(tag("default", old), tag("prod", old));
    await untilTrusted("istio-revision-tag-default");
    await untilTrusted("istio-revision-tag-prod");
    await untilInjected("enabled");
    await untilInjected("tagged");
    for (const namespace of ["enabled", "tagged", "revisioned"]) {
        const pod = await createPod(namespace, "first");
        expect(proxiesOf(pod), namespace).toEqual(oldProxy);
        expect(pod.metadata?.annotations).toMatchObject({ "istio.io/rev": old });
        expect(pod.spec?.containers.map(({ name }) => name)).toEqual(["main", "istio-proxy"]);
        expect(pod.spec?.initContainers?.map(({ name }) => name)).toEqual(["istio-init"]);
    }
});

test("step 3: a second revision beside the first injects native sidecars", async () => {
    const before = await caBundle();
    await installRevision(next, "1.27.1");
    await untilTrusted(`istio-sidecar-injector-${next}`);
    await untilInjected("newest");
    expect(await caBundle()).toBe(before);
    const pod = await createPod("newest", "first");
    expect(proxiesOf(pod)).toEqual(newProxy);
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(["main"]);
    expect(pod.spec?.initContainers).toMatchObject([
        { name: "istio-init" },
        { name: "istio-proxy", restartPolicy: "Always" },
    ]);
    expect(proxiesOf(await createPod("revisioned", "second"))).toEqual(oldProxy);
});

test("step 4: a pod decides where its namespace does not, and can always decline", async () => {
    const labelled = { labels: { [revision]: next } };
    expect(proxiesOf(await createPod("plain", "asks", labelled))).toEqual(newProxy);
    expect(proxiesOf(await createPod("plain", "silent"))).toEqual([]);
    expect(proxiesOf(await createPod("revisioned", "asks", labelled))).toEqual(oldProxy);
    const wanted = { labels: { [inject]: "true" } };
    expect(proxiesOf(await createPod("plain", "wants", wanted))).toEqual(oldProxy);
    for (const namespace of ["enabled", "tagged", "revisioned", "newest"]) {
        const label = await createPod(namespace, "by-label", { labels: { [inject]: "false" } });
        expect(proxiesOf(label)).toEqual([]);
        // The webhook is called: istiod itself looks at the annotation.
        const annotations = { [inject]: "false" };
        expect(proxiesOf(await createPod(namespace, "by-annotation", { annotations }))).toEqual([]);
    }
});

test("step 5: a gateway's proxy gets its image", async () => {
    const annotations = { "inject.istio.io/templates": "gateway" };
    const pod = await createPod("tagged", "gateway", { annotations }, "auto");
    expect(proxiesOf(pod)).toEqual(oldProxy);
    expect(pod.spec?.initContainers).toBeUndefined();
    expect(pod.metadata?.annotations).toMatchObject({ "istio.io/rev": old });
});

test("step 6: a tag that moves gives every pod one sidecar, of the old or the new revision", async () => {
    const prober = new PodProber({
        kubeconfig: config,
        namespaces: ["tagged", "plain"],
        expectedNone: ["plain"],
        labels: { team: "shop" },
    });
    prober.start();
    await sleep(1000);
    const name = "istio-revision-tag-prod";
    const service = [0, 1].map((index) => `/webhooks/${index}/clientConfig/service/name`);
    const body = [
        { op: "replace", path: "/metadata/labels/istio.io~1rev", value: next },
        ...service.map((path) => ({ op: "replace", path, value: `istiod-${next}` })),
    ];
    await admission.patchMutatingWebhookConfiguration({ name, body });
    await waitFor("pods of the new revision", () =>
        (prober.results.namespaces["tagged"]?.sightings ?? []).some(
            ({ revision }) => revision === next,
        ),
    );
    await sleep(1000);
    const { namespaces, refusals, perSecond, rateHeld } = await prober.stop();
    expect(refusals).toEqual([]);
    expect(namespaces).toMatchObject({
        tagged: { refused: 0, without: 0, several: 0, unexpected: 0 },
        plain: { refused: 0, without: 0, several: 0, unexpected: 0, sightings: [] },
    });
    const { sightings = [], created = 0 } = namespaces["tagged"] ?? {};
    expect(sightings.map(({ revision, tag }) => [revision, tag])).toEqual([
        [old, "1.26.4"],
        [next, "1.27.1"],
    ]);
    expect(sightings.reduce((sum, { count }) => sum + count, 0)).toBe(created);
    expect(rateHeld, `${perSecond} a second`).toBe(true);
    for (const namespace of ["tagged", "plain"]) {
        const left = await core.listNamespacedPod({ namespace, labelSelector: "app=prober" });
        expect(left.items).toEqual([]);
    }
});

test("step 7: validation lets pass what is well, and refuses in istiod's words", async () => {
    const labels = { validated: "yes" };
    const write = (name: string, annotations: Record<string, string>) =>
        core.createNamespacedConfigMap({
            namespace: "plain",
            body: { metadata: { name, labels, annotations } },
        });
    await write("good", {});
    await expect(write("bad", { [rejectAnnotation]: "no such host: web" })).rejects.toThrow(
        /"rev.validation.istio.io\W+ denied the request: no such host: web/,
    );
});

test("step 8: a bundle that is blanked is repaired within a second or so", async () => {
    const name = `istio-sidecar-injector-${old}`;
    const path = "/webhooks/0/clientConfig/caBundle";
    await admission.patchMutatingWebhookConfiguration({ name, body: [{ op: "remove", path }] });
    const since = Date.now();
    await untilTrusted(name);
    expect(Date.now() - since).toBeLessThan(1500);
});

test("step 9: a tag without a bundle, whose revision has no istiod, refuses pods", async () => {
    await create(tag("lost", "1-20-8", `istiod-${old}`));
    const prober = new PodProber({
        kubeconfig: config,
        namespaces: ["lost", "newest"],
        expectedNone: ["newest"],
        perSecond: 5000,
        inFlight: 1,
    });
    prober.start();
    await waitFor("a refusal and a pod", () => {
        const { refusals, namespaces } = prober.results;
        return refusals.length > 0 && (namespaces["newest"]?.created ?? 0) > 0;
    });
    const { namespaces, refusals, rateHeld } = await prober.stop();
    expect(rateHeld).toBe(false);
    expect(namespaces["newest"]?.unexpected).toBe(namespaces["newest"]?.created);
    expect(namespaces["lost"]?.refused).toBe(refusals.length);
    expect(namespaces["lost"]?.sightings).toEqual([]);
    expect(refusals[0]).toMatchObject({
        namespace: "lost",
        message: expect.stringMatching(/failed calling webhook .* certificate/) as string,
        at: expect.any(Date) as Date,
    });
});

test("step 10: without its istiod a revision's pods are refused, another's are not", async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const name = `istiod-${old}`;
    const body = [{ op: "replace", path: "/spec/replicas", value: 0 }];
    await apps.patchNamespacedDeployment({ namespace: istioNamespace, name, body });
    await waitFor("istiod to be gone", async () => {
        const { items } = await core.listNamespacedPod({
            namespace: istioNamespace,
            labelSelector: `${revision}=${old}`,
        });
        return items.length === 0;
    });
    const refused = await createPod("revisioned", "late").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiException);
    expect(String(refused)).toContain("failed calling webhook");
    expect(proxiesOf(await createPod("newest", "late"))).toEqual(newProxy);
    expect(proxiesOf(await createPod("tagged", "late"))).toEqual(newProxy);
    const webhooks = { name: `istio-sidecar-injector-${old}` };
    const path = "/webhooks/0/clientConfig/caBundle";
    await admission.patchMutatingWebhookConfiguration({
        ...webhooks,
        body: [{ op: "remove", path }],
    });
    await sleep(1500);
    const after = await admission.readMutatingWebhookConfiguration(webhooks);
    expect(after.webhooks?.[0]?.clientConfig.caBundle).toBeUndefined();
});

test("step 11: the unlabelled webhooks of 1.6 belong to whom their Service selects", async () => {
    const of = "asm-1614-2";
    await installRevision(of, "1.6.14-asm.2");
    const name = "istio-sidecar-injector";
    const injector = webhook("aged", "istiod", { matchLabels: { age: "1.6" } }, {});
    await create(
        serviceOf("istiod", { app: "istiod", [revision]: of }),
        mutating(name, { app: "sidecar-injector" }, [injector]),
    );
    await untilTrusted(name);
    await untilInjected("aged");
    const pod = await createPod("aged", "first");
    expect(proxiesOf(pod)).toEqual(["docker.io/istio/proxyv2:1.6.14-asm.2"]);
    expect(pod.metadata?.labels).toMatchObject({ [revision]: of });
    expect(pod.metadata?.annotations).not.toHaveProperty([revision]);
});
