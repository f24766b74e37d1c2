import { PatchStrategy } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawApi } from "../../cluster/rawApi";
import { NEW, OLD, kubeconfigOf, startJourney, type Journey } from "./support/journey";
import { PodProber } from "./support/podProber";
import { snapshot } from "./support/snapshot";

const LABEL = "config.linkerd.io/admission-webhooks";

// Nodes and kubelets are simulated: that replicas survive the loss of a node is not shown.
describe("a highly available Linkerd is upgraded while pods are created all the time, and gives it up again", () => {
    let journey: Journey;

    beforeAll(async () => {
        journey = await startJourney("high-availability", { config: { highAvailability: true } });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: installs three replicas of each, on three nodes, with webhooks that refuse", async () => {
        await journey.up();
        await journey.expectNoChanges();
        expect(await replicas(journey, "linkerd")).toEqual({
            "linkerd-destination": 3,
            "linkerd-identity": 3,
            "linkerd-proxy-injector": 3,
        });
        expect(await replicas(journey, "linkerd-viz")).toMatchObject({ tap: 3, web: 1 });
        expect(await nodesOf(journey, "proxy-injector")).toEqual(["node-0", "node-1", "node-2"]);
        expect(await failurePolicy(journey)).toBe("Fail");
        expect(await exemption(journey)).toBe("disabled");
    });

    it("step 2: an upgrade with too few nodes is refused, and nothing changes", async () => {
        await cordon(journey, true);
        await journey.editVersion(NEW);
        const before = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        expect(output).toContain(
            'controlPlane.values.controllerReplicas = "3": needs 3 nodes, each for one pod (enablePodAntiAffinity), and 2 of 3 take them: node-0 is cordoned',
        );
        expect(await snapshot(journey.connection)).toEqual(before);
        await cordon(journey, false);
    });

    it("step 3: during the upgrade every pod is created, and with a proxy", async () => {
        await journey.connection.core.createNamespace({
            body: { metadata: { name: "shop", annotations: { "linkerd.io/inject": "enabled" } } },
        });
        const prober = new PodProber({
            kubeconfig: await kubeconfigOf(journey.cluster),
            namespaces: ["shop"],
            perSecond: 10,
            proxyContainer: "linkerd-proxy",
        });
        prober.start();
        await journey.up();
        const { namespaces, refusals } = await prober.stop();
        expect(refusals).toEqual([]);
        expect(namespaces["shop"]).toMatchObject({ refused: 0, without: 0, several: 0 });
        expect(namespaces["shop"]?.sightings.map(({ tag }) => tag)).toEqual([OLD, NEW]);
        expect(namespaces["shop"]?.created).toBeGreaterThan(100);
        await journey.expectNoChanges();
    });

    it("step 4: both lines taken back, one replica of each stays, and kube-system is as it was", async () => {
        await journey.stack.edit("highAvailability", undefined);
        await journey.editVersion(OLD);
        await journey.up();
        expect(await replicas(journey, "linkerd")).toEqual({
            "linkerd-destination": 1,
            "linkerd-identity": 1,
            "linkerd-proxy-injector": 1,
        });
        expect(await replicas(journey, "linkerd-viz")).toMatchObject({ tap: 1 });
        expect(await failurePolicy(journey)).toBe("Ignore");
        expect(await exemption(journey)).toBeUndefined();
        await journey.expectNoChanges();
    });
});

async function replicas({ connection }: Journey, namespace: string) {
    const { items } = await connection.apps.listNamespacedDeployment({ namespace });
    return Object.fromEntries(
        items.map(({ metadata, status }) => [metadata?.name ?? "", status?.availableReplicas ?? 0]),
    ) as Record<string, number>;
}

async function nodesOf({ connection }: Journey, component: string) {
    const { items } = await connection.core.listNamespacedPod({
        namespace: "linkerd",
        labelSelector: `linkerd.io/control-plane-component=${component}`,
    });
    return items.map(({ spec }) => spec?.nodeName).sort();
}

async function failurePolicy({ connection }: Journey) {
    const { webhooks } = (await new RawApi(connection).read({
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        metadata: { name: "linkerd-proxy-injector-webhook-config" },
    })) as unknown as { webhooks: { failurePolicy: string }[] };
    return webhooks[0]?.failurePolicy;
}

async function exemption({ connection }: Journey) {
    const { metadata } = await connection.core.readNamespace({ name: "kube-system" });
    return metadata?.labels?.[LABEL];
}

async function cordon({ connection }: Journey, unschedulable: boolean) {
    const node = {
        apiVersion: "v1",
        kind: "Node",
        metadata: { name: "node-0" },
        spec: { unschedulable },
    };
    await connection.objects.patch(
        node,
        undefined,
        undefined,
        undefined,
        undefined,
        PatchStrategy.MergePatch,
    );
}
