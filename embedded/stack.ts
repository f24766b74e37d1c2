import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parse, stringify } from "yaml";
import type { Toolchain } from "../toolchain/index";
import type { EmbeddedCluster } from "./cluster";
import { pulumiEnvironment } from "./pulumi";

/** The project's own directory. */
export const PROJECT = join(__dirname, "..");

/** Charts that come with the project; MESH_CHARTS names a directory of real ones. */
export const CHARTS = process.env["MESH_CHARTS"] ?? join(PROJECT, "test", "fixtures", "charts");

export interface PulumiResult {
    readonly code: number;
    readonly stdout: string;
    /** Both streams, in the order of their lines. */
    readonly output: string;
}

export interface PulumiRun {
    /** Told each line as it comes. */
    readonly onLine?: (line: string) => void;
    /** More environment for this run only. */
    readonly environment?: NodeJS.ProcessEnv;
    readonly signal?: AbortSignal;
    /** Text for stdin. */
    readonly input?: string;
}

interface StackFile {
    config?: Record<string, unknown>;
}

/** A stack of this project on an embedded cluster, with a stack file and a state of its own. */
export interface EmbeddedStack {
    readonly name: string;
    /** Where Pulumi runs; links to the project's own files, so that nothing is written among those. */
    readonly project: string;
    /** The stack file, beside the links. */
    readonly file: string;
    readonly stateDirectory: string;
    /** Environment of the CLI. Holds the passphrase: never print it. */
    readonly environment: NodeJS.ProcessEnv;
    readonly pulumi: string;
    /** Plugins that stand-ins play. */
    readonly standIns: readonly string[];
    /** Sets one key of the stack file; undefined removes it. */
    edit(key: string, value: unknown): Promise<void>;
    /** Sets a key by its path, encrypted; the value goes through stdin. */
    setSecret(path: string, value: string): Promise<void>;
    /** Runs `pulumi ARGS` on this stack, without questions. */
    run(args: readonly string[], options?: PulumiRun): Promise<PulumiResult>;
}

export interface StackOptions {
    readonly toolchain: Toolchain;
    readonly cluster: Pick<EmbeddedCluster, "kubeconfig" | "context" | "uid">;
    /** Gets the state, Pulumi's home and the stack file. */
    readonly directory: string;
    readonly linkerdVersion: string;
    readonly name?: string;
    /** More of the stack's config, by key. */
    readonly config?: Readonly<Record<string, unknown>>;
}

/** Makes an empty stack with a passphrase of its own. */
export async function createStack(options: StackOptions): Promise<EmbeddedStack> {
    const { toolchain, cluster, directory, name = "demo" } = options;
    const { pulumi, environment, stateDirectory, standIns } = await pulumiEnvironment({
        toolchain,
        directory,
        passphrase: randomBytes(24).toString("hex"),
    });
    const project = join(directory, "project");
    await linkProject(project);
    const file = join(project, `Pulumi.${name}.yaml`);
    const run = (args: readonly string[], runOptions: PulumiRun = {}) =>
        runPulumi(pulumi, ["--cwd", project, ...args], { ...environment }, runOptions);

    const created = await run(["stack", "init", name, "--no-select"]);
    if (created.code !== 0) {
        throw new Error(`pulumi stack init ended with ${created.code}:\n${created.output}`);
    }
    const change = async (values: Readonly<Record<string, unknown>>) => {
        const body = (parse(await readFile(file, "utf8").catch(() => "")) ?? {}) as StackFile;
        const config = { ...body.config };
        for (const [key, value] of Object.entries(values)) {
            config[`mesh-upgrade:${key}`] = value;
        }
        // A key without a value leaves the file; Pulumi's own (the salt, what is encrypted) stays.
        await writeFile(file, stringify({ ...body, config }, { keepUndefined: false }));
    };
    await change({
        context: cluster.context,
        kubeconfig: cluster.kubeconfig,
        clusterUid: cluster.uid,
        linkerdVersion: options.linkerdVersion,
        charts: CHARTS,
        ...options.config,
    });
    return {
        name,
        project,
        file,
        stateDirectory,
        environment,
        pulumi,
        standIns,
        edit: (key, value) => change({ [key]: value }),
        setSecret: async (path, value) => {
            const args = ["config", "set", "--secret", "--path", path, "--stack", name];
            const result = await run(args, { input: value });
            if (result.code !== 0) {
                throw new Error(`pulumi config set ended with ${result.code}:\n${result.output}`);
            }
        },
        run: ([command = "", ...rest], runOptions) =>
            run([command, "--stack", name, ...rest], runOptions),
    };
}

async function linkProject(project: string): Promise<void> {
    await mkdir(project, { recursive: true });
    for (const name of await readdir(PROJECT)) {
        if (name === "Pulumi.yaml") {
            await copyFile(join(PROJECT, name), join(project, name));
        } else if (!/^(Pulumi\..*|\..*)$/.test(name)) {
            await symlink(join(PROJECT, name), join(project, name));
        }
    }
}

async function runPulumi(
    pulumi: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv,
    options: PulumiRun,
): Promise<PulumiResult> {
    const child = spawn(pulumi, ["--non-interactive", "--color", "never", ...args], {
        env: { ...environment, ...options.environment },
        stdio: ["pipe", "pipe", "pipe"],
        ...(options.signal ? { signal: options.signal, killSignal: "SIGINT" as const } : {}),
    });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input);
    const stdout: string[] = [];
    const both: string[] = [];
    createInterface(child.stdout).on("line", (line) => {
        stdout.push(line);
        both.push(line);
        options.onLine?.(line);
    });
    createInterface(child.stderr).on("line", (line) => {
        both.push(line);
        options.onLine?.(line);
    });
    const code = await new Promise<number>((resolve, reject) => {
        child.on("error", (error) => (error.name === "AbortError" ? undefined : reject(error)));
        child.on("close", (status) => {
            process.removeListener("exit", kill);
            resolve(status ?? -1);
        });
    });
    return { code, stdout: stdout.join("\n"), output: both.join("\n") };
}
