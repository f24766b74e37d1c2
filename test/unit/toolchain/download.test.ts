import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { afterAll, afterEach, expect, test } from "vitest";
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
    sha256,
    type TestServer,
    toolSpec,
} from "./support";

afterAll(removeFolders);

// What is not proven here: that the real publishers' files are where sources.ts says.

let server: TestServer | undefined;

afterEach(async () => {
    await server?.close();
    server = undefined;
});

type Answer = Parameters<typeof serve>[0];

async function prepared(
    answer: (content: Buffer) => Answer,
    files?: (box: Sandbox) => Record<string, string>,
    outsideName?: string,
): Promise<{ box: Sandbox; settings: Sandbox["settings"] }> {
    const box = sandbox([toolSpec()]);
    const content = await archive(
        box.folder,
        files?.(box) ?? { "tool-1.2.3/tool": script(box.marker), "tool-1.2.3/README": "text" },
        outsideName,
    );
    server = await serve(answer(content));
    const environment = { ...box.settings.environment, MESH_TOOLS_TEST_URL: `${server.url}/` };
    return { box, settings: { ...box.settings, environment } };
}

test("a good download is installed, runs, is private, and is not fetched again", async () => {
    const { box, settings } = await prepared((content) => answerWith(content));
    const tool = (await ensurePrograms(settings)).programs.get("mesh-test-tool");
    expect(tool).toMatchObject({ version: "1.2.3", origin: "download" });
    expect(execFileSync(tool?.path ?? "", { encoding: "utf8" })).toBe("tool version v1.2.3\n");
    expect(statSync(tool?.path ?? "").mode & 0o777).toBe(0o700);
    expect(statSync(box.tools).mode & 0o777).toBe(0o700);
    expect(leftovers(box.tools)).toHaveLength(1);
    expect(server?.requests).toEqual(["/v1.2.3/SHA256SUMS", "/v1.2.3/tool.tar.gz"]);

    const again = await ensurePrograms(settings);
    expect(again.programs.get("mesh-test-tool")).toEqual({ ...tool, origin: "cache" });
    expect(server?.requests).toHaveLength(2);
});

test("a download follows redirections, as GitHub's releases need it", async () => {
    const { settings } = await prepared((content) => (path, response) => {
        const plain = answerWith(content);
        if (path.startsWith("/moved/")) {
            plain(path.slice("/moved".length), response);
        } else {
            response.writeHead(302, { location: `/moved${path}` }).end();
        }
    });
    const outcome = await ensurePrograms(settings);
    expect(outcome.programs.get("mesh-test-tool")?.origin).toBe("download");
});

const zeros = "0".repeat(64);
const failures: {
    name: string;
    answer: (content: Buffer) => Answer;
    reason: string | RegExp;
    executed?: true;
    files?: (box: Sandbox) => Record<string, string>;
    outsideName?: string;
}[] = [
    {
        name: "truncated",
        answer: (content) =>
            answerWith(content, (response) => {
                response.write(content.subarray(0, 100), () => response.destroy());
            }),
        reason: /tool\.tar\.gz: cut off after 100 of \d+ bytes/,
    },
    {
        name: "stalling before the first byte",
        answer: (content) => answerWith(content, () => undefined),
        reason: /tool\.tar\.gz: stalled: no byte from 127\.0\.0\.1:\d+ for 0\.2 s/,
    },
    {
        name: "stalling in the middle",
        answer: (content) =>
            answerWith(content, (response) => void response.write(content.subarray(0, 100))),
        reason: "tool.tar.gz: stalled: no byte for 0.2 s",
    },
    {
        name: "with a wrong checksum",
        answer: (content) => answerWith(content, undefined, `${zeros}  tool.tar.gz\n`),
        reason: `the publisher says ${zeros}; it was not run and is thrown away`,
    },
    {
        name: "not named in the checksum file",
        answer: (content) => answerWith(content, undefined, `${sha256(content)}  other.tar.gz\n`),
        reason: "the publisher's checksum file has no SHA-256 for tool.tar.gz",
    },
    {
        name: "without a checksum file",
        answer: () => (_, response) => void response.writeHead(404).end(),
        reason: /SHA256SUMS: the server answered HTTP 404/,
    },
    {
        name: "that is no archive",
        answer: () => answerWith(Buffer.from("a login page of some proxy")),
        reason: /download: /,
    },
    {
        name: "without the wanted member",
        answer: (content) => answerWith(content),
        files: () => ({ other: "text" }),
        reason: "the archive has no file tool-1.2.3/tool",
    },
    {
        name: "with a member that points outside",
        answer: (content) => answerWith(content),
        files: ({ marker }) => ({ "tool-1.2.3/tool": script(marker), outside: "text" }),
        outsideName: "../../outside",
        reason: "the archive has a member that points outside: ../../outside",
    },
    {
        name: "that holds another version",
        answer: (content) => answerWith(content),
        files: ({ marker }) => ({ "tool-1.2.3/tool": script(marker, "1.2.4") }),
        reason: "mesh-test-tool is version 1.2.4, not 1.2.3",
        executed: true,
    },
];

test.each(failures)("a download $name leaves nothing and says why", async (failure) => {
    const { box, settings } = await prepared(failure.answer, failure.files, failure.outsideName);
    const limits = { ...settings.limits, stall: 200 };
    await expect(ensurePrograms({ ...settings, limits })).rejects.toThrow(failure.reason);
    expect(leftovers(box.tools)).toEqual([]);
    expect(exists(box.marker)).toBe(failure.executed ?? false);
});

test("an abort in the middle of a download ends it with the given reason and no rest", async () => {
    const controller = new AbortController();
    const { box, settings } = await prepared((content) =>
        answerWith(content, (response) => {
            response.write(content.subarray(0, 100), () => controller.abort(new Error("enough")));
        }),
    );
    const running = ensurePrograms({ ...settings, signal: controller.signal });
    await expect(running).rejects.toThrow("enough");
    expect(leftovers(box.tools)).toEqual([]);
});

test("an optional program that cannot be had is reported, and not asked for at each start", async () => {
    const { settings } = await prepared(() => (_, response) => void response.writeHead(503).end());
    const optional = { ...settings, specs: [toolSpec({ required: false })] };
    const first = await ensurePrograms(optional);
    expect(first.programs.size).toBe(0);
    expect(first.absent.get("mesh-test-tool")).toMatch(/^PATH: not found; download: .*HTTP 503$/);
    const second = await ensurePrograms(optional);
    expect(second.absent.get("mesh-test-tool")).toMatch(/HTTP 503 \(tried at .*MESH_TOOLS_RETRY=1/);
    expect(server?.requests).toHaveLength(1);

    const environment = { ...settings.environment, MESH_TOOLS_RETRY: "1" };
    await ensurePrograms({ ...optional, environment });
    expect(server?.requests).toHaveLength(2);
});

test("two programs of one release are fetched once", async () => {
    const companion = "mesh-test-companion";
    const { settings } = await prepared(
        (content) => answerWith(content),
        ({ marker }) => ({ "tool-1.2.3/tool": script(marker), "tool-1.2.3/more": script(marker) }),
    );
    const specs = [toolSpec(), toolSpec({ name: companion, member: () => "tool-1.2.3/more" })];
    const { programs } = await ensurePrograms({ ...settings, specs });
    expect([...programs.keys()]).toEqual(["mesh-test-tool", companion]);
    expect(server?.requests).toHaveLength(2);
});
