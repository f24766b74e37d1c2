import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import type { Platform, Program, ProgramSpec } from "./spec";

/**
 * The cache of this user, shared by all clones: `$XDG_CACHE_HOME/mesh-upgrade`, else
 * `~/.cache/mesh-upgrade`. Created with mode 0700, and brought back to it.
 * Throws when it belongs to another user: whoever owns it decides what is executed.
 */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
    const given = environment.XDG_CACHE_HOME;
    // The XDG specification tells to ignore relative paths.
    const base =
        given !== undefined && isAbsolute(given)
            ? given
            : join(environment.HOME || homedir(), ".cache");
    const directory = join(base, "mesh-upgrade");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(directory);
    if (uid !== process.getuid?.()) {
        throw new Error(
            `The cache directory ${directory} belongs to user ${uid}, so nothing in it is run. ` +
                `Set XDG_CACHE_HOME to a directory of your own.`,
        );
    }
    if ((mode & 0o777) !== 0o700) {
        chmodSync(directory, 0o700);
    }
    return directory;
}

const programMode = 0o700;

const Record = z.object({
    version: z.string(),
    origin: z.enum(["download", "build"]),
    source: z.string(),
    size: z.number(),
    sha256: z.string(),
});

/** One way a program got into the cache; its key changes with everything that makes the file. */
export interface CacheKey {
    readonly version: string;
    readonly key: string;
}

/** Twelve hex digits over everything that decides what the file holds. */
export function keyOf(parts: readonly string[]): string {
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

/** The cached programs of one platform: a folder each, with the program and a record. */
export class ProgramCache {
    readonly directory: string;

    constructor(
        cache: string,
        private readonly platform: Platform,
    ) {
        this.directory = join(cache, "tools");
    }

    get locks(): string {
        return join(this.directory, ".locks");
    }

    /** Size and mode are checked, not the hash: reading 700 MB at every start takes too long. */
    async find(spec: ProgramSpec, key: CacheKey): Promise<Program | undefined> {
        const folder = this.folder(spec, key);
        const path = join(folder, spec.name);
        try {
            const text = await readFile(join(folder, "install.json"), "utf8");
            const record = Record.parse(JSON.parse(text));
            const file = await lstat(path);
            const intact =
                file.isFile() &&
                file.size === record.size &&
                (file.mode & 0o777) === programMode &&
                file.uid === process.getuid?.();
            return intact ? { path, version: record.version, origin: "cache" } : undefined;
        } catch {
            return undefined;
        }
    }

    /**
     * Puts a finished file from a temporary folder of this cache in place, all or nothing.
     * The caller holds the program's lock and has made the file's mode right.
     */
    async install(
        spec: ProgramSpec,
        key: CacheKey,
        file: string,
        made: { origin: "download" | "build"; source: string; sha256: string },
    ): Promise<Program> {
        const staged = `${file}.install`;
        await mkdir(staged, { mode: 0o700 });
        await rename(file, join(staged, spec.name));
        const { size } = await lstat(join(staged, spec.name));
        const record = { version: key.version, size, installed: new Date().toISOString(), ...made };
        await writeFile(join(staged, "install.json"), JSON.stringify(record, undefined, 4));
        const folder = this.folder(spec, key);
        // Only a broken one can be there: find() was asked under the same lock.
        await rm(folder, { recursive: true, force: true });
        await rename(staged, folder);
        return { path: join(folder, spec.name), version: key.version, origin: made.origin };
    }

    /**
     * An empty folder on the cache's file system for the holder of the lock of this name. What a
     * former holder has left there is removed.
     */
    async temporary(lock: string): Promise<string> {
        const directory = join(this.directory, ".temp", lock);
        await rm(directory, { recursive: true, force: true });
        await mkdir(directory, { recursive: true, mode: 0o700 });
        return directory;
    }

    private folder(spec: ProgramSpec, key: CacheKey): string {
        const { os, arch } = this.platform;
        return join(this.directory, `${spec.name}-${key.version}-${os}-${arch}-${key.key}`);
    }
}
