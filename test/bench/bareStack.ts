import { randomBytes } from "node:crypto";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { CHARTS, PROJECT } from "../../embedded/stack";
import { pulumiEnvironment } from "../../embedded/pulumi";
import type { Toolchain } from "../../toolchain/index";
import { runProgram } from "./children";
import type { PeakMemory } from "./memory";

const NAME = "bare";
/** As most programs in TypeScript are run: without a bundle. */
const RUNTIME = { name: "nodejs", options: { typescript: false, nodeargs: "--import tsx" } };

/** How a `pulumi` is run, on a stack of a project. */
export interface PulumiProject {
    readonly pulumi: string;
    readonly folder: string;
    readonly stack: string;
    readonly environment: NodeJS.ProcessEnv;
}

/** A stack of the program in bare/, with a project and a state of its own below `directory`. */
export async function bareStack(options: {
    readonly toolchain: Toolchain;
    readonly directory: string;
    readonly kubeconfig: string;
    readonly context: string;
    /** Chart version: `2024.7.5`. */
    readonly version: string;
    readonly memory: PeakMemory;
    readonly signal: AbortSignal;
}): Promise<PulumiProject> {
    const { toolchain, directory, kubeconfig, context, version, memory, signal } = options;
    const { pulumi, environment } = await pulumiEnvironment({
        ...{ toolchain, directory },
        passphrase: randomBytes(24).toString("hex"),
    });
    const folder = join(directory, "project");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "Pulumi.yaml"), stringify({ name: NAME, runtime: RUNTIME }));
    // The same packages, so that the engine asks for the same plugins.
    const own = await readFile(join(PROJECT, "package.json"), "utf8");
    const { dependencies } = JSON.parse(own) as { dependencies: object };
    await writeFile(
        join(folder, "package.json"),
        JSON.stringify({ name: NAME, main: "index.ts", dependencies }),
    );
    await symlink(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    await symlink(join(PROJECT, "test", "bench", "bare", "index.ts"), join(folder, "index.ts"));
    const project = { pulumi, folder, stack: NAME, environment };
    await runPulumi(project, ["stack", "init"], memory, signal);
    const values = { kubeconfig, context, version, charts: CHARTS };
    const config = Object.entries(values).map(([key, value]) => [`${NAME}:${key}`, value]);
    const file = join(folder, `Pulumi.${NAME}.yaml`);
    const salt = await readFile(file, "utf8").catch(() => "");
    await writeFile(file, `${salt}${stringify({ config: Object.fromEntries(config) as object })}`);
    return project;
}

/** `pulumi ARGS` to its end. @throws where it fails */
export async function runPulumi(
    { pulumi, folder, stack, environment }: PulumiProject,
    args: readonly string[],
    memory: PeakMemory,
    signal: AbortSignal,
): Promise<void> {
    await runProgram({
        command: pulumi,
        args: ["--non-interactive", "--color", "never", "--cwd", folder, ...args, "--stack", stack],
        ...{ environment, folder, memory, signal },
    });
}
