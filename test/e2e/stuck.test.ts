import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RESTARTED_AT } from "../../cluster/pods";
import { waitForSample } from "../../embedded/sampleApplication";
import { mint } from "../../plan/certificates";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";

const LABEL = "mesh-upgrade.test/disk";

describe("a wave that fails half-way: naive programs leave mixed proxies behind here", () => {
    let journey: Journey;

    beforeAll(async () => {
        journey = await startJourney("stuck");
        await useOwnIdentity(journey);
        await journey.up();
        await journey.createSample();
        // The workload that will not get ready: its pods need a node with a disk.
        await labelNodes(journey, "ssd");
        await journey.connection.apps.patchNamespacedDeployment(
            {
                namespace: "shop",
                name: "cart",
                body: { spec: { template: { spec: { nodeSelector: { [LABEL]: "ssd" } } } } },
            },
            k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
        );
        await waitForSample(journey.cluster.kubeconfig, journey.cluster.context);
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: up fails and names workload, pod and reason; the rest is new", async () => {
        await labelNodes(journey, null);
        await journey.editVersion(NEW);
        const { output } = await journey.failingUp();
        expect(output).toMatch(
            /shop\/Deployment\/cart: no progress for 20 s: pod cart-\w+-\w+: Unschedulable: /,
        );
        expect(output).toContain("revert linkerdVersion");
        expect(await journey.proxies()).toMatchObject({
            "batch/importer": NEW,
            "shop/cart": `${OLD}+${NEW}`,
            "shop/web": NEW,
        });
    });

    it("step 2: the line reverted brings every proxy back, and the pod that still served is never touched", async () => {
        const serving = await readyPod(journey, "cart");
        await journey.editVersion(OLD);
        await journey.up();
        const proxies = await journey.proxies();
        expect(
            Object.entries(proxies).filter(([, proxy]) => ![OLD, "none"].includes(proxy)),
        ).toEqual([]);
        expect(await readyPod(journey, "cart")).toBe(serving);
        await journey.expectNoChanges();
    });

    it("step 3: forward again without mending fails again; after mending only what is left restarts", async () => {
        await journey.editVersion(NEW);
        await journey.failingUp();
        const before = await restarts(journey);
        await labelNodes(journey, "ssd");
        const { output } = await journey.up();
        // cart was restarted by the run that failed; its pods only had to be waited for.
        expect(await restarts(journey)).toEqual(before);
        expect(output).not.toMatch(/: restart \(/);
        const proxies = await journey.proxies();
        expect(proxies).toMatchObject({ "shop/cart": NEW, "shop/web": NEW, "batch/importer": NEW });
        await journey.expectNoChanges();
    });
});

/** The other source of identity: the user's own PEM texts, the key encrypted. */
async function useOwnIdentity({ stack }: Journey): Promise<void> {
    const now = new Date();
    const root = "root.linkerd.cluster.local";
    const anchor = await mint({ name: root, authority: true, years: 10, now });
    const name = "identity.linkerd.cluster.local";
    const issuer = await mint({ name, issuer: anchor, authority: true, years: 1, now });
    await stack.edit("identity", {
        source: "config",
        trustAnchors: anchor.certificate,
        issuer: { certificate: issuer.certificate },
    });
    await stack.setSecret("identity.issuer.key", issuer.key);
}

async function labelNodes({ connection }: Journey, value: string | null): Promise<void> {
    const nodes = await connection.core.listNode();
    for (const node of nodes.items) {
        await connection.core.patchNode(
            {
                name: node.metadata?.name ?? "",
                body: { metadata: { labels: { [LABEL]: value } } },
            },
            k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
        );
    }
}

async function readyPod({ connection }: Journey, app: string): Promise<string | undefined> {
    const pods = await connection.core.listNamespacedPod({
        namespace: "shop",
        labelSelector: `app=${app}`,
    });
    return pods.items.find((pod) =>
        pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
    )?.metadata?.uid;
}

/** restartedAt of every workload of the sample. */
async function restarts({ connection }: Journey): Promise<Record<string, string | undefined>> {
    const lists = await Promise.all([
        connection.apps.listDeploymentForAllNamespaces(),
        connection.apps.listStatefulSetForAllNamespaces(),
        connection.apps.listDaemonSetForAllNamespaces(),
    ]);
    return Object.fromEntries(
        lists.flatMap((list) =>
            list.items.map((one) => [
                `${one.metadata?.namespace}/${one.metadata?.name}`,
                one.spec?.template?.metadata?.annotations?.[RESTARTED_AT],
            ]),
        ),
    );
}
