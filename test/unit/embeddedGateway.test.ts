import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { V1Pod, V1Service } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";
import { chooseSocket, removeDirectory } from "../../embedded/directory";
import { review } from "../../embedded/mesh/admission";
import { serveConnect, Unreachable } from "../../embedded/mesh/connectProxy";
import { selectorOf, serviceAt, takesTraffic } from "../../embedded/mesh/services";
import { answerTapApi } from "../../embedded/mesh/tapApi";
import { belongsTo, endProcesses, recordedPids } from "../../embedded/processes";
import { shortfall, type WorkloadKind } from "../../embedded/shortfall";

const service: V1Service = {
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.0.0.7", clusterIPs: ["10.0.0.7", "fd00::7"], selector: { app: "web" } },
};

describe("where a call of the API server goes", () => {
    test.each([
        ["10.0.0.7", true],
        ["fd00::7", true],
        ["web.shop", true],
        ["web.shop.svc", true],
        ["web.shop.svc.cluster.local", true],
        ["10.0.0.8", false],
        ["web.other.svc", false],
        ["web.shop.example.com", false],
        ["web", false],
    ])("%s", (host, found) => {
        expect(serviceAt([service], host) === service).toBe(found);
    });

    test.each<[string, V1Pod, boolean]>([
        ["Ready", { status: { conditions: [{ type: "Ready", status: "True" }] } }, true],
        ["not Ready", { status: { conditions: [{ type: "Ready", status: "False" }] } }, false],
        ["new", {}, false],
        [
            "on its way out",
            {
                metadata: { deletionTimestamp: new Date() },
                status: { conditions: [{ type: "Ready", status: "True" }] },
            },
            false,
        ],
    ])("a pod that is %s", (_case, pod, takes) => {
        expect(takesTraffic(pod)).toBe(takes);
    });

    test("a Service without a selector has no pods, rather than all of them", () => {
        expect(selectorOf(service)).toBe("app=web");
        expect(selectorOf({ spec: { selector: {} } })).toBeUndefined();
    });
});

describe("the CONNECT proxy", () => {
    async function ask(request: string): Promise<string> {
        const folder = await mkdtemp(join(tmpdir(), "connect-"));
        const path = join(folder, "s");
        const server = await serveConnect(path, (host, port) => {
            if (host !== "10.0.0.7") throw new Unreachable("no Service has the address");
            return Promise.resolve((connection) => connection.end(`port ${port}`));
        });
        const socket: Socket = connect(path);
        socket.end(request);
        let answer = "";
        socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
        await once(socket, "close");
        server.close();
        await rm(folder, { recursive: true });
        return answer;
    }

    test("hands a connection to the stand-in", async () => {
        const answer = await ask("CONNECT 10.0.0.7:443 HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nport 443$/);
    });

    test.each(["CONNECT 10.9.9.9:443", "CONNECT nonsense", "CONNECT [fd00::9]:443"])(
        "refuses %s, so that the webhook call fails",
        async (line) => {
            expect(await ask(`${line} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 503 /);
        },
    );

    test("is no proxy for anything else", async () => {
        expect(await ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 405 /);
    });
});

describe("admission", () => {
    const body = {
        apiVersion: "admission.k8s.io/v1",
        request: { uid: "u", kind: { kind: "Pod" }, operation: "CREATE", object: {} },
    };

    test("nothing to change is allowed without a patch", async () => {
        const answer = await review(body, () => Promise.resolve([]));
        expect(answer.body).toMatchObject({ response: { uid: "u", allowed: true } });
        expect(JSON.stringify(answer.body)).not.toContain("patch");
    });

    test("a request that is none is an error, not an approval", async () => {
        await expect(review({}, () => Promise.resolve([]))).rejects.toThrow();
    });
});

test("tapping is not there, and says so; discovery is", async () => {
    expect((await answerTapApi("/apis/tap.linkerd.io/v1alpha1?timeout=32s")).status).toBe(200);
    const tap = await answerTapApi("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/x/pods/y/tap");
    expect(tap.status).toBe(501);
    expect((await answerTapApi("/apis/other")).status).toBe(404);
});

describe.runIf(process.platform !== "win32")("ending a cluster's processes", () => {
    test("ends its own and spares a stranger that got the pid of one", async () => {
        const directory = await mkdtemp(join(tmpdir(), "processes-"));
        const sleep = ["-e", "setTimeout(() => undefined, 60_000)"];
        const own = spawn(process.execPath, [...sleep, directory]);
        const stranger = spawn(process.execPath, sleep);
        const pids = join(directory, "kwok/clusters/one/pids");
        await mkdir(pids, { recursive: true });
        await writeFile(join(pids, "etcd.pid"), String(own.pid));
        await writeFile(join(pids, "kwok.pid"), String(stranger.pid));
        await writeFile(join(pids, "torn.pid"), "");
        const recorded = await recordedPids(join(directory, "kwok"));
        expect([...recorded.keys()].sort()).toEqual(["etcd", "kwok"]);
        await endProcesses(directory, recorded.values());
        expect(belongsTo(directory, own.pid ?? 0)).toBe(false);
        expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
        stranger.kill();
        await rm(directory, { recursive: true });
    });
});

test("a path too long for a socket gets one elsewhere, removed with the cluster", async () => {
    const root = await mkdtemp(join(tmpdir(), "long-"));
    const directory = join(root, "d".repeat(100));
    await mkdir(directory);
    const socket = await chooseSocket(directory);
    expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(100);
    expect(await chooseSocket("/short")).toBe("/short/egress.sock");
    await removeDirectory(directory, socket);
    expect([existsSync(directory), existsSync(dirname(socket))]).toEqual([false, false]);
    await rm(root, { recursive: true });
});

describe("what the sample application waits for", () => {
    test.each<[WorkloadKind, object, string[]]>([
        ["Deployment", { spec: { replicas: 1 } }, ["the controller has not seen it yet"]],
        [
            "Deployment",
            {
                metadata: { generation: 2 },
                spec: { replicas: 2 },
                status: {
                    observedGeneration: 2,
                    updatedReplicas: 1,
                    readyReplicas: 2,
                    replicas: 3,
                },
            },
            ["2 of 2 ready, 1 up to date, 3 in all"],
        ],
        [
            "StatefulSet",
            {
                spec: { replicas: 1 },
                status: {
                    observedGeneration: 1,
                    updatedReplicas: 1,
                    readyReplicas: 1,
                    replicas: 1,
                },
            },
            [],
        ],
        ["Job", { status: {} }, ["0 of 1 completed"]],
        ["Job", { status: { succeeded: 1 } }, []],
        ["Pod", { status: { phase: "Succeeded" } }, []],
        [
            "Pod",
            {
                status: {
                    phase: "Pending",
                    conditions: [{ type: "PodScheduled", status: "False", message: "no room" }],
                },
            },
            ["Pending: no room"],
        ],
    ])("%s %j", (kind, object, lines) => {
        expect(shortfall(kind, object)).toEqual(lines);
    });
});
