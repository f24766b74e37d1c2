import type { X509Certificate } from "node:crypto";
import {
    issuedBy,
    leadsTo,
    readBundle,
    validityProblem,
    without,
    writeBundle,
    type KeyPair,
} from "./certificates";
import type { Fault } from "./faults";
import { mintAnchor, type LiveIssuer, type NamedPair } from "./identity";

/** A rotation as the stack file names it; nothing rotates that is not named. */
export type Rotation =
    | { readonly issuer: string }
    | { readonly anchor: string; readonly stage: "bundle" | "issuer" | "finish" };

/** What a rotation starts from. */
export interface Rotating {
    readonly issuer: LiveIssuer;
    /** Of Secret linkerd-trust-anchor. */
    readonly anchor?: NamedPair;
    /** Of Secret linkerd-trust-anchor-next. */
    readonly nextAnchor?: NamedPair;
}

/** What a stage declares. */
export interface Rotated {
    readonly trustAnchors: string;
    readonly anchor?: NamedPair;
    readonly nextAnchor?: NamedPair;
    /** A new issuer is signed by it; absent: the issuer stays. */
    readonly sign?: { readonly by: KeyPair; readonly name: string | undefined };
    /** SHA-256 fingerprints of what the stages ahead replace: it has to hold now, and not much longer. */
    readonly leaving?: readonly string[];
}

const SUBJECT = "identity.rotation";

/**
 * What the stage makes of the live identity, or why it is not the one that is next. Each stage is clean when it is
 * repeated, and goes back as long as the next one has not begun.
 */
export async function rotate(
    rotation: Rotation | undefined,
    live: Rotating,
    trustDomain: string,
    now: Date,
): Promise<Rotated | readonly Fault[]> {
    return rotation && "anchor" in rotation
        ? rotateAnchor(rotation, live, trustDomain, now)
        : withoutAnchorRotation(rotation, live, now);
}

/** A rotation of the anchor that was begun and is not over; one that is over has the name of the anchor. */
function pendingOf({ anchor, nextAnchor }: Rotating): NamedPair | undefined {
    return nextAnchor?.name === anchor?.name ? undefined : nextAnchor;
}

function isSignedBy({ issuer }: Rotating, by: NamedPair | undefined): boolean {
    const [certificate] = readBundle(issuer.certificate);
    return (
        certificate !== undefined &&
        by !== undefined &&
        issuedBy(certificate, readBundle(by.certificate))
    );
}

/** The live bundle, as text as it stands, without what is taken from it. */
function bundleWithout({ issuer }: Rotating, taken: readonly X509Certificate[]): string {
    const all = readBundle(issuer.trustAnchors);
    const rest = without(all, taken);
    return rest.length === all.length ? issuer.trustAnchors : writeBundle(rest);
}

const certificatesOf = (pair: NamedPair | undefined) => readBundle(pair?.certificate ?? "");

/** Nobody's certificate is verified with them any more, so that whatever changes the bundle drops them as well. */
function expired({ issuer }: Rotating, now: Date): X509Certificate[] {
    return readBundle(issuer.trustAnchors).filter((one) => validityProblem(one, now) !== undefined);
}

/** The anchors that the live issuer leads to; others of the bundle are not this rotation's (another cluster's, say). */
function anchorsOfIssuer({ issuer }: Rotating): X509Certificate[] {
    const [certificate, ...intermediates] = readBundle(issuer.certificate);
    return readBundle(issuer.trustAnchors).filter(
        (one) => certificate !== undefined && leadsTo(certificate, intermediates, [one]),
    );
}

/** The live bundle without what the anchor replaces. */
function bundleAfter(anchor: NamedPair, live: Rotating, now: Date): string {
    const replaced = readBundle(live.issuer.trustAnchors).filter((one) =>
        anchor.replaces?.includes(one.fingerprint256),
    );
    return bundleWithout(live, [...replaced, ...expired(live, now)]);
}

