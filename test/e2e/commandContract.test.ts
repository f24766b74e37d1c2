import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCommandProject, reportPlugins, type CommandProject } from "./support/commandProject";

// What this project relies on in `command:local:Command`, in the engine and in the language host.
// It runs against the official plugins where they can be had, else against the stand-ins.
// It does not prove that a stand-in equals the official plugin in anything that is not asked here.

let project: CommandProject;

beforeAll(async () => {
    project = await createCommandProject();
    reportPlugins(project);
});

afterAll(() => (project as CommandProject | undefined)?.dispose());

/** A command that logs its word and the version that its environment names. */
const versioned = (name: string, version: number, more = ""): string => `
    const ${name} = new local.Command("${name}", {
        create: \`echo create ${name} $VERSION >> \${LOG}\`,
        delete: \`echo delete ${name} $VERSION >> \${LOG}\`,
        environment: { VERSION: "${version}" },
        triggers: [${version}],
        ${more}`;

describe("when a command runs", () => {
    test("a review changes nothing: preview does not run create", async () => {
        const stack = await project.stack("preview");
        await stack.program(`${versioned("wave", 1)} });`);
        expect(await stack.preview()).toEqual({ wave: "create" });
        expect(await stack.log()).toEqual([]);
    });

    test("nothing is done twice: unchanged inputs do not run again", async () => {
        const stack = await project.stack("unchanged");
        await stack.program(`${versioned("wave", 1)} });`);
        await stack.up();
        await stack.up();
        expect(await stack.log()).toEqual(["create wave 1"]);
        await stack.run(["preview", "--expect-no-changes"]);
    });

    test("a new version runs first, and what was undoes itself at the very end", async () => {
        const stack = await project.stack("replaced");
        const program = (version: number): Promise<void> =>
            stack.program(`${versioned("first", version)} });
                ${versioned("second", version)} }, { dependsOn: first });`);
        await program(1);
        await stack.up();
        await program(2);
        await stack.up();
        expect((await stack.log()).slice(2)).toEqual([
            "create first 2",
            "create second 2",
            "delete second 1",
            "delete first 1",
        ]);
    });

    test("a changed limit on stdin does not restart workloads: only update runs", async () => {
        const stack = await project.stack("stdin");
        const program = (limit: string): Promise<void> =>
            stack.program(`new local.Command("wave", {
                create: \`echo create >> \${LOG}; echo result\`,
                update: \`echo update $(cat) after $PULUMI_COMMAND_STDOUT >> \${LOG}; echo "$PULUMI_COMMAND_STDOUT"\`,
                delete: \`echo delete >> \${LOG}\`,
                stdin: "${limit}",
            });`);
        await program("slow");
        await stack.up();
        await program("fast");
        expect(await stack.preview()).toEqual({ wave: "update" });
        await stack.up();
        expect(await stack.log()).toEqual(["create", "update fast after result"]);
        expect((await stack.commands())["wave"]?.outputs).toMatchObject({ stdout: "result" });
    });

    test("without an update command a changed input runs create again", async () => {
        const stack = await project.stack("again");
        const program = (stdin: string, more = ""): Promise<void> =>
            stack.program(`new local.Command("wave", {
                create: \`echo create $(cat) after "[$PULUMI_COMMAND_STDOUT]" >> \${LOG}; echo done\`,
                stdin: "${stdin}",
                ${more}
            });`);
        await program("one");
        await stack.up();
        await program("two");
        await stack.up();
        await program("three", "addPreviousOutputInEnv: false,");
        await stack.up();
        expect(await stack.log()).toEqual([
            "create one after []",
            "create two after [done]",
            "create three after []",
        ]);
    });

    test("a trigger that is not known yet shows as a replacement in the review", async () => {
        const stack = await project.stack("unknown");
        const program = (version: number): Promise<void> =>
            stack.program(`${versioned("begin", version)} });
                new local.Command("wave", { create: "true", triggers: [begin.stdout] });`);
        await program(1);
        await stack.up();
        await program(2);
        const steps = await stack.preview();
        expect(steps["wave"]).toMatch(/replace/);
    });
});

