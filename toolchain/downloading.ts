import { join } from "node:path";
import { recallAbsence, rememberAbsence } from "./absence";
import { unpack } from "./archive";
import type { ProgramCache } from "./cache";
import { sha256Of } from "./checksums";
import { fetchRelease, releaseAddress } from "./download";
import { seal, withTemporary } from "./guarded";
import { probe } from "./probe";
import { lockName, lookInCache, memberOf, missing, type Search, type Settings } from "./search";
import type { Release } from "./spec";

/**
 * Fetches the release that a group of programs shares, once, and installs those of them that are
 * still missing. A failure is noted in the attempts of the searches; only an abort throws.
 */
export async function downloadGroup(
    group: readonly Search[],
    cache: ProgramCache,
    settings: Settings,
): Promise<void> {
    const [first] = group;
    if (first === undefined) {
        return;
    }
    const { release } = first.spec;
    const address = releaseAddress(release, settings.environment, settings.platform);
    if (release === undefined || "reason" in address) {
        group.forEach((search) => note(search, "reason" in address ? address.reason : ""));
        return;
    }
    if (await recallAbsence(group, address.file, cache, settings)) {
        return;
    }
    await withTemporary(lockName(first.spec), cache, settings, async (folder) => {
        await Promise.all(group.map((search) => lookInCache(search, cache)));
        const wanted = missing(group);
        if (wanted.length === 0) {
            return;
        }
        try {
            const archive = await fetchRelease(release, address, folder, settings);
            const files = await unpackRelease(release, archive, wanted, folder, settings);
            for (const search of wanted) {
                await install(search, files(search), address.file, cache, settings);
            }
        } catch (error) {
            settings.signal?.throwIfAborted();
            wanted.forEach((search) => note(search, (error as Error).message));
            settings.progress(`${release.name}: ${(error as Error).message}`);
        }
        await rememberAbsence(missing(wanted), address.file, cache);
    });
}

async function unpackRelease(
    release: Release,
    archive: string,
    wanted: readonly Search[],
    folder: string,
    { platform }: Settings,
): Promise<(search: Search) => string> {
    if (release.format === "plain") {
        return () => archive;
    }
    const members = wanted.map(({ spec }) => memberOf(spec, platform));
    const files = await unpack(archive, members, join(folder, "unpacked"));
    return ({ spec }) => files.get(memberOf(spec, platform)) ?? "";
}

/** One program of a release that does not run here must not cost the others. */
async function install(
    search: Search,
    path: string,
    address: string,
    cache: ProgramCache,
    settings: Settings,
): Promise<void> {
    const { spec, downloadKey } = search;
    if (downloadKey === undefined) {
        return;
    }
    try {
        await seal(path);
        const version = await probe(path, spec, settings);
        if (version !== "unknown" && version !== spec.version) {
            throw new Error(`is version ${version}, not ${spec.version}`);
        }
        const made = { origin: "download", source: address, sha256: await sha256Of(path) } as const;
        search.program = await cache.install(spec, downloadKey, path, made);
        settings.progress(`${spec.name} ${spec.version}: downloaded, checksum verified`);
    } catch (error) {
        settings.signal?.throwIfAborted();
        note(search, `${address}: ${spec.name} ${(error as Error).message}`);
        settings.progress(`${address}: ${spec.name} ${(error as Error).message}`);
    }
}

function note(search: Search, reason: string): void {
    search.attempts.download = reason;
}
