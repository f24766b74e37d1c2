// Proves that a cluster starts, is alone with what it has, and leaves nothing behind.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { bringUp } from "../../embedded/bringUp";
import { type EmbeddedCluster, startCluster, stopKeptCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { chooseSocket, makeDirectory } from "../../embedded/directory";
import { freePorts } from "../../embedded/ports";
import { removeCluster } from "../../embedded/stop";
import { ensureToolchain, type Toolchain } from "../../toolchain/index";
import { eventually, isLoopback, listeningAddresses, processesOf } from "./embeddedCluster.support";

vi.mock("../../embedded/ports", async (original) => {
    const actual = await original<typeof import("../../embedded/ports")>();
    return { freePorts: vi.fn(actual.freePorts) };
});

const root = join(import.meta.dirname, "../..");
const userKubeconfig = join(homedir(), ".kube/config");
const stampOf = (path: string) => (existsSync(path) ? statSync(path).mtimeMs : undefined);

let programs: Toolchain["programs"];
let cluster: EmbeddedCluster;
const progress: string[] = [];
const stampBefore = stampOf(userKubeconfig);

beforeAll(async () => {
    ({ programs } = await ensureToolchain());
    cluster = await startCluster({
        name: "one",
        programs,
        progress: (line) => progress.push(line),
    });
});

afterAll(async () => {
    await cluster.stop();
});

function coreOf({ kubeconfig, context }: EmbeddedCluster): CoreV1Api {
    return loadContext(kubeconfig, context).makeApiClient(CoreV1Api);
}

/** Nothing runs for the directory, and it is gone. */
async function expectNothingLeft(directory: string): Promise<void> {
    await eventually(
        `no process of ${directory} is left, and no directory`,
        () => processesOf(directory).length === 0 && !existsSync(directory),
    );
}

/** Starts a script that starts a cluster, and returns it with the cluster's directory. */
async function inAnotherProcess(options: { keep: boolean; whenReady: boolean }) {
    const script = `
        const { startCluster } = require("./embedded/cluster");
        const line = (text) => process.stdout.write(text + "\\n");
        const options = ${JSON.stringify({ name: "child", programs, keep: options.keep })};
        startCluster({ ...options, progress: line }).then(({ directory }) => {
            line("ready " + directory);
            ${options.keep ? "" : "setInterval(() => undefined, 1000);"}
        });`;
    const child = spawn(process.execPath, ["--import", "tsx", "-e", script], {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const pattern = options.whenReady ? /^ready (.*)$/m : /in (\/\S*)\.$/m;
    await eventually("the script has started a cluster", () => pattern.test(output));
    return { child, directory: pattern.exec(output)?.[1] ?? "" };
}

test("a cluster can be used at once: nodes, identity, an administrator's kubeconfig", async () => {
    const core = coreOf(cluster);
    const { items } = await core.listNode();
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(["node-0", "node-1", "node-2"]);
    const kubeSystem = await core.readNamespace({ name: "kube-system" });
    expect(cluster.uid).toBe(kubeSystem.metadata?.uid);
    expect(statSync(cluster.kubeconfig).mode & 0o777).toBe(0o600);
    expect(await readFile(cluster.kubeconfig, "utf8")).not.toMatch(
        /"(client-key|certificate-authority)"/,
    );
});

test("nobody is left in doubt about what is real", () => {
    expect(progress.join("\n")).toContain("stand-ins");
});

test("the user's own kubeconfig stays as it was", () => {
    expect(stampOf(userKubeconfig)).toBe(stampBefore);
});

test("a ConfigMap comes back as it was written", async () => {
    const core = coreOf(cluster);
    const data = { text: "zwei\nZeilen\n", empty: "" };
    const metadata = { name: "round-trip", namespace: "default" };
    await core.createNamespacedConfigMap({ namespace: "default", body: { metadata, data } });
    expect((await core.readNamespacedConfigMap(metadata)).data).toEqual(data);
});

test.runIf(process.platform === "linux")("nobody on the network can reach the cluster", () => {
    const pids = processesOf(cluster.directory);
    expect(pids).toHaveLength(6);
    const addresses = listeningAddresses(pids);
    // etcd has two; the gateway none.
    expect(addresses).toHaveLength(6);
    expect(addresses.filter((address) => !isLoopback(address))).toEqual([]);
});

test("two clusters live side by side, and stopping one leaves the other", async () => {
    const two = await startCluster({ name: "two", programs, nodes: 1 });
    expect(two.uid).not.toBe(cluster.uid);
    const metadata = { name: "only-here", namespace: "default" };
    await coreOf(two).createNamespacedConfigMap({ namespace: "default", body: { metadata } });
    await expect(coreOf(cluster).readNamespacedConfigMap(metadata)).rejects.toThrow("404");
    await Promise.all([two.stop(), two.stop()]);
    expect(processesOf(two.directory)).toEqual([]);
    expect(existsSync(two.directory)).toBe(false);
    await two.stop();
    expect((await coreOf(cluster).listNode()).items).toHaveLength(3);
});

test.each([
    { component: "etcd", index: 0 },
    { component: "kube-apiserver", index: 2 },
])("another process on the port of $component costs a second try, not the start", async (taken) => {
    const directory = await makeDirectory(undefined);
    const socket = await chooseSocket(directory);
    const record = { name: "ports", nodes: 1, keep: false, socket, programs };
    const thief = createServer();
    await new Promise<void>((resolve) => thief.listen(0, "127.0.0.1", resolve));
    const stolen = (thief.address() as { port: number }).port;
    vi.mocked(freePorts).mockImplementationOnce(async (count) => {
        return (await freePorts(count)).with(taken.index, stolen);
    });
    const lines: string[] = [];
    try {
        const say = (line: string) => void lines.push(line);
        const { uid } = await bringUp(directory, record, say, () => undefined);
        expect(uid).toMatch(/^[-0-9a-f]{36}$/);
        expect(lines.join()).toContain("trying with others");
    } finally {
        thief.close();
        await removeCluster(directory);
    }
    expect(existsSync(directory)).toBe(false);
});

test("a start that fails says why and leaves nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "broken-"));
    const broken = join(folder, "etcd");
    const version = "echo 'etcd Version: 3.6.6'";
    const text = `#!/bin/sh\n[ "$1" = --version ] && ${version} && exit 0\necho disk is full; exit 1\n`;
    await writeFile(broken, text, { mode: 0o755 });
    const directory = join(folder, "cluster");
    const start = startCluster({
        name: "broken",
        programs: { ...programs, etcd: { path: broken } },
        directory,
    });
    await expect(start).rejects.toThrow(/did not start\. etcd ended[^]*disk is full/);
    expect(processesOf(directory)).toEqual([]);
    expect(await readdir(folder)).toEqual(["etcd"]);
    await rm(folder, { recursive: true });
});

test.each([
    { signal: "SIGKILL", whenReady: true },
    { signal: "SIGKILL", whenReady: false },
    { signal: "SIGINT", whenReady: true },
] as const)("a parent's end by $signal (ready: $whenReady) leaves nothing", async (how) => {
    const { child, directory } = await inAnotherProcess({ keep: false, ...how });
    expect(existsSync(directory)).toBe(true);
    child.kill(how.signal);
    await expectNothingLeft(directory);
});

test("a killed gateway takes its cluster along", async () => {
    const lone = await startCluster({ name: "lone", programs, nodes: 1 });
    const [gateway] = processesOf(`gateway.ts\0${lone.directory}`);
    process.kill(gateway ?? NaN, "SIGKILL");
    await expectNothingLeft(lone.directory);
});

test("a kept cluster outlives its parent until it is stopped", async () => {
    const { child, directory } = await inAnotherProcess({ keep: true, whenReady: true });
    await eventually("the parent has ended by itself", () => child.exitCode === 0);
    const kept = { kubeconfig: join(directory, "kubeconfig"), context: "kwok-child" };
    const core = loadContext(kept.kubeconfig, kept.context).makeApiClient(CoreV1Api);
    expect((await core.listNode()).items).toHaveLength(3);
    const stop = spawn(process.execPath, ["--import", "tsx", "embedded/stop.ts", directory], {
        cwd: root,
    });
    await eventually("stop.ts has ended", () => stop.exitCode !== null);
    expect(stop.exitCode).toBe(0);
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    await stopKeptCluster(directory);
});

test("a directory that is somebody's is neither used nor removed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "precious-"));
    await writeFile(join(folder, "thesis.txt"), "years of work");
    await expect(startCluster({ name: "x", programs, directory: folder })).rejects.toThrow(
        "is not empty",
    );
    await expect(stopKeptCluster(folder)).rejects.toThrow("Nothing was changed");
    expect(await readdir(folder)).toEqual(["thesis.txt"]);
    await rm(folder, { recursive: true });
});
