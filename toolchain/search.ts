import type { CacheKey, ProgramCache } from "./cache";
import type { Limits } from "./limits";
import type { Platform, Program, ProgramSpec } from "./spec";
import type { Attempts } from "./unavailable";

export interface Settings {
    readonly specs: readonly ProgramSpec[];
    readonly environment: NodeJS.ProcessEnv;
    readonly progress: (line: string) => void;
    readonly signal?: AbortSignal | undefined;
    readonly limits: Limits;
    readonly platform: Platform;
    /** Absolute path of the folder that holds the Go modules. */
    readonly goFolder: string;
}

/** One program on its way: the forms it may be cached in, what was tried, where it ended. */
export interface Search {
    readonly spec: ProgramSpec;
    readonly attempts: Attempts;
    readonly downloadKey: CacheKey | undefined;
    readonly buildKey: CacheKey | undefined;
    program?: Program;
}

export function missing(searches: readonly Search[]): Search[] {
    return searches.filter(({ program }) => program === undefined);
}

/** Sets the program when any of its cached forms is there and intact. */
export async function lookInCache(search: Search, cache: ProgramCache): Promise<void> {
    for (const key of [search.downloadKey, search.buildKey]) {
        const program = key === undefined ? undefined : await cache.find(search.spec, key);
        if (program !== undefined) {
            search.program = program;
            return;
        }
    }
    search.attempts.cache = `not in ${cache.directory}`;
}

/** The lock that guards a program; programs of one release share it and are fetched together. */
export function lockName(spec: ProgramSpec): string {
    return spec.release?.name ?? spec.name;
}

/** Path of the program inside its release; empty when the release is the program. */
export function memberOf(spec: ProgramSpec, platform: Platform): string {
    return spec.member?.(platform) ?? "";
}
