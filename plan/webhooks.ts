import { isoDate, issuedBy, keyPairProblem, mint, readBundle, type KeyPair } from "./certificates";
import type { Fault } from "./faults";

/** Secret of the CA that signs every webhook's certificate; its certificate is the charts' caBundle. */
export const WEBHOOK_CA_SECRET = "linkerd-webhook-ca";

/** The Services that serve webhooks or an aggregated API, with the chart value that configures each. */
export const WEBHOOKS = [
    { service: "linkerd-proxy-injector", namespace: "linkerd", value: "proxyInjector" },
    { service: "linkerd-sp-validator", namespace: "linkerd", value: "profileValidator" },
    { service: "linkerd-policy-validator", namespace: "linkerd", value: "policyValidator" },
    { service: "tap", namespace: "linkerd-viz", value: "tap" },
    { service: "tap-injector", namespace: "linkerd-viz", value: "tapInjector" },
] as const;

export type Webhook = (typeof WEBHOOKS)[number];

/** Name of the Secret that the charts mount for a webhook's Service. */
export function webhookSecret(service: string): string {
    return `${service}-k8s-tls`;
}

/** Certificates of the webhooks; `leaves` by Service. */
export interface WebhookCertificates {
    readonly ca: KeyPair;
    readonly leaves: Readonly<Record<string, KeyPair>>;
}

export interface LiveWebhookCertificates {
    readonly ca?: KeyPair;
    readonly leaves: Readonly<Record<string, KeyPair | undefined>>;
}

const CA_YEARS = 10;
const LEAF_YEARS = 2;
/** A leaf is renewed by the first update in its last year: one update a year keeps it fresh. */
const RENEW_BEFORE_MS = 365 * 24 * 3_600_000;

/**
 * The certificates to declare: live ones where they hold, new leaves of the live CA where one is missing, near
 * its end or of another CA, all new where there is no CA. API servers trust the CA, so a new leaf needs no
 * restart and no change of a webhook configuration.
 */
export async function planWebhookCertificates(
    live: LiveWebhookCertificates,
    now: Date,
): Promise<WebhookCertificates | readonly Fault[]> {
    const problem = live.ca && keyPairProblem(live.ca, now);
    if (problem) {
        return [
            {
                subject: `Secret linkerd/${WEBHOOK_CA_SECRET}`,
                rule: `the CA of the webhooks ${problem}`,
                next: `kubectl -n linkerd delete secret ${WEBHOOK_CA_SECRET}, then: pulumi up --refresh (a new CA is made, injector and validators restart)`,
            },
        ];
    }
    const ca =
        live.ca ??
        (await mint({ name: "webhooks.linkerd", authority: true, years: CA_YEARS, now }));
    const leaves: Record<string, KeyPair> = {};
    for (const { service, namespace } of WEBHOOKS) {
        const leaf = live.leaves[service];
        leaves[service] =
            leaf && holds(leaf, ca, now)
                ? leaf
                : await mint({
                      name: `${service}.${namespace}.svc`,
                      issuer: ca,
                      authority: false,
                      years: LEAF_YEARS,
                      now,
                  });
    }
    return { ca, leaves };
}

function holds(leaf: KeyPair, ca: KeyPair, now: Date): boolean {
    const later = new Date(now.getTime() + RENEW_BEFORE_MS);
    const [certificate] = readBundle(leaf.certificate);
    return (
        keyPairProblem(leaf, later) === undefined &&
        certificate !== undefined &&
        issuedBy(certificate, readBundle(ca.certificate))
    );
}

/** The day on which the first of the certificates ends: `2028-11-21`. */
export function firstExpiry(certificates: WebhookCertificates): string {
    const dates = [certificates.ca, ...Object.values(certificates.leaves)].flatMap((pair) =>
        readBundle(pair.certificate).map((one) => isoDate(one.validTo)),
    );
    return dates.sort()[0] ?? "";
}
