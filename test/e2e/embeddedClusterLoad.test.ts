// Proves that a load is what benchmarks take it for. It does not prove that a large one is fast.
import { AppsV1Api, CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedCluster, startCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { createLoad, waitForLoad } from "../../embedded/load";
import { podAnnotations } from "../../embedded/stages";
import { ensureToolchain } from "../../toolchain/index";

const load = { namespaces: 2, deploymentsPerNamespace: 3, replicas: 2 };

let cluster: EmbeddedCluster;
let core: CoreV1Api;
let apps: AppsV1Api;

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "load", programs, nodes: 1, large: true });
    const config = loadContext(cluster.kubeconfig, cluster.context);
    core = config.makeApiClient(CoreV1Api);
    apps = config.makeApiClient(AppsV1Api);
});

afterAll(async () => {
    await cluster?.stop();
});

test("a load that the nodes have no room for is refused, and says how many it takes", async () => {
    const large = { ...load, prefix: "large", deploymentsPerNamespace: 100 };
    await expect(createLoad(cluster.kubeconfig, cluster.context, large)).rejects.toThrow(
        /room for 600 pods.*1 nodes have room for 500\. Nothing was created.*nodes: 2 or more/,
    );
    await expect(core.readNamespace({ name: "large-00" })).rejects.toThrow("404");
});

test("waiting ends with a count of what is missing", async () => {
    const slow = { ...load, prefix: "slow", readyAfter: "1h" };
    await createLoad(cluster.kubeconfig, cluster.context, slow);
    const waiting = waitForLoad(cluster.kubeconfig, cluster.context, { ...slow, limit: 1_000 });
    await expect(waiting).rejects.toThrow("After 1 s 0 of 12 pods of the load are Ready.");
    const { items } = await core.listNamespacedPod({ namespace: "slow-01" });
    for (const { metadata } of items) {
        expect(metadata?.annotations?.[podAnnotations.readyAfter]).toBe("1h");
    }
});

test("a load is meshed namespaces with Deployments that are Ready, and can be repeated", async () => {
    const create = () => createLoad(cluster.kubeconfig, cluster.context, load);
    const wait = () => waitForLoad(cluster.kubeconfig, cluster.context, load);
    await create();
    await wait();
    const { items } = await apps.listDeploymentForAllNamespaces({
        labelSelector: "app.kubernetes.io/part-of=load",
    });
    expect(
        items.map(({ metadata, status }) => {
            return `${metadata?.namespace}/${metadata?.name}: ${status?.readyReplicas}`;
        }),
    ).toEqual([
        "load-00/app-00: 2",
        "load-00/app-01: 2",
        "load-00/app-02: 2",
        "load-01/app-00: 2",
        "load-01/app-01: 2",
        "load-01/app-02: 2",
    ]);
    const { metadata } = await core.readNamespace({ name: "load-01" });
    expect(metadata?.annotations).toMatchObject({ "linkerd.io/inject": "enabled" });
    await create();
    await wait();
    const again = await apps.readNamespacedDeployment({ namespace: "load-01", name: "app-02" });
    expect(again.metadata?.generation).toBe(1);
});
