// The X.509 library asks for this polyfill first.
import "reflect-metadata";
import { createHash, createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
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

/** When `mint` made it. */
export function mintedAt({ validFrom }: X509Certificate): Date {
    return new Date(Date.parse(validFrom) + SKEW_MS);
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

/** Certificates as one PEM text, in their order. */
export function writeBundle(certificates: readonly X509Certificate[]): string {
    return certificates.map((one) => `${one.toString().trim()}\n`).join("");
}

/** Of `certificates` those that are not in `others`. */
export function without(
    certificates: readonly X509Certificate[],
    others: readonly X509Certificate[],
): X509Certificate[] {
    const known = new Set(others.map((one) => one.fingerprint256));
    return certificates.filter((one) => !known.has(one.fingerprint256));
}

/**
 * Annotation linkerd.io/trust-root-sha256 of a pod whose proxy was given this bundle: the injector hashes the text of
 * ConfigMap linkerd-identity-trust-roots as it stands there, final line break included.
 */
export function trustRootHash(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}

/** The same for a bundle that the chart writes there, trimmed. */
export function chartTrustRootHash(bundle: string): string {
    return trustRootHash(bundle.trim());
}

/** What is wrong with a pair (at a time, where one is given), as one sentence; undefined where nothing is. */
export function keyPairProblem(pair: KeyPair, now?: Date): string | undefined {
    try {
        const [certificate] = readBundle(pair.certificate);
        if (!certificate) {
            return "holds no certificate";
        }
        if (!certificate.checkPrivateKey(createPrivateKey(pair.key))) {
            return "the private key does not belong to the certificate";
        }
        return now && validityProblem(certificate, now);
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

/** Whether a chain of `intermediates` leads from `certificate` to one of `anchors`. */
export function leadsTo(
    certificate: X509Certificate,
    intermediates: readonly X509Certificate[],
    anchors: readonly X509Certificate[],
): boolean {
    if (issuedBy(certificate, anchors)) {
        return true;
    }
    const rest = intermediates.filter((one) => !issuedBy(certificate, [one]));
    return intermediates.some((one) => issuedBy(certificate, [one]) && leadsTo(one, rest, anchors));
}

/** What a certificate is for; each has rules of its own. */
export type Role = "anchor" | "issuer" | "intermediate" | "webhook";

/**
 * What Linkerd would not accept of a certificate's key or signature, as in `linkerd check` (l5d-identity-issuer-cert-uses-
 * supported-crypto, l5d-identity-trustAnchors-use-supported-crypto): issuers ECDSA P-256; anchors that or RSA of 2048 or
 * 4096 bits; SHA-256 in every signature. Of a webhook's certificate only the signature counts.
 */
export function algorithmProblem(certificate: X509Certificate, role: Role): string | undefined {
    const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
    const isP256 = asymmetricKeyDetails?.namedCurve === "prime256v1";
    const isRsa =
        asymmetricKeyType === "rsa" &&
        [2048, 4096].includes(asymmetricKeyDetails?.modulusLength ?? 0);
    if (role === "issuer" && !isP256) {
        return "key is not ECDSA P-256";
    }
    if ((role === "anchor" || role === "intermediate") && !isP256 && !isRsa) {
        return "key is neither ECDSA P-256 nor RSA of 2048 or 4096 bits";
    }
    const { hash } = new x509.X509Certificate(certificate.raw).signatureAlgorithm as {
        hash?: { name?: string };
    };
    return hash?.name === "SHA-256" ? undefined : "signature does not use SHA-256";
}

/** When a certificate is looked at. */
export interface Moment {
    readonly now: Date;
    /** The last moment at which it must still be valid: the planned end of the upgrade and a margin. */
    readonly until: Date;
}

/** Each rule that a certificate breaks, as the end of a sentence; `name` begins it. */
export function certificateProblems(
    certificate: X509Certificate,
    role: Role,
    name: string,
    { now, until }: Moment,
): string[] {
    const validity = validityProblem(certificate, now);
    const algorithm = algorithmProblem(certificate, role);
    const early =
        validity === undefined && until > new Date(certificate.validTo)
            ? `ends on ${isoDate(certificate.validTo)}, before the planned end of this update and certificates.refuseBefore (${until.toISOString().slice(0, 16)}Z)`
            : undefined;
    return [
        ...(validity === undefined ? [] : [`${name} ${validity}`]),
        ...(algorithm === undefined ? [] : [`${name}'s ${algorithm}`]),
        ...(early === undefined ? [] : [`${name} ${early}`]),
    ];
}

/** `2036-11-21`. */
export function isoDate(date: string | Date): string {
    return new Date(date).toISOString().slice(0, 10);
}
