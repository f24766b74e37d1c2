import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commandGate, httpGate } from "../../rollout/gates/probe";
import { processExists, waitFor } from "../e2e/support/waiting";
import { loopback, type Loopback } from "./support/loopback";

const silent = () => undefined;
const node = (script: string) => [process.execPath, "-e", script];

describe("the command of a user", { timeout: 60_000 }, () => {
    let folder: string;
    beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "gate-"))));
    afterEach(() => rmSync(folder, { recursive: true }));

    it("passes with 0, and learns wave and target", async () => {
        const file = join(folder, "seen");
        const script = `require("fs").writeFileSync(process.argv[1], JSON.stringify([process.env.MESH_UPGRADE_WAVE, process.env.MESH_UPGRADE_TARGET, process.env.PATH, process.cwd()]))`;
        const gate = { run: [...node(script), file], limitSeconds: 60 };
        const environment = { MESH_UPGRADE_WAVE: "early", MESH_UPGRADE_TARGET: "edge-24.7.5" };
        expect(await commandGate(gate, environment, silent)).toEqual([]);
        expect(JSON.parse(readFileSync(file, "utf8"))).toEqual([
            "early",
            "edge-24.7.5",
            process.env["PATH"],
            process.cwd(),
        ]);
    });

    it("gets its arguments as they stand: there is no shell", async () => {
        const script = `process.stdout.write(process.argv[1]); process.exit(1)`;
        const gate = { run: [...node(script), "$(id) && *"], limitSeconds: 60 };
        const [failure] = await commandGate(gate, {}, silent);
        expect(failure).toMatch(/ended with code 1; its last lines:\n {4}\$\(id\) && \*$/);
    });

    it("fails with its last 20 lines of both outputs", async () => {
        const script = `for (let i = 1; i <= 30; i++) console.log("line " + i); console.error("bad"); process.exitCode = 3`;
        const [failure = ""] = await commandGate(
            { run: node(script), limitSeconds: 60 },
            {},
            silent,
        );
        const lines = failure.split("\n");
        expect(lines[0]).toMatch(/ ended with code 3; its last lines:$/);
        expect(lines).toHaveLength(21);
        expect(lines).toContain("    bad");
        expect(lines).toContain("    line 30");
    });

    it("that is not there is named", async () => {
        const gate = { run: ["no-such-program-4711", "x"], limitSeconds: 60 };
        expect(await commandGate(gate, {}, silent)).toEqual([
            'command "no-such-program-4711" "x" could not be started: there is no such program; it printed nothing',
        ]);
    });

    /** A shell and what it has started, both deaf to SIGTERM; their pids go to the file. */
    function stubborn(pids: string): string[] {
        const script = `trap '' TERM; (while :; do sleep 1; done) & echo "$$ $!" > "$0"; wait`;
        return ["/bin/sh", "-c", script, pids];
    }

    async function expectGone(pids: string): Promise<void> {
        const all = readFileSync(pids, "utf8").split(" ").map(Number);
        expect(all).toHaveLength(2);
        await waitFor("both processes to end", () => !all.some(processExists));
    }

    it("is ended at the limit, with what it has started", async () => {
        const pids = join(folder, "pids");
        const [failure] = await commandGate({ run: stubborn(pids), limitSeconds: 2 }, {}, silent);
        expect(failure).toMatch(/ did not end within 2 s; it printed nothing$/);
        await expectGone(pids);
    });

    it("is ended when the rollout ends", async () => {
        const pids = join(folder, "pids");
        const stop = new AbortController();
        const gate = { run: stubborn(pids), limitSeconds: 60 };
        const run = commandGate(gate, {}, silent, stop.signal);
        await waitFor("the command to run", () => readFileSync(pids, "utf8") !== "");
        const reason = new Error("ended");
        stop.abort(reason);
        await expect(run).rejects.toBe(reason);
        await expectGone(pids);
    });

    it("that leaves something in the background is not waited for", async () => {
        const pid = join(folder, "pid");
        const script = `const child = require("child_process").spawn("sleep", ["600"], { stdio: "inherit" });
            child.unref();
            require("fs").writeFileSync(process.argv[1], String(child.pid))`;
        const run = [...node(script), pid];
        expect(await commandGate({ run, limitSeconds: 300 }, {}, silent)).toEqual([]);
        process.kill(Number(readFileSync(pid, "utf8")));
    });
});

describe("the address of a user", { timeout: 60_000 }, () => {
    let server: Loopback | undefined;
    afterEach(async () => {
        await server?.close();
        server = undefined;
    });

    it.each([
        ["any of 2xx", {}, 204],
        ["the status asked for", { status: 404 }, 404],
        ["the text asked for", { contains: '"ok": true' }, 200],
    ])("passes with %s", async (_, wanted, status) => {
        server = await loopback((_request, _body, response) => {
            response.writeHead(status).end(status === 204 ? undefined : '{"ok": true}');
        });
        const gate = { url: `${server.url}/health`, limitSeconds: 60, ...wanted };
        expect(await httpGate(gate, silent)).toEqual([]);
    });

    it("is asked again until it answers right", async () => {
        let requests = 0;
        server = await loopback((_request, _body, response) => {
            response.writeHead(++requests < 3 ? 503 : 200).end();
        });
        const lines: string[] = [];
        const say = (line: string) => void lines.push(line);
        expect(await httpGate({ url: server.url, limitSeconds: 60 }, say)).toEqual([]);
        expect(requests).toBe(3);
        expect(lines).toEqual([
            expect.stringMatching(/^\S+: HTTP 503, not any of 2xx; gives up in \d+ s$/),
        ]);
    });

    it.each([
        ["another status", {}, 500, "", "HTTP 500, not any of 2xx"],
        ["success where none is wanted", { status: 404 }, 200, "", "HTTP 200, not 404"],
        ["another text", { contains: "ok" }, 200, "no", 'HTTP 200, but without the text "ok"'],
    ])("fails with %s at the limit", async (_, wanted, status, body, problem) => {
        server = await loopback((_request, _body, response) => {
            response.writeHead(status).end(body);
        });
        const url = `${server.url.replace("//", "//ann:secret@")}/health?key=secret`;
        const [failure] = await httpGate({ url, limitSeconds: 1, ...wanted }, silent);
        expect(failure?.startsWith(`${server.url}/health: ${problem}; the last of `)).toBe(true);
        expect(failure).toMatch(/; the last of \d+ attempts in 1 s$/);
    });

    it("fails where nobody answers, with the network's words", async () => {
        server = await loopback(() => undefined);
        const { url, port } = server;
        await server.close();
        const [failure] = await httpGate({ url, limitSeconds: 1 }, silent);
        expect(failure).toContain(`connect ECONNREFUSED 127.0.0.1:${port}`);
    });

    it("that redirects has not answered", async () => {
        server = await loopback((_request, _body, response) => {
            response.writeHead(302, { Location: "/login" }).end();
        });
        const [failure] = await httpGate({ url: server.url, limitSeconds: 1 }, silent);
        expect(failure).toContain(`HTTP 302 (a redirect to ${server.url}/login), not any of 2xx`);
    });

    it("is not asked any more when the rollout ends", async () => {
        server = await loopback(() => undefined);
        const stop = new AbortController();
        const reason = new Error("ended");
        const run = httpGate({ url: server.url, limitSeconds: 60 }, silent, stop.signal);
        stop.abort(reason);
        await expect(run).rejects.toBe(reason);
    });
});
