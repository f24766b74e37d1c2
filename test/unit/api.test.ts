import * as http from "node:http";
import { connect as connectSocket, type AddressInfo, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, KubeApi, type ApiOptions } from "../../cluster/api";
import { ConnectionError } from "../../cluster/transport";
import { mint } from "../../plan/certificates";
import {
    connectionTo,
    events,
    failure,
    json,
    object,
    page,
    startScript,
    valueOf,
    type ScriptedServer,
    type ServerOptions,
    type Step,
} from "./support/scriptedServer";

const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
    vi.useRealTimers();
    for (const close of closing.splice(0).reverse()) {
        await close();
    }
});

async function play(
    steps: readonly Step[],
    options?: ApiOptions,
    serverOptions?: ServerOptions,
): Promise<{ server: ScriptedServer; api: KubeApi; retries: string[] }> {
    const server = await startScript(steps, serverOptions);
    const retries: string[] = [];
    const api = new KubeApi(server.connection, {
        onRetry: (reason) => retries.push(reason),
        ...options,
    });
    closing.push(server.close, () => api.close());
    return { server, api, retries };
}

const cut: Step = (response) => response.destroy();
const halfAnswer: Step = (response) => {
    response.writeHead(200, { "Content-Length": "100" });
    response.write('{"half":', () => response.destroy());
};

