import {
    isoDate,
    issuedBy,
    keyPairProblem,
    mint,
    readBundle,
    validityProblem,
    type KeyPair,
} from "./certificates";
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
    /** CA bundle of a Service whose leaf is of somebody else's CA, which it keeps while it holds. */
    readonly bundles: Readonly<Record<string, string>>;
}

export interface LiveWebhookCertificates {
    readonly ca?: KeyPair;
    readonly leaves: Readonly<Record<string, KeyPair | undefined>>;
    /** CA bundles that the API server has, by Service. */
    readonly bundles: Readonly<Record<string, string | undefined>>;
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
    const bundles: Record<string, string> = {};
    for (const { service, namespace } of WEBHOOKS) {
        const leaf = live.leaves[service];
        const bundle = live.bundles[service];
        if (leaf && bundle && isAdopted(leaf, bundle, ca, now)) {
            leaves[service] = leaf;
            bundles[service] = bundle;
            continue;
        }
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
    return { ca, leaves, bundles };
}

/** A leaf of somebody else's, or of its own, that the API server goes by: a new one would restart what serves it. */
function isAdopted(leaf: KeyPair, bundle: string, ca: KeyPair, now: Date): boolean {
    const [certificate] = readBundle(leaf.certificate);
    return (
        keyPairProblem(leaf, now) === undefined &&
        certificate !== undefined &&
        !issuedBy(certificate, readBundle(ca.certificate)) &&
        issuedBy(certificate, readBundle(bundle)) &&
        readBundle(bundle).every((one) => validityProblem(one, now) === undefined)
    );
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
