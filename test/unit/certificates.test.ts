import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { issuedBy, keyPairProblem, mint } from "../../plan/certificates";
import { planIdentity, type Identity, type LiveIdentity } from "../../plan/identity";
import {
    planWebhookCertificates,
    webhooksOf,
    type WebhookCertificates,
    type WebhookPlan,
} from "../../plan/webhooks";

const now = new Date("2026-11-21T00:00:00Z");
const inYears = (years: number) => new Date(Date.UTC(2026 + years, 10, 25));

describe("minted certificates", () => {
    it("are ECDSA P-256 pairs that their issuer signed, with the name a verifier looks for", async () => {
        const ca = await mint({ name: "root.example", authority: true, years: 10, now });
        const leaf = await mint({
            name: "svc.ns.svc",
            issuer: ca,
            authority: false,
            years: 2,
            now,
        });
        const certificate = new X509Certificate(leaf.certificate);
        expect(issuedBy(certificate, [new X509Certificate(ca.certificate)])).toBe(true);
        expect(certificate.checkHost("svc.ns.svc")).toBe("svc.ns.svc");
        expect(certificate.ca).toBe(false);
        expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
        expect(leaf.key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
        expect(keyPairProblem(leaf, now)).toBeUndefined();
        expect(keyPairProblem(leaf, inYears(2))).toBe("expired on 2028-11-21");
        expect(keyPairProblem({ ...leaf, key: ca.key }, now)).toBe(
            "the private key does not belong to the certificate",
        );
    });
});

const identityOf = async (live: LiveIdentity, at = now) =>
    planIdentity({ source: "generated" }, live, momentOf(at));

const DAY = 24 * 3_600_000;
/** As an update that takes no time sees it. */
const momentOf = (at: Date) => ({
    now: at,
    until: at,
    trustDomain: "cluster.local",
    proxies: undefined,
});
const scheme = "kubernetes.io/tls" as const;
const webhookPlan = (fields: Partial<WebhookPlan> = {}): WebhookPlan => ({
    now,
    until: fields.now ?? now,
    stage: "own",
    renewBefore: 365 * DAY,
    namespaces: ["linkerd", "linkerd-viz"],
    ...fields,
});
const NO_WEBHOOKS = { leaves: {}, bundles: {} };

describe("identity", () => {
    it("is made once and then kept, so that running proxies keep their trust", async () => {
        const first = (await identityOf({ installed: false })) as Identity;
        expect(
            new X509Certificate(first.issuer.certificate).checkHost(
                "identity.linkerd.cluster.local",
            ),
        ).toBeTruthy();
        const live: LiveIdentity = {
            installed: true,
            anchor: first.anchor!,
            issuer: { ...first.issuer, scheme, trustAnchors: first.trustAnchors },
        };
        expect(await identityOf(live)).toEqual(first);
    });

    it("is refused, not replaced, where linkerd-config exists without its issuer", async () => {
        expect(await identityOf({ installed: true })).toMatchObject([
            {
                subject: "Secret linkerd/linkerd-identity-issuer",
                rule: expect.stringContaining("is missing") as string,
            },
        ]);
    });

    it("is refused where the issuer has expired", async () => {
        const first = (await identityOf({ installed: false })) as Identity;
        const live = {
            installed: true,
            issuer: { ...first.issuer, scheme, trustAnchors: first.trustAnchors },
        };
        expect(await identityOf(live, inYears(6))).toMatchObject([
            { rule: "the issuer expired on 2031-11-21" },
        ]);
    });

    it("of the user's must be a CA with a P-256 key; a chain to the anchor is accepted", async () => {
        const anchor = await mint({ name: "root", authority: true, years: 10, now });
        const middle = await mint({
            name: "middle",
            issuer: anchor,
            authority: true,
            years: 5,
            now,
        });
        const issuer = await mint({
            name: "issuer",
            issuer: middle,
            authority: true,
            years: 1,
            now,
        });
        const leaf = await mint({ name: "leaf", issuer: anchor, authority: false, years: 1, now });
        const planned = (certificate: string, key: string) =>
            planIdentity(
                {
                    source: "config",
                    trustAnchors: anchor.certificate,
                    issuer: { certificate, key },
                },
                { installed: false },
                momentOf(now),
            );
        expect(await planned(leaf.certificate, leaf.key)).toMatchObject([
            { rule: "the issuer is no CA (basic constraints)" },
        ]);
        expect(await planned(issuer.certificate, issuer.key)).toMatchObject([
            { rule: "the issuer is not signed by any of the trust anchors" },
        ]);
        expect(await planned(issuer.certificate + middle.certificate, issuer.key)).toHaveProperty(
            "issuer",
        );
    });

    it("of the user's is refused where it would cut off the running mesh, or does not fit together", async () => {
        const [one, other] = (await Promise.all([
            identityOf({ installed: false }),
            identityOf({ installed: false }),
        ])) as [Identity, Identity];
        const config = (identity: Identity) =>
            ({
                source: "config",
                trustAnchors: identity.trustAnchors,
                issuer: identity.issuer,
            }) as const;
        const live = {
            installed: true,
            issuer: { ...one.issuer, scheme, trustAnchors: one.trustAnchors },
        };
        expect(await planIdentity(config(other), live, momentOf(now))).toMatchObject([
            { subject: "identity.trustAnchors" },
        ]);
        const mixed = { ...config(one), issuer: other.issuer };
        expect(await planIdentity(mixed, { installed: false }, momentOf(now))).toMatchObject([
            { rule: "the issuer is not signed by any of the trust anchors" },
        ]);
        expect(await planIdentity(config(one), live, momentOf(now))).toEqual({
            scheme,
            ca: one.trustAnchors,
            lines: [],
            trustAnchors: one.trustAnchors,
            issuer: one.issuer,
        });
    });
});

describe("webhook certificates", () => {
    it("stay as they are until their last year, then only the leaf is renewed", async () => {
        const first = (await planWebhookCertificates(
            NO_WEBHOOKS,
            webhookPlan(),
        )) as WebhookCertificates;
        expect(Object.keys(first.leaves)).toEqual(webhooksOf({}).map((webhook) => webhook.service));
        expect(await planWebhookCertificates(first, webhookPlan())).toEqual(first);
        const later = (await planWebhookCertificates(
            first,
            webhookPlan({ now: inYears(1) }),
        )) as WebhookCertificates;
        expect(later.ca).toEqual(first.ca);
        expect(later.leaves["tap"]).not.toEqual(first.leaves["tap"]);
    });

    it("are refused where the CA has expired, with the way out", async () => {
        const first = (await planWebhookCertificates(
            NO_WEBHOOKS,
            webhookPlan(),
        )) as WebhookCertificates;
        expect(
            await planWebhookCertificates(first, webhookPlan({ now: inYears(11) })),
        ).toMatchObject([{ rule: "the CA of the webhooks expired on 2036-11-21" }]);
    });
});
