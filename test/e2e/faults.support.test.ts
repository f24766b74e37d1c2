// Proves that the faults which other tests rely on happen, and end.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type EmbeddedCluster, startCluster } from "../../embedded/cluster";
import { layout } from "../../embedded/directory";
import { recordedPids } from "../../embedded/processes";
import { ensureToolchain } from "../../toolchain/index";
import { eventually, processesOf } from "./embeddedCluster.support";
import {
    countRejected,
    countRequests,
    cutProxy,
    type Fault,
    flood429,
    restartApiServer,
    slowEtcd,
    stopApiServer,
    userKubeconfig,
} from "./support/faults";
import { callApi } from "./support/faults/api";

// A fault that does not end, or does not begin, must not hold up all other tests.
vi.setConfig({ testTimeout: 60_000 });

const pods = "/api/v1/namespaces/default/pods";

let cluster: EmbeddedCluster;
let undo: Fault | undefined;

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "faults", programs, nodes: 1 });
});

afterEach(async () => {
    await undo?.undo();
    undo = undefined;
});

afterAll(async () => {
    await cluster?.stop();
    expect(processesOf(cluster?.directory ?? "")).toEqual([]);
});

function clientOf(kubeconfig: string): { config: KubeConfig; core: CoreV1Api } {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    return { config, core: config.makeApiClient(CoreV1Api) };
}

const answers = async (kubeconfig = cluster.kubeconfig, limit?: number) =>
    (await callApi(kubeconfig, "GET", pods, undefined, limit)).status;

async function pidOf(component: string): Promise<number | undefined> {
    return (await recordedPids(layout(cluster.directory).kwok)).get(component);
}

/** A new pod becomes Ready: controllers, scheduler and simulated kubelet work. */
async function expectAlive(name: string): Promise<void> {
    const { core } = clientOf(cluster.kubeconfig);
    const body = {
        metadata: { name },
        spec: { containers: [{ name: "main", image: "registry.example/main:1" }] },
    };
    await core.createNamespacedPod({ namespace: "default", body });
    await eventually(`${name} is Ready`, async () => {
        const { status } = await core.readNamespacedPod({ namespace: "default", name });
        return (
            status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ??
            false
        );
    });
}

test.each(["SIGKILL", "SIGTERM"] as const)(
    "an API server that %s ended comes back where it was, with all that it knew",
    async (by) => {
        const before = await pidOf("kube-apiserver");
        const stopped = await stopApiServer(cluster, by);
        undo = stopped;
        await expect(answers()).rejects.toThrow("ECONNREFUSED");
        await stopped.undo();
        await stopped.undo();
        const after = await pidOf("kube-apiserver");
        expect(after).not.toBe(before);
        expect(processesOf(cluster.directory)).toContain(after);
        const { items } = await clientOf(cluster.kubeconfig).core.listNode();
        expect(items).toHaveLength(1);
        await expectAlive(`after-${by.toLowerCase()}`);
    },
);

test("a restart ends by itself", async () => {
    const restarting = restartApiServer(cluster, { downMs: 500 });
    await eventually("the API server is gone", () =>
        answers().then(
            () => false,
            () => true,
        ),
    );
    await restarting;
    expect(await answers()).toBe(200);
});

test("a slow etcd holds up answers, and no longer after the undo", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    const body = { metadata: { generateName: "slow-" } };
    undo = await slowEtcd(cluster, { pauseMs: 30_000, everyMs: 31_000 });
    const writing = callApi(cluster.kubeconfig, "POST", path, body, 30_000);
    expect(await Promise.race([writing, sleep(1_000, "no answer")])).toBe("no answer");
    await undo.undo();
    expect((await writing).status).toBe(201);
    await expectAlive("after-etcd");
});

test.runIf(process.platform === "linux")(
    "etcd is slow in a rhythm, and for no longer than the limit",
    async () => {
        const pid = await pidOf("etcd");
        const halted = () => {
            return /^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
        };
        undo = await slowEtcd(cluster, { pauseMs: 400, everyMs: 800 });
        for (const wanted of [true, false, true]) {
            await eventually(`halted: ${wanted}`, () => halted() === wanted);
        }
        await undo.undo();
        undo = await slowEtcd(cluster, { pauseMs: 60_000, everyMs: 61_000, limitMs: 500 });
        for (const wanted of [true, false]) {
            await eventually(`halted: ${wanted}`, () => halted() === wanted);
        }
    },
);

