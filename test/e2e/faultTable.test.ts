// Proves that a rollout which is killed, or whose API server misbehaves, restarts nothing twice and loses nothing. The
// rollout is the program as a shell runs it; what it did is counted from the revisions that controllers made.
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { observeDataPlane } from "../../cluster/dataPlane";
import { createLoad, waitForLoad } from "../../embedded/load";
import { podAnnotations } from "../../embedded/stages";
import { eventually } from "./embeddedCluster.support";
import { cutProxy, flood429, restartApiServer, slowEtcd, userKubeconfig } from "./support/faults";
import { startMesh, type Mesh } from "./support/mesh";

const PROJECT = resolve(__dirname, "../..");
const TSX = pathToFileURL(createRequire(__filename).resolve("tsx")).href;
const LOAD = { namespaces: 4, deploymentsPerNamespace: 4, replicas: 2 };
const KILLS = 20;
const KILLS_EACH = 4;
const USER = "rollout";

interface Rollout {
    readonly child: ChildProcess;
    /** Its exit code; null where it was killed. */
    readonly ended: Promise<number | null>;
    /** What it has told so far. */
    readonly output: () => string;
}

interface Row {
    readonly fault: string;
    readonly seconds: number;
    /** Workloads with another number of new revisions than one. */
    readonly notOnce: number;
    /** Pods of the load that do not run the target, or are missing. */
    readonly lost: number;
    readonly lines: number;
}

let mesh: Mesh;
let kubeconfig: string;
let release = 1;
let normalMs = 0;
const rows: Row[] = [];
const running = new Set<Rollout>();

beforeAll(async () => {
    mesh = await startMesh("faults", versionOf(release));
    const { cluster } = mesh;
    kubeconfig = await userKubeconfig(cluster, USER);
    await createLoad(cluster.kubeconfig, cluster.context, { ...LOAD, readyAfter: "1s" });
    await createOthers();
    await waitForLoad(cluster.kubeconfig, cluster.context, LOAD);
    await settled();
});
afterAll(async () => {
    running.forEach(kill);
    await mesh?.dispose();
    console.log(
        ["fault | s | not restarted once | lost | lines told"]
            .concat(rows.map((row) => Object.values(row).join(" | ")))
            .join("\n"),
    );
});

describe("each workload restarts once, and every pod comes, whatever happens on the way", () => {
    it("nothing: the measure for the rest", async () => {
        normalMs = (await withFault("none", () => Promise.resolve(undefined))).seconds * 1000;
    });

    it(`SIGKILL of the process group at ${KILLS} moments`, async () => {
        const random = seeded(20_261_121);
        for (let round = 0; round < KILLS / KILLS_EACH; round++) {
            const before = await upgradeControlPlane();
            const started = Date.now();
            for (let kills = 0; kills < KILLS_EACH; kills++) {
                const victim = rollout(kubeconfig);
                await sleep(500 + random() * normalMs);
                kill(victim);
                await victim.ended;
            }
            const { ended, output } = rollout(kubeconfig);
            expect(await ended, output()).toBe(0);
            await judge(`${KILLS_EACH} kills`, before, started, output());
        }
    });

    it("the API server is killed in the middle, and comes back after 3 s", async () => {
        await withFault("API server restarted", async () => {
            await sleep(normalMs / 2);
            await restartApiServer(mesh.cluster, { downMs: 3_000 });
            return undefined;
        });
    });

    it("etcd halts for most of each second", async () => {
        await withFault("etcd slow", () =>
            slowEtcd(mesh.cluster, { pauseMs: 600, everyMs: 1_000 }),
        );
    });

    it("priority and fairness answers 429", async () => {
        await withFault("429 storm", () => flood429(mesh.cluster, { user: USER }));
    });

    it("watches are cut each second, and once nothing is answered for 3 s", async () => {
        const proxy = await cutProxy(mesh.cluster, { kubeconfig });
        try {
            await withFault(
                "watches cut",
                async () => {
                    const timer = setInterval(() => proxy.cut(), 1_000);
                    await sleep(normalMs / 2);
                    proxy.blackhole(3_000);
                    return { undo: () => Promise.resolve(clearInterval(timer)) };
                },
                proxy.kubeconfig,
            );
        } finally {
            await proxy.undo();
        }
    });
});

/** Runs a rollout while the fault is there, and judges what it did. */
async function withFault(
    fault: string,
    begin: () => Promise<{ undo(): Promise<void> } | undefined>,
    way = kubeconfig,
): Promise<Row> {
    const before = await upgradeControlPlane();
    const started = Date.now();
    const { ended, output } = rollout(way);
    const trouble = await begin();
    const code = await ended;
    await trouble?.undo();
    expect(code, output()).toBe(0);
    return judge(fault, before, started, output());
}

