import { open } from "node:fs/promises";
import type { Platform } from "./spec";

/** "foreign": an executable of another system or processor; "script": starts with "#!". */
export type FileKind = "native" | "foreign" | "script" | "other";

const elfMachines = { amd64: 62, arm64: 183 };
const machCpus = { amd64: 0x01000007, arm64: 0x0100000c };

/**
 * What a file is by its first bytes. Running it does not tell: emulators make foreign programs
 * run, slowly. Sources: the ELF and Mach-O header layouts.
 */
export async function fileKind(path: string, platform: Platform): Promise<FileKind> {
    const head = Buffer.alloc(32);
    const file = await open(path, "r");
    try {
        await file.read(head, 0, head.length, 0);
    } finally {
        await file.close();
    }
    if (head.toString("latin1", 0, 2) === "#!") {
        return "script";
    }
    if (head.readUInt32BE(0) === 0x7f454c46) {
        const same = head[4] === 2 && head.readUInt16LE(18) === elfMachines[platform.arch];
        return platform.os === "linux" && same ? "native" : "foreign";
    }
    if (head.readUInt32LE(0) === 0xfeedfacf) {
        const same = head.readUInt32LE(4) === machCpus[platform.arch];
        return platform.os === "darwin" && same ? "native" : "foreign";
    }
    // A file for several processors; which ones is left to the system.
    if (head.readUInt32BE(0) === 0xcafebabe) {
        return platform.os === "darwin" ? "native" : "foreign";
    }
    return "other";
}
