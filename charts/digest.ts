import { createHash } from "node:crypto";

/** SHA-256 in hexadecimal, 64 digits. */
export function digest(data: string | Buffer): string {
    return createHash("sha256").update(data).digest("hex");
}