async function judge(
    fault: string,
    before: ReadonlyMap<string, number>,
    started: number,
    output: string,
): Promise<Row> {
    const seconds = Math.round((Date.now() - started) / 100) / 10;
    const after = await revisions();
    const notOnce = [...before].filter(([name, count]) => after.get(name) !== count + 1);
    const { pods } = await observeDataPlane(mesh.api);
    const wanted = LOAD.namespaces * LOAD.deploymentsPerNamespace * LOAD.replicas + 2 + 3;
    const current = pods.filter(
        (pod) => pod.ready && !pod.terminating && pod.proxy === versionOf(release),
    ).length;
    const row = {
        fault,
        seconds,
        notOnce: notOnce.length,
        lost: wanted - current,
        lines: output.split("\n").length,
    };
    rows.push(row);
    console.log(`${fault}: ${JSON.stringify(row)}`);
    expect(notOnce, output).toEqual([]);
    expect(current, output).toBe(wanted);
    return row;
}

function versionOf(number: number): string {
    return `edge-24.5.${number}`;
}

/** Makes every pod stale. Returns the revisions of before. */
async function upgradeControlPlane(): Promise<ReadonlyMap<string, number>> {
    await settled();
    release += 1;
    await mesh.switchTo(versionOf(release));
    return revisions();
}

/** Newest revision of each workload of the load, as its controller counts. */
async function revisions(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const count = (name: string, number: unknown) =>
        counts.set(name, Math.max(counts.get(name) ?? 0, Number(number)));
    type Item = Record<string, Record<string, unknown>>;
    await mesh.api.list("/apis/apps/v1/replicasets", (item) => {
        const { metadata } = item as Item;
        const { namespace, ownerReferences, annotations } = metadata as {
            namespace: string;
            ownerReferences?: { name: string }[];
            annotations: Record<string, string>;
        };
        if (namespace !== "linkerd") {
            const number = annotations["deployment.kubernetes.io/revision"];
            count(`${namespace}/${ownerReferences?.[0]?.name}`, number);
        }
        return undefined;
    });
    await mesh.api.list("/apis/apps/v1/controllerrevisions", (item) => {
        const { ownerReferences } = item["metadata"] as { ownerReferences: { name: string }[] };
        count(`others/${ownerReferences[0]?.name}`, item["revision"]);
        return undefined;
    });
    return counts;
}

/** No rollout goes on, and the injector answers as it will. */
async function settled(): Promise<void> {
    await eventually("all workloads are rolled out", async () => {
        const { workloads, pods } = await observeDataPlane(mesh.api);
        return (
            workloads.every(({ status }) => status.done) && pods.every((pod) => !pod.terminating)
        );
    });
}

/** A StatefulSet of two and a DaemonSet of three pods. */
async function createOthers(): Promise<void> {
    const labels = { app: "others" };
    const annotations = { [podAnnotations.readyAfter]: "1s" };
    const spec = (app: string) => ({
        selector: { matchLabels: { app } },
        template: {
            metadata: { labels: { app }, annotations },
            spec: { containers: [{ name: "main", image: "registry.example/others:1.0" }] },
        },
    });
    await mesh.connection.core.createNamespace({
        body: {
            metadata: { name: "others", labels, annotations: { "linkerd.io/inject": "enabled" } },
        },
    });
    await mesh.connection.apps.createNamespacedStatefulSet({
        namespace: "others",
        body: {
            metadata: { name: "ledger" },
            spec: { ...spec("ledger"), serviceName: "ledger", replicas: 2 },
        },
    });
    await mesh.connection.apps.createNamespacedDaemonSet({
        namespace: "others",
        body: { metadata: { name: "cache" }, spec: spec("cache") },
    });
}

/** The rollout in a process group of its own. */
function rollout(way: string): Rollout {
    const child = spawn(
        process.execPath,
        [
            ...["--import", TSX, join(PROJECT, "rollout/main.ts")],
            ...["--kubeconfig", way, "--context", mesh.cluster.context],
            ...["--pace", "unlimited", "--at-once", "6", "--soak", "0s", "--timeout", "4m"],
        ],
        { cwd: mesh.folder, detached: true, stdio: ["ignore", "ignore", "pipe"] },
    );
    let output = "";
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const one = { child, ended, output: () => output };
    running.add(one);
    void ended.then(() => running.delete(one));
    return one;
}

function kill({ child }: Rollout): void {
    try {
        process.kill(-(child.pid ?? NaN), "SIGKILL");
    } catch {
        // It had ended.
    }
}

/** Numbers from 0 to 1, the same in each run (mulberry32). */
function seeded(seed: number): () => number {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
}
