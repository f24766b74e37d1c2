import { execFile } from "node:child_process";
import {
    cp,
    mkdir,
    mkdtemp,
    readdir,
    readFile,
    rm,
    stat,
    symlink,
    writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const PROJECT = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);

let copy: string;
beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), "mesh-bundle-"));
});
afterEach(() => rm(copy, { recursive: true }));

/** A project with the launcher, one program and packages of its own. */
async function project(): Promise<void> {
    await cp(join(PROJECT, "bin"), join(copy, "bin"), { recursive: true });
    const folders = ["charts", "cluster", "components", "plan", "program", "report", "rollout"];
    for (const folder of [...folders, "toolchain", "node_modules"]) {
        await mkdir(join(copy, folder));
    }
    await symlink(join(PROJECT, "node_modules", "esbuild"), join(copy, "node_modules", "esbuild"));
    for (const file of ["config.ts", "index.ts", "toolchain/cache.ts", "package-lock.json"]) {
        await writeFile(join(copy, file), "");
    }
    await writeFile(join(copy, "rollout", "other.ts"), `throw new Error("not asked for");`);
}

const say = (text: string) =>
    writeFile(
        join(copy, "rollout", "say.ts"),
        `const text: string = "${text}";\nconsole.log(text, process.argv.slice(2).join("+"));\n`,
    );

const start = async (...flags: string[]) => {
    const { stdout } = await run("node", [...flags, "bin/run.cjs", "rollout/say.ts", "a", "b"], {
        cwd: copy,
    });
    return stdout.trim();
};

const bundles = () => readdir(join(copy, "node_modules", ".cache", "mesh-upgrade"));

describe("bin/run.cjs", { timeout: 60_000 }, () => {
    it("runs the one program that is named, with its arguments", async () => {
        await project();
        await say("first");
        expect(await start()).toBe("first a+b");
    });

    it("bundles once, and again after an edit; the bundle of before goes", async () => {
        await project();
        await say("first");
        await start();
        const first = await bundles();
        expect(await start()).toBe("first a+b");
        expect(await bundles()).toEqual(first);
        await say("second text");
        expect(await start()).toBe("second text a+b");
        const second = await bundles();
        expect(second).toHaveLength(2);
        expect(second.filter((file) => first.includes(file))).toEqual([]);
    });

    it("keeps V8's code with the bundle, and another's for other flags; code that V8 refuses is made anew", async () => {
        await project();
        await say("first");
        await start();
        const [bundle = "", code = ""] = await bundles();
        expect(code).toMatch(new RegExp(`^${bundle}\\.\\d+$`));
        await start("--optimize-for-size");
        expect(await bundles()).toHaveLength(3);
        const file = join(copy, "node_modules", ".cache", "mesh-upgrade", code);
        const made = await readFile(file);
        const { mtimeMs } = await stat(file);
        await start();
        expect((await stat(file)).mtimeMs).toBe(mtimeMs);
        await writeFile(file, "no code");
        expect(await start()).toBe("first a+b");
        expect((await readFile(file)).length).toBe(made.length);
    });

    it("runs the program that names it in its first line, started through a link", async () => {
        await project();
        const text = `#!/usr/bin/env -S node bin/run.cjs\nconsole.log("started", process.argv.length);\n`;
        await writeFile(join(copy, "charts", "filter.ts"), text, { mode: 0o755 });
        const linked = join(copy, "linked");
        await mkdir(linked);
        for (const folder of ["bin", "charts"]) {
            await symlink(join(copy, folder), join(linked, folder));
        }
        const { stdout } = await run(join(linked, "charts", "filter.ts"), { cwd: linked });
        expect(stdout.trim()).toBe("started 2");
    });

    it("runs where nothing can be kept", async () => {
        await project();
        await say("first");
        await writeFile(join(copy, "node_modules", ".cache"), "a file, no folder");
        expect(await start()).toBe("first a+b");
    });
});

it.each([
    {
        bundle: "program",
        programs: ["index.ts", "rollout/main.ts", "rollout/wave.ts", "charts/postRender.ts"],
        holds: "rollout/runWave.ts",
        more: [],
    },
    {
        bundle: "embedded",
        programs: ["gateway", "standIns/commandProvider", "standIns/languageHost"].map(
            (name) => `embedded/${name}.ts`,
        ),
        holds: "embedded/mesh/server.ts",
        more: ["embedded"],
    },
])(
    "every file that gets into the bundle $bundle is one whose edit makes a new one",
    { timeout: 60_000 },
    ({ programs, holds, more }) => {
        const { metafile } = buildSync({
            entryPoints: programs,
            absWorkingDir: PROJECT,
            outdir: "unused",
            bundle: true,
            write: false,
            metafile: true,
            platform: "node",
            external: ["@pulumi/*"],
            logLevel: "error",
        });
        const folders = ["charts", "cluster", "components", "plan", "program", "report", "rollout"];
        const watched = new RegExp(
            `^(config\\.ts|index\\.ts|toolchain/cache\\.ts|(${[...folders, ...more].join("|")})/.*\\.ts)$`,
        );
        const files = Object.keys(metafile.inputs).filter(
            (file) => !file.startsWith("node_modules/"),
        );
        expect(files).toContain(holds);
        expect(files.filter((file) => !watched.test(file))).toEqual([]);
    },
);
