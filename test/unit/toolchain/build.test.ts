import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { ensurePrograms } from "../../../toolchain/ensure";
import {
    builtSpec,
    exists,
    leftovers,
    removeFolders,
    sandbox,
    type Sandbox,
    script,
    toolSpec,
    writeExecutable,
} from "./support";

afterAll(removeFolders);

// A stand-in for Go: what is proven is how it is called, not that the real modules build.

let box: Sandbox;
let log: string;

beforeEach(() => {
    box = sandbox([builtSpec()]);
    log = join(box.folder, "go.log");
    mkdirSync(join(box.folder, "go", "tool"), { recursive: true });
    writeFileSync(join(box.folder, "go", "tool", "go.mod"), "module tool\n");
    writeFileSync(join(box.folder, "go", "tool", "go.sum"), "sums\n");
    fakeGo("1.26.8", `cat > "$5" <<'END'\n${script(box.marker)}END\n`);
});

/** With `-ldflags FLAGS -o OUTPUT PACKAGE`, the output is the fifth parameter. */
function fakeGo(version: string, build: string): void {
    writeExecutable(
        join(box.folder, "bin", "go"),
        `#!/bin/sh
if [ "$1" = version ]; then echo 'go version go${version} linux/amd64'; exit; fi
echo "$PWD|$*|$CGO_ENABLED|$GOFLAGS|$GOTOOLCHAIN|$GOWORK|$GOTMPDIR" >> '${log}'
${build}`,
    );
}

function builds(): string[] {
    return exists(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
}

test("a program without a download is built with the pinned flags, once", async () => {
    const outcome = await ensurePrograms(box.settings);
    expect(outcome.programs.get("mesh-test-tool")).toMatchObject({
        version: "1.2.3",
        origin: "build",
    });
    expect(builds()).toEqual([
        `${join(box.folder, "go", "tool")}|build -ldflags -s -w -X main.v=1 -o ` +
            `${join(box.tools, ".temp", "mesh-test-tool", "built")} .|0|` +
            `-mod=readonly -buildvcs=false -trimpath|local|off|` +
            join(box.tools, ".temp", "mesh-test-tool"),
    ]);
    expect(leftovers(box.tools)).toHaveLength(1);
    expect(box.lines[0]).toMatch(/^mesh-test-tool: building \(1 of 1\), about /);

    const again = await ensurePrograms(box.settings);
    expect(again.programs.get("mesh-test-tool")?.origin).toBe("cache");
    expect(builds()).toHaveLength(1);
});

test("a failed download falls through to the build", async () => {
    const environment = { ...box.settings.environment, MESH_TOOLS_TEST_URL: "http://127.0.0.1:9" };
    const specs = [{ ...toolSpec(), ...builtSpec() }];
    const outcome = await ensurePrograms({ ...box.settings, environment, specs });
    expect(outcome.programs.get("mesh-test-tool")?.origin).toBe("build");
    expect(box.lines[0]).toContain("SHA256SUMS: connect ECONNREFUSED");
});

const changes: [string, () => readonly ReturnType<typeof builtSpec>[]][] = [
    [
        "go.sum",
        () => {
            writeFileSync(join(box.folder, "go", "tool", "go.sum"), "other sums\n");
            return [builtSpec()];
        },
    ],
    [
        "the linker's flags",
        () => {
            const build = builtSpec().build;
            return [builtSpec({ ...(build && { build: { ...build, variables: {} } }) })];
        },
    ],
    [
        "the build tags",
        () => {
            const build = builtSpec().build;
            return [builtSpec({ ...(build && { build: { ...build, tags: ["small", "fast"] } }) })];
        },
    ],
];

test.each(changes)("a change of %s is built anew", async (what, change) => {
    await ensurePrograms(box.settings);
    const outcome = await ensurePrograms({ ...box.settings, specs: change() });
    expect(outcome.programs.get("mesh-test-tool")?.origin).toBe("build");
    expect(builds()).toHaveLength(2);
    if (what === "the build tags") {
        expect(builds()[1]).toContain(" -tags small,fast .|");
    }
});

const damages: [string, (path: string) => void][] = [
    ["shortened", (path) => writeFileSync(path, "#!")],
    ["made writable for others", (path) => void writeExecutable(path, script(box.marker))],
    ["without its record", (path) => writeFileSync(join(path, "..", "install.json"), "{")],
];

test.each(damages)("a cached program that was %s is not run but replaced", async (_, damage) => {
    const path = (await ensurePrograms(box.settings)).programs.get("mesh-test-tool")?.path ?? "";
    damage(path);
    const outcome = await ensurePrograms(box.settings);
    expect(outcome.programs.get("mesh-test-tool")).toMatchObject({ path, origin: "build" });
});

test("a failing build leaves nothing, shows Go's words, and spares the user the others", async () => {
    fakeGo("1.26.8", "echo 'no such module' >&2; exit 1");
    const specs = [builtSpec(), builtSpec({ name: "mesh-test-other" })];
    const running = ensurePrograms({ ...box.settings, specs });
    await expect(running).rejects.toThrow(
        /build: .*go build ended with code 1:\n {4}no such module\n[^]*mesh-test-other 1\.2\.3[^]*not tried, because the build of mesh-test-tool failed/,
    );
    expect(builds()).toHaveLength(1);
    expect(leftovers(box.tools)).toEqual([]);
});

test("when no way works, one error says all that was tried and what to do", async () => {
    fakeGo("1.24.1", "exit 1");
    const environment = { ...box.settings.environment, MESH_TOOLS_TEST_URL: "http://127.0.0.1:9" };
    const specs = [{ ...toolSpec(), ...builtSpec() }];
    writeExecutable(join(box.folder, "bin", "mesh-test-tool"), script(box.marker, "1.1.0"));
    const { os, arch } = box.settings.platform;
    await expect(ensurePrograms({ ...box.settings, environment, specs })).rejects.toMatchObject({
        name: "ProgramsUnavailableError",
        message: `Cannot get mesh-test-tool 1.2.3 for ${os}/${arch}:
  PATH: ${box.folder}/bin/mesh-test-tool is version 1.1.0, not in "^1.2.0"
  cache: not in ${box.tools}
  download: http://127.0.0.1:9/v1.2.3/SHA256SUMS: connect ECONNREFUSED 127.0.0.1:9
  build: ${box.folder}/bin/go is 1.24.1, too old: the modules need Go 1.26
Nothing unfinished was left in the cache. Do one of these and run it again:
  - put mesh-test-tool (^1.2.0) on PATH
  - set MESH_TOOLS_TEST_URL to a mirror of http://127.0.0.1:9
  - install Go 1.26 or newer, with access to a Go module proxy`,
    });
});

test("a missing Go is named", async () => {
    const environment = { ...box.settings.environment, PATH: join(box.folder, "empty") };
    await expect(ensurePrograms({ ...box.settings, environment })).rejects.toThrow(
        "build: Go is not installed",
    );
});
