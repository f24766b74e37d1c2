import { randomUUID } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onInterruption } from "./interruption";
import type { Limits } from "./limits";

export interface LockOptions {
    readonly limits: Limits;
    readonly signal?: AbortSignal | undefined;
    /** Called at once when another process holds the lock, and again at every tick. */
    readonly waiting: (owner: string) => void;
}

/**
 * Runs the action while holding the lock `<directory>/<name>`. Waits as long as the owner lives:
 * a process of this machine that runs, or one that has refreshed the lock lately.
 */
export async function withLock<T>(
    directory: string,
    name: string,
    options: LockOptions,
    action: () => Promise<T>,
): Promise<T> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, name);
    const content = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() });
    await acquire(path, content, options);
    const release = onInterruption(() => {
        if (readFileSync(path, "utf8") === content) {
            rmSync(path, { force: true });
        }
    });
    const heartbeat = setInterval(() => {
        utimes(path, new Date(), new Date()).catch(() => undefined);
    }, options.limits.lockStale / 6);
    try {
        return await action();
    } finally {
        clearInterval(heartbeat);
        if ((await contentOf(path)) === content) {
            await rm(path, { force: true });
        }
        release();
    }
}

async function acquire(path: string, content: string, options: LockOptions): Promise<void> {
    let told = -Infinity;
    for (;;) {
        options.signal?.throwIfAborted();
        try {
            await writeFile(path, content, { flag: "wx", mode: 0o600 });
            return;
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
                throw error;
            }
        }
        if (await removeDead(path, options.limits.lockStale)) {
            continue;
        }
        if (Date.now() - told >= options.limits.tick) {
            told = Date.now();
            options.waiting(describe(await contentOf(path)));
        }
        await sleep(options.limits.lockPoll, undefined, { signal: options.signal });
    }
}

/**
 * Removes the lock when nobody lives behind it. One process at a time may do so, and looks again
 * first: else the second to find a dead lock would remove the new lock of the first.
 */
async function removeDead(path: string, stale: number): Promise<boolean> {
    if (!(await isDead(path, stale))) {
        return false;
    }
    const guard = `${path}.removal`;
    try {
        await writeFile(guard, "", { flag: "wx", mode: 0o600 });
    } catch {
        // Left behind by a process that died in these few lines.
        if ((await age(guard)) > stale) {
            await rm(guard, { force: true });
        }
        return false;
    }
    try {
        const dead = await isDead(path, stale);
        if (dead) {
            await rm(path, { force: true });
        }
        return dead;
    } finally {
        await rm(guard, { force: true });
    }
}

async function isDead(path: string, stale: number): Promise<boolean> {
    const content = await contentOf(path);
    if (content === undefined) {
        return false;
    }
    const owner = parse(content);
    // A process number says nothing about another machine or container, its heartbeat does.
    const gone = owner?.host === hostname() && !isAlive(owner.pid);
    return gone || (await age(path)) > stale;
}

/** Milliseconds since the last refresh; 0 when the file is gone. */
async function age(path: string): Promise<number> {
    return stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
    );
}

async function contentOf(path: string): Promise<string | undefined> {
    return readFile(path, "utf8").catch(() => undefined);
}

function parse(content: string): { pid: number; host: string } | undefined {
    try {
        const { pid, host } = JSON.parse(content) as Record<string, unknown>;
        return typeof pid === "number" && typeof host === "string" ? { pid, host } : undefined;
    } catch {
        return undefined;
    }
}

function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
    }
}

function describe(content: string | undefined): string {
    const owner = content === undefined ? undefined : parse(content);
    return owner === undefined ? "another process" : `process ${owner.pid} on ${owner.host}`;
}
