import { mkdtemp, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pulumiEnvironment } from "../../embedded/pulumi";
import { splitWords } from "../../embedded/standIns/nodeProgram";
import { engineAddress, shorten } from "../../embedded/standIns/plugin";
import { requiredPackages } from "../../embedded/standIns/requiredPackages";
import { writeShims, type StandIn } from "../../embedded/standIns/shims";

let directory: string;
beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "mesh stand'ins-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("shims", () => {
    test.each<StandIn>(["pulumi-language-nodejs", "pulumi-resource-command"])(
        "%s answers with nothing but its port, from any folder name, and ends on SIGINT",
        async (name) => {
            const shims = join(directory, "shims");
            await writeShims(shims, [name]);
            expect((await stat(join(shims, name))).mode & 0o111).toBe(0o111);
            const child = spawn(join(shims, name), [], { stdio: ["ignore", "pipe", "inherit"] });
            const ended = new Promise((resolve) => child.on("close", resolve));
            try {
                const first = await new Promise<string>((resolve) =>
                    child.stdout.setEncoding("utf8").on("data", resolve),
                );
                expect(first).toMatch(/^\d+\n$/);
            } finally {
                child.kill("SIGINT");
            }
            expect(await ended).toBe(0);
        },
        20_000,
    );
});

describe("environment", () => {
    test("the user's own backend and plugins stay out, and shims come before the system", async () => {
        const program = (path: string) => ({ path });
        const { environment, standIns } = await pulumiEnvironment({
            toolchain: {
                programs: {
                    pulumi: program("/cli/pulumi"),
                    "pulumi-resource-kubernetes": program("/k/pulumi-resource-kubernetes"),
                },
                optional: { "pulumi-resource-command": program("/c/pulumi-resource-command") },
            },
            directory,
            passphrase: "p",
            extraPath: ["/extra"],
            base: { PATH: "/usr/bin", PULUMI_ACCESS_TOKEN: "t", HOME: "/root" },
        });
        expect(standIns).toEqual(["pulumi-language-nodejs"]);
        expect(environment).toEqual({
            HOME: "/root",
            PATH: `/extra:${directory}/standIns:/c:/cli:/k:/usr/bin`,
            PULUMI_HOME: `${directory}/home`,
            PULUMI_BACKEND_URL: `file://${directory}/state`,
            PULUMI_CONFIG_PASSPHRASE: "p",
            PULUMI_SKIP_UPDATE_CHECK: "true",
        });
    });
});

describe("language host", () => {
    test("node's arguments may be quoted", () => {
        expect(splitWords(`--import tsx  --title="two words" 'a "b"' c\\ d ""`)).toEqual([
            "--import",
            "tsx",
            "--title=two words",
            'a "b"',
            "c d",
            "",
        ]);
        expect(splitWords(" ")).toEqual([]);
    });

    test("plugins that packages ask for are found, nested ones too", async () => {
        const program = join(directory, "program");
        const manifest = async (path: string, content: object): Promise<void> => {
            await mkdir(join(program, path), { recursive: true });
            await writeFile(join(program, path, "package.json"), JSON.stringify(content));
        };
        const modules = "node_modules/@pulumi/one";
        await manifest(modules, {
            name: "@pulumi/one",
            version: "1.0.0",
            pulumi: { resource: true },
        });
        await manifest(`${modules}/node_modules/two`, {
            name: "two",
            pulumi: { resource: true, name: "second", version: "v2.0.0", server: "https://x" },
        });
        await manifest("node_modules/three", { name: "three", version: "3.0.0" });
        expect(requiredPackages(program)).toEqual([
            { name: "one", version: "v1.0.0", server: "" },
            { name: "second", version: "v2.0.0", server: "https://x" },
        ]);
    });
});

describe("plugin", () => {
    test("the engine's address is the argument after the flags", () => {
        expect(engineAddress(["node", "x", "-v=9", "127.0.0.1:1"])).toBe("127.0.0.1:1");
        expect(engineAddress(["node", "x"])).toBeUndefined();
    });

    test("a long output does not lose its error on the way: begin and end stay", () => {
        const message = `exit status 1:\n${"é\n".repeat(100_000)}the end`;
        const short = shorten(message);
        expect(encodeURI(short).length).toBeLessThan(45_000);
        expect(short).toMatch(/^exit status 1:[^]*leaves out the middle[^]*the end$/);
        expect(shorten("short\ud800")).toBe("short\ufffd");
    });
});
