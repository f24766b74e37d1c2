import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
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

const start = async () => {
    const { stdout } = await run("node", ["bin/run.cjs", "rollout/say.ts", "a", "b"], {
        cwd: copy,
    });
    return stdout.trim();
};

const bundles = () => readdir(join(copy, "node_modules", ".cache", "mesh-upgrade"));

describe("bin/run.cjs", () => {
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
        expect(second).toHaveLength(1);
        expect(second).not.toEqual(first);
    });

    it("runs where nothing can be kept", async () => {
        await project();
        await say("first");
        await writeFile(join(copy, "node_modules", ".cache"), "a file, no folder");
        expect(await start()).toBe("first a+b");
    });
});

it(
    "every file that gets into the bundle is one whose edit makes a new one",
    { timeout: 60_000 },
    () => {
        const { metafile } = buildSync({
            entryPoints: ["index.ts", "rollout/main.ts", "rollout/wave.ts", "charts/postRender.ts"],
            absWorkingDir: PROJECT,
            outdir: "unused",
            bundle: true,
            write: false,
            metafile: true,
            platform: "node",
            external: ["@pulumi/*"],
        });
        const watched =
            /^(config\.ts|index\.ts|toolchain\/cache\.ts|(charts|cluster|components|plan|program|report|rollout)\/.*\.ts)$/;
        const files = Object.keys(metafile.inputs).filter(
            (file) => !file.startsWith("node_modules/"),
        );
        expect(files).toContain("rollout/runWave.ts");
        expect(files.filter((file) => !watched.test(file))).toEqual([]);
    },
);