describe("a request", () => {
    it("is sent again after answers that pass, and says so", async () => {
        const { server, api, retries } = await play([
            failure(429, "too many requests"),
            failure(500),
            cut,
            halfAnswer,
            json({ kind: "Done" }),
        ]);
        expect(await api.send("GET", "/api", { query: { a: "b c" } })).toEqual({ kind: "Done" });
        expect(server.requests).toEqual(Array(5).fill("GET /api?a=b+c"));
        expect(retries.map((line) => line.replace(/[\d.]+ s$/, "N s"))).toEqual([
            "the API server answers 429 (too many requests); again in N s",
            "the API server answers 500; again in N s",
            `no answer from ${server.url} (socket hang up); again in N s`,
            `no answer from ${server.url} (aborted); again in N s`,
        ]);
    }, 20_000);

    it("does not come back before the server's Retry-After", async () => {
        const { api, retries } = await play([
            failure(429, undefined, { "Retry-After": "1" }),
            json({}),
        ]);
        await api.send("GET", "/api");
        // Without the header the first pause is half a second at most.
        expect(retries).toEqual(["the API server answers 429; again in 1 s"]);
    });

    it("fails at once, with the server's words, where another try cannot help", async () => {
        const { server, api } = await play([
            failure(403, "pods is forbidden"),
            failure(404),
            failure(409, "already exists"),
            failure(410, "too old"),
        ]);
        for (const [status, message] of [
            [403, "pods is forbidden"],
            [404, "HTTP 404"],
            [409, "already exists"],
            [410, "too old"],
        ] as const) {
            const error = await api.send("PUT", "/x", { body: {} }).catch((one: unknown) => one);
            expect(error).toBeInstanceOf(ApiError);
            expect(error).toMatchObject({ status, message });
        }
        expect(server.requests).toHaveLength(4);
    });

    it("is given up when the patience is over", async () => {
        const { server, api } = await play([failure(503), failure(503, "not yet")], {
            patienceMs: 600,
        });
        // Pauses grow: 600 ms hold one of 250 to 500 ms, and no second one of 500 ms and more.
        await expect(api.send("GET", "/api")).rejects.toThrow("not yet");
        expect(server.requests).toHaveLength(2);
    });

    it("waits as long as the server asks, whatever its patience", async () => {
        const { server, api } = await play(
            [failure(429, "later", { "Retry-After": "1" }), json({ kind: "Done" })],
            { patienceMs: 100 },
        );
        expect(await api.send("GET", "/api")).toEqual({ kind: "Done" });
        expect(server.requests).toHaveLength(2);
    });

    it("without patience is sent once, also where the server asks for a pause", async () => {
        const { server, api } = await play([failure(429, "later", { "Retry-After": "1" })], {
            patienceMs: 0,
        });
        await expect(api.send("GET", "/api")).rejects.toThrow("later");
        expect(server.requests).toHaveLength(1);
    });

    it("that creates is not sent twice where it may have been carried out", async () => {
        const { server, api } = await play([cut, failure(504, "timed out"), halfAnswer]);
        const create = () => api.send("POST", "/things", { body: { a: 1 } });
        await expect(create()).rejects.toBeInstanceOf(ConnectionError);
        await expect(create()).rejects.toThrow("timed out");
        await expect(create()).rejects.toThrow("aborted");
        expect(server.requests).toEqual(Array(3).fill("POST /things"));
        expect(server.bodies).toEqual(Array(3).fill('{"a":1}'));
    });

    it("that creates is sent again where it never reached the server, or was turned away", async () => {
        const { server, api } = await play([failure(429), json({ created: true })]);
        expect(await api.send("POST", "/things", { body: {} })).toEqual({ created: true });
        await server.close();
        const retries: string[] = [];
        const lonely = new KubeApi(server.connection, {
            patienceMs: 600,
            onRetry: (reason) => retries.push(reason),
        });
        await expect(lonely.send("POST", "/things", { body: {} })).rejects.toThrow("ECONNREFUSED");
        expect(retries).toHaveLength(1);
        closing.splice(0);
    });

    it("can be called off, also while it waits; then it tells what it waited for", async () => {
        const waits = new AbortController();
        const { server, api } = await play([failure(503, "not yet"), () => undefined], {
            onRetry: () => waits.abort(new Error("called off")),
        });
        await expect(api.send("GET", "/api", { signal: waits.signal })).rejects.toThrow("not yet");
        const runs = new AbortController();
        const running = api.send("GET", "/api", { signal: runs.signal });
        const outcome = expect(running).rejects.toThrow("called off");
        await vi.waitFor(() => expect(server.requests).toHaveLength(2));
        runs.abort(new Error("called off"));
        await outcome;
    });

    it("of any method carries its body whole, and the next one on the connection is understood", async () => {
        const methods = ["POST", "PUT", "PATCH", "DELETE"] as const;
        const { server, api } = await play(methods.map(() => json({})));
        for (const method of methods) {
            await api.send(method, "/things/a", { body: { text: "Grüße" } });
        }
        expect(server.bodies).toEqual(methods.map(() => '{"text":"Grüße"}'));
        expect(server.connections()).toBe(1);
    });

    it("patches in the name of this program", async () => {
        const { server, api } = await play([json({})]);
        await api.mergePatch("/apis/apps/v1/x", { spec: { paused: null } });
        expect(server.requests).toEqual(["PATCH /apis/apps/v1/x?fieldManager=mesh-upgrade"]);
        expect(server.heads[0]).toMatchObject({ "content-type": "application/merge-patch+json" });
        expect(server.bodies).toEqual(['{"spec":{"paused":null}}']);
    });
});