function withoutAnchorRotation(
    rotation: { readonly issuer: string } | undefined,
    live: Rotating,
    now: Date,
): Rotated | readonly Fault[] {
    const pending = pendingOf(live);
    if (isSignedBy(live, pending)) {
        return [unfinished(pending)];
    }
    const { anchor } = live;
    const anchors = anchor ? { anchor } : {};
    const taken = certificatesOf(pending);
    if (rotation === undefined || rotation.issuer === live.issuer.name) {
        return { ...anchors, trustAnchors: bundleWithout(live, taken) };
    }
    if (!anchor) {
        return [
            {
                subject: `${SUBJECT}.issuer`,
                value: rotation.issuer,
                rule: "a new issuer has to be signed by the trust anchor, and its key is not in the cluster (Secret linkerd/linkerd-trust-anchor)",
                next: "make the issuer where the key is and set identity.source: config, or rotate the anchor: identity.rotation: { anchor: NAME, stage: bundle }",
            },
        ];
    }
    return {
        ...anchors,
        trustAnchors: bundleWithout(live, [...taken, ...expired(live, now)]),
        sign: { by: anchor, name: rotation.issuer },
    };
}

async function rotateAnchor(
    { anchor: name, stage }: Extract<Rotation, { anchor: string }>,
    live: Rotating,
    trustDomain: string,
    now: Date,
): Promise<Rotated | readonly Fault[]> {
    const { anchor } = live;
    const fault = (rule: string, allowed: string): readonly Fault[] => [
        { subject: `${SUBJECT}.stage`, value: stage, rule, next: allowed },
    ];
    if (anchor?.name === name) {
        return stage === "finish"
            ? { trustAnchors: bundleAfter(anchor, live, now), anchor, nextAnchor: anchor }
            : fault(
                  `trust anchor ${name} is in place already, and the one before it is gone`,
                  `set the stage to finish, or remove ${SUBJECT}; another rotation needs another name`,
              );
    }
    const pending = pendingOf(live);
    if (pending && pending.name !== name && isSignedBy(live, pending)) {
        return [unfinished(pending)];
    }
    const next = pending?.name === name ? pending : undefined;
    const others = pending?.name === name ? undefined : pending;
    const published =
        next !== undefined &&
        without(readBundle(next.certificate), readBundle(live.issuer.trustAnchors)).length === 0;
    const signed = isSignedBy(live, next);
    const kept = anchor ? { anchor } : {};
    switch (stage) {
        case "bundle": {
            if (signed && !anchor) {
                return fault(
                    "the issuer is signed by the new anchor, and the old one's key is not in the cluster: there is no way back",
                    "set the stage to issuer or, when every pod is new, to finish",
                );
            }
            const nextAnchor = next ?? {
                ...(await mintAnchor(trustDomain, now)),
                name,
                replaces: anchorsOfIssuer(live).map((one) => one.fingerprint256),
            };
            const before = certificatesOf(others);
            return {
                ...kept,
                nextAnchor,
                trustAnchors: published
                    ? bundleWithout(live, before)
                    : bundleWithout(live, [...before, ...expired(live, now)]).trimEnd() +
                      `\n${nextAnchor.certificate}`,
                ...(signed && anchor ? { sign: { by: anchor, name: undefined } } : {}),
                leaving: [
                    ...(nextAnchor.replaces ?? []),
                    ...readBundle(live.issuer.certificate).map((one) => one.fingerprint256),
                ],
            };
        }
        case "issuer":
            if (!next || !published) {
                return fault(`trust anchor ${name} is not in the bundle yet`, "set it to bundle");
            }
            return {
                ...kept,
                nextAnchor: next,
                trustAnchors: live.issuer.trustAnchors,
                ...(signed ? {} : { sign: { by: next, name } }),
                leaving: next.replaces ?? [],
            };
        case "finish":
            if (!next || !published) {
                return fault(`trust anchor ${name} is not in the bundle yet`, "set it to bundle");
            }
            if (!signed) {
                return fault(
                    `the issuer is not signed by trust anchor ${name} yet`,
                    "set it to issuer",
                );
            }
            return {
                anchor: next,
                nextAnchor: next,
                trustAnchors: bundleAfter(next, live, now),
            };
    }
}

function unfinished(pending: NamedPair | undefined): Fault {
    return {
        subject: SUBJECT,
        value: pending?.name ?? "",
        rule: "the issuer is signed by this trust anchor, whose rotation is not finished; without it every proxy would lose mTLS",
        next: `set identity.rotation to { anchor: ${pending?.name}, stage: issuer } or, when every pod is new, stage: finish`,
    };
}
