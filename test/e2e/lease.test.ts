import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { startCluster, type EmbeddedCluster } from "../../embedded/cluster";
import { takeLease, type HeldLease, type LeaseOptions } from "../../rollout/lease";
import { ensureToolchain } from "../../toolchain/index";

// Some leases here last an hour: a rollout that waits for one fails soon.
vi.setConfig({ testTimeout: 30_000 });

const NAME = "mesh-upgrade-rollout";
const PATH = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

let cluster: EmbeddedCluster;
let api: KubeApi;
const held: HeldLease[] = [];
let lost: string[] = [];
let said: string[] = [];

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "lease", programs, nodes: 1 });
    api = new KubeApi(
        await connect({
            kubeconfig: cluster.kubeconfig,
            context: cluster.context,
            clusterUid: cluster.uid,
        }),
    );
});

afterEach(async () => {
    await Promise.all(held.splice(0).map((one) => one.release()));
    await api.send("DELETE", `${PATH}/${NAME}`).catch(() => undefined);
    lost = [];
    said = [];
});

afterAll(async () => {
    api?.close();
    await cluster?.stop();
});

async function take(options: Partial<LeaseOptions> = {}): Promise<HeldLease> {
    const one = await takeLease(api, {
        namespace: "default",
        seconds: 2,
        onLost: (reason) => lost.push(reason),
        say: (line) => said.push(line),
        ...options,
    });
    held.push(one);
    return one;
}

interface Spec {
    holderIdentity: string;
    leaseDurationSeconds: number;
    acquireTime: string;
    renewTime: string;
    leaseTransitions: number;
}

async function spec(): Promise<Spec> {
    return (await api.send("GET", `${PATH}/${NAME}`))["spec"] as Spec;
}

/** A lease that a rollout left behind: its clock was far ahead, which must not count. */
async function leave(holderIdentity: string, leaseDurationSeconds: number): Promise<void> {
    const time = "2099-01-01T00:00:00.000000Z";
    await api.send("POST", PATH, {
        body: {
            apiVersion: "coordination.k8s.io/v1",
            kind: "Lease",
            metadata: { name: NAME, labels: { kept: "yes" } },
            spec: {
                holderIdentity,
                leaseDurationSeconds,
                acquireTime: time,
                renewTime: time,
                leaseTransitions: 3,
            },
        },
    });
}

const deadPid = () => spawnSync(process.execPath, ["-e", ""]).pid;
const HOUR = 3_600;

it("A second rollout is refused while the first is alive, and told whom to wait for", async () => {
    await take({ holder: "first" });
    const { acquireTime, ...rest } = await spec();
    expect(rest).toEqual({
        holderIdentity: "first",
        leaseDurationSeconds: 2,
        renewTime: acquireTime,
        leaseTransitions: 0,
    });
    await expect(take({ holder: "second" })).rejects.toThrow(
        `Lease default/${NAME} is held by first since ${acquireTime}, and the holder is alive: ` +
            "one rollout at a time in a cluster. Next: wait for it to end, or, where it is surely gone, " +
            `kubectl -n default delete lease ${NAME}`,
    );
    const later = await spec();
    expect(later).toMatchObject({ holderIdentity: "first", acquireTime, leaseTransitions: 0 });
    expect(later.renewTime > acquireTime).toBe(true);
    expect(lost).toEqual([]);
});

it("Of many rollouts that begin at the same moment one goes on", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => take()));
    expect(outcomes.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    expect(lost).toEqual([]);
});

it("Also where they find a lease that nobody holds any more", async () => {
    await leave("", HOUR);
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => take()));
    expect(outcomes.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    expect(await spec()).toMatchObject({ leaseDurationSeconds: 2, leaseTransitions: 4 });
});

it("After a kill the next rollout on the host goes on at once", async () => {
    const dead = `${hostname()}/${deadPid()}/some-uuid`;
    await leave(dead, HOUR);
    await take({ holder: "next" });
    const live = await api.send("GET", `${PATH}/${NAME}`);
    expect(live["metadata"]).toMatchObject({ labels: { kept: "yes" } });
    expect(await spec()).toMatchObject({ holderIdentity: "next", leaseTransitions: 4 });
    expect((await spec()).acquireTime < "2099").toBe(true);
    expect(said).toEqual([`Lease default/${NAME}: taken over from ${dead} (its process is dead)`]);
});

it.each([
    ["on another host", () => `elsewhere/${deadPid()}/some-uuid`],
    ["whose process id lives", () => `${hostname()}/${process.ppid}/some-uuid`],
    ["of another form", () => "somebody"],
])("A silent holder %s is followed after its time, not before", async (_, holderOf) => {
    const holder = holderOf();
    await leave(holder, 2);
    const begun = performance.now();
    await take({ holder: "next" });
    expect(performance.now() - begun).toBeGreaterThan(2_000);
    expect(said).toEqual([
        `Lease default/${NAME}: held by ${holder} since 2099-01-01T00:00:00.000000Z; waiting up to 2 s for a sign of life`,
        `Lease default/${NAME}: taken over from ${holder} (silent for 2 s)`,
    ]);
    expect(await spec()).toMatchObject({ holderIdentity: "next", leaseTransitions: 4 });
});

it("A lease that is given up is gone, at once and without a word", async () => {
    const first = await take();
    await first.release();
    await expect(spec()).rejects.toMatchObject({ status: 404 });
    await first.release();
    await take({ holder: "second" });
    expect(await spec()).toMatchObject({ holderIdentity: "second" });
    expect([...said, ...lost]).toEqual([]);
});

it("A rollout learns once that somebody took its lease, and leaves it to them", async () => {
    const first = await take({ holder: "first" });
    await api.mergePatch(`${PATH}/${NAME}`, { spec: { holderIdentity: "second" } });
    await vi.waitFor(() => expect(lost).toHaveLength(1), 10_000);
    expect(lost).toEqual([`Lease default/${NAME} is lost: second holds it now`]);
    await first.release();
    expect(await spec()).toMatchObject({ holderIdentity: "second" });
    expect(lost).toHaveLength(1);
});

it("A rollout learns that its lease was deleted", async () => {
    await take();
    await api.send("DELETE", `${PATH}/${NAME}`);
    await vi.waitFor(() => expect(lost).toHaveLength(1), 10_000);
    expect(lost).toEqual([`Lease default/${NAME} is lost: it was deleted`]);
});

it("A change of something else in the lease costs the rollout nothing", async () => {
    await take({ holder: "first" });
    const before = await spec();
    await api.mergePatch(`${PATH}/${NAME}`, { metadata: { labels: { seen: "yes" } } });
    await vi.waitFor(async () => {
        expect((await spec()).renewTime > before.renewTime).toBe(true);
    }, 10_000);
    expect(lost).toEqual([]);
    await held.at(-1)?.release();
    await expect(spec()).rejects.toMatchObject({ status: 404 });
});
