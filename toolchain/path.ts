import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { satisfies } from "semver";
import { probe, type ProbeOptions } from "./probe";
import type { Program, ProgramSpec } from "./spec";

export interface PathSearch {
    readonly program?: Program;
    /** Why each candidate was passed over; empty when there was none. */
    readonly reasons: readonly string[];
}

/**
 * The first usable program of that name on PATH, then in the extra folders. A candidate that does
 * not run, or whose version does not fit, is passed over.
 */
export async function searchPath(
    spec: ProgramSpec,
    options: ProbeOptions,
    extraFolders: readonly string[] = [],
): Promise<PathSearch> {
    const reasons: string[] = [];
    for (const path of await candidates(spec.name, options.environment, extraFolders)) {
        try {
            const { probe: how } = spec;
            // Version managers put links to themselves under the names they dispatch to; a plugin
            // tells no version that could give them away.
            if (how.kind === "plugin" && !basename(await realpath(path)).startsWith(spec.name)) {
                throw new Error("is a link to another program");
            }
            const version = await probe(path, spec, options);
            if (
                how.kind === "version" &&
                !satisfies(version, how.accepts, { includePrerelease: true })
            ) {
                throw new Error(`is version ${version}, not in "${how.accepts}"`);
            }
            return { program: { path, version, origin: "PATH" }, reasons };
        } catch (error) {
            options.signal?.throwIfAborted();
            reasons.push(`${path} ${(error as Error).message}`);
        }
    }
    return { reasons };
}

/** Executable files of that name, in the order of PATH, each target once. */
export async function candidates(
    name: string,
    environment: NodeJS.ProcessEnv,
    extraFolders: readonly string[] = [],
): Promise<string[]> {
    // Relative entries would make the result depend on the current directory.
    const folders = [...(environment.PATH ?? "").split(delimiter), ...extraFolders];
    const found = new Map<string, string>();
    for (const folder of folders.filter((entry) => isAbsolute(entry))) {
        const path = join(folder, name);
        try {
            await access(path, constants.X_OK);
            const target = await realpath(path);
            if ((await stat(target)).isFile() && !found.has(target)) {
                found.set(target, path);
            }
        } catch {
            // Not there, or not for us.
        }
    }
    return [...found.values()];
}

/** The folder that really holds a program, behind links. */
export async function realFolder(path: string): Promise<string> {
    return dirname(await realpath(path));
}
