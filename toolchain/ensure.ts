import { mkdir } from "node:fs/promises";
import { buildMissing } from "./building";
import { cacheDirectory, keyOf, ProgramCache } from "./cache";
import { downloadGroup } from "./downloading";
import { buildKey } from "./go";
import { onInterruption } from "./interruption";
import { realFolder, searchPath } from "./path";
import { lockName, lookInCache, memberOf, missing, type Search, type Settings } from "./search";
import type { Program, ProgramSpec } from "./spec";
import { describeAttempts, ProgramsUnavailableError } from "./unavailable";

export interface Outcome {
    readonly programs: ReadonlyMap<string, Program>;
    /** Optional programs that could not be had, with the reason. */
    readonly absent: ReadonlyMap<string, string>;
}

/**
 * Gets all programs: PATH, cache, download (all at once), build (one at a time).
 * Throws ProgramsUnavailableError when a required one cannot be had, and the signal's reason.
 */
export async function ensurePrograms(settings: Settings): Promise<Outcome> {
    // An interruption aborts as well: a host with handlers of its own may live on after it.
    const interrupted = new AbortController();
    const release = onInterruption(() => interrupted.abort(new Error("interrupted")));
    const signals = [interrupted.signal, ...(settings.signal ? [settings.signal] : [])];
    try {
        return await ensureAll({ ...settings, signal: AbortSignal.any(signals) });
    } finally {
        release();
    }
}

async function ensureAll(settings: Settings): Promise<Outcome> {
    settings.signal?.throwIfAborted();
    const cache = new ProgramCache(cacheDirectory(settings.environment), settings.platform);
    await mkdir(cache.directory, { recursive: true, mode: 0o700 });
    const searches = await Promise.all(settings.specs.map((spec) => begin(spec, settings)));

    await lookOnPath(searches, settings);
    await Promise.all(missing(searches).map((search) => lookInCache(search, cache)));
    await allSettled(
        grouped(missing(searches)).map((group) => downloadGroup(group, cache, settings)),
    );
    await buildMissing(missing(searches), cache, settings);
    return outcome(searches, settings);
}

/** Waits for all, so that each has cleaned up behind itself, then throws the first error. */
async function allSettled(actions: readonly Promise<void>[]): Promise<void> {
    await Promise.allSettled(actions);
    await Promise.all(actions);
}

async function begin(spec: ProgramSpec, { platform, goFolder }: Settings): Promise<Search> {
    const { release, build, version } = spec;
    const file = release?.file(platform);
    const parts = ["download", release?.source.url ?? "", file ?? "", memberOf(spec, platform)];
    return {
        spec,
        attempts: {},
        downloadKey: file === undefined ? undefined : { version, key: keyOf(parts) },
        buildKey: build && { version: build.version, key: await buildKey(build, goFolder) },
    };
}

async function lookOnPath(searches: readonly Search[], settings: Settings): Promise<void> {
    const companions = searches.filter(({ spec }) => spec.beside !== undefined);
    const others = searches.filter(({ spec }) => spec.beside === undefined);
    await Promise.all(others.map((search) => lookFor(search, [], settings)));
    await Promise.all(
        companions.map(async (search) => {
            const main = others.find(({ spec }) => spec.name === search.spec.beside)?.program;
            const folders = main === undefined ? [] : [await realFolder(main.path)];
            await lookFor(search, folders, settings);
        }),
    );
}

async function lookFor(search: Search, folders: string[], settings: Settings): Promise<void> {
    const { program, reasons } = await searchPath(search.spec, settings, folders);
    if (program !== undefined) {
        search.program = program;
    }
    search.attempts.PATH = reasons.length === 0 ? "not found" : reasons.join("; ");
    reasons.forEach((reason) => settings.progress(`passed over on PATH: ${reason}`));
}

function grouped(searches: readonly Search[]): Search[][] {
    const groups = new Map<string, Search[]>();
    for (const search of searches) {
        const name = lockName(search.spec);
        groups.set(name, [...(groups.get(name) ?? []), search]);
    }
    return [...groups.values()];
}

function outcome(searches: readonly Search[], { platform }: Settings): Outcome {
    const left = missing(searches);
    const required = left.filter(({ spec }) => spec.required);
    if (required.length > 0) {
        throw new ProgramsUnavailableError(required, platform);
    }
    const programs = new Map<string, Program>();
    for (const { spec, program } of searches) {
        if (program !== undefined) {
            programs.set(spec.name, program);
        }
    }
    const absent = new Map(
        left.map(({ spec, attempts: { PATH, download } }) => [
            spec.name,
            describeAttempts({ PATH, download }).join("; "),
        ]),
    );
    return { programs, absent };
}
