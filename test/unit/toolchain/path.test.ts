import { copyFileSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { ensurePrograms } from "../../../toolchain/ensure";
import { removeFolders, sandbox, type Sandbox, script, toolSpec, writeExecutable } from "./support";

afterAll(removeFolders);

let box: Sandbox;
let file: string;

beforeEach(() => {
    // No URL, no build: what is not taken from PATH is absent.
    box = sandbox([toolSpec({ required: false })]);
    file = join(box.folder, "bin", "mesh-test-tool");
});

/** The system's `true`: a small program of this machine, and made for another one. */
function native(path: string, foreign = false): void {
    const content = readFileSync(realpathSync("/bin/true"));
    if (foreign) {
        content[process.platform === "linux" ? 18 : 4]! ^= 0xff;
    }
    writeExecutable(path, content);
}

test("a program on PATH is used where it is, without a look at the cache or the network", async () => {
    writeExecutable(file, script(box.marker, "1.9.0"));
    const outcome = await ensurePrograms(box.settings);
    expect(outcome.programs.get("mesh-test-tool")).toEqual({
        path: file,
        version: "1.9.0",
        origin: "PATH",
    });
});

const unusable: [string, () => void, RegExp][] = [
    [
        "a dispatcher that answers in its own name",
        () => writeExecutable(file, "#!/bin/sh\necho 'mise 2026.1.0'\n"),
        /does not tell a version of mesh-test-tool: "mise 2026\.1\.0"/,
    ],
    [
        "a dispatcher that has no version set",
        () => writeExecutable(file, "#!/bin/sh\necho 'tool version v1.2.3'; exit 126\n"),
        /does not run: ended with code 126/,
    ],
    [
        "a program for another processor",
        () => native(file, true),
        /is an executable for another machine, not for /,
    ],
    [
        "a program that does not start",
        () => writeExecutable(file, "#!/no/such/interpreter\n"),
        /ENOENT/,
    ],
    [
        "a program that hangs",
        () => writeExecutable(file, "#!/bin/sh\nsleep 600\n"),
        /did not answer within 0\.3 s/,
    ],
    [
        "another version",
        () => writeExecutable(file, script(box.marker, "2.0.0")),
        /is version 2\.0\.0, not in "\^1\.2\.0"/,
    ],
];

test.each(unusable)("%s on PATH is passed over, with the reason", async (_, place, reason) => {
    place();
    const limits = { ...box.settings.limits, probe: 300 };
    const outcome = await ensurePrograms({ ...box.settings, limits });
    expect(outcome.programs.size).toBe(0);
    expect(outcome.absent.get("mesh-test-tool")).toMatch(reason);
    expect(box.lines.join("\n")).toMatch(reason);
});

test("a usable program later on PATH is found behind an unusable one", async () => {
    writeExecutable(file, "#!/bin/sh\nexit 1\n");
    const later = join(box.folder, "later");
    mkdirSync(later);
    writeExecutable(join(later, "mesh-test-tool"), script(box.marker));
    const PATH = `${box.settings.environment.PATH}:${later}`;
    const environment = { ...box.settings.environment, PATH };
    const outcome = await ensurePrograms({ ...box.settings, environment });
    expect(outcome.programs.get("mesh-test-tool")?.path).toBe(join(later, "mesh-test-tool"));
});

test("relative entries of PATH are ignored: they depend on where one stands", async () => {
    writeExecutable(file, script(box.marker));
    const back = `${"../".repeat(20)}${join(box.folder, "bin").slice(1)}`;
    const environment = { ...box.settings.environment, PATH: back };
    const outcome = await ensurePrograms({ ...box.settings, environment });
    expect(outcome.programs.size).toBe(0);
});

const plugin = toolSpec({ required: false, probe: { kind: "plugin" } });

test("a plugin on PATH counts when it is a native program, with an unknown version", async () => {
    native(file);
    const outcome = await ensurePrograms({ ...box.settings, specs: [plugin] });
    expect(outcome.programs.get("mesh-test-tool")?.version).toBe("unknown");
});

const wrappers: [string, () => void, RegExp][] = [
    ["a script", () => writeExecutable(file, "#!/bin/sh\n"), /is a wrapper, not the program/],
    [
        "a link to a version manager",
        () => {
            native(join(box.folder, "manager"));
            symlinkSync(join(box.folder, "manager"), file);
        },
        /is a link to another program/,
    ],
    ["one for another processor", () => native(file, true), /for another machine/],
];

test.each(wrappers)("a plugin that is %s does not count", async (_, place, reason) => {
    place();
    const outcome = await ensurePrograms({ ...box.settings, specs: [plugin] });
    expect(outcome.absent.get("mesh-test-tool")).toMatch(reason);
});

test("a plugin is also found beside the program that it came with", async () => {
    const home = join(box.folder, "real");
    mkdirSync(home);
    writeExecutable(join(home, "mesh-test-tool"), script(box.marker));
    symlinkSync(join(home, "mesh-test-tool"), file);
    native(join(home, "copy"));
    copyFileSync(join(home, "copy"), join(home, "mesh-test-language"));
    const language = { ...plugin, name: "mesh-test-language", beside: "mesh-test-tool" };
    const outcome = await ensurePrograms({ ...box.settings, specs: [toolSpec(), language] });
    expect(outcome.programs.get("mesh-test-language")?.path).toBe(join(home, "mesh-test-language"));
});
