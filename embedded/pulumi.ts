import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { writeShims, type StandIn } from "./standIns/shims";

/** The part of the toolchain's result that running Pulumi needs. */
export interface PulumiPrograms {
    readonly programs: {
        readonly pulumi: { readonly path: string };
        readonly "pulumi-resource-kubernetes": { readonly path: string };
    };
    /** The official plugins; for one that is absent a stand-in steps in. */
    readonly optional: Readonly<Partial<Record<StandIn, { readonly path: string }>>>;
}

export interface PulumiEnvironmentOptions {
    readonly toolchain: PulumiPrograms;
    /** Absolute; made where it does not exist. Gets Pulumi's home, the state and the stand-ins. */
    readonly directory: string;
    /** Encrypts the stack's secrets; the same one is needed to read the state again. */
    readonly passphrase: string;
    /** Folders that come before all others on PATH. */
    readonly extraPath?: readonly string[];
    /** What the result adds to. Defaults to process.env. */
    readonly base?: NodeJS.ProcessEnv;
}

export interface PulumiEnvironment {
    /** Path of the CLI. */
    readonly pulumi: string;
    /** For the CLI's process. Holds the passphrase: never print it. */
    readonly environment: NodeJS.ProcessEnv;
    /** Where the state files are; the backend's URL points to it. */
    readonly stateDirectory: string;
    /** The plugins that a stand-in plays. */
    readonly standIns: readonly StandIn[];
}

const plugins: readonly StandIn[] = ["pulumi-language-nodejs", "pulumi-resource-command"];

/**
 * Prepares a Pulumi CLI that works without an account and apart from the user's own Pulumi: state,
 * plugins and settings are below one folder, and the programs are those of the toolchain.
 */
export async function pulumiEnvironment(
    options: PulumiEnvironmentOptions,
): Promise<PulumiEnvironment> {
    const { directory, toolchain } = options;
    const base = options.base ?? process.env;
    const home = join(directory, "home");
    const stateDirectory = join(directory, "state");
    const shims = join(directory, "standIns");
    await mkdir(home, { recursive: true });
    await mkdir(stateDirectory, { recursive: true });
    // The CLI logs every message of every plugin to a file below this folder, which nobody reads here, and has no switch for it;
    // where the folder cannot be, it goes without. That is more than half of its time.
    await writeFile(join(home, "logs"), "");

    const standIns = plugins.filter((plugin) => toolchain.optional[plugin] === undefined);
    await writeShims(shims, standIns);

    const { pulumi, "pulumi-resource-kubernetes": kubernetes } = toolchain.programs;
    const official = plugins.map((plugin) => toolchain.optional[plugin]);
    const programs = [...official, pulumi, kubernetes].flatMap((program) =>
        program === undefined ? [] : [dirname(program.path)],
    );
    const path = [...(options.extraPath ?? []), shims, ...programs, base["PATH"] ?? ""];
    return {
        pulumi: pulumi.path,
        stateDirectory,
        standIns,
        environment: {
            ...withoutPulumi(base),
            PATH: [...new Set(path)].join(delimiter),
            PULUMI_HOME: home,
            PULUMI_BACKEND_URL: `file://${stateDirectory}`,
            PULUMI_CONFIG_PASSPHRASE: options.passphrase,
            PULUMI_SKIP_UPDATE_CHECK: "true",
        },
    };
}

/** A user's own PULUMI_ variables name another backend, account or stack. */
function withoutPulumi(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return Object.fromEntries(
        Object.entries(environment).filter(([name]) => !name.startsWith("PULUMI_")),
    );
}
