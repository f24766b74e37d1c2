import type { X509Certificate } from "node:crypto";
import type { IdentityConfig } from "./identityConfig";
import {
    certificateProblems,
    keyPairProblem,
    leadsTo,
    mint,
    readBundle,
    validityProblem,
    type KeyPair,
    type Moment,
} from "./certificates";
import type { Fault } from "./faults";
import { rotate, type Rotation } from "./rotation";
import { dropFaults, strangerFaults, type MeshedProxy } from "./trust";

/** Secret of the issuer; the name is fixed by Linkerd. */
export const ISSUER_SECRET = "linkerd-identity-issuer";
/** Secret of the trust anchor that the stack made; kept so that later issuers can be signed. */
export const ANCHOR_SECRET = "linkerd-trust-anchor";
/** Secret of the trust anchor that a rotation brings. */
export const NEXT_ANCHOR_SECRET = "linkerd-trust-anchor-next";

/** Annotation of the issuer's Secret: the rotation that made it. */
export const ISSUER_NAME = "mesh-upgrade/issuer";
/** Annotation of a trust anchor's Secret: the rotation that made it. */
export const ANCHOR_NAME = "mesh-upgrade/anchor";
/** Annotation of a trust anchor's Secret: SHA-256 fingerprints of those that go when its rotation finishes. */
export const ANCHOR_REPLACES = "mesh-upgrade/replaces";
/** Annotation of the issuer's Secret, and of the control plane's pods: when the issuer became this one. */
export const ISSUED_AT = "mesh-upgrade/issued-at";
/** Annotation of the issuer's Secret, written by rollout/served.ts: `<issued-at> <since when it is served>`. */
export const SERVED_SINCE = "mesh-upgrade/served-since";

/**
 * How Linkerd reads the issuer's Secret. `kubernetes.io/tls`: tls.crt, tls.key and ca.crt. `linkerd.io/tls`, of the linkerd
 * CLI and of charts that are given the key: crt.pem and key.pem, type Opaque; the anchors stand in a ConfigMap.
 */
export type Scheme = "kubernetes.io/tls" | "linkerd.io/tls";

/** A trust anchor; undefined is the name of the one that the first update made. */
export interface NamedPair extends KeyPair {
    readonly name: string | undefined;
    /** SHA-256 fingerprints of the anchors that go when its rotation finishes. */
    readonly replaces?: readonly string[];
}

/** The issuer that the mesh runs with. */
export interface LiveIssuer extends KeyPair {
    readonly scheme: Scheme;
    /** PEM bundle that new proxies are given. */
    readonly trustAnchors: string;
    /** Key `ca.crt` of the Secret. */
    readonly ca?: string;
    /** Of the rotation that made it. */
    readonly name?: string;
    /** When an update of this stack made it or took it from the config (ISO 8601); absent: it never changed. */
    readonly issuedAt?: string;
    /** Since when the identity service hands out its certificates, in ms since the epoch. */
    readonly servedSince?: number;
    /** cert-manager wrote it, and made it to be renewed within days. */
    readonly byCertManager?: true;
}

/** What the cluster holds of the mesh's identity. */
export interface LiveIdentity {
    readonly anchor?: NamedPair;
    readonly nextAnchor?: NamedPair;
    readonly issuer?: LiveIssuer;
    /** Whether ConfigMap linkerd-config exists: a control plane was installed. */
    readonly installed: boolean;
}

/** The identity that the stack declares. */
export interface Identity {
    /** That of the live Secret: a Secret's type cannot change, whatever the source. */
    readonly scheme: Scheme;
    /** PEM bundle that proxies trust. */
    readonly trustAnchors: string;
    /** Key `ca.crt` of the issuer's Secret, where the scheme has one. */
    readonly ca: string;
    readonly issuer: KeyPair;
    /** Of the rotation that made the issuer. */
    readonly issuerName?: string;
    /** When it became this one (ISO 8601); absent: it never changed. */
    readonly issuedAt?: string;
    /** Present where the stack knows the anchor's key. */
    readonly anchor?: NamedPair;
    /** Present where a rotation brings one. */
    readonly nextAnchor?: NamedPair;
    /** What changes, for the preview. */
    readonly lines: readonly string[];
}

