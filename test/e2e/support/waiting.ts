import { setTimeout } from "node:timers/promises";

/** Waits until the condition holds; one that throws does not hold yet. */
export async function waitFor(
    what: string,
    condition: () => boolean | Promise<boolean>,
    milliseconds = 60_000,
): Promise<void> {
    const end = Date.now() + milliseconds;
    for (;;) {
        const holds = await Promise.resolve()
            .then(condition)
            .catch(() => false);
        if (holds) return;
        if (Date.now() > end) throw new Error(`waited ${milliseconds / 1000} s for ${what}`);
        await setTimeout(100);
    }
}

/** Whether a process of that id exists. */
export function processExists(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
}