describe("connections", () => {
    const secure = async () => {
        const ca = await mint({ name: "ca", authority: true, years: 1, now: new Date() });
        const tls = await mint({
            name: "api.test",
            issuer: ca,
            authority: false,
            years: 1,
            now: new Date(),
        });
        const caData = Buffer.from(ca.certificate).toString("base64");
        return { tls, cluster: { caData, tlsServerName: "api.test" } };
    };
    const five = Array<Step>(5).fill(json({}));

    it("are kept open over http and https", async () => {
        for (const options of [{}, await secure()]) {
            const { server, api } = await play(five, {}, options);
            for (let nth = 0; nth < five.length; nth++) {
                await api.send("GET", "/api");
            }
            expect(server.requests).toHaveLength(5);
            expect(server.connections()).toBe(1);
        }
    });

    it("go through the kubeconfig's proxy, and one tunnel serves many requests", async () => {
        const { tls, cluster } = await secure();
        const asked: string[] = [];
        const sockets: Socket[] = [];
        const proxy = http.createServer().on("connect", (request, client: Socket) => {
            asked.push(request.url ?? "");
            const [host, port] = (request.url ?? "").split(":");
            const target = connectSocket(Number(port), host, () => {
                client.write("HTTP/1.1 200 Connection established\r\n\r\n");
                target.pipe(client).pipe(target);
            });
            sockets.push(client, target);
        });
        await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
        closing.push(() => {
            sockets.forEach((socket) => socket.destroy());
            proxy.close();
        });
        const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
        const { server, api } = await play(five, {}, { tls, cluster: { ...cluster, proxyUrl } });
        for (let nth = 0; nth < five.length; nth++) {
            await api.send("GET", "/api");
        }
        expect(server.requests).toHaveLength(5);
        expect(asked).toEqual([server.url.replace("https://", "")]);
    });

    it("carry the token that an exec plugin gives now, not the one of the first request", async () => {
        const credential =
            'process.stdout.write(JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1",' +
            'kind: "ExecCredential", status: { token: "t" + process.pid,' +
            'expirationTimestamp: "2001-01-01T00:00:00Z" } }))';
        const exec = {
            apiVersion: "client.authentication.k8s.io/v1",
            command: process.execPath,
            args: ["-e", credential],
        };
        const { server, api } = await play(five, {}, { user: { exec } });
        await api.send("GET", "/api");
        await api.send("GET", "/api");
        const tokens = server.heads.map((head) => head.authorization);
        expect(tokens[0]).toMatch(/^Bearer t\d+$/);
        expect(new Set(tokens).size).toBe(2);
        expect(server.connections()).toBe(1);
    });
});

describe("a list", () => {
    it("reads every page, drops what is not wanted and understands gzip", async () => {
        const zipped: Step = (response) => {
            response.writeHead(200, { "Content-Encoding": "gzip" });
            response.end(
                gzipSync(
                    JSON.stringify({
                        items: [object("a", 1), object("b", -1)],
                        metadata: { resourceVersion: "7", continue: "two" },
                    }),
                ),
            );
        };
        const { server, api } = await play([zipped, page([object("c", 3)], "7")]);
        const list = await api.list(
            "/api/v1/things",
            (item) => (valueOf(item) > 0 ? valueOf(item) : undefined),
            { labelSelector: "a=b" },
        );
        expect(list).toEqual({ items: [1, 3], resourceVersion: "7" });
        expect(server.requests).toEqual([
            "GET /api/v1/things?labelSelector=a%3Db",
            "GET /api/v1/things?labelSelector=a%3Db&continue=two",
        ]);
        expect(server.heads[0]).toMatchObject({ "accept-encoding": "gzip" });
    });

    it("starts over where its pages expire, and holds nothing twice", async () => {
        const { server, api } = await play([
            page([object("a", 1)], "7", "two"),
            failure(410, "continue token expired"),
            page([object("b", 2)], "9", "two"),
            page([object("c", 3)], "9"),
        ]);
        expect(await api.list("/things", valueOf)).toEqual({ items: [2, 3], resourceVersion: "9" });
        expect(server.requests).toEqual([
            "GET /things",
            "GET /things?continue=two",
            "GET /things",
            "GET /things?continue=two",
        ]);
    });

    it("does not start over for ever", async () => {
        const expired = [page([object("a", 1)], "7", "two"), failure(410, "expired")];
        const { server, api } = await play(Array<Step[]>(9).fill(expired).flat());
        await expect(api.list("/things", valueOf)).rejects.toThrow("expired");
        expect(server.requests).toHaveLength(10);
    });
});

