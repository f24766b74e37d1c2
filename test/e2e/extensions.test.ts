// The CRD of TrafficSplits stands as Linkerd 2.11 left it: with the control plane's label and Helm's marks. multicluster and jaeger
// are installed with the mesh, and a cluster is linked. What this does not prove: that adaptor, gateway and collector serve anybody,
// as their pods are simulated.
import * as k8s from "@kubernetes/client-node";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeApi } from "../../cluster/api";
import { observeDataPlane } from "../../cluster/dataPlane";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { TRAFFIC_SPLITS } from "../../cluster/trafficSplits";
import { CHARTS } from "../../embedded/stack";
import { readEvents } from "./support/events";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { expectRefused } from "./support/refusal";
import { waitFor } from "./support/waiting";

const GROUP = { group: "split.smi-spec.io", version: "v1alpha2", plural: "trafficsplits" };
const NAMESPACE = "default";
const SMI = { version: "1.0.4", charts: CHARTS };

const OTHERS = { jaeger: {}, multicluster: {} };

describe("TrafficSplits go on from Linkerd before 2.12 through the move to linkerd-smi to a destroy, and links with them", () => {
    let journey: Journey;
    let uid: string;
    let linked: Linked;
    let certificate: string;

    beforeAll(async () => {
        journey = await startJourney("extensions", {
            config: { viz: { enabled: false }, prune: true, extensions: OTHERS },
        });
        uid = await leaveTrafficSplit(journey);
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const crd = async () => {
        const api = journey.connection.kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
        const { metadata } = await api.readCustomResourceDefinition({ name: TRAFFIC_SPLITS });
        return { ...metadata?.labels, ...metadata?.annotations };
    };
    const trafficSplit = async () => {
        const api = journey.connection.kubeconfig.makeApiClient(k8s.CustomObjectsApi);
        const found = (await api.getNamespacedCustomObject({
            ...{ ...GROUP, namespace: NAMESPACE, name: "web" },
        })) as { metadata: { uid: string } };
        return found.metadata.uid;
    };
    const deployments = async (namespace: string) => {
        const { items } = await journey.connection.apps.listNamespacedDeployment({ namespace });
        return items.map(({ metadata }) => metadata?.name).sort();
    };
    const adaptors = () => deployments("linkerd-smi");

    it("step 1: an installation that prunes leaves them, whoever brought their CRD", async () => {
        const { output } = await journey.up();
        expect(output).toContain(`installed -> ${OLD}`);
        expect(await trafficSplit()).toBe(uid);
        expect(await crd()).toMatchObject({ "linkerd.io/control-plane-ns": "linkerd" });
    });

    it("step 1b: multicluster and jaeger are there, a gateway without an address holds nothing up", async () => {
        const { core } = journey.connection;
        const { spec, status } = await core.readNamespacedService({
            ...{ namespace: MULTICLUSTER, name: "linkerd-gateway" },
        });
        expect(spec?.type).toBe("LoadBalancer");
        expect(status?.loadBalancer?.ingress).toBeUndefined();
        expect(await proxiesOf(journey, MULTICLUSTER)).toEqual({ "linkerd-gateway": OLD });
        expect(Object.keys(await proxiesOf(journey, JAEGER))).toEqual(JAEGERS);
        certificate = await injectorCertificate(journey);
        linked = await link(journey);
    });

    it("step 2: a chart that is not there is one refusal, which names its key; jaeger does not go while pods restart", async () => {
        const smi = { ...SMI, version: "9.9.9" };
        await journey.stack.edit("extensions", { multicluster: {}, smi });
        await journey.editVersion("edge-25.10.1");
        await expectRefused(
            journey,
            /chart linkerd-smi 9\.9\.9: is not in .*; it has: linkerd-smi-1\.0\.4\s+next: set extensions\.smi\.version to one that exists/,
            /linkerdVersion = "edge-25\.10\.1": Linkerd has no extension jaeger from edge-25\.10\.1 on, and this stack's is still there \(Namespace linkerd-jaeger\).*\s+next: set linkerdVersion to what runs \(edge-24\.5\.3\)/,
        );
    });

    it("step 3: with an upgrade the CRD becomes the stack's, before anything else changes", async () => {
        await journey.stack.edit("extensions", { ...OTHERS, smi: SMI });
        await journey.editVersion(NEW);
        const preview = await journey.preview();
        expect(preview.code, preview.output).toBe(0);
        expect(preview.output).toContain(
            "TrafficSplits: their CRD becomes the stack's first and stays for good; marks of its owner go: linkerd.io/control-plane-ns: linkerd, app.kubernetes.io/managed-by: Helm, meta.helm.sh/release-name: linkerd2, meta.helm.sh/release-namespace: linkerd",
        );
        expect(preview.output).toMatch(/Deployment linkerd-smi:linkerd-smi\/smi-adaptor create/);
        expect(preview.output).toContain(
            `Links: linkerd-service-mirror-east (${OLD}) stay as they are, with a new proxy: when both sides are upgraded, for each link: linkerd multicluster link again`,
        );
        expect(preview.output).not.toMatch(/Server linkerd-\S+ (delete|replace|create)/);

        const log = join(journey.stack.project, "events.json");
        const args = ["up", "--yes", "--skip-preview", "--event-log", log];
        const { code, output } = await journey.stack.run(args, {
            environment: { PULUMI_DEBUG_COMMANDS: "1" },
        });
        expect(code, output).toBe(0);
        const events = await readEvents(log);
        const at = (when: string, name: RegExp) =>
            events.flatMap((one, index) =>
                one.when === when && name.test(one.name) ? [index] : [],
            );
        const owned = at("end", /^linkerd-smi-crd$/);
        expect(owned).toHaveLength(1);
        // Extensions of the version line follow the control plane.
        const last = Math.max(...at("end", /^linkerd-control-plane:/));
        const following = at(
            "begin",
            /^linkerd-(jaeger|multicluster):.*(gateway|collector|injector)/,
        );
        expect(following.length).toBeGreaterThan(10);
        expect(Math.min(...following)).toBeGreaterThan(last);
        const others = at("begin", /^linkerd-(smi|control-plane):/);
        expect(others.length).toBeGreaterThan(30);
        expect(Math.min(...others)).toBeGreaterThan(owned[0] ?? Infinity);

        expect(await trafficSplit()).toBe(uid);
        const marks = await crd();
        expect(marks).toMatchObject({
            [STACK_ANNOTATION]: expect.stringContaining("demo") as string,
            "helm.sh/resource-policy": "keep",
            "linkerd.io/extension": "smi",
        });
        for (const gone of [
            "linkerd.io/control-plane-ns",
            "app.kubernetes.io/managed-by",
            "meta.helm.sh/release-name",
            "meta.helm.sh/release-namespace",
            "linkerd.io/created-by",
        ]) {
            expect(marks).not.toHaveProperty([gone]);
        }
        expect(await adaptors()).toEqual(["smi-adaptor"]);
        await journey.expectNoChanges();
    });

    it("step 3b: gateway, mirrors and jaeger have the new proxy; links, their Secrets and the injector's certificate are the same", async () => {
        expect(await proxiesOf(journey, MULTICLUSTER)).toEqual({
            "linkerd-gateway": NEW,
            "linkerd-service-mirror-east": NEW,
        });
        const jaeger = await proxiesOf(journey, JAEGER);
        expect(jaeger).toEqual(Object.fromEntries(JAEGERS.map((one) => [one, NEW])));
        expect(await injectorCertificate(journey)).toBe(certificate);
        expect(await linkedNow(journey)).toEqual(linked);
        expect(await serversOf(journey, MULTICLUSTER)).toEqual(SERVERS);
        expect(await serversOf(journey, JAEGER)).toHaveLength(11);
        const { data } = await journey.connection.core.readNamespacedSecret({
            ...{ namespace: MULTICLUSTER, name: TOKEN },
        });
        expect(data?.["token"]?.length).toBeGreaterThan(100);
        const { output } = await journey.stack.run(["stack", "export"]);
        expect(output).toContain(TOKEN);
        expect(output).not.toContain(data?.["token"]);
    });

    it("step 4: a revert without jaeger keeps the others, and the CRD of Links that a later CLI brought", async () => {
        await laterLinks(journey);
        await journey.editVersion(OLD);
        await journey.stack.edit("extensions", { multicluster: {}, smi: SMI });
        const { output } = await journey.up();
        expect(output).toContain("extension smi: chart linkerd-smi 1.0.4, namespace linkerd-smi");
        expect(output).toContain(
            "extensions that leave the stack: 1; what it made of them is deleted with this update",
        );
        expect(output).toMatch(/jaeger \(namespace linkerd-jaeger, \S+\): stays: its namespace/);
        expect(output).not.toContain("extensions outside the stack");
        expect(output).toContain(
            `Links: their CRD stays at edge-25.9.1: it moves forward only (linkerdVersion is ${OLD})`,
        );
        expect(await trafficSplit()).toBe(uid);
        expect(await adaptors()).toEqual(["smi-adaptor"]);
        expect(await proxiesOf(journey, MULTICLUSTER)).toEqual({
            "linkerd-gateway": OLD,
            "linkerd-service-mirror-east": OLD,
        });
        expect(await linkedNow(journey)).toEqual(linked);
        expect(await serversOf(journey, MULTICLUSTER)).toEqual(SERVERS);
        await waitFor("jaeger to go", async () => (await deployments(JAEGER)).length === 0);
        expect(await injectorCertificate(journey)).toBe(certificate);
        await journey.expectNoChanges();
    });

    it("step 5: a destroy takes adaptor and gateway, and leaves CRDs, TrafficSplits and links", async () => {
        const { code, output } = await journey.stack.run(["destroy", "--yes", "--skip-preview"]);
        expect(code, output).toBe(0);
        await waitFor("the adaptor to go", async () => (await adaptors()).length === 0);
        expect(await trafficSplit()).toBe(uid);
        expect(await deployments(MULTICLUSTER)).toEqual(["linkerd-service-mirror-east"]);
        expect(await linkedNow(journey)).toEqual(linked);
    });
});

const MULTICLUSTER = "linkerd-multicluster";
const JAEGER = "linkerd-jaeger";
const JAEGERS = ["collector", "jaeger", "jaeger-injector"];
const SERVERS = ["linkerd-gateway", "service-mirror"];
const TOKEN = "linkerd-service-mirror-remote-access-default-token";
const LINK = { group: "multicluster.linkerd.io", version: "v1alpha1", plural: "links" };

/** Proxies by workload. */
async function proxiesOf(
    { connection }: Journey,
    namespace: string,
): Promise<Record<string, string>> {
    const { pods } = await observeDataPlane(new KubeApi(connection));
    const proxies = pods
        .filter((one) => one.namespace === namespace)
        .map(({ owner, proxy }) => [owner?.name ?? "", proxy ?? ""] as const);
    return Object.fromEntries(proxies.sort(([a], [b]) => a.localeCompare(b)));
}

async function serversOf({ connection: { kubeconfig } }: Journey, namespace: string) {
    const { items } = (await kubeconfig
        .makeApiClient(k8s.CustomObjectsApi)
        .listNamespacedCustomObject({
            ...{ group: "policy.linkerd.io", version: "v1beta1", plural: "servers", namespace },
        })) as { items: { metadata: { name: string } }[] };
    return items.map(({ metadata }) => metadata.name).sort();
}

/** What jaeger's injector serves. */
async function injectorCertificate({ connection }: Journey): Promise<string> {
    const { data } = await connection.core.readNamespacedSecret({
        ...{ namespace: JAEGER, name: "jaeger-injector-k8s-tls" },
    });
    return data?.["tls.crt"] ?? "";
}

/** uids of what a link is made of. */
type Linked = Readonly<Record<"link" | "credentials" | "mirror", string | undefined>>;

/** As `linkerd multicluster link` makes it, in words of our own. */
async function link(journey: Journey): Promise<Linked> {
    const { core, apps, kubeconfig } = journey.connection;
    const credentials = "cluster-credentials-east";
    await core.createNamespacedSecret({
        namespace: MULTICLUSTER,
        body: {
            metadata: { name: credentials },
            type: "mirror.linkerd.io/remote-kubeconfig",
            stringData: { kubeconfig: "of the other cluster" },
        },
    });
    await kubeconfig.makeApiClient(k8s.CustomObjectsApi).createNamespacedCustomObject({
        ...{ ...LINK, namespace: MULTICLUSTER },
        body: {
            apiVersion: `${LINK.group}/${LINK.version}`,
            kind: "Link",
            metadata: { name: "east" },
            spec: { clusterCredentialsSecret: credentials, targetClusterName: "east" },
        },
    });
    const labels = {
        component: "linkerd-service-mirror",
        "mirror.linkerd.io/cluster-name": "east",
    };
    await apps.createNamespacedDeployment({
        namespace: MULTICLUSTER,
        body: {
            metadata: { name: "linkerd-service-mirror-east" },
            spec: {
                selector: { matchLabels: labels },
                template: {
                    metadata: { labels, annotations: { "linkerd.io/inject": "enabled" } },
                    spec: {
                        containers: [
                            {
                                name: "service-mirror",
                                image: `cr.l5d.io/linkerd/controller:${OLD}`,
                            },
                        ],
                    },
                },
            },
        },
    });
    // Its pod is there, and nothing of it changes by itself any more.
    await waitFor("the service mirror", async () => {
        const { status } = await apps.readNamespacedDeployment({
            ...{ namespace: MULTICLUSTER, name: "linkerd-service-mirror-east" },
        });
        return status?.availableReplicas === 1;
    });
    return linkedNow(journey);
}

async function linkedNow({ connection: { core, apps, kubeconfig } }: Journey): Promise<Linked> {
    const namespace = MULTICLUSTER;
    const custom = kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    const [one, secret, mirror] = await Promise.all([
        custom.getNamespacedCustomObject({ ...LINK, namespace, name: "east" }) as Promise<{
            metadata: { uid: string };
        }>,
        core.readNamespacedSecret({ namespace, name: "cluster-credentials-east" }),
        apps.readNamespacedDeployment({ namespace, name: "linkerd-service-mirror-east" }),
    ]);
    return {
        link: one.metadata.uid,
        credentials: secret.metadata?.uid,
        mirror: mirror.metadata?.uid,
    };
}

/** The CRD as of edge-25.9.1, where Links are stored in v1alpha3. */
async function laterLinks({ connection: { kubeconfig } }: Journey): Promise<void> {
    const api = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const name = "links.multicluster.linkerd.io";
    const { spec } = await api.readCustomResourceDefinition({ name });
    const [first] = spec.versions;
    await api.patchCustomResourceDefinition(
        {
            name,
            body: {
                metadata: { annotations: { "linkerd.io/created-by": "linkerd/cli edge-25.9.1" } },
                spec: {
                    versions: [
                        { ...first, storage: false },
                        { ...first, name: "v1alpha3", storage: true },
                    ],
                },
            },
        },
        k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
    );
}

/** As Linkerd 2.11's chart brought it, in words of our own. @returns the uid of a TrafficSplit */
async function leaveTrafficSplit({ connection: { kubeconfig } }: Journey): Promise<string> {
    const extensions = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const served = (name: string, storage: boolean) => ({
        ...{ name, storage, served: true },
        schema: {
            openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
    });
    await extensions.createCustomResourceDefinition({
        body: {
            metadata: {
                name: TRAFFIC_SPLITS,
                labels: {
                    "linkerd.io/control-plane-ns": "linkerd",
                    "app.kubernetes.io/managed-by": "Helm",
                },
                annotations: {
                    "linkerd.io/created-by": "linkerd/helm stable-2.11.1",
                    "meta.helm.sh/release-name": "linkerd2",
                    "meta.helm.sh/release-namespace": "linkerd",
                },
            },
            spec: {
                ...{ group: GROUP.group, scope: "Namespaced" },
                names: {
                    kind: "TrafficSplit",
                    listKind: "TrafficSplitList",
                    plural: "trafficsplits",
                    singular: "trafficsplit",
                    shortNames: ["ts"],
                },
                versions: [served("v1alpha1", true), served("v1alpha2", false)],
            },
        },
    });
    const api = kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    let uid: string | undefined;
    await waitFor("the API of TrafficSplits", async () => {
        const made = (await api
            .createNamespacedCustomObject({
                ...{ ...GROUP, namespace: NAMESPACE },
                body: {
                    apiVersion: `${GROUP.group}/${GROUP.version}`,
                    kind: "TrafficSplit",
                    metadata: { name: "web" },
                    spec: { service: "web", backends: [{ service: "web-2", weight: 100 }] },
                },
            })
            .catch(() => undefined)) as { metadata: { uid: string } } | undefined;
        uid = made?.metadata.uid;
        return uid !== undefined;
    });
    return uid ?? "";
}
