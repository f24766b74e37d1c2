import { createHash } from "node:crypto";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { defaultLimits } from "../../../toolchain/limits";
import type { Settings } from "../../../toolchain/search";
import { currentPlatform, type ProgramSpec } from "../../../toolchain/spec";

export const urlVariable = "MESH_TOOLS_TEST_URL";
export const systemPath = "/usr/bin:/bin";

/** A program that comes as `tool.tar.gz` with a `SHA256SUMS`, from the URL in the variable. */
export function toolSpec(changes: Partial<ProgramSpec> = {}): ProgramSpec {
    return {
        name: "mesh-test-tool",
        required: true,
        version: "1.2.3",
        probe: {
            kind: "version",
            arguments: ["--version"],
            pattern: /^tool version v(\d\S*)$/m,
            accepts: "^1.2.0",
        },
        release: {
            name: "mesh-test-tool",
            source: { variable: urlVariable, url: "http://127.0.0.1:9" },
            file: () => "v1.2.3/tool.tar.gz",
            checksums: () => "v1.2.3/SHA256SUMS",
            format: "tar.gz",
        },
        member: () => "tool-1.2.3/tool",
        ...changes,
    };
}

/** A program without a release, built from the module `tool`. */
export function builtSpec(changes: Partial<ProgramSpec> = {}): ProgramSpec {
    const { name, required, version, probe } = toolSpec();
    const build = {
        module: "tool",
        package: ".",
        version,
        variables: { "main.v": "1" },
        seconds: 1,
    };
    return { name, required, version, probe, build, ...changes };
}

export interface Sandbox {
    readonly folder: string;
    /** The cache's folder of programs. */
    readonly tools: string;
    /** Exists once a stand-in program has run. */
    readonly marker: string;
    readonly lines: string[];
    readonly settings: Settings;
}

const folders: string[] = [];

/** A folder that `removeFolders` removes. */
export function temporaryFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "toolchain-test-"));
    folders.push(folder);
    return folder;
}

/** For afterAll. */
export function removeFolders(): void {
    folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true }));
}

/** A home, a PATH and a cache of their own. */
export function sandbox(specs: readonly ProgramSpec[], url = ""): Sandbox {
    const folder = temporaryFolder();
    const lines: string[] = [];
    mkdirSync(join(folder, "bin"));
    return {
        folder,
        tools: join(folder, "cache", "mesh-upgrade", "tools"),
        marker: join(folder, "executed"),
        lines,
        settings: {
            specs,
            environment: {
                PATH: `${join(folder, "bin")}:${systemPath}`,
                HOME: folder,
                XDG_CACHE_HOME: join(folder, "cache"),
                [urlVariable]: url,
            },
            progress: (line) => lines.push(line),
            limits: { ...defaultLimits, lockPoll: 20 },
            platform: currentPlatform(),
            goFolder: join(folder, "go"),
        },
    };
}

/** What lies in the cache, without the folders for locks and the like when they are empty. */
export function leftovers(tools: string): string[] {
    return readdirSync(tools).flatMap((name) =>
        name.startsWith(".")
            ? readdirSync(join(tools, name)).map((inner) => join(name, inner))
            : [name],
    );
}

/** A shell script that notes its execution and tells a version. */
export function script(marker: string, version = "1.2.3"): string {
    return `#!/bin/sh\necho ran >> '${marker}'\necho 'tool version v${version}'\n`;
}

export function writeExecutable(path: string, content: string | Buffer): string {
    writeFileSync(path, content);
    chmodSync(path, 0o755);
    return path;
}

/** A .tar.gz of the given files (path inside to content). */
export async function archive(
    folder: string,
    files: Record<string, string>,
    outsideName?: string,
): Promise<Buffer> {
    const source = mkdtempSync(join(folder, "archive-"));
    for (const [path, content] of Object.entries(files)) {
        mkdirSync(join(source, path, ".."), { recursive: true });
        writeExecutable(join(source, path), content);
    }
    const pieces: Buffer[] = [];
    const stream = create(
        {
            gzip: true,
            cwd: source,
            onWriteEntry: (entry) => {
                if (outsideName !== undefined && entry.path.endsWith("outside")) {
                    entry.path = outsideName;
                }
            },
        },
        Object.keys(files),
    );
    for await (const piece of stream as unknown as AsyncIterable<Buffer>) {
        pieces.push(piece);
    }
    return Buffer.concat(pieces);
}

export function sha256(content: Buffer): string {
    return createHash("sha256").update(content).digest("hex");
}

export interface TestServer {
    readonly url: string;
    readonly requests: string[];
    close(): Promise<void>;
}

/** A loopback server; `answer` gets the path of each request. */
export async function serve(
    answer: (path: string, response: ServerResponse) => void,
): Promise<TestServer> {
    const requests: string[] = [];
    const listener: RequestListener = (request, response) => {
        requests.push(request.url ?? "");
        answer(request.url ?? "", response);
    };
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        requests,
        close: () =>
            new Promise((resolve) => {
                server.closeAllConnections();
                server.close(() => resolve());
            }),
    };
}

/** Answers with the archive and its right checksum; `sendArchive` may do something else. */
export function answerWith(
    content: Buffer,
    sendArchive: (response: ServerResponse) => void = (response) => response.end(content),
    checksums = `${sha256(content)}  tool.tar.gz\n`,
): (path: string, response: ServerResponse) => void {
    return (path, response) => {
        if (path === "/v1.2.3/SHA256SUMS") {
            response.end(checksums);
        } else if (path === "/v1.2.3/tool.tar.gz") {
            response.setHeader("content-length", content.length);
            sendArchive(response);
        } else {
            response.writeHead(404).end();
        }
    };
}

/** Waits for a condition of another process; the test's own time limit ends a vain wait. */
export async function until(condition: () => boolean): Promise<void> {
    while (!condition()) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

export function exists(path: string): boolean {
    return existsSync(path);
}
