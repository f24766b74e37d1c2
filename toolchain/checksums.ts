import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

/**
 * The SHA-256, in lower-case hex, that a publisher's checksum file gives for a file name. Both
 * usual forms are read: lines of "hash  name" (or "hash *name"), and one hash alone.
 * Throws when there is none or more than one.
 */
export function publishedSha256(checksums: string, fileName: string): string {
    const lines = checksums
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "");
    const alone = lines.length === 1 ? /^[0-9a-f]{64}$/i.exec(lines[0] ?? "")?.[0] : undefined;
    if (alone !== undefined) {
        return alone.toLowerCase();
    }
    const hashes = new Set(
        lines.flatMap((line) => {
            const [, hash, name] = /^([0-9a-f]{64})\s+\*?(?:\.\/)?(.+)$/i.exec(line) ?? [];
            return hash !== undefined && name === fileName ? [hash.toLowerCase()] : [];
        }),
    );
    const [hash] = hashes;
    if (hash === undefined || hashes.size > 1) {
        throw new Error(
            `the publisher's checksum file has ${hashes.size === 0 ? "no" : "more than one"} ` +
                `SHA-256 for ${fileName}`,
        );
    }
    return hash;
}

/** The SHA-256 of a file, in lower-case hex. */
export async function sha256Of(path: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash);
    return hash.digest("hex");
}
