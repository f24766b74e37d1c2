import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ProgramCache } from "./cache";
import { sha256Of } from "./checksums";
import { findGo, goBuild } from "./go";
import { seal, withTemporary } from "./guarded";
import { probe } from "./probe";
import { lockName, lookInCache, missing, type Search, type Settings } from "./search";

/**
 * Builds what has a Go module, one after the other in the order given: each build uses all
 * cores. Stops at the first failure, which is noted in the attempts; only an abort throws.
 */
export async function buildMissing(
    searches: readonly Search[],
    cache: ProgramCache,
    settings: Settings,
): Promise<void> {
    const buildable = searches.filter(({ spec }) => spec.build !== undefined);
    if (buildable.length === 0) {
        return;
    }
    const found = await findGo(settings);
    if ("reason" in found) {
        buildable.forEach(({ attempts }) => (attempts.build = found.reason));
        return;
    }
    for (const [index, search] of buildable.entries()) {
        await withTemporary(lockName(search.spec), cache, settings, async (folder) => {
            await lookInCache(search, cache);
            if (search.program === undefined) {
                const count = `${index + 1} of ${buildable.length}`;
                await buildOne(search, found.go, folder, count, cache, settings);
            }
        });
        if (search.program === undefined) {
            const why = `not tried, because the build of ${search.spec.name} failed`;
            missing(buildable)
                .filter((other) => other !== search)
                .forEach(({ attempts }) => (attempts.build = why));
            return;
        }
    }
}

async function buildOne(
    search: Search,
    go: string,
    folder: string,
    count: string,
    cache: ProgramCache,
    settings: Settings,
): Promise<void> {
    const { spec, buildKey } = search;
    const { build } = spec;
    if (build === undefined || buildKey === undefined) {
        return;
    }
    const { progress, signal } = settings;
    const module = join(settings.goFolder, build.module);
    const stop = tell(spec.name, build.seconds, count, settings);
    const start = Date.now();
    try {
        const output = join(folder, "built");
        await goBuild(build, output, folder, { ...settings, go });
        await seal(output);
        const version = await probe(output, spec, settings);
        if (version !== "unknown" && version !== build.version) {
            throw new Error(`it says it is version ${version}, not ${build.version}`);
        }
        const made = { origin: "build", source: module, sha256: await sha256Of(output) } as const;
        search.program = await cache.install(spec, buildKey, output, made);
        progress(`${spec.name} ${build.version}: built in ${duration(elapsed(start))} (${count})`);
    } catch (error) {
        signal?.throwIfAborted();
        search.attempts.build = `${module}: ${(error as Error).message}`;
    } finally {
        stop();
    }
}

/** A line at once and at every tick, until the returned function is called. */
function tell(
    name: string,
    secondsOnTwoCores: number,
    count: string,
    { progress, limits }: Settings,
): () => void {
    const estimate = duration((secondsOnTwoCores * 2) / availableParallelism());
    const start = Date.now();
    progress(`${name}: building (${count}), about ${estimate} with empty caches`);
    const timer = setInterval(() => {
        progress(`${name}: building (${count}), ${duration(elapsed(start))} of about ${estimate}`);
    }, limits.tick);
    return () => clearInterval(timer);
}

function elapsed(start: number): number {
    return (Date.now() - start) / 1000;
}

/** "45 s", "3 min 20 s". */
export function duration(seconds: number): string {
    const whole = Math.max(1, Math.round(seconds));
    const minutes = Math.floor(whole / 60);
    const rest = whole % 60;
    return [minutes > 0 ? `${minutes} min` : "", rest > 0 ? `${rest} s` : ""]
        .filter((part) => part !== "")
        .join(" ");
}
