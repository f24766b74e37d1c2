import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The pids of all live processes whose command line holds the text. Linux only. */
export function processesOf(text: string): number[] {
    return readdirSync("/proc")
        .filter((entry) => /^\d+$/.test(entry))
        .map(Number)
        .filter((pid) => pid !== process.pid && read(`/proc/${pid}/cmdline`).includes(text));
}

/** Every address that the processes take connections or datagrams on, as /proc writes it. */
export function listeningAddresses(pids: readonly number[]): string[] {
    const inodes = new Set(pids.flatMap(socketInodes));
    return ["tcp", "tcp6", "udp", "udp6"].flatMap((protocol) =>
        read(`/proc/net/${protocol}`)
            .split("\n")
            .slice(1)
            .map((line) => line.trim().split(/\s+/))
            // State 0A is LISTEN; a UDP socket that is bound but not connected is in 07.
            .filter(([, , , state, , , , , , inode = ""]) => {
                return (state === "0A" || state === "07") && inodes.has(inode);
            })
            .map(([, local = ""]) => `${protocol} ${local}`),
    );
}

/** Whether an address of `listeningAddresses` can be reached from this machine only. */
export function isLoopback(address: string): boolean {
    return [
        /^(tcp|udp) [0-9A-F]{6}7F:/, // 127.0.0.0/8
        /^(tcp|udp)6 0{24}01000000:/, // ::1
        /^(tcp|udp)6 0{16}FFFF0000[0-9A-F]{6}7F:/, // ::ffff:127.0.0.0/104
    ].some((pattern) => pattern.test(address));
}

/** Waits until a condition holds; fails with its description after the limit. */
export async function eventually(
    what: string,
    condition: () => boolean | Promise<boolean>,
    limit = 30_000,
): Promise<void> {
    const deadline = Date.now() + limit;
    while (!(await condition())) {
        if (Date.now() > deadline) throw new Error(`Not within ${limit / 1000} s: ${what}`);
        await sleep(50);
    }
}

function socketInodes(pid: number): string[] {
    const folder = `/proc/${pid}/fd`;
    try {
        return readdirSync(folder).flatMap((fd) => {
            const inode = /^socket:\[(\d+)\]$/.exec(link(`${folder}/${fd}`))?.[1];
            return inode === undefined ? [] : [inode];
        });
    } catch {
        return [];
    }
}

function read(path: string): string {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return "";
    }
}

function link(path: string): string {
    try {
        return readlinkSync(path);
    } catch {
        return "";
    }
}
