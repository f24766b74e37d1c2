import { lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ProgramCache, keyOf } from "./cache";
import type { Search, Settings } from "./search";
import { retryVariable } from "./sources";

/**
 * Remembers why optional programs could not be downloaded. Behind a firewall that drops packets
 * each further attempt would cost every start the whole time limit.
 */
export async function rememberAbsence(
    searches: readonly Search[],
    address: string,
    cache: ProgramCache,
): Promise<void> {
    for (const { spec, attempts } of searches) {
        if (!spec.required && attempts.download !== undefined) {
            await mkdir(folder(cache), { recursive: true, mode: 0o700 });
            await writeFile(file(cache, spec.name, address), attempts.download);
        }
    }
}

/** Notes the remembered reason where it is fresh; true when no program of them needs a try. */
export async function recallAbsence(
    searches: readonly Search[],
    address: string,
    cache: ProgramCache,
    { environment, limits }: Settings,
): Promise<boolean> {
    if (environment[retryVariable] === "1" || searches.some(({ spec }) => spec.required)) {
        return false;
    }
    for (const { spec, attempts } of searches) {
        const path = file(cache, spec.name, address);
        const since = await lstat(path).then(
            ({ mtimeMs }) => mtimeMs,
            () => -Infinity,
        );
        if (Date.now() - since >= limits.absence) {
            return false;
        }
        attempts.download =
            `${await readFile(path, "utf8")} (tried at ${new Date(since).toISOString()}; ` +
            `${retryVariable}=1 tries again)`;
    }
    return true;
}

function folder(cache: ProgramCache): string {
    return join(cache.directory, ".absent");
}

function file(cache: ProgramCache, name: string, address: string): string {
    return join(folder(cache), `${name}-${keyOf([address])}`);
}