/** Where cert-manager issues: the stack declares no issuer. */
export interface IdentityByCertManager extends Omit<
    Identity,
    "issuer" | "issuerName" | "issuedAt"
> {
    readonly issuer?: undefined;
    readonly issuedAt?: undefined;
}

/** What is known of the mesh beside its identity. */
export interface IdentitySurroundings extends Moment {
    /** Domain of the mesh's identities: `cluster.local`. */
    readonly trustDomain: string;
    /** Proxies that run; undefined where they could not be listed, which only a preview survives. */
    readonly proxies: readonly MeshedProxy[] | undefined;
}

/** Since when the issuer of `issuedAt` is served, in ms since the epoch; undefined where that was not recorded. */
export function servedSince(
    annotations: Readonly<Record<string, string>> | undefined,
): number | undefined {
    const [issuedAt, since] = annotations?.[SERVED_SINCE]?.split(" ") ?? [];
    return since !== undefined && issuedAt === annotations?.[ISSUED_AT]
        ? Date.parse(since)
        : undefined;
}

/** Linkerd expects this DNS name in the issuer's certificate (`identity.<namespace>.<trust domain>`). */
export function issuerName(trustDomain: string): string {
    return `identity.linkerd.${trustDomain}`;
}

/** DNS name of a trust anchor that the stack makes. */
function anchorName(trustDomain: string): string {
    return `root.linkerd.${trustDomain}`;
}

const ANCHOR_YEARS = 10;
// Only a rotation that is asked for replaces the issuer, so it has to outlive many upgrades.
const ISSUER_YEARS = 5;

const RESTORE = `restore Secret linkerd/${ISSUER_SECRET} from a backup; new keys would cut every running proxy off`;

/**
 * The identity to declare: the user's, the live one, or, on a first installation, a new one. Keys never change unless a
 * rotation asks for it. Returns faults where that cannot be had, or where a running proxy would lose mTLS.
 */
