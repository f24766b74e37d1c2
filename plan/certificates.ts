// The X.509 library asks for this polyfill first.
import "reflect-metadata";
import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A certificate with its private key, both PEM; the key is PKCS #8. */
export interface KeyPair {
    readonly certificate: string;
    readonly key: string;
}

export interface MintRequest {
    /** Common name, and the DNS name of the subject alternative name. */
    readonly name: string;
    /** Signs the certificate; undefined: it signs itself. */
    readonly issuer?: KeyPair;
    /** `true` for a certificate that signs others. */
    readonly authority: boolean;
    readonly years: number;
    readonly now: Date;
}

// Linkerd's proxies accept ECDSA P-256 issuers only (linkerd.io/2/checks/#l5d-identity-issuer-cert-uses-supported-crypto).
const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

/** Clocks of nodes differ: a certificate must be valid a little before it was made. */
const SKEW_MS = 10 * 60_000;

/** Makes an ECDSA P-256 key and its certificate, signed with SHA-256. */
export async function mint(request: MintRequest): Promise<KeyPair> {
    const keys = await webcrypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
    const notAfter = new Date(request.now);
    notAfter.setUTCFullYear(notAfter.getUTCFullYear() + request.years);
    const common = {
        serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
            .toString("hex")
            .replace(/^./, "1"),
        notBefore: new Date(request.now.getTime() - SKEW_MS),
        notAfter,
        signingAlgorithm: SIGNATURE,
        extensions: [
            new x509.BasicConstraintsExtension(request.authority, undefined, true),
            new x509.KeyUsagesExtension(
                request.authority
                    ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
                    : x509.KeyUsageFlags.digitalSignature,
                true,
            ),
            ...(request.authority
                ? []
                : [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])]),
            new x509.SubjectAlternativeNameExtension([{ type: "dns", value: request.name }]),
            await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
    };
    const subject = `CN=${request.name}`;
    const certificate = request.issuer
        ? await x509.X509CertificateGenerator.create({
              ...common,
              subject,
              issuer: new x509.X509Certificate(request.issuer.certificate).subject,
              publicKey: keys.publicKey,
              signingKey: await importKey(request.issuer.key),
          })
        : await x509.X509CertificateGenerator.createSelfSigned({ ...common, name: subject, keys });
    const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    return {
        certificate: `${certificate.toString("pem").trim()}\n`,
        key: `${x509.PemConverter.encode(der, "PRIVATE KEY").trim()}\n`,
    };
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
    const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
    return webcrypto.subtle.importKey("pkcs8", der, CURVE, false, ["sign"]);
}

/** Every certificate of a PEM bundle, in its order. @throws where one cannot be read. */
export function readBundle(pem: string): X509Certificate[] {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
    return blocks.map((block) => new X509Certificate(block));
}

/** What is wrong with a pair at a time, as one sentence; undefined where nothing is. */
export function keyPairProblem(pair: KeyPair, now: Date): string | undefined {
    try {
        const [certificate] = readBundle(pair.certificate);
        if (!certificate) {
            return "holds no certificate";
        }
        if (!certificate.checkPrivateKey(createPrivateKey(pair.key))) {
            return "the private key does not belong to the certificate";
        }
        return validityProblem(certificate, now);
    } catch (error) {
        return `cannot be read (${(error as Error).message})`;
    }
}

/** Says when a certificate ended or will begin; undefined inside its validity. */
export function validityProblem(certificate: X509Certificate, now: Date): string | undefined {
    if (now > new Date(certificate.validTo)) {
        return `expired on ${isoDate(certificate.validTo)}`;
    }
    if (now < new Date(certificate.validFrom)) {
        return `is not valid before ${isoDate(certificate.validFrom)}`;
    }
    return undefined;
}

/** Whether one of `by` signed `certificate`. */
export function issuedBy(certificate: X509Certificate, by: readonly X509Certificate[]): boolean {
    return by.some((one) => certificate.checkIssued(one) && certificate.verify(one.publicKey));
}

/** `2036-11-21`. */
export function isoDate(date: string | Date): string {
    return new Date(date).toISOString().slice(0, 10);
}
