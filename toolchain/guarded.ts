import { rmSync } from "node:fs";
import { chmod, open, rm } from "node:fs/promises";
import type { ProgramCache } from "./cache";
import { onInterruption } from "./interruption";
import { withLock } from "./lock";
import type { Settings } from "./search";

/**
 * Runs the action while holding a program's lock, with an empty folder on the cache's file
 * system. The folder is removed at the end, at an error and at an interruption.
 */
export async function withTemporary(
    lock: string,
    cache: ProgramCache,
    { limits, signal, progress }: Settings,
    action: (folder: string) => Promise<void>,
): Promise<void> {
    const waiting = (owner: string) => progress(`${lock}: waiting for ${owner}, which gets it`);
    await withLock(cache.locks, lock, { limits, signal, waiting }, async () => {
        const folder = await cache.temporary(lock);
        const options = { recursive: true, force: true, maxRetries: 5 };
        const release = onInterruption(() => rmSync(folder, options));
        try {
            await action(folder);
        } finally {
            await rm(folder, options);
            release();
        }
    });
}

/** Makes a finished file runnable by its owner alone, and durable before it is put in place. */
export async function seal(path: string): Promise<void> {
    await chmod(path, 0o700);
    const file = await open(path, "r");
    try {
        await file.sync();
    } finally {
        await file.close();
    }
}
