// The CRD of TrafficSplits stands as Linkerd 2.11 left it: with the control plane's label and Helm's marks. What this does not
// prove: that the adaptor serves TrafficSplits, as its pods are simulated.
import * as k8s from "@kubernetes/client-node";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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

describe("TrafficSplits go on from Linkerd before 2.12 through the move to linkerd-smi to a destroy", () => {
    let journey: Journey;
    let uid: string;

    beforeAll(async () => {
        journey = await startJourney("extensions", {
            config: { viz: { enabled: false }, prune: true },
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
    const adaptors = async () => {
        const { items } = await journey.connection.apps.listNamespacedDeployment({
            namespace: "linkerd-smi",
        });
        return items.map(({ metadata }) => metadata?.name);
    };

    it("step 1: an installation that prunes leaves them, whoever brought their CRD", async () => {
        const { output } = await journey.up();
        expect(output).toContain(`installed -> ${OLD}`);
        expect(await trafficSplit()).toBe(uid);
        expect(await crd()).toMatchObject({ "linkerd.io/control-plane-ns": "linkerd" });
    });

    it("step 2: a chart that is not there is one refusal, which names its key", async () => {
        await journey.stack.edit("extensions", { smi: { ...SMI, version: "9.9.9" } });
        await expectRefused(
            journey,
            /1\. chart linkerd-smi 9\.9\.9: is not in .*; it has: linkerd-smi-1\.0\.4\s+next: set extensions\.smi\.version to one that exists/,
        );
    });

    it("step 3: with an upgrade the CRD becomes the stack's, before anything else changes", async () => {
        await journey.stack.edit("extensions", { smi: SMI });
        await journey.editVersion(NEW);
        const preview = await journey.preview();
        expect(preview.code, preview.output).toBe(0);
        expect(preview.output).toContain(
            "TrafficSplits: their CRD becomes the stack's first and stays for good; marks of its owner go: linkerd.io/control-plane-ns: linkerd, app.kubernetes.io/managed-by: Helm, meta.helm.sh/release-name: linkerd2, meta.helm.sh/release-namespace: linkerd",
        );
        expect(preview.output).toMatch(/Deployment linkerd-smi:linkerd-smi\/smi-adaptor create/);

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

    it("step 4: a revert keeps them served", async () => {
        await journey.editVersion(OLD);
        const { output } = await journey.up();
        expect(output).toContain("extension smi: chart linkerd-smi 1.0.4, namespace linkerd-smi");
        expect(await trafficSplit()).toBe(uid);
        expect(await adaptors()).toEqual(["smi-adaptor"]);
    });

    it("step 5: a destroy takes the adaptor, and leaves CRD and TrafficSplits", async () => {
        const { code, output } = await journey.stack.run(["destroy", "--yes", "--skip-preview"]);
        expect(code, output).toBe(0);
        await waitFor("the adaptor to go", async () => (await adaptors()).length === 0);
        expect(await trafficSplit()).toBe(uid);
    });
});

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