export async function planIdentity(
    config: Exclude<IdentityConfig, { source: "cert-manager" }>,
    live: LiveIdentity,
    surroundings: IdentitySurroundings,
): Promise<Identity | readonly Fault[]> {
    if (config.source === "config") {
        return planOwn(config, live, surroundings);
    }
    const { issuer } = live;
    if (issuer) {
        return planKept(config.rotation, { ...live, issuer }, surroundings);
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
    return config.source === "adopted"
        ? [
              {
                  subject: "identity.source",
                  value: "adopted",
                  rule: `there is nothing to adopt: namespace linkerd has no Secret ${ISSUER_SECRET}`,
                  next: "set identity.source to generated for a first installation",
              },
          ]
        : planFirst(config.rotation, live, surroundings);
}

/** On a first installation everything is new, but an anchor that an earlier one left behind is used again. */
async function planFirst(
    rotation: Rotation | undefined,
    live: LiveIdentity,
    { trustDomain, now }: IdentitySurroundings,
): Promise<Identity | readonly Fault[]> {
    if (rotation && "anchor" in rotation) {
        return [
            {
                subject: "identity.rotation",
                rule: "there is no trust anchor yet that could be rotated",
                next: "remove identity.rotation until Linkerd is installed",
            },
        ];
    }
    const anchor = live.anchor ?? (await mintAnchor(trustDomain, now));
    const trustAnchors = trim(anchor.certificate);
    return {
        scheme: "kubernetes.io/tls",
        trustAnchors,
        ca: trustAnchors,
        issuer: await mintIssuer(anchor, trustDomain, now),
        ...(rotation ? { issuerName: rotation.issuer } : {}),
        anchor,
        lines: [],
    };
}

/** The trust anchor of a first installation. */
export async function mintAnchor(trustDomain: string, now: Date): Promise<NamedPair> {
    const name = anchorName(trustDomain);
    const pair = await mint({ name, authority: true, years: ANCHOR_YEARS, now });
    return { name: undefined, ...pair };
}

function mintIssuer(by: KeyPair, trustDomain: string, now: Date): Promise<KeyPair> {
    const name = issuerName(trustDomain);
    return mint({ name, issuer: by, authority: true, years: ISSUER_YEARS, now });
}

/** The live identity, with what the rotation makes of it. */
async function planKept(
    rotation: Rotation | undefined,
    live: LiveIdentity & { readonly issuer: LiveIssuer },
    surroundings: IdentitySurroundings,
): Promise<Identity | readonly Fault[]> {
    const { trustDomain, now, proxies } = surroundings;
    const subject = `Secret linkerd/${ISSUER_SECRET}`;
    const unreadable = readabilityFaults(live.issuer, subject);
    if (unreadable.length > 0) {
        return unreadable;
    }
    const rotated = await rotate(rotation, live, trustDomain, now);
    if (!("trustAnchors" in rotated)) {
        return rotated;
    }
    const { sign, trustAnchors, leaving, ...anchors } = rotated;
    const { scheme, certificate, key, name, issuedAt, ca, byCertManager } = live.issuer;
    const kept = { certificate, key };
    if (byCertManager && !sign && !anchors.anchor) {
        return [NO_KEY];
    }
    const lasting =
        byCertManager && !sign && anchors.anchor
            ? await mintIssuer(anchors.anchor, trustDomain, now)
            : undefined;
    const issuerOf = sign
        ? {
              issuer: await mintIssuer(sign.by, trustDomain, now),
              ...(sign.name === undefined ? {} : { issuerName: sign.name }),
              issuedAt: now.toISOString(),
          }
        : {
              // The identity service reads it anew, as it did each time that cert-manager renewed it.
              issuer: lasting ?? kept,
              ...(name === undefined ? {} : { issuerName: name }),
              ...(issuedAt === undefined ? {} : { issuedAt }),
          };
    const sameAnchors = trustAnchors === live.issuer.trustAnchors;
    const identity: Identity = {
        scheme,
        trustAnchors,
        ca: sameAnchors ? (ca ?? trustAnchors) : trustAnchors,
        ...issuerOf,
        ...anchors,
        lines: [
            ...(sameAnchors ? [] : [anchorLine(live.issuer.trustAnchors, trustAnchors)]),
            ...(sign ? [issuerLine(issuerOf.issuer)] : []),
            ...(lasting ? [HAND_BACK] : []),
        ],
    };
    const faults = [
        ...identityFaults(
            identity,
            { subject, next: (problem) => wayOut(problem, live, now), leaving },
            surroundings,
        ),
        ...dropFaults(
            live.issuer,
            { certificate: identity.issuer.certificate, trustAnchors },
            proxies,
            {
                subject: "identity.rotation",
                next: "set it back to what it was, pulumi up (its waves restart what is left), and delete pods that nothing restarts (bare pods, Jobs)",
                now,
            },
        ),
        ...strangerFaults(
            identity.issuer.certificate,
            proxies ?? [],
            rotation && "anchor" in rotation && rotation.stage === "issuer"
                ? "set the stage to bundle, pulumi up (its waves restart what is left), and delete pods that nothing restarts (bare pods, Jobs)"
                : "bring the trust anchors of these pods back into the mesh first (identity.source: config with a bundle of both), or restart the pods",
            now,
        ),
    ];
    return faults.length > 0 ? faults : identity;
}

const HAND_BACK =
    "identity: a new issuer of the stack, signed by the same trust anchor, in place of cert-manager's, which nobody would renew; its Certificates are deleted first, Secrets stay, and nothing restarts for it";

const NO_KEY: Fault = {
    subject: `Secret linkerd/${ANCHOR_SECRET}`,
    rule: "is missing, and the issuer is one of cert-manager's that ends within days: a lasting one has to be signed by the trust anchor",
    next: "create it with the certificate and the key of the mesh's trust anchor (kubectl create secret tls), or keep identity.source: cert-manager",
};

/** What is wrong with an identity: with a certificate of a role, which may have ended or be about to, or otherwise. */
interface Problem {
    readonly role: "issuer" | "anchor" | "pair";
    readonly ends?: "ended" | "soon";
}

const UNTIL_THEN = "; certificates.refuseBefore: 0h lets this update pass before";
const ROTATE_ANCHOR =
    "set identity.rotation to { anchor: NAME, stage: bundle }, pulumi up, and go on with its stages";
const REPLACE_ALL =
    "mTLS is lost already: set identity.source: config with a new trust anchor and a new issuer, pulumi up; every proxy restarts";

/** How the live identity, which this program made or adopted, is mended. */
function wayOut(
    { role, ends }: Problem,
    { issuer, anchor }: LiveIdentity & { readonly issuer: LiveIssuer },
    now: Date,
): string {
    if (ends === undefined) {
        return RESTORE;
    }
    const before = ends === "soon" ? UNTIL_THEN : "";
    if (role === "issuer" && anchor) {
        return `set identity.rotation to { issuer: NAME }, pulumi up: a new issuer of the same trust anchor${before}`;
    }
    if (ends === "soon") {
        return `${ROTATE_ANCHOR}${before}`;
    }
    if (role === "issuer") {
        return "make a new issuer where the trust anchor's key is and set identity.source: config, pulumi up; where nobody has that key, a new trust anchor as well: every proxy restarts";
    }
    return leadsToValid(issuer, now) ? `${ROTATE_ANCHOR}: its first one drops it` : REPLACE_ALL;
}

/** Whether some anchor that has not ended vouches for the issuer. */
function leadsToValid({ certificate, trustAnchors }: LiveIssuer, now: Date): boolean {
    const [issuer, ...intermediates] = readBundle(certificate);
    const valid = readBundle(trustAnchors).filter((one) => validityProblem(one, now) === undefined);
    return issuer !== undefined && leadsTo(issuer, intermediates, valid);
}

/** The user's own pair: a bundle that holds the old anchors and new ones is a rotation's first stage. */
function planOwn(
    config: Extract<IdentityConfig, { source: "config" }>,
    live: LiveIdentity,
    surroundings: IdentitySurroundings,
): Identity | readonly Fault[] {
    const { now } = surroundings;
    const trustAnchors = trim(config.trustAnchors);
    const subject = "config identity";
    const { issuer } = config;
    const before = live.issuer;
    const changed = before && before.certificate.trim() !== issuer.certificate.trim();
    const issuedAt = changed ? now.toISOString() : before?.issuedAt;
    const sameAnchors = before !== undefined && trim(before.trustAnchors) === trustAnchors;
    const identity: Identity = {
        scheme: before?.scheme ?? "kubernetes.io/tls",
        trustAnchors: sameAnchors ? before.trustAnchors : trustAnchors,
        ca: sameAnchors ? (before.ca ?? trustAnchors) : trustAnchors,
        issuer,
        ...(issuedAt === undefined ? {} : { issuedAt }),
        lines: [
            ...(before && !sameAnchors ? [anchorLine(before.trustAnchors, trustAnchors)] : []),
            ...(changed ? [issuerLine(issuer)] : []),
        ],
    };
    const unreadable = readabilityFaults({ ...issuer, trustAnchors }, subject);
    if (unreadable.length > 0) {
        return unreadable;
    }
    const next = `set identity.trustAnchors to the anchors of before (ConfigMap linkerd/linkerd-identity-trust-roots) and the new ones together, pulumi up; then change the issuer, pulumi up; then drop the old anchors`;
    const faults = [
        ...identityFaults(identity, { subject, next: ownWayOut }, surroundings),
        ...(before
            ? dropFaults(
                  before,
                  { certificate: issuer.certificate, trustAnchors },
                  surroundings.proxies,
                  { subject: "identity.trustAnchors", next, now },
              )
            : []),
        ...strangerFaults(issuer.certificate, surroundings.proxies ?? [], next, now),
    ];
    return faults.length > 0 ? faults : identity;
}

function ownWayOut({ role, ends }: Problem): string {
    if (ends === "ended" && role === "anchor") {
        return "take it out of identity.trustAnchors; where the issuer is signed by it, set a new trust anchor and a new issuer: every proxy restarts";
    }
    return `set identity.* to a valid pair${ends === "soon" ? UNTIL_THEN : ""}`;
}

function issuerLine({ certificate }: KeyPair): string {
    const [issuer] = readBundle(certificate);
    return `identity: a new issuer (${issuer?.fingerprint256}); the identity service restarts, then every proxy`;
}

function anchorLine(before: string, after: string): string {
    const [from, to] = [readBundle(before).length, readBundle(after).length];
    return `identity: trust anchors change (${from} -> ${to} in the bundle); every proxy restarts`;
}

/** What cannot be read says so at once: nothing else about it can be judged. */
function readabilityFaults(
    { certificate, trustAnchors }: { certificate: string; trustAnchors: string },
    subject: string,
): Fault[] {
    const rules = Object.entries({
        "the issuer": certificate,
        "the trust anchors": trustAnchors,
    }).flatMap(([name, text]) => {
        try {
            return readBundle(text).length === 0 ? [`${name} hold(s) no certificate`] : [];
        } catch (error) {
            return [`${name} cannot be read (${(error as Error).message})`];
        }
    });
    return rules.map((rule) => ({ subject, rule, next: RESTORE }));
}

/** Each rule that the identity breaks; what is `leaving` has to hold now, and not much longer. */
function identityFaults(
    identity: Identity,
    {
        subject,
        next,
        leaving = [],
    }: {
        readonly subject: string;
        readonly next: (problem: Problem) => string;
        readonly leaving?: readonly string[] | undefined;
    },
    moment: Moment,
): readonly Fault[] {
    const anchors = readBundle(identity.trustAnchors);
    const [issuer, ...intermediates] = readBundle(identity.issuer.certificate);
    const of = (problem: Problem, rules: readonly string[]): Fault[] =>
        rules.map((rule) => ({ subject, rule, next: next(problem) }));
    const certificate = (one: X509Certificate, role: "issuer" | "intermediate" | "anchor") => {
        const name = role === "issuer" ? "the issuer" : `the ${TOLD[role]} ${one.subject}`;
        const end = new Date(one.validTo);
        const until = leaving.includes(one.fingerprint256) ? moment.now : moment.until;
        const ends = end < moment.now ? "ended" : end < until ? "soon" : undefined;
        return of(
            { role: role === "anchor" ? role : "issuer", ...(ends ? { ends } : {}) },
            certificateProblems(one, role, name, { ...moment, until }),
        );
    };
    const pair = keyPairProblem(identity.issuer);
    const broken: Problem = { role: "pair" };
    return [
        ...of(broken, pair === undefined ? [] : [`the issuer ${pair}`]),
        ...(issuer ? certificate(issuer, "issuer") : []),
        ...of(broken, issuer?.ca ? [] : ["the issuer is no CA (basic constraints)"]),
        ...intermediates.flatMap((one) => certificate(one, "intermediate")),
        ...anchors.flatMap((one) => certificate(one, "anchor")),
        ...of(
            broken,
            issuer && leadsTo(issuer, intermediates, anchors)
                ? []
                : ["the issuer is not signed by any of the trust anchors"],
        ),
    ];
}

const TOLD = { intermediate: "intermediate", anchor: "trust anchor" } as const;

function trim(pem: string): string {
    return `${pem.trim()}\n`;
}
