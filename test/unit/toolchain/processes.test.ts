import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { ensurePrograms } from "../../../toolchain/ensure";
import {
    answerWith,
    archive,
    exists,
    leftovers,
    removeFolders,
    sandbox,
    type Sandbox,
    script,
    serve,
    type TestServer,
    toolSpec,
    until,
    urlVariable,
    writeExecutable,
} from "./support";

afterAll(removeFolders);

let box: Sandbox;
let content: Buffer;
let server: TestServer;
/** Requests for the archive that got no answer yet. */
let held: ServerResponse[];
let children: ChildProcess[];

beforeEach(async () => {
    box = sandbox([toolSpec()]);
    content = await archive(box.folder, { "tool-1.2.3/tool": script(box.marker) });
    held = [];
    children = [];
    server = await serve(
        answerWith(content, (response) => {
            response.write(content.subarray(0, 100));
            held.push(response);
        }),
    );
});

afterEach(async () => {
    children.forEach((child) => child.kill("SIGKILL"));
    await server.close();
});

interface Run {
    readonly child: ChildProcess;
    readonly output: () => string;
    readonly ended: () => Promise<unknown[]>;
}

function start(kind: "download" | "build" = "download"): Run {
    const child = spawn(
        process.execPath,
        ["--import", "tsx", join(import.meta.dirname, "child.ts"), kind, join(box.folder, "go")],
        {
            env: { ...box.settings.environment, [urlVariable]: server.url },
            stdio: ["ignore", "pipe", "inherit"],
        },
    );
    children.push(child);
    let output = "";
    child.stdout.on("data", (piece: Buffer) => (output += piece.toString()));
    const ended = once(child, "close");
    return { child, output: () => output, ended: () => ended };
}

function answerHeld(): void {
    held.splice(0).forEach((response) => response.end(content.subarray(100)));
}

test("two runs at once install once: the second waits and finds the cache", async () => {
    const runs = [start(), start()];
    await until(() => runs.some(({ output }) => output().includes("waiting for process")));
    await until(() => held.length > 0);
    answerHeld();
    await Promise.all(runs.map(({ ended }) => ended()));
    const origins = runs.map(({ output }) => /^origin (.*)$/m.exec(output())?.[1]);
    expect(origins.sort()).toEqual(["cache", "download"]);
    expect(server.requests.filter((path) => path.endsWith("tool.tar.gz"))).toHaveLength(1);
    expect(leftovers(box.tools)).toHaveLength(1);
}, 30_000);

test("a run that was killed in the middle leaves a cache that the next run mends", async () => {
    const killed = start();
    await until(() => held.length > 0);
    killed.child.kill("SIGKILL");
    await killed.ended();
    // Else the test would prove nothing.
    expect(leftovers(box.tools).sort()).toEqual([".locks/mesh-test-tool", ".temp/mesh-test-tool"]);
    held = [];

    const environment = { ...box.settings.environment, [urlVariable]: server.url };
    const running = ensurePrograms({ ...box.settings, environment });
    await until(() => held.length > 0);
    answerHeld();
    expect((await running).programs.get("mesh-test-tool")?.origin).toBe("download");
    expect(leftovers(box.tools)).toEqual([expect.stringMatching(/^mesh-test-tool-1\.2\.3-/)]);
}, 30_000);

test.each(["SIGINT", "SIGTERM"] as const)(
    "%s leaves neither lock nor rest",
    async (signal) => {
        const run = start();
        await until(() => held.length > 0);
        run.child.kill(signal);
        expect(await run.ended()).toEqual([null, signal]);
        expect(leftovers(box.tools)).toEqual([]);
        expect(exists(box.marker)).toBe(false);
    },
    30_000,
);

test("two runs at once build once", async () => {
    const log = join(box.folder, "builds");
    mkdirSync(join(box.folder, "go", "tool"), { recursive: true });
    writeFileSync(join(box.folder, "go", "tool", "go.mod"), "module tool\n");
    writeExecutable(
        join(box.folder, "bin", "go"),
        `#!/bin/sh
if [ "$1" = version ]; then echo 'go version go1.26.8 linux/amd64'; exit; fi
echo built >> '${log}'
until [ -e '${box.folder}/finish' ]; do sleep 0.05; done
cat > "$5" <<'END'\n${script(box.marker)}END\n`,
    );
    const runs = [start("build"), start("build")];
    await until(() => runs.some(({ output }) => output().includes("waiting for process")));
    writeFileSync(join(box.folder, "finish"), "");
    await Promise.all(runs.map(({ ended }) => ended()));
    const origins = runs.map(({ output }) => /^origin (.*)$/m.exec(output())?.[1]);
    expect(origins.sort()).toEqual(["build", "cache"]);
    expect(readFileSync(log, "utf8")).toBe("built\n");
}, 30_000);

test("an interrupted build takes Go and its compilers down with it", async () => {
    const pids = join(box.folder, "pids");
    mkdirSync(join(box.folder, "go", "tool"), { recursive: true });
    writeFileSync(join(box.folder, "go", "tool", "go.mod"), "module tool\n");
    writeExecutable(
        join(box.folder, "bin", "go"),
        `#!/bin/sh
if [ "$1" = version ]; then echo 'go version go1.26.8 linux/amd64'; exit; fi
sleep 600 & echo "$$ $!" > '${pids}.new'; mv '${pids}.new' '${pids}'; wait`,
    );
    const run = start("build");
    await until(() => exists(pids));
    run.child.kill("SIGTERM");
    await run.ended();
    for (const pid of readFileSync(pids, "utf8").trim().split(" ").map(Number)) {
        await until(() => !runs(pid));
    }
    expect(leftovers(box.tools)).toEqual([]);
}, 30_000);

function runs(pid: number): boolean {
    try {
        process.kill(pid, 0);
        // Killed, but nobody has asked for its exit code yet.
        const status = `/proc/${pid}/status`;
        return !exists(status) || !/^State:\s+Z/m.test(readFileSync(status, "utf8"));
    } catch {
        return false;
    }
}
