import { spawnSync } from "node:child_process";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { defaultLimits } from "../../../toolchain/limits";
import { withLock } from "../../../toolchain/lock";
import { removeFolders, temporaryFolder } from "./support";

afterAll(removeFolders);

const limits = { ...defaultLimits, lockPoll: 5 };

function placeLock(owner: object | string, ageInSeconds = 0): string {
    const folder = temporaryFolder();
    const path = join(folder, "tool");
    writeFileSync(path, typeof owner === "string" ? owner : JSON.stringify(owner));
    const time = Date.now() / 1000 - ageInSeconds;
    utimesSync(path, time, time);
    return folder;
}

/** Whether the lock could be had; a wait counts as no. */
async function canLock(folder: string): Promise<boolean> {
    const controller = new AbortController();
    const waiting = () => controller.abort();
    try {
        await withLock(folder, "tool", { limits, signal: controller.signal, waiting }, () =>
            Promise.resolve(),
        );
        return true;
    } catch {
        return false;
    }
}

const deadPid = spawnSync("/bin/true").pid;
const host = hostname();

const cases: [string, object | string, number, boolean][] = [
    ["of a living process", { pid: process.pid, host }, 0, false],
    ["of a dead process", { pid: deadPid, host }, 0, true],
    ["of a number that a stranger has got since", { pid: process.pid, host }, 61, true],
    ["of another machine that refreshes it", { pid: deadPid, host: "elsewhere" }, 0, false],
    ["of another machine that is gone", { pid: deadPid, host: "elsewhere" }, 61, true],
    ["that is just being written", "", 0, false],
    ["that was never written to its end", "{", 61, true],
];

test.each(cases)("a lock %s", async (_, owner, age, free) => {
    const folder = placeLock(owner, age);
    expect(await canLock(folder)).toBe(free);
    expect(readdirSync(folder)).toEqual(free ? [] : ["tool"]);
});

test("many at once on a dead lock: never two inside", async () => {
    // The window is narrow, so it is tried often.
    for (let round = 0; round < 20; round++) {
        const folder = placeLock({ pid: deadPid, host });
        let inside = 0;
        let most = 0;
        const enter = async () => {
            most = Math.max(most, ++inside);
            await new Promise((resolve) => setTimeout(resolve, 1));
            inside--;
        };
        const options = { limits: { ...limits, lockPoll: 1 }, waiting: () => undefined };
        await Promise.all(
            Array.from({ length: 20 }, () => withLock(folder, "tool", options, enter)),
        );
        expect(most).toBe(1);
        expect(readdirSync(folder)).toEqual([]);
    }
}, 60_000);

test("a removal that was cut off does not block the lock for ever", async () => {
    const folder = placeLock({ pid: deadPid, host });
    const guard = join(folder, "tool.removal");
    writeFileSync(guard, "");
    expect(await canLock(folder)).toBe(false);
    utimesSync(guard, 0, 0);
    await withLock(folder, "tool", { limits, waiting: () => undefined }, () => Promise.resolve());
    expect(readdirSync(folder)).toEqual([]);
});
