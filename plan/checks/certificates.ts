import type { X509Certificate } from "node:crypto";
import {
    algorithmProblem,
    isoDate,
    keyPairProblem,
    leadsTo,
    validityProblem,
    type Role,
} from "../certificates";
import { certificatesOf, webhookName, webhookSecret, WEBHOOKS } from "../webhooks";
import type { Evaluators } from "./evaluator";
import type { LinkerdHealth } from "./observation";
import { failed, noneOf, ok, skipped, unless, type Finding } from "./result";

/** As `linkerd check` warns (pkg/issuercerts). */
const WARN_MS = 60 * 24 * 3_600_000;

export const identityChecks: Evaluators = {
    "l5d-identity-cert-config-valid": (health) => {
        const { issuer } = health.live.identity;
        if (issuer === undefined) {
            return failed("Secret linkerd/linkerd-identity-issuer holds no certificate with a key");
        }
        const { anchors, chain } = identityOf(health);
        const problem =
            chain.length === 0
                ? "the issuer's certificate cannot be read"
                : anchors.length === 0
                  ? "the trust anchors cannot be read"
                  : keyPairProblem(issuer);
        return unless(problem, "issuer, key and trust anchors can be read");
    },
    "l5d-identity-trustAnchors-use-supported-crypto": (health) =>
        ofAnchors(health, (all) =>
            noneOf(cryptoOf(all, "anchor"), "trust anchors", "the trust anchors are supported"),
        ),
    "l5d-identity-trustAnchors-are-time-valid": (health) =>
        ofAnchors(health, (all) =>
            noneOf(validityOf(all, health.now), "trust anchors", "the trust anchors are valid"),
        ),
    "l5d-identity-trustAnchors-not-expiring-soon": (health) =>
        ofAnchors(health, (all) => soon(all, health.now, "the trust anchors")),
    "l5d-identity-issuer-cert-uses-supported-crypto": (health) =>
        ofIssuer(health, (issuer) =>
            unless(cryptoOf([issuer], "issuer")[0], "the issuer is supported"),
        ),
    "l5d-identity-issuer-cert-is-time-valid": (health) =>
        ofIssuer(health, (issuer) =>
            unless(validityOf([issuer], health.now)[0], "the issuer is valid"),
        ),
    "l5d-identity-issuer-cert-not-expiring-soon": (health) =>
        ofIssuer(health, (issuer) =>
            health.live.identity.issuer?.byCertManager
                ? skipped("cert-manager renews the issuer")
                : soon([issuer], health.now, "the issuer"),
        ),
    "l5d-identity-issuer-cert-issued-by-trust-anchor": (health) =>
        ofIssuer(health, (issuer) => {
            const { anchors, chain } = identityOf(health);
            return leadsTo(issuer, chain.slice(1), anchors)
                ? ok("the issuer leads to a trust anchor")
                : failed(`the issuer (${issuer.subject}) leads to no trust anchor`);
        }),
};

const CONTROL_PLANE = ["proxy-injector", "sp-validator", "policy-validator"];

export const webhookChecks: Evaluators = Object.fromEntries(
    CONTROL_PLANE.flatMap((name) => [
        [
            `l5d-${name}-webhook-cert-valid`,
            (health: LinkerdHealth) => servedBy(`linkerd-${name}`, health),
        ],
        [
            `l5d-${name}-webhook-cert-not-expiring-soon`,
            (health: LinkerdHealth) => leafSoon(`linkerd-${name}`, health),
        ],
    ]),
);

export const tapCertificateChecks: Evaluators = {
    "l5d-tap-cert-valid": (health) => servedBy("tap", health),
    "l5d-tap-cert-not-expiring-soon": (health) => leafSoon("tap", health),
};

/** Ids of the checks of a Service's certificate that refuse. */
export function certificateCheckOf(service: string): string {
    return service === "tap"
        ? "l5d-tap-cert-valid"
        : `l5d-${service.replace(/^linkerd-/, "")}-webhook-cert-valid`;
}

/** Whether API servers accept what the Service serves. */
function servedBy(service: string, { live, now }: LinkerdHealth): Finding {
    const webhook = WEBHOOKS.find((one) => one.service === service);
    const [leaf, ...chain] = certificatesOf(live.webhooks.leaves[service]?.certificate ?? "");
    const anchors = certificatesOf(live.webhooks.bundles[service] ?? "");
    if (webhook === undefined || leaf === undefined) {
        return failed(`${service} has no certificate that can be read`);
    }
    const name = webhookName(webhook);
    const trusted =
        anchors.some((one) => one.fingerprint256 === leaf.fingerprint256) ||
        leadsTo(leaf, chain, anchors);
    const problem =
        validityOf([...anchors, leaf], now)[0] ??
        (leaf.checkHost(name, { subject: "never" }) === undefined
            ? `the certificate of ${service} does not name ${name}`
            : trusted
              ? undefined
              : `the certificate of ${service} is not signed by the caBundle with which API servers verify it`);
    return unless(problem, `API servers accept the certificate of ${service}`);
}

function leafSoon(service: string, { live, now }: LinkerdHealth): Finding {
    const [leaf] = certificatesOf(live.webhooks.leaves[service]?.certificate ?? "");
    if (leaf === undefined) {
        return skipped(`${service} has no certificate that can be read`);
    }
    const secret = `/${webhookSecret(service)}`;
    return live.certManager.wrote.some((name) => name.endsWith(secret))
        ? skipped(`cert-manager renews the certificate of ${service}`)
        : soon([leaf], now, `the certificate of ${service}`);
}

function identityOf({ live }: LinkerdHealth) {
    const { issuer } = live.identity;
    return {
        anchors: certificatesOf(issuer?.trustAnchors ?? ""),
        chain: certificatesOf(issuer?.certificate ?? ""),
    };
}

function ofAnchors(
    health: LinkerdHealth,
    judge: (anchors: readonly X509Certificate[]) => Finding,
): Finding {
    const { anchors } = identityOf(health);
    return anchors.length === 0 ? skipped("there are no trust anchors to look at") : judge(anchors);
}

function ofIssuer(health: LinkerdHealth, judge: (issuer: X509Certificate) => Finding): Finding {
    const [issuer] = identityOf(health).chain;
    return issuer === undefined ? skipped("there is no issuer to look at") : judge(issuer);
}

function cryptoOf(all: readonly X509Certificate[], role: Role): string[] {
    return all.flatMap((one) => {
        const problem = algorithmProblem(one, role);
        return problem === undefined ? [] : [`${one.subject}: ${problem}`];
    });
}

function validityOf(all: readonly X509Certificate[], now: Date): string[] {
    return all.flatMap((one) => {
        const problem = validityProblem(one, now);
        return problem === undefined ? [] : [`${one.subject} ${problem}`];
    });
}

function soon(all: readonly X509Certificate[], now: Date, what: string): Finding {
    const ends = all
        .filter((one) => Date.parse(one.validTo) - now.getTime() < WARN_MS)
        .map((one) => `${one.subject} on ${isoDate(one.validTo)}`);
    return noneOf(ends, `${what} end within 60 days`, `${what} are valid for 60 days more`);
}
