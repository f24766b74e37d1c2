import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { KubeApi } from "../../cluster/api";
import { takeLease, type LeaseOptions } from "../../rollout/lease";
import { failure, json, startScript, type Step } from "./support/scriptedServer";

// Leases run out in real time, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000 });

const PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
    for (const close of closing.splice(0).reverse()) {
        await close();
    }
});

async function play(steps: readonly Step[], options: Partial<LeaseOptions> = {}) {
    const server = await startScript(steps);
    closing.push(server.close);
    const lost: string[] = [];
    const said: string[] = [];
    const take = () =>
        takeLease(new KubeApi(server.connection), {
            namespace: "ns",
            holder: "me",
            seconds: 1,
            onLost: (reason) => lost.push(reason),
            say: (line) => said.push(line),
            ...options,
        });
    return { server, lost, said, take };
}

const lease = (resourceVersion: string, holderIdentity = "me") => ({
    metadata: { name: "mesh-upgrade-rollout", uid: "u", resourceVersion },
    spec: { holderIdentity, leaseDurationSeconds: 1, leaseTransitions: 0 },
});
const cut: Step = (response) => response.destroy();
const hang: Step = () => undefined;

it.each([
    ["answers 500", failure(500, "etcd is slow"), "the API server answers 500 (etcd is slow)"],
    ["does not answer", hang, "no answer"],
])(
    "A rollout whose API server %s gives up when others may begin, and says so once",
    async (_, step, reason) => {
        const { server, lost, take } = await play([
            failure(404),
            json(lease("1")),
            ...Array<Step>(50).fill(step),
        ]);
        const held = await take();
        await vi.waitFor(() => expect(lost).toHaveLength(1), 10_000);
        expect(lost[0]).toBe(
            `Lease ns/mesh-upgrade-rollout is lost: it could not be renewed for 1 s (${reason})`,
        );
        const asked = server.requests.length;
        expect(asked, "more than one renewal was tried").toBeGreaterThan(3);
        await new Promise((resolve) => setTimeout(resolve, 700));
        expect(server.requests, "no renewal after that").toHaveLength(asked);
        expect(lost).toHaveLength(1);
        void held;
    },
);

it("A creation whose answer got lost is found to be one's own", async () => {
    const { server, take, said } = await play(
        [failure(404), cut, json(lease("1")), json(lease("2")), json({})],
        { seconds: 60 },
    );
    const held = await take();
    await held.release();
    expect(server.requests).toEqual([
        `GET ${PATH}/mesh-upgrade-rollout`,
        `POST ${PATH}`,
        `GET ${PATH}/mesh-upgrade-rollout`,
        `PUT ${PATH}/mesh-upgrade-rollout`,
        `DELETE ${PATH}/mesh-upgrade-rollout`,
    ]);
    expect(JSON.parse(server.bodies[4] ?? "")).toMatchObject({
        preconditions: { uid: "u", resourceVersion: "2" },
    });
    expect(said).toEqual([]);
});

it("A renewal whose answer got lost is found to be one's own", async () => {
    const { server, take, lost } = await play([
        failure(404),
        json(lease("1")),
        failure(409, "the object has been modified"),
        json(lease("2")),
        json(lease("3")),
        json({}),
    ]);
    const held = await take();
    await vi.waitFor(() => expect(server.requests).toHaveLength(5), 5_000);
    await held.release();
    expect(lost).toEqual([]);
    expect(server.bodies.filter((body) => body.includes("renewTime"))).toHaveLength(3);
    expect(JSON.parse(server.bodies[4] ?? "")).toMatchObject({
        metadata: { resourceVersion: "2" },
    });
});

it("A rollout that was stopped for longer than its time goes on where nobody took the lease", async () => {
    const { server, take, lost } = await play([
        failure(404),
        json(lease("1")),
        ...Array<Step>(20).fill(json(lease("2"))),
    ]);
    const held = await take();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_300);
    await vi.waitFor(() => expect(server.requests.length).toBeGreaterThan(3), 5_000);
    await held.release();
    expect(lost).toEqual([]);
});

it("Without the namespace, or the right to it, nothing is tried again", async () => {
    const missing = await play([failure(404), failure(404, 'namespaces "ns" not found')]);
    await expect(missing.take()).rejects.toThrow('namespaces "ns" not found');
    const refused = await play([failure(403, "leases is forbidden")]);
    await expect(refused.take()).rejects.toThrow("leases is forbidden");
    expect([...missing.server.requests, ...refused.server.requests]).toHaveLength(3);
});

it("A release that the API server does not carry out is told, not thrown", async () => {
    const { take, said } = await play(
        [failure(404), json(lease("1")), failure(403, "leases is forbidden")],
        { seconds: 60 },
    );
    const held = await take();
    await held.release();
    expect(said).toEqual([
        "Lease ns/mesh-upgrade-rollout: could not be deleted (the API server answers 403 (leases is forbidden)); it runs out after 60 s",
    ]);
});

it("A program that holds a lease and has nothing to do ends", async () => {
    const { server } = await play([failure(404), json(lease("1"))]);
    const module = (path: string) => JSON.stringify(join(import.meta.dirname, "../..", path));
    const script = `
        const { KubeConfig } = require("@kubernetes/client-node");
        const { KubeApi } = require(${module("cluster/api.ts")});
        const { takeLease } = require(${module("rollout/lease.ts")});
        const kubeconfig = new KubeConfig();
        const server = ${JSON.stringify(server.url)};
        kubeconfig.loadFromClusterAndUser({ name: "c", server, skipTLSVerify: true }, { name: "u" });
        takeLease(new KubeApi({ kubeconfig, server }), {
            namespace: "ns", holder: "me", seconds: 300, onLost: () => undefined,
        }).then(() => process.stdout.write("taken"));
    `;
    const child = spawn(process.execPath, ["--import", "tsx", "--eval", script], {
        cwd: join(import.meta.dirname, "../.."),
        stdio: ["ignore", "pipe", "inherit"],
    });
    closing.push(() => Promise.resolve(void child.kill("SIGKILL")));
    const printed: string[] = [];
    child.stdout.on("data", (chunk: Buffer) => printed.push(chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    expect([code, printed.join("")]).toEqual([0, "taken"]);
    expect(server.requests).toHaveLength(2);
}, 60_000);
