import { fileURLToPath } from "node:url";
import { ensurePrograms } from "./ensure";
import { defaultLimits } from "./limits";
import { extraPrograms, programs } from "./programs";
import { currentPlatform, type Program } from "./spec";

export { cacheDirectory } from "./cache";
export type { Program } from "./spec";
export { ProgramsUnavailableError } from "./unavailable";

export type RequiredProgram =
    | "pulumi"
    | "pulumi-resource-kubernetes"
    | "kwokctl"
    | "kwok"
    | "kube-apiserver"
    | "kube-controller-manager"
    | "kube-scheduler"
    | "etcd";

/** Programs that exist only as official downloads. */
export type OptionalProgram = "pulumi-language-nodejs" | "pulumi-resource-command";

/** Programs that are got only for those who name them. */
export type ExtraProgram = "prometheus" | "helm" | "cert-manager";

export interface Toolchain<Extra extends ExtraProgram = never> {
    readonly programs: Readonly<Record<RequiredProgram | Extra, Program>>;
    readonly optional: Readonly<Partial<Record<OptionalProgram, Program>>>;
    /** Why an optional program could not be had. */
    readonly absent: Readonly<Partial<Record<OptionalProgram, string>>>;
}

export interface ToolchainOptions<Extra extends ExtraProgram = never> {
    /** Programs to get beside the usual ones; they are then as required as those. */
    readonly with?: readonly Extra[];
    /** Takes one line, without its end. Defaults to silence. */
    readonly progress?: (line: string) => void;
    /** Read for PATH, the cache, the base URLs (see sources.ts), and Go. Defaults to process.env. */
    readonly environment?: NodeJS.ProcessEnv;
    readonly signal?: AbortSignal;
}

/**
 * Gets every program: from PATH, the user's cache, its official download (checksum verified
 * before it runs), or a build from a pinned Go module. Takes about a second when all are there,
 * half an hour when all are built on two cores.
 *
 * Throws ProgramsUnavailableError when a required program cannot be had, the signal's reason when
 * it aborts, and an Error on an unsupported system or a wrong base URL.
 */
export async function ensureToolchain<Extra extends ExtraProgram = never>(
    options: ToolchainOptions<Extra> = {},
): Promise<Toolchain<Extra>> {
    const extras: readonly string[] = options.with ?? [];
    const specs = [...programs, ...extraPrograms.filter(({ name }) => extras.includes(name))];
    const outcome = await ensurePrograms({
        specs,
        environment: options.environment ?? process.env,
        progress: options.progress ?? (() => undefined),
        signal: options.signal,
        limits: defaultLimits,
        platform: currentPlatform(),
        goFolder: fileURLToPath(new URL("go", import.meta.url)),
    });
    const required = new Set(specs.filter((spec) => spec.required).map((spec) => spec.name));
    const found = [...outcome.programs];
    return {
        programs: Object.fromEntries(
            found.filter(([name]) => required.has(name)),
        ) as Toolchain<Extra>["programs"],
        optional: Object.fromEntries(found.filter(([name]) => !required.has(name))),
        absent: Object.fromEntries(outcome.absent),
    };
}
