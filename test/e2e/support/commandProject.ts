import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createPulumiCli, type CliProcess, type CliResult, type PulumiCli } from "./pulumiCli";

export interface ExportedResource {
    readonly urn: string;
    readonly type: string;
    readonly inputs?: Readonly<Record<string, unknown>>;
    readonly outputs?: Readonly<Record<string, unknown>>;
}

/** A stack of the project, with a program and a log of its own. */
export interface CommandStack {
    /** The file that the program's commands append to. */
    readonly logFile: string;
    /** The lines in the log so far. */
    log(): Promise<string[]>;
    /**
     * Writes the program. It starts with `local` and `pulumi` imported and `LOG` as the log's path.
     */
    program(body: string): Promise<void>;
    up(options?: { allowFailure?: boolean }): Promise<CliResult>;
    startUp(): CliProcess;
    /** The operation that a preview announces for each resource of the program, by name. */
    preview(): Promise<Record<string, string>>;
    run(arguments_: string[], options?: { allowFailure?: boolean }): Promise<CliResult>;
    /** The commands in the state, by name. */
    commands(): Promise<Record<string, ExportedResource>>;
    exported(): Promise<string>;
}

export interface CommandProject {
    readonly cli: PulumiCli;
    readonly directory: string;
    stack(name: string): Promise<CommandStack>;
    dispose(): Promise<void>;
}

const modules = resolve(__dirname, "../../../node_modules");

/** A Pulumi project in a temporary folder, set up as this repository's own one is. */
export async function createCommandProject(): Promise<CommandProject> {
    const directory = await mkdtemp(join(tmpdir(), "mesh-commands-"));
    const write = (name: string, content: string): Promise<void> =>
        writeFile(join(directory, name), content);
    await write(
        "Pulumi.yaml",
        "name: contract\nruntime:\n    name: nodejs\n    options:\n" +
            "        typescript: false\n        nodeargs: --import tsx\n",
    );
    await write("package.json", '{ "name": "contract", "main": "index.ts" }');
    for (const name of ["@pulumi/pulumi", "@pulumi/command", "tsx"]) {
        const link = join(directory, "node_modules", name);
        await mkdir(dirname(link), { recursive: true });
        await symlink(join(modules, name), link);
    }
    const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
    const cli = await createPulumiCli({ projectDirectory: directory }).catch(async (error) => {
        await remove();
        throw error;
    });
    return {
        cli,
        directory,
        stack: async (name) => {
            await cli.run(["stack", "init", name]);
            return openStack(cli, directory, name);
        },
        dispose: async () => {
            await cli.dispose();
            await remove();
        },
    };
}

/** Prints which plugins the contract is checked against. */
export function reportPlugins({ cli }: CommandProject): void {
    for (const plugin of ["pulumi-language-nodejs", "pulumi-resource-command"] as const) {
        const which = cli.standIns.includes(plugin) ? "stand-in" : "official";
        console.log(`command contract: ${plugin} is the ${which} one`);
    }
}

function openStack(cli: PulumiCli, directory: string, name: string): CommandStack {
    const logFile = join(directory, `${name}.log`);
    const up = ["up", "--yes", "--skip-preview", "--stack", name];
    const stack: CommandStack = {
        logFile,
        log: async () => {
            const text = await readFile(logFile, "utf8").catch(() => "");
            return text.split("\n").slice(0, -1);
        },
        program: (body) =>
            writeFile(
                join(directory, "index.ts"),
                'import { local } from "@pulumi/command";\n' +
                    'import * as pulumi from "@pulumi/pulumi";\n' +
                    `const LOG: string = ${JSON.stringify(logFile)};\n${body}`,
            ),
        up: (options) => cli.run(up, options),
        startUp: () => cli.start(up),
        preview: async () => {
            const { stdout } = await cli.run(["preview", "--json", "--stack", name]);
            const { steps } = JSON.parse(stdout) as { steps: { op: string; urn: string }[] };
            return byName(
                steps.filter(({ urn }) => urn.includes("command:local:")),
                ({ op }) => op,
            );
        },
        run: (arguments_, options) => cli.run([...arguments_, "--stack", name], options),
        exported: async () => (await stack.run(["stack", "export"])).stdout,
        commands: async () => {
            const { deployment } = JSON.parse(await stack.exported()) as {
                deployment: { resources?: ExportedResource[] };
            };
            const resources = deployment.resources ?? [];
            return byName(
                resources.filter(({ type }) => type === "command:local:Command"),
                (resource) => resource,
            );
        },
    };
    return stack;
}

function byName<Item extends { urn: string }, Value>(
    items: readonly Item[],
    value: (item: Item) => Value,
): Record<string, Value> {
    return Object.fromEntries(
        items.map((item) => [item.urn.split("::").at(-1) ?? "", value(item)]),
    );
}