describe("a watch", () => {
    const watch = (api: KubeApi, signal = new AbortController().signal) => {
        const seen: string[] = [];
        const ended = api.watch(
            "/things",
            "7",
            { fieldSelector: "a=b" },
            (type, one) => seen.push(`${type} ${valueOf(one)}`),
            signal,
        );
        return { seen, ended };
    };

    it("tells events, asks for bookmarks and resolves when the server ends it", async () => {
        const { server, api } = await play([
            events([["ADDED", object("a", 1)]], "end"),
            json({ type: "BOOKMARK", object: object("a", 5) }),
        ]);
        const { seen, ended } = watch(api);
        await ended;
        expect(seen).toEqual(["ADDED 1"]);
        expect(server.requests).toEqual([
            "GET /things?fieldSelector=a%3Db&watch=1&resourceVersion=7",
        ]);
        const last = watch(api);
        await last.ended;
        expect(last.seen, "an event without a line's end").toEqual(["BOOKMARK 5"]);
    });

    it("puts events together that come in pieces, between the bytes of a letter too", async () => {
        const text = `${JSON.stringify({ type: "ADDED", object: { value: "Grüße" } })}\n`;
        const bytes = [...Buffer.from(text + text)];
        const dripping: Step = (response) => {
            response.socket?.setNoDelay(true);
            const drip = () => {
                const next = bytes.splice(0, 7);
                if (next.length === 0) {
                    response.end();
                } else {
                    response.write(Buffer.from(next), () => setImmediate(drip));
                }
            };
            drip();
        };
        const { api } = await play([dripping]);
        const { seen, ended } = watch(api);
        await ended;
        expect(seen).toEqual(["ADDED Grüße", "ADDED Grüße"]);
    });

    it("rejects where it is refused or breaks off, and is not tried again", async () => {
        const { server, api } = await play([
            failure(410, "too old resource version"),
            events([["ADDED", object("a", 1)]], "cut within an event"),
            failure(429, "later", { "Retry-After": "3" }),
        ]);
        await expect(watch(api).ended).rejects.toMatchObject({ status: 410 });
        const broken = watch(api);
        await expect(broken.ended).rejects.toBeInstanceOf(ConnectionError);
        expect(broken.seen).toEqual(["ADDED 1"]);
        await expect(watch(api).ended).rejects.toMatchObject({ status: 429, retryAfterMs: 3000 });
        expect(server.requests).toHaveLength(3);
    });

    it("ends with what its listener throws, and drops the connection", async () => {
        let closed = false;
        const { api } = await play([
            (response, request) => {
                response.on("close", () => (closed = true));
                events([["ADDED", object("a", 1)]], "hold")(response, request);
            },
        ]);
        const ended = api.watch(
            "/things",
            "7",
            {},
            () => {
                throw new Error("listener");
            },
            new AbortController().signal,
        );
        await expect(ended).rejects.toThrow("listener");
        await vi.waitFor(() => expect(closed).toBe(true));
    });

    it("resolves when it is called off, and drops the connection", async () => {
        let closed = false;
        const { api } = await play([
            (response, request) => {
                response.on("close", () => (closed = true));
                events([["ADDED", object("a", 1)]], "hold")(response, request);
            },
        ]);
        const calledOff = new AbortController();
        const { seen, ended } = watch(api, calledOff.signal);
        await vi.waitFor(() => expect(seen).toHaveLength(1));
        calledOff.abort();
        await ended;
        await vi.waitFor(() => expect(closed).toBe(true));
    });

    it("counts as dropped after two minutes of silence, not before", async () => {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        const { api } = await play([events([["ADDED", object("a", 1)]], "hold")]);
        const { seen, ended } = watch(api);
        let over = false;
        const outcome = expect(ended.finally(() => (over = true))).rejects.toThrow(
            "silent for 120 s",
        );
        while (seen.length === 0) {
            await new Promise(setImmediate);
        }
        await vi.advanceTimersByTimeAsync(119_000);
        for (let turn = 0; turn < 10; turn++) {
            await new Promise(setImmediate);
        }
        expect(over).toBe(false);
        await vi.advanceTimersByTimeAsync(2_000);
        await outcome;
    });
});

it("A server that cannot be reached is named", async () => {
    const api = new KubeApi(connectionTo("http://127.0.0.1:1"), { patienceMs: 0 });
    await expect(api.send("GET", "/api")).rejects.toThrow(
        "no answer from http://127.0.0.1:1 (connect ECONNREFUSED 127.0.0.1:1)",
    );
});
