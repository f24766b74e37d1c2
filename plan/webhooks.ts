import type { X509Certificate } from "node:crypto";
import type { WebhookStage } from "../config";
import {
    certificateProblems,
    isoDate,
    issuedBy,
    keyPairProblem,
    leadsTo,
    mint,
    readBundle,
    validityProblem,
    without,
    writeBundle,
    type KeyPair,
    type Moment,
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

/** Certificates of the webhooks, each by Service. */
export interface WebhookCertificates {
    /** The stack's own CA; at first nothing is signed by it where all certificates are adopted. */
    readonly ca: KeyPair;
    /** None where cert-manager makes them. */
    readonly leaves: Readonly<Record<string, KeyPair>>;
    /** What API servers verify the leaf with, as PEM. */
    readonly bundles: Readonly<Record<string, string>>;
}

export interface LiveWebhookCertificates {
    readonly ca?: KeyPair;
    readonly leaves: Readonly<Record<string, KeyPair | undefined>>;
    /** caBundle of the webhook configuration (of tap: of the APIService). */
    readonly bundles: Readonly<Record<string, string | undefined>>;
}

/** What the plan of the webhooks' certificates depends on beside what is live. */
export interface WebhookPlan extends Moment {
    readonly stage: WebhookStage;
    /** A leaf with less time left is renewed, in ms. */
    readonly renewBefore: number;
    /** Namespaces whose webhooks the stack declares. */
    readonly namespaces: readonly string[];
    /** Who makes the leaves. Defaults to the stack. */
    readonly by?: "stack" | "cert-manager";
}

const CA_YEARS = 10;
const LEAF_YEARS = 2;

/** DNS name under which API servers call a Service. */
export function webhookName({ service, namespace }: Webhook): string {
    return `${service}.${namespace}.svc`;
}

/**
 * The certificates to declare. `own`: live ones where they hold, new leaves of the stack's CA where one is missing, near its
 * end or of another CA, all new where there is no CA. API servers trust the CA, so a new leaf needs no restart and no change
 * of a webhook configuration.
 *
 * Adopted ones (self-signed by a chart or the linkerd CLI) get there in stages, one update each, so that API servers trust
 * the leaf that is served at any moment: `adopted` keeps leaf and bundle, `publish` puts the stack's CA beside what is in
 * the bundle, `swap` replaces the leaf, `own` drops the rest of the bundle. cert-manager signs with the stack's CA, and so
 * needs `own`. Where nothing is there that could stay (viz comes
 * anew beside an adopted control plane), a webhook begins with the stack's CA, whatever the stage.
 */
export async function planWebhookCertificates(
    live: LiveWebhookCertificates,
    plan: WebhookPlan,
): Promise<WebhookCertificates | readonly Fault[]> {
    const webhooks = WEBHOOKS.filter((one) => plan.namespaces.includes(one.namespace));
    const problem = live.ca && keyPairProblem(live.ca, plan.now);
    if (problem) {
        return [
            {
                subject: `Secret linkerd/${WEBHOOK_CA_SECRET}`,
                rule: `the CA of the webhooks ${problem}`,
                next: `kubectl -n linkerd delete secret ${WEBHOOK_CA_SECRET}, then: pulumi up --refresh (a new CA is made, injector and validators restart)`,
            },
        ];
    }
    const faults = webhooks.flatMap((one) => stageFaults(one, live, plan));
    if (faults.length > 0) {
        return faults;
    }
    const ca =
        live.ca ??
        (await mint({
            name: "webhooks.linkerd",
            authority: true,
            years: CA_YEARS,
            now: plan.now,
        }));
    if (plan.by === "cert-manager") {
        return signedByCertManager(ca, webhooks, plan);
    }
    const leaves: Record<string, KeyPair> = {};
    const bundles: Record<string, string> = {};
    for (const webhook of webhooks) {
        const { service } = webhook;
        const leaf = await leafOf(webhook, live, ca, plan);
        leaves[service] = leaf;
        bundles[service] = bundleOf(leaf, live.bundles[service] ?? "", ca, plan.stage);
    }
    const certificates = { ca, leaves, bundles };
    const bad = webhooks.flatMap((one) => webhookFaults(one, certificates, plan));
    return bad.length > 0 ? bad : certificates;
}

/** Only the CA is the stack's; each bundle as cert-manager's injector writes it, so that they do not differ. */
function signedByCertManager(
    ca: KeyPair,
    webhooks: readonly Webhook[],
    moment: Moment,
): WebhookCertificates | readonly Fault[] {
    const rules = readBundle(ca.certificate).flatMap((one) =>
        certificateProblems(one, "webhook", "the CA of the webhooks", moment),
    );
    const bundle = writeBundle(readBundle(ca.certificate));
    return rules.length > 0
        ? rules.map((rule) => ({
              subject: `Secret linkerd/${WEBHOOK_CA_SECRET}`,
              rule,
              next: "set identity.source to generated, pulumi up, and move the webhooks to a new CA there",
          }))
        : {
              ca,
              leaves: {},
              bundles: Object.fromEntries(webhooks.map((one) => [one.service, bundle])),
          };
}

/** What a stage needs of the one before. */
function stageFaults(
    { service, namespace }: Webhook,
    live: LiveWebhookCertificates,
    { stage, now, by }: WebhookPlan,
): Fault[] {
    if (stage === "adopted" || stage === "publish") {
        return [];
    }
    const bundle = certificatesOf(live.bundles[service] ?? "");
    const own = certificatesOf(live.ca?.certificate ?? "");
    const [served] = certificatesOf(live.leaves[service]?.certificate ?? "");
    const isOwn = served === undefined || issuedBy(served, own);
    const published = own.length > 0 && without(own, bundle).length === 0;
    if (isOwn || (stage === "swap" && published) || !isServing(served, bundle, now)) {
        return [];
    }
    return [
        {
            subject: "certificates.webhooks",
            value: stage,
            rule: `${namespace}/${service} serves a certificate that is not of this stack's CA${published ? "" : ", which API servers do not know yet"}; ${stage === "own" ? "to drop the old one now" : "to replace it now"} would make them refuse calls`,
            next: `${by === "cert-manager" ? "with the identity.source of before: " : ""}set certificates.webhooks to ${published ? "swap" : "publish"}, pulumi up, then go on`,
        },
    ];
}

/** Whether API servers accept the certificate now; where they do not, replacing it breaks nothing. */
function isServing(leaf: X509Certificate, bundle: readonly X509Certificate[], now: Date): boolean {
    const valid = bundle.filter((one) => validityProblem(one, now) === undefined);
    return (
        validityProblem(leaf, now) === undefined &&
        (issuedBy(leaf, valid) || valid.some((one) => one.fingerprint256 === leaf.fingerprint256))
    );
}

async function leafOf(
    webhook: Webhook,
    live: LiveWebhookCertificates,
    ca: KeyPair,
    { stage, renewBefore, now }: WebhookPlan,
): Promise<KeyPair> {
    const leaf = live.leaves[webhook.service];
    const bundle = live.bundles[webhook.service];
    const stays =
        (stage === "adopted" || stage === "publish") &&
        leaf !== undefined &&
        bundle !== undefined &&
        !isOf(ca, leaf);
    if (leaf && (stays || holds(leaf, ca, new Date(now.getTime() + renewBefore)))) {
        return leaf;
    }
    return mint({
        name: webhookName(webhook),
        issuer: ca,
        authority: false,
        years: LEAF_YEARS,
        now,
    });
}

/** `live` is the bundle that API servers have; adopted, it is trimmed, as the charts render it. */
function bundleOf(leaf: KeyPair, live: string, ca: KeyPair, stage: WebhookStage): string {
    const own = readBundle(ca.certificate);
    const bundle = certificatesOf(live);
    const others = without(bundle, own);
    if (stage === "adopted") {
        const published = others.length < bundle.length;
        return (published || !isOf(ca, leaf) ? live : ca.certificate).trim();
    }
    return stage === "own" || others.length === 0
        ? ca.certificate
        : writeBundle([...own, ...others]);
}

/** Whether the CA signed the leaf. */
function isOf(ca: KeyPair, leaf: KeyPair): boolean {
    const [certificate] = certificatesOf(leaf.certificate);
    return certificate !== undefined && issuedBy(certificate, readBundle(ca.certificate));
}

function holds(leaf: KeyPair, ca: KeyPair, at: Date): boolean {
    return keyPairProblem(leaf, at) === undefined && isOf(ca, leaf);
}

/** What an API server would not accept of what is declared, or would not accept any more before the update ends. */
function webhookFaults(
    webhook: Webhook,
    { leaves, bundles }: WebhookCertificates,
    moment: Moment,
): Fault[] {
    const { service, namespace } = webhook;
    const subject = `Secret ${namespace}/${webhookSecret(service)}`;
    const next = `kubectl -n ${namespace} delete secret ${webhookSecret(service)}, then: pulumi up --refresh (a new one of the stack's CA is made)`;
    const pair = leaves[service];
    const [leaf, ...intermediates] = certificatesOf(pair?.certificate ?? "");
    const anchors = certificatesOf(bundles[service] ?? "");
    if (!pair || !leaf) {
        return [{ subject, rule: "holds no certificate that can be read", next }];
    }
    const problem = keyPairProblem(pair);
    const name = webhookName(webhook);
    const ofItself = anchors.some((one) => one.fingerprint256 === leaf.fingerprint256);
    const rules = [
        ...(problem === undefined ? [] : [problem]),
        ...certificateProblems(leaf, "webhook", "the certificate", moment),
        ...(leaf.checkHost(name, { subject: "never" }) === undefined
            ? [`the certificate has no subject alternative name ${name}`]
            : []),
        ...(ofItself || leadsTo(leaf, intermediates, anchors)
            ? []
            : ["the certificate is not signed by the caBundle that API servers verify it with"]),
        ...anchors
            .filter((one) => ofItself || leadsTo(leaf, intermediates, [one]))
            .flatMap((one) =>
                one.fingerprint256 === leaf.fingerprint256
                    ? []
                    : certificateProblems(one, "webhook", `its CA ${one.subject}`, moment),
            ),
    ];
    return rules.map((rule) => ({ subject, rule, next }));
}

/** What cannot be read is judged as if it were not there. */
export function certificatesOf(pem: string): X509Certificate[] {
    try {
        return readBundle(pem);
    } catch {
        return [];
    }
}

/** The day on which the first of the certificates ends: `2028-11-21`. */
export function firstExpiry({ ca, leaves }: WebhookCertificates): string {
    const dates = [ca, ...Object.values(leaves)].flatMap((pair) =>
        readBundle(pair.certificate).map((one) => isoDate(one.validTo)),
    );
    return dates.sort()[0] ?? "";
}