test("a user's requests are told from others' and counted: each get, list and watch", async () => {
    const kubeconfig = await userKubeconfig(cluster, "counted");
    expect(await userKubeconfig(cluster, "counted")).toBe(kubeconfig);
    const { config, core } = clientOf(kubeconfig);
    expect(config.getCurrentContext()).toBe(cluster.context);
    const before = await countRequests(cluster, "counted");
    for (let index = 0; index < 5; index++) await core.readNamespace({ name: "default" });
    for (let index = 0; index < 3; index++) await core.listNamespacedPod({ namespace: "default" });
    expect((await countRequests(cluster, "counted")) - before).toBe(8);
    const metadata = { name: "counted", namespace: "default" };
    await core.createNamespacedConfigMap({ namespace: "default", body: { metadata } });
    await core.deleteNamespacedConfigMap(metadata);
    expect((await countRequests(cluster, "counted")) - before).toBe(10);
    const informer = makeInformer(config, pods, () =>
        core.listNamespacedPod({ namespace: "default" }),
    );
    const connected = new Promise((resolve) => informer.on("connect", resolve));
    await informer.start();
    await connected;
    await eventually("a list and a watch are counted, the watch while it goes on", async () => {
        return (await countRequests(cluster, "counted")) - before === 12;
    });
    await informer.stop();
    await clientOf(cluster.kubeconfig).core.listNode();
    expect((await countRequests(cluster, "counted")) - before).toBe(12);
});

test("a flood turns a user down with 429 and Retry-After, and nobody else", async () => {
    const kubeconfig = await userKubeconfig(cluster, "crowded");
    undo = await flood429(cluster, { user: "crowded", busyMs: 600, everyMs: 1_200 });
    const seen = new Set<number>();
    await eventually("the user is turned down, and served", async () => {
        const { status, headers } = await callApi(kubeconfig, "GET", pods);
        if (status === 429) expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(1);
        seen.add(status);
        expect(await answers()).toBe(200);
        return seen.has(429) && seen.has(200);
    });
    expect([...seen].sort()).toEqual([200, 429]);
    expect(await countRejected(cluster, "crowded")).toBeGreaterThan(0);
    await undo.undo();
    const after = await countRejected(cluster, "crowded");
    for (let index = 0; index < 10; index++) expect(await answers(kubeconfig)).toBe(200);
    expect(await countRejected(cluster, "crowded")).toBe(after);
});

test("a cut drops a watch, and the way stays open", async () => {
    const proxy = await cutProxy(cluster);
    undo = proxy;
    const { config, core } = clientOf(proxy.kubeconfig);
    expect(config.getCurrentContext()).toBe(cluster.context);
    const informer = makeInformer(config, pods, () =>
        core.listNamespacedPod({ namespace: "default" }),
    );
    const connected = new Promise((resolve) => informer.on("connect", resolve));
    const dropped = new Promise((resolve) => informer.on("error", resolve));
    await informer.start();
    await connected;
    await eventually("the watch goes through the proxy", () => proxy.connections() > 0);
    proxy.cut();
    expect(String(await dropped)).toMatch(/ECONNRESET|aborted|Premature close|terminated/);
    await informer.stop();
    expect(await answers(proxy.kubeconfig)).toBe(200);
});

test("a black hole lets nothing through, and then what waited", async () => {
    const proxy = await cutProxy(cluster, { kubeconfig: await userKubeconfig(cluster, "far") });
    undo = proxy;
    expect(await answers(proxy.kubeconfig)).toBe(200);
    proxy.blackhole(1_500);
    const [patient, impatient, direct] = await Promise.allSettled([
        answers(proxy.kubeconfig),
        answers(proxy.kubeconfig, 500),
        answers(),
    ]);
    expect(patient).toMatchObject({ value: 200 });
    expect(impatient).toMatchObject({ status: "rejected" });
    expect(direct).toMatchObject({ value: 200 });
    await proxy.undo();
    await proxy.undo();
    await expect(answers(proxy.kubeconfig)).rejects.toThrow("ENOENT");
});

test("an API server that was started again ends with its cluster", async () => {
    await restartApiServer(cluster, { downMs: 0 });
    const stopping = await slowEtcd(cluster, { pauseMs: 2_000, everyMs: 3_000 });
    await sleep(10);
    await cluster.stop();
    await stopping.undo();
    expect(processesOf(cluster.directory)).toEqual([]);
    expect(existsSync(cluster.directory)).toBe(false);
});