describe("when a command fails", () => {
    test("the user sees why, nothing is taken as done, and repeating runs it again", async () => {
        const stack = await project.stack("failed");
        await stack.program(`new local.Command("wave", {
            create: \`echo tried >> \${LOG}; echo out line; echo err line >&2; exit 7\`,
        });`);
        for (const attempts of [1, 2]) {
            const { code, stdout, stderr } = await stack.up({ allowFailure: true });
            expect(code).not.toBe(0);
            expect(stdout + stderr).toMatch(/exit status 7: running "echo tried .*"/);
            expect(stdout + stderr).toMatch(/out line\n\s*err line/);
            expect(await stack.log()).toHaveLength(attempts);
            expect(await stack.commands()).toEqual({});
        }
    });

    test("a failed upgrade is repeated, and one wave alone is lost after a revert", async () => {
        const stack = await project.stack("single");
        const program = (version: number, end = ""): Promise<void> =>
            stack.program(`new local.Command("wave", {
                create: \`echo create ${version} >> \${LOG}; ${end}\`,
                delete: \`echo delete >> \${LOG}\`,
                triggers: [${version}],
            });`);
        await program(1);
        await stack.up();
        await program(2, "exit 1");
        await stack.up({ allowFailure: true });
        await stack.up({ allowFailure: true });
        expect((await stack.commands())["wave"]?.inputs).toMatchObject({ triggers: [1] });
        await program(1);
        await stack.up();
        // The trap that the pair of the next test avoids: the revert did not run.
        expect(await stack.log()).toEqual(["create 1", "create 2", "create 2"]);
    });

    test("after a failed upgrade and a revert the pair of begin and wave runs", async () => {
        const stack = await project.stack("pair");
        const program = (version: number, end = ""): Promise<void> =>
            stack.program(`
                const begin = new local.Command("rest-begin", {
                    interpreter: ["node", "-e"],
                    create: "console.log(crypto.randomUUID())",
                    triggers: [${version}],
                });
                new local.Command("rest", {
                    create: \`echo restart ${version} >> \${LOG}; ${end}\`,
                    triggers: [${version}, begin.stdout],
                });`);
        await program(1);
        await stack.up();
        await program(2, "exit 1");
        await stack.up({ allowFailure: true });
        await program(1);
        await stack.up();
        expect(await stack.log()).toEqual(["restart 1", "restart 2", "restart 1"]);
        await stack.run(["preview", "--expect-no-changes"]);
        expect(await stack.log()).toHaveLength(3);
    });

    test("a guard that refuses its deletion keeps what it guards", async () => {
        const stack = await project.stack("guard");
        const both = `${versioned("revision", 1)} });
            new local.Command("guard", { delete: "echo still in use >&2; exit 1" },
                { dependsOn: revision });`;
        await stack.program(both);
        await stack.up();
        await stack.program("");
        const { code, stdout, stderr } = await stack.up({ allowFailure: true });
        expect(code).not.toBe(0);
        expect(stdout + stderr).toContain("still in use");
        expect(Object.keys(await stack.commands()).sort()).toEqual(["guard", "revision"]);
        expect(await stack.log()).toEqual(["create revision 1"]);
    });

    test("a program that throws fails the update with its message", async () => {
        const stack = await project.stack("throws");
        await stack.program('throw new Error("refused: no version line");');
        const { code, stdout, stderr } = await stack.up({ allowFailure: true });
        expect(code).not.toBe(0);
        expect(stdout + stderr).toContain("refused: no version line");
        expect(stdout + stderr).not.toContain("non-zero exit code");
    });
});

describe("what a command gets", () => {
    test("arguments and stdin arrive as they are: no shell, no quoting", async () => {
        const stack = await project.stack("interpreter");
        const script = "process.stdin.pipe(process.stdout), console.log(process.argv.slice(1))";
        await stack.program(`new local.Command("wave", {
            interpreter: ["node", "-e", ${JSON.stringify(script)}, "--", "two words"],
            create: "$HOME 'x' \\"y\\" ; exit 1",
            stdin: "{\\"a\\": \\"\${b}\\"}\\n\\n",
        });`);
        await stack.up();
        // One newline at the end is cut, no more.
        expect((await stack.commands())["wave"]?.outputs?.["stdout"]).toBe(
            `[ 'two words', \`$HOME 'x' "y" ; exit 1\` ]\n{"a": "\${b}"}\n`,
        );
    });

    test("an uninstall without the program uses what the install was given", async () => {
        const stack = await project.stack("destroy");
        await stack.program(`new local.Command("wave", {
            create: "echo printed; echo complained >&2",
            delete: \`echo $(cat) $WHO $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR >> \${LOG}\`,
            stdin: "input",
            environment: { WHO: "me" },
        });`);
        await stack.up();
        await stack.program('throw new Error("destroy ran the program");');
        await stack.run(["destroy", "--yes", "--skip-preview"]);
        expect(await stack.log()).toEqual(["input me printed complained"]);
        expect(await stack.commands()).toEqual({});
    });

    test("a secret stays out of the state and of all output, unless the command prints it", async () => {
        const stack = await project.stack("secret");
        await stack.run(["config", "set", "--secret", "token", "s3cr3t-token"]);
        await stack.run(["config", "set", "plain", "public"]);
        await stack.program(`
            const config = new pulumi.Config();
            new local.Command("wave", {
                create: \`echo "\\\${#TOKEN} $PLAIN" >> \${LOG}\`,
                environment: { TOKEN: config.requireSecret("token"), PLAIN: config.require("plain") },
            });`);
        const preview = await stack.run(["preview", "--diff"]);
        const up = await stack.up();
        const exported = await stack.exported();
        expect(await stack.log()).toEqual(["12 public"]);
        for (const text of [preview, up].flatMap(({ stdout, stderr }) => [stdout, stderr])) {
            expect(text).not.toContain("s3cr3t-token");
        }
        expect(exported).not.toContain("s3cr3t-token");
        const { inputs, outputs } = (await stack.commands())["wave"] ?? {};
        for (const properties of [inputs, outputs]) {
            expect(properties?.["environment"]).toHaveProperty("TOKEN.ciphertext");
        }

        await stack.program(`
            const config = new pulumi.Config();
            new local.Command("wave", {
                create: "echo $TOKEN",
                environment: { TOKEN: config.requireSecret("token") },
                logging: "none",
            });`);
        const printing = await stack.up();
        expect(printing.stdout + printing.stderr).not.toContain("s3cr3t-token");
        expect((await stack.commands())["wave"]?.outputs?.["stdout"]).toBe("s3cr3t-token");
    });
});
