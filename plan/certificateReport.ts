import type { X509Certificate } from "node:crypto";
import { certificateProblems, isoDate, without, type Moment, type Role } from "./certificates";
import { ISSUER_SECRET, type Identity, type IdentityByCertManager } from "./identity";
import type { LiveLinkerd } from "../cluster/linkerd";
import { certificatesOf, WEBHOOKS, webhookSecret, type WebhookCertificates } from "./webhooks";

/** A certificate as the report shows it. */
export interface CertificateEntry {
    /** What it is for: `trust anchor`, `issuer`, `linkerd-viz/tap`, `webhook CA`. */
    readonly name: string;
    readonly subject: string;
    /** SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` prints it. */
    readonly sha256: string;
    /** `2026-11-21`. */
    readonly notBefore: string;
    readonly notAfter: string;
    /** `valid`; `warning: ...` inside 60 days; what is wrong with a live one that goes or that cert-manager should renew. */
    readonly verdict: string;
}

/** As `linkerd check` does (l5d-identity-issuer-cert-not-expiring-soon). */
const WARN_MS = 60 * 24 * 3_600_000;
const ENDS_SOON = "warning: ends within 60 days";

type Live = Pick<LiveLinkerd, "identity" | "webhooks"> & {
    readonly certManager: Pick<LiveLinkerd["certManager"], "wrote">;
};

/**
 * What is to be declared, which has passed every rule; what is live and goes with this update; what cert-manager renews. A
 * fault of the latter two is told, and refuses nothing: they live for a day or two, and before the control plane is touched
 * the update waits until cert-manager has issued (rollout/linkerd/issued.ts).
 */
export function certificateReport(
    {
        identity,
        webhooks,
    }: { identity: Identity | IdentityByCertManager; webhooks: WebhookCertificates },
    live: Live,
    moment: Moment,
): {
    readonly declared: readonly CertificateEntry[];
    readonly leaving: readonly CertificateEntry[];
    readonly renewed: readonly CertificateEntry[];
} {
    const declared = entriesOf(
        { trustAnchors: identity.trustAnchors, issuer: identity.issuer?.certificate ?? "" },
        webhooks,
        moment,
    );
    const { issuer } = live.identity;
    const before = entriesOf(
        { trustAnchors: issuer?.trustAnchors ?? "", issuer: issuer?.certificate ?? "" },
        live.webhooks,
        moment,
    );
    const stays = new Set(declared.map(({ name, sha256 }) => `${name} ${sha256}`));
    const others = before.filter(({ name, sha256 }) => !stays.has(`${name} ${sha256}`));
    const issued = identity.issuer === undefined ? issuedNames(live) : new Set();
    return {
        declared,
        leaving: others
            .filter(({ name }) => !issued.has(name))
            .map((one) => ({ ...one, verdict: `${one.verdict}; ${fateOf(one, identity)}` })),
        renewed: entriesOf(
            { trustAnchors: "", issuer: issuer?.certificate ?? "" },
            { ...live.webhooks, bundles: {} },
            { now: moment.now, until: moment.now },
        )
            .filter(({ name }) => issued.has(name))
            .map((one) => ({
                ...one,
                verdict: `${one.verdict === ENDS_SOON ? "valid" : one.verdict}; cert-manager renews it`,
            })),
    };
}

/** cert-manager goes on with a certificate that fits what it is asked for, and renews it when its time comes. */
function fateOf({ name }: CertificateEntry, { issuer }: { readonly issuer?: unknown }): string {
    return issuer === undefined && name !== "trust anchor" && name !== "webhook CA"
        ? "cert-manager takes it over"
        : "goes with this update";
}

/** Names, as entries have them, of what cert-manager wrote. */
function issuedNames({ certManager }: Live): ReadonlySet<string> {
    const wrote = (namespace: string, name: string) =>
        certManager.wrote.includes(`${namespace}/${name}`);
    return new Set([
        ...(wrote("linkerd", ISSUER_SECRET) ? ["issuer", "intermediate"] : []),
        ...WEBHOOKS.filter(({ namespace, service }) =>
            wrote(namespace, webhookSecret(service)),
        ).map(({ namespace, service }) => `${namespace}/${service}`),
    ]);
}

function entriesOf(
    identity: { readonly trustAnchors: string; readonly issuer: string },
    { leaves, bundles }: LiveLinkerd["webhooks"],
    moment: Moment,
): CertificateEntry[] {
    const [issuer, ...intermediates] = certificatesOf(identity.issuer);
    const leafOf = (service: string) =>
        certificatesOf(leaves[service]?.certificate ?? "").slice(0, 1);
    // A self-signed leaf is its own CA; the stack's CA is one for all.
    const authorities = new Map(
        WEBHOOKS.flatMap(({ service }) =>
            without(certificatesOf(bundles[service] ?? ""), leafOf(service)),
        ).map((one) => [one.fingerprint256, one]),
    );
    const entry = (name: string, role: Role) => (certificate: X509Certificate) =>
        entryOf(name, role, certificate, moment);
    return [
        ...certificatesOf(identity.trustAnchors).map(entry("trust anchor", "anchor")),
        ...(issuer ? [entry("issuer", "issuer")(issuer)] : []),
        ...intermediates.map(entry("intermediate", "intermediate")),
        ...WEBHOOKS.flatMap(({ service, namespace }) =>
            leafOf(service).map(entry(`${namespace}/${service}`, "webhook")),
        ),
        ...[...authorities.values()].map(entry("webhook CA", "webhook")),
    ];
}

function entryOf(
    name: string,
    role: Role,
    certificate: X509Certificate,
    moment: Moment,
): CertificateEntry {
    const end = new Date(certificate.validTo);
    const problems = certificateProblems(certificate, role, "it", moment);
    return {
        name,
        subject: certificate.subject.replaceAll("\n", ", "),
        sha256: certificate.fingerprint256,
        notBefore: isoDate(certificate.validFrom),
        notAfter: isoDate(end),
        verdict:
            problems.length > 0
                ? problems.join("; ")
                : end.getTime() - moment.now.getTime() < WARN_MS
                  ? ENDS_SOON
                  : "valid",
    };
}
