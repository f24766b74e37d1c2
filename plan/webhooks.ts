import type { X509Certificate } from "node:crypto";
import type { WebhookStage } from "./identityConfig";
import {
    certificateProblems,
    isoDate,
    issuedBy,
    keyPairProblem,
    leadsTo,
    mint,
    mintedAt,
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
    { service: "jaeger-injector", namespace: "linkerd-jaeger", value: "webhook" },
] as const;

export type Webhook = (typeof WEBHOOKS)[number];

/** The webhooks that concern a stack with these extensions: jaeger's is somebody else's, or there is none, without it. */
export function webhooksOf({ jaeger }: { readonly jaeger?: unknown }): readonly Webhook[] {
    return WEBHOOKS.filter(
        ({ namespace }) => namespace !== "linkerd-jaeger" || jaeger !== undefined,
    );
}

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
    webhook: Webhook,
    live: LiveWebhookCertificates,
    { stage, now, by }: WebhookPlan,
): readonly Fault[] {
    if (stage === "adopted" || stage === "publish") {
        return [];
    }
    const { service, namespace } = webhook;
    const bundle = certificatesOf(live.bundles[service] ?? "");
    const own = certificatesOf(live.ca?.certificate ?? "");
    const pair = live.leaves[service];
    const [served] = certificatesOf(pair?.certificate ?? "");
    const isOwn = pair === undefined || served === undefined || issuedBy(served, own);
    const published = own.length > 0 && without(own, bundle).length === 0;
    if (stage === "own" && isOwn && served && without(bundle, own).length > 0) {
        return freshFaults(webhook, served, now);
    }
    if (isOwn || (stage === "swap" && published) || !isServing(webhook, pair, bundle, now)) {
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

/** Kubelets look for changed Secrets once a minute, and keep what they read for as long. */
const HAND_OUT_MS = 2 * 60_000;

/** What was swapped a moment ago is not served yet: until then the old certificate needs its place in the bundle. */
function freshFaults(
    { service, namespace }: Webhook,
    leaf: X509Certificate,
    now: Date,
): readonly Fault[] {
    const served = new Date(mintedAt(leaf).getTime() + HAND_OUT_MS);
    return now >= served
        ? []
        : [
              {
                  subject: "certificates.webhooks",
                  value: "own",
                  rule: `pods of ${namespace}/${service} may still serve the old certificate: theirs was replaced less than two minutes ago, which is what kubelets take to hand out a Secret`,
                  next: `pulumi up again, at ${served.toISOString().slice(11, 19)}Z or later`,
              },
          ];
}

/** Whether API servers accept the certificate now; where they do not, replacing it breaks nothing. */
function isServing(
    webhook: Webhook,
    pair: KeyPair,
    bundle: readonly X509Certificate[],
    now: Date,
): boolean {
    const [leaf] = certificatesOf(pair.certificate);
    const valid = bundle.filter((one) => validityProblem(one, now) === undefined);
    return (
        leaf !== undefined &&
        keyPairProblem(pair, now) === undefined &&
        leaf.checkHost(webhookName(webhook), { subject: "never" }) !== undefined &&
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

/**
 * What an API server would not accept of what is declared, or would not accept any more before the update ends. What `publish`
 * keeps goes with the next stage: it has to hold now.
 */
function webhookFaults(
    webhook: Webhook,
    { ca, leaves, bundles }: WebhookCertificates,
    { stage, ...moment }: WebhookPlan,
): Fault[] {
    const { service, namespace } = webhook;
    const subject = `Secret ${namespace}/${webhookSecret(service)}`;
    const pair = leaves[service];
    const [leaf, ...intermediates] = certificatesOf(pair?.certificate ?? "");
    const anchors = certificatesOf(bundles[service] ?? "");
    const own = `set certificates.webhooks to own, pulumi up: a new one of the stack's CA is made, and API servers refuse this one already`;
    if (!pair || !leaf) {
        return [{ subject, rule: "holds no certificate that can be read", next: own }];
    }
    const isAdopted = !isOf(ca, pair);
    const at = isAdopted && stage === "publish" ? { ...moment, until: moment.now } : moment;
    const problem = keyPairProblem(pair);
    const name = webhookName(webhook);
    const ofItself = anchors.some((one) => one.fingerprint256 === leaf.fingerprint256);
    const authorities = anchors
        .filter((one) => one.fingerprint256 !== leaf.fingerprint256)
        .filter((one) => ofItself || leadsTo(leaf, intermediates, [one]));
    const broken = [
        ...(problem === undefined ? [] : [problem]),
        ...(leaf.checkHost(name, { subject: "never" }) === undefined
            ? [`the certificate has no subject alternative name ${name}`]
            : []),
        ...(ofItself || leadsTo(leaf, intermediates, anchors)
            ? []
            : ["the certificate is not signed by the caBundle that API servers verify it with"]),
    ];
    const ends = [
        ...certificateProblems(leaf, "webhook", "the certificate", at),
        ...authorities.flatMap((one) =>
            certificateProblems(one, "webhook", `its CA ${one.subject}`, at),
        ),
    ];
    const isValid = [leaf, ...authorities].every(
        (one) => validityProblem(one, moment.now) === undefined,
    );
    const renew = isValid
        ? "set certificates.webhooks to publish, pulumi up, then to swap, pulumi up; certificates.refuseBefore: 0h lets this update pass before"
        : own;
    return [
        ...broken.map((rule) => ({ subject, rule, next: own })),
        ...ends.map((rule) => ({ subject, rule, next: renew })),
    ];
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
