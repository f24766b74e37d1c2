import type { X509Certificate } from "node:crypto";
import type { IdentityConfig } from "../config";
import {
    issuedBy,
    keyPairProblem,
    mint,
    readBundle,
    validityProblem,
    type KeyPair,
} from "./certificates";
import type { Fault } from "./faults";

/** Secret of the issuer, type kubernetes.io/tls with `ca.crt`; the name is fixed by Linkerd. */
export const ISSUER_SECRET = "linkerd-identity-issuer";
/** Secret of the generated trust anchor; kept so that later issuers can be signed. */
export const ANCHOR_SECRET = "linkerd-trust-anchor";

/** How the Secret of the issuer is made: Linkerd's own way, or as of type kubernetes.io/tls. */
export type IssuerScheme = "linkerd.io/tls" | "kubernetes.io/tls";

/** What the cluster holds of the mesh's identity. */
export interface LiveIdentity {
    readonly anchor?: KeyPair;
    readonly issuer?: KeyPair & {
        readonly scheme: IssuerScheme;
        /** As they are configured, to the byte: proxies are told apart by their hash. */
        readonly trustAnchors: string;
    };
    /** Whether ConfigMap linkerd-config exists: a control plane was installed. */
    readonly installed: boolean;
}

/** The identity that the stack declares. */
export interface Identity {
    /** PEM bundle that proxies trust. */
    readonly trustAnchors: string;
    readonly issuer: KeyPair;
    readonly scheme: IssuerScheme;
    /** Present where the stack made the anchor itself. */
    readonly anchor?: KeyPair;
}

/** Linkerd expects this DNS name in the issuer's certificate (`identity.<namespace>.<trust domain>`). */
export function issuerName(trustDomain: string): string {
    return `identity.linkerd.${trustDomain}`;
}

const ANCHOR_YEARS = 10;
// Only a rotation that is asked for replaces the issuer, so it has to outlive many upgrades.
const ISSUER_YEARS = 5;

const RESTORE = `restore Secret linkerd/${ISSUER_SECRET} from a backup; new keys would cut every running proxy off`;

/**
 * The identity to declare: the user's, the live one, or, on a first installation, a new one. Keys never
 * change unasked. Returns faults where that cannot be had.
 */
export async function planIdentity(
    config: IdentityConfig,
    live: LiveIdentity,
    trustDomain: string,
    now: Date,
): Promise<Identity | readonly Fault[]> {
    if (config.source === "config") {
        const identity = {
            trustAnchors: trim(config.trustAnchors),
            issuer: config.issuer,
            scheme: "kubernetes.io/tls" as const,
        };
        const faults = [
            ...identityFaults(identity, "config identity", "set identity.* to a valid pair", now),
            ...rotationFaults(identity, live),
        ];
        return faults.length > 0 ? faults : identity;
    }
    if (config.source === "adopted") {
        return adoptedIdentity(live, now);
    }
    if (live.issuer?.scheme === "linkerd.io/tls") {
        return [
            {
                subject: "identity.source",
                value: config.source,
                rule: `Secret linkerd/${ISSUER_SECRET} is of scheme linkerd.io/tls, which this stack did not make`,
                next: "pulumi config set --path identity.source adopted",
            },
        ];
    }
    if (live.issuer) {
        const { trustAnchors, scheme, ...issuer } = live.issuer;
        const identity = {
            trustAnchors: trim(trustAnchors),
            issuer,
            scheme,
            ...(live.anchor ? { anchor: live.anchor } : {}),
        };
        const faults = identityFaults(identity, `Secret linkerd/${ISSUER_SECRET}`, RESTORE, now);
        return faults.length > 0 ? faults : identity;
    }
    if (live.installed) {
        return [
            {
                subject: `Secret linkerd/${ISSUER_SECRET}`,
                rule: "is missing although ConfigMap linkerd/linkerd-config says that a control plane is installed",
                next: RESTORE,
            },
        ];
    }
    const anchor =
        live.anchor ??
        (await mint({
            name: `root.linkerd.${trustDomain}`,
            authority: true,
            years: ANCHOR_YEARS,
            now,
        }));
    const issuer = await mint({
        name: issuerName(trustDomain),
        issuer: anchor,
        authority: true,
        years: ISSUER_YEARS,
        now,
    });
    return {
        trustAnchors: trim(anchor.certificate),
        issuer,
        scheme: "kubernetes.io/tls",
        anchor,
    };
}

/** What runs is kept, to the byte and in its scheme. */
function adoptedIdentity({ issuer: live }: LiveIdentity, now: Date): Identity | readonly Fault[] {
    if (!live) {
        return [
            {
                subject: `Secret linkerd/${ISSUER_SECRET}`,
                rule: "is missing, so there is no identity to adopt",
                next: `${RESTORE}; for a new mesh: pulumi config set --path identity.source generated`,
            },
        ];
    }
    const { trustAnchors, scheme, ...issuer } = live;
    const identity = { trustAnchors, issuer, scheme };
    const faults = identityFaults(identity, `Secret linkerd/${ISSUER_SECRET}`, RESTORE, now);
    return faults.length > 0 ? faults : identity;
}

function identityFaults(
    identity: Identity,
    subject: string,
    next: string,
    now: Date,
): readonly Fault[] {
    const rules: string[] = [];
    const pair = keyPairProblem(identity.issuer, now);
    if (pair) {
        rules.push(`the issuer ${pair}`);
    } else {
        rules.push(...authorityProblems(identity.issuer.certificate));
    }
    try {
        const anchors = readBundle(identity.trustAnchors);
        const [issuer, ...intermediates] = readBundle(identity.issuer.certificate);
        if (anchors.length === 0) {
            rules.push("the trust anchors hold no certificate");
        }
        for (const anchor of anchors) {
            const problem = validityProblem(anchor, now);
            if (problem) {
                rules.push(`the trust anchor ${anchor.subject} ${problem}`);
            }
        }
        if (issuer && anchors.length > 0 && !leadsTo(issuer, intermediates, anchors)) {
            rules.push("the issuer is not signed by any of the trust anchors");
        }
    } catch (error) {
        rules.push(`the trust anchors cannot be read (${(error as Error).message})`);
    }
    return rules.map((rule) => ({ subject, rule, next }));
}

/** What Linkerd's identity service asks of its issuer: a CA with an ECDSA P-256 key. */
function authorityProblems(pem: string): string[] {
    const [issuer] = readBundle(pem);
    return [
        ...(issuer?.ca ? [] : ["the issuer is no CA (basic constraints)"]),
        ...(issuer?.publicKey.asymmetricKeyDetails?.namedCurve === "prime256v1"
            ? []
            : ["the issuer's key is not ECDSA P-256"]),
    ];
}

/** Whether a chain of `intermediates` leads from `certificate` to one of `anchors`. */
function leadsTo(
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

/** Another anchor bundle than the live one breaks mTLS with every proxy that still runs. */
function rotationFaults(identity: Identity, live: LiveIdentity): readonly Fault[] {
    if (!live.issuer || trim(live.issuer.trustAnchors) === trim(identity.trustAnchors)) {
        return [];
    }
    return [
        {
            subject: "identity.trustAnchors",
            rule: "differs from the trust anchors that the running mesh uses; proxies that run would lose mTLS",
            next: `set identity.trustAnchors to ca.crt of Secret linkerd/${ISSUER_SECRET}`,
        },
    ];
}

function trim(pem: string): string {
    return `${pem.trim()}\n`;
}
