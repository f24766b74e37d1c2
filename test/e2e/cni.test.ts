import { PatchStrategy } from "@kubernetes/client-node";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeNode } from "../../embedded/nodes";
import { NODE_DOWN, podAnnotations } from "../../embedded/stages";
import { readEvents, type EngineStep } from "./support/events";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { snapshot } from "./support/snapshot";
import { waitFor } from "./support/waiting";

// No network is set up on simulated nodes: that traffic is redirected is not shown.
describe("with the CNI plugin pods need no rights of their own, and it is always there before they rely on it", () => {
    let journey: Journey;

    beforeAll(async () => {
        const controlPlane = { values: { cniEnabled: true } };
        journey = await startJourney("cni", { config: { controlPlane } });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: a mesh that relies on a plugin which nobody installed is refused, and nothing changes", async () => {
        const before = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        expect(output).toContain(
            'controlPlane.values.cniEnabled = "true": needs a CNI plugin, and none runs',
        );
        expect(await snapshot(journey.connection)).toEqual(before);
    });

    it("step 2: the stack brings the plugin, and pods come without linkerd-init, in restricted namespaces", async () => {
        await journey.stack.edit("controlPlane", undefined);
        await journey.stack.edit("cni", { enabled: true, values: { logLevel: "debug" } });
        await journey.up();
        await journey.createSample();
        expect(await plugin(journey)).toEqual({ image: "v1.5.0", ready: 3 });
        expect(await initContainers(journey, "shop")).toEqual(["linkerd-network-validator"]);
        expect(await initContainers(journey, "linkerd-viz")).toEqual(["linkerd-network-validator"]);
        const { metadata } = await journey.connection.core.readNamespace({ name: "linkerd" });
        expect(metadata?.labels?.["pod-security.kubernetes.io/enforce"]).toBe("restricted");
        await journey.expectNoChanges();
    });

    it("step 3: it is upgraded, and ready on every node, before the control plane is touched", async () => {
        await journey.editVersion(NEW);
        const log = join(journey.stack.project, "events.json");
        const up = ["up", "--yes", "--skip-preview", "--event-log", log];
        const environment = { PULUMI_DEBUG_COMMANDS: "1" };
        const { code, output } = await journey.stack.run(up, { environment });
        expect(code, output).toBe(0);
        expect(await plugin(journey)).toEqual({ image: "v1.5.1", ready: 3 });
        const events = await readEvents(log);
        const at = (when: EngineStep["when"], test: (step: EngineStep) => boolean) =>
            events.flatMap((step, index) => (step.when === when && test(step) ? [index] : []));
        const ready = at(
            "end",
            ({ name, operation }) =>
                name === "linkerd-cni-ready" && operation !== "delete-replaced",
        );
        const controlPlane = at("begin", ({ name }) => name.startsWith("linkerd-control-plane:"));
        expect(ready.length).toBeGreaterThan(0);
        expect(Math.max(...ready)).toBeLessThan(Math.min(...controlPlane));
        await journey.expectNoChanges();
    });

    it("step 4: the way back waits for no node that is down", async () => {
        await createNode(journey, DOWN);
        await journey.editVersion(OLD);
        const { output } = await journey.up();
        expect(output).toContain(`(beside ${DOWN}, not ready itself)`);
        expect(await initContainers(journey, "shop")).toEqual(["linkerd-network-validator"]);
        expect((await plugin(journey))?.image).toBe("v1.5.0");
        await journey.expectNoChanges();
        await deleteNode(journey, DOWN);
    });

    it("step 5: given up, pods have linkerd-init again, and the plugin goes last", async () => {
        await journey.stack.edit("cni", undefined);
        await journey.up();
        expect(await initContainers(journey, "shop")).toEqual(["linkerd-init"]);
        expect(await plugin(journey)).toBeUndefined();
        await journey.expectNoChanges();
    });
});

const DOWN = "node-down";

/** A node that is down, and its pod of the plugin, which cannot even end: so the DaemonSet replaces no other. */
async function createNode({ connection }: Journey, name: string): Promise<void> {
    const metadata = {
        ...{ name, labels: { "kubernetes.io/os": "linux" } },
        annotations: { [NODE_DOWN]: "true" },
    };
    await connection.core.createNode({ body: { ...fakeNode(9), metadata } });
    let pod: string | undefined;
    await waitFor("a pod of the plugin", async () => {
        [pod] = await pluginPods(connection, name);
        return pod !== undefined;
    });
    const reference = { namespace: "linkerd-cni", name: pod ?? "" };
    await connection.objects.patch(
        {
            ...{ apiVersion: "v1", kind: "Pod" },
            metadata: { ...reference, annotations: { [podAnnotations.terminateAfter]: "10m" } },
        },
        ...[undefined, undefined, undefined, undefined],
        PatchStrategy.MergePatch,
    );
    await connection.core.deleteNamespacedPod(reference);
}

/** With its pods: nobody else would say that they have ended. */
async function deleteNode({ connection }: Journey, name: string): Promise<void> {
    await connection.core.deleteNode({ name });
    for (const pod of await pluginPods(connection, name)) {
        await connection.core.deleteNamespacedPod({
            ...{ namespace: "linkerd-cni", name: pod, gracePeriodSeconds: 0 },
        });
    }
}

async function pluginPods({ core }: Journey["connection"], node: string): Promise<string[]> {
    const { items } = await core.listNamespacedPod({
        namespace: "linkerd-cni",
        fieldSelector: `spec.nodeName=${node}`,
    });
    return items.map(({ metadata }) => metadata?.name ?? "");
}

async function plugin({ connection }: Journey) {
    const { items } = await connection.apps.listDaemonSetForAllNamespaces({
        labelSelector: "k8s-app=linkerd-cni",
    });
    const [set] = items;
    const image = set?.spec?.template.spec?.containers[0]?.image?.split(":")[1];
    return set && { image, ready: set.status?.numberReady };
}

/** Names of Linkerd's init containers in a namespace's pods, once each. */
async function initContainers({ connection }: Journey, namespace: string): Promise<string[]> {
    const { items } = await connection.core.listNamespacedPod({ namespace });
    const names = items
        .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
        .flatMap(({ spec }) => (spec?.initContainers ?? []).map(({ name }) => name));
    return [...new Set(names)].sort();
}
