import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCommandProject, reportPlugins, type CommandProject } from "./support/commandProject";
import { processExists, waitFor } from "./support/waiting";

// The part of commandContract.test.ts that looks at a command while it runs.

let project: CommandProject;

beforeAll(async () => {
    project = await createCommandProject();
    reportPlugins(project);
});

afterAll(() => (project as CommandProject | undefined)?.dispose());

describe("while a command runs", () => {
    test("the user sees its progress while it goes on", async () => {
        const stack = await project.stack("live");
        const gate = join(project.directory, "gate");
        await stack.program(`new local.Command("wave", {
            create: "echo 1 of 2 ready; while ! test -e ${gate}; do sleep 0.1; done",
        });`);
        const up = stack.startUp();
        await waitFor("the first line", () => up.output().includes("1 of 2 ready"));
        await writeFile(gate, "");
        expect((await up.done).code).toBe(0);
    });

    const endless = (pids: string): string => `new local.Command("wave", {
        interpreter: ["node", "-e"],
        create: \`require("fs").writeFileSync("${pids}", process.pid + " " + process.ppid);
            console.log("running"); setInterval(() => undefined, 1000);\`,
    });`;

    async function pidsIn(file: string): Promise<number[]> {
        await waitFor("the command's start", async () => (await readFile(file, "utf8")) !== "");
        return (await readFile(file, "utf8")).split(" ").map(Number);
    }

    test("Ctrl-C leaves no process behind, and the wave runs again next time", async () => {
        const stack = await project.stack("interrupted");
        const file = join(project.directory, "interrupted.pids");
        await stack.program(endless(file));
        const up = stack.startUp();
        const pids = await pidsIn(file);
        up.signal("SIGINT");
        let code: number | undefined;
        void up.done.then((result) => (code = result.code));
        await waitFor("the end of pulumi", () => code !== undefined);
        expect(code).not.toBe(0);
        await waitFor("the end of the processes", () => !pids.some(processExists));
        await stack.program('new local.Command("wave", { create: "echo again" });');
        await stack.up();
        expect((await stack.commands())["wave"]?.outputs).toMatchObject({ stdout: "again" });
    });

    test("a killed pulumi leaves no process behind", async ({ skip }) => {
        // The official provider looks only every five minutes whether its engine is there.
        skip(!project.cli.standIns.includes("pulumi-resource-command"), "stand-in only");
        const stack = await project.stack("killed");
        const file = join(project.directory, "killed.pids");
        await stack.program(endless(file));
        const up = stack.startUp();
        const pids = await pidsIn(file);
        up.signal("SIGKILL");
        await up.done;
        await waitFor("the end of the processes", () => !pids.some(processExists));
    });
});
