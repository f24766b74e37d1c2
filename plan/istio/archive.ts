import { createHash, createPublicKey, verify, type KeyObject } from "node:crypto";
import type { Fault } from "../faults";

const SUBJECT = "istio.revisions.archive";
const AGAIN = "download the archive again, and compare with the release page";

/** Undefined where `data` has the SHA-256 `hex` (64 hexadecimal digits, any case); else a fault. */
export function verifySha256(data: Buffer, hex: string, subject = SUBJECT): Fault | undefined {
    const found = createHash("sha256").update(data).digest("hex");
    return found === hex.trim().toLowerCase()
        ? undefined
        : {
              subject,
              value: found,
              rule: `the archive's SHA-256 is not ${hex}`,
              next: AGAIN,
          };
}

/**
 * Undefined where `signature` (ECDSA over SHA-256, DER, as it is or in base64) is one of `data` by `publicKeyPem` (P-256);
 * else a fault. Source: `openssl dgst -verify`, as the guide of Anthos Service Mesh has it.
 */
export function verifySignature(
    data: Buffer,
    signature: Buffer,
    publicKeyPem: string,
    subject = SUBJECT,
): Fault | undefined {
    const key = readKey(publicKeyPem);
    if (!key) {
        return {
            subject,
            rule: "the public key is no PEM text of a P-256 key (ECDSA)",
            next: "take the key from the installation guide of the release",
        };
    }
    return isSignature(data, signature, key)
        ? undefined
        : {
              subject,
              rule: "the signature is not one of this archive by this key",
              next: AGAIN,
          };
}

/** Only a public key is taken: createPublicKey would read one out of a private key as well. */
function readKey(pem: string): KeyObject | undefined {
    try {
        const key = pem.includes("PRIVATE KEY") ? undefined : createPublicKey(pem);
        return key?.asymmetricKeyDetails?.namedCurve === "prime256v1" ? key : undefined;
    } catch {
        return undefined;
    }
}

function isSignature(data: Buffer, signature: Buffer, key: KeyObject): boolean {
    try {
        return verify("sha256", data, { key, dsaEncoding: "der" }, derOf(signature));
    } catch {
        return false;
    }
}

/** A DER sequence begins with 0x30, which as a character is `0`; a base64 text of one begins with `M`. */
function derOf(signature: Buffer): Buffer {
    return signature[0] === 0x30 ? signature : Buffer.from(signature.toString("latin1"), "base64");
}
