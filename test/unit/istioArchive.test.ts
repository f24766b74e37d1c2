import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { verifySha256, verifySignature } from "../../plan/istio/archive";

const data = Buffer.from("an archive of a release");
const changed = Buffer.from("an archive of a releasE");
const keys = (namedCurve: string) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
    return {
        pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
        secret: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
        signature: sign("sha256", data, privateKey),
    };
};
const { pem, secret, signature } = keys("P-256");
const WRONG = "the signature is not one of this archive by this key";
const NO_KEY = "the public key is no PEM text of a P-256 key (ECDSA)";

describe("an archive that is not the release's is not used", () => {
    it("by its SHA-256", () => {
        const hex = createHash("sha256").update(data).digest("hex");
        expect(verifySha256(data, hex)).toBeUndefined();
        expect(verifySha256(data, `${hex.toUpperCase()}\n`)).toBeUndefined();
        expect(verifySha256(changed, hex, "istio.revisions.0.archive")).toEqual({
            subject: "istio.revisions.0.archive",
            value: createHash("sha256").update(changed).digest("hex"),
            rule: `the archive's SHA-256 is not ${hex}`,
            next: "download the archive again, and compare with the release page",
        });
        expect(verifySha256(data, "")).toBeDefined();
    });

    const base64 = Buffer.from(signature.toString("base64"));
    const p384 = keys("P-384");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
        .publicKey.export({ type: "spki", format: "pem" })
        .toString();
    it.each<[string, Buffer, Buffer, string, string | undefined]>([
        ["DER", data, signature, pem, undefined],
        ["base64", data, base64, pem, undefined],
        [
            "base64 in lines",
            data,
            Buffer.from(`${base64.toString().replace(/(.{20})/g, "$1\n")}\n`),
            pem,
            undefined,
        ],
        ["a changed byte", changed, signature, pem, WRONG],
        ["another key", data, signature, keys("P-256").pem, WRONG],
        ["truncated", data, signature.subarray(0, -1), pem, WRONG],
        ["base64 truncated", data, base64.subarray(0, -8), pem, WRONG],
        ["empty", data, Buffer.alloc(0), pem, WRONG],
        ["not base64", data, Buffer.from("no signature!"), pem, WRONG],
        ["another curve", data, p384.signature, p384.pem, NO_KEY],
        ["RSA", data, signature, rsa, NO_KEY],
        ["a private key", data, signature, secret, NO_KEY],
        ["no key", data, signature, "", NO_KEY],
    ])("by its signature: %s", (_, given, by, key, rule) => {
        expect(verifySignature(given, by, key)?.rule).toBe(rule);
    });
});
