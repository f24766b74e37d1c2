import { afterEach, describe, expect, it, vi } from "vitest";
import type { Connection } from "../../cluster/connection";
import { PrometheusError, queryPrometheus, TOKEN_VARIABLE } from "../../cluster/prometheus";
import { loopback, playPrometheus, type Loopback } from "./support/loopback";

// A Prometheus outside of the cluster is asked without the cluster.
const nowhere = undefined as unknown as Connection;
const ask = (url: string, query = "up", signal?: AbortSignal) =>
    queryPrometheus(nowhere, { kind: "url", url }, query, signal);

let server: Loopback | undefined;

afterEach(async () => {
    vi.unstubAllEnvs();
    await server?.close();
    server = undefined;
});

async function failure(url: string, query?: string): Promise<PrometheusError> {
    const error: unknown = await ask(url, query).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PrometheusError);
    return error as PrometheusError;
}

describe("the answer of a query is one number", () => {
    const data = (resultType: string, result: unknown) => ({
        status: 200,
        body: JSON.stringify({ status: "success", data: { resultType, result } }),
    });
    it.each([
        ["a vector of one", 0.25, 0.25],
        ["infinite", "+Inf", Infinity],
        ["less than that", "-Inf", -Infinity],
        ["no number: nothing to divide by", "NaN", undefined],
        ["empty", [], undefined],
        ["a scalar", data("scalar", [1, "7"]), 7],
    ])("%s", async (_, given, expected) => {
        server = await playPrometheus(() => given);
        expect(await ask(server.url)).toBe(expected);
    });

    it("several are refused, and not taken for the first", async () => {
        server = await playPrometheus(() => [1, 2, 3]);
        expect(await failure(server.url)).toMatchObject({
            reason: "the query gives 3 series, not one number; sum(...) or max(...) makes one",
            transient: false,
        });
    });
});

describe("an error says where, why and what was asked", () => {
    it("a query that cannot be read is not asked again", async () => {
        const body = { status: "error", errorType: "bad_data", error: "1:5: parse error" };
        server = await playPrometheus(() => ({ status: 400, body: JSON.stringify(body) }));
        const error = await failure(server.url, "sum(");
        expect(error.message).toBe(
            `Prometheus at ${server.url}: bad_data: 1:5: parse error; asked: sum(`,
        );
        expect(error.transient).toBe(false);
    });

    it.each([
        [{ status: 503, body: "Service Unavailable" }, "HTTP 503", true],
        [{ status: 401, body: "" }, "HTTP 401", false],
        [{ status: 200, body: "<html>" }, "HTTP 200, and no answer of Prometheus", true],
        [
            { status: 503, body: '{"status":"error","errorType":"timeout","error":"too slow"}' },
            "timeout: too slow",
            true,
        ],
    ])("%o", async (answer, reason, transient) => {
        server = await playPrometheus(() => answer);
        expect(await failure(server.url)).toMatchObject({ reason, transient });
    });

    it("nobody listens", async () => {
        server = await playPrometheus(() => 1);
        const { url, port } = server;
        await server.close();
        expect(await failure(url)).toMatchObject({
            reason: `connect ECONNREFUSED 127.0.0.1:${port}`,
            transient: true,
        });
    });

    it("a redirect is not followed: the token is not for whoever it points to", async () => {
        const seen: string[] = [];
        server = await loopback((request, _, response) => {
            seen.push(request.url ?? "");
            response.writeHead(302, { Location: "/login?state=secret" }).end();
        });
        expect((await failure(server.url)).reason).toBe(
            `HTTP 302, a redirect to ${server.url}/login`,
        );
        expect(seen).toEqual(["/api/v1/query"]);
    });

    it("the caller's abort is thrown as it is", async () => {
        server = await loopback(() => undefined);
        const reason = new Error("ended");
        await expect(ask(server.url, "up", AbortSignal.abort(reason))).rejects.toBe(reason);
    });
});

describe("credentials reach Prometheus and no message", () => {
    async function headerOf(url: (base: URL) => string): Promise<string | undefined> {
        let header: string | undefined;
        server = await loopback((request, _, response) => {
            header = request.headers.authorization;
            response.writeHead(500).end();
        });
        const error = await failure(url(new URL(`${server.url}/prom/`)));
        expect(error.message).toBe(`Prometheus at ${server.url}/prom/: HTTP 500; asked: up`);
        return header;
    }

    it("of the address", async () => {
        const header = await headerOf((base) => {
            base.username = "ann";
            base.password = "p@ss%";
            return `${base.href}?key=hidden`;
        });
        expect(header).toBe(`Basic ${Buffer.from("ann:p@ss%").toString("base64")}`);
    });

    it("of the environment", async () => {
        vi.stubEnv(TOKEN_VARIABLE, "t0ken\n");
        expect(await headerOf(String)).toBe("Bearer t0ken");
    });

    it("also where the token is none", async () => {
        vi.stubEnv(TOKEN_VARIABLE, "two\nlines");
        server = await playPrometheus(() => 1);
        const { message, transient } = await failure(server.url);
        expect(message).toContain(`${TOKEN_VARIABLE} holds no token`);
        expect(message).not.toContain("two");
        expect(transient).toBe(false);
    });

    it("also where the address is none", async () => {
        const { message } = await failure("http://ann:secret@:9/");
        expect(message).toBe(
            "Prometheus at an address that is no URL: the address is no URL; asked: up",
        );
    });
});
