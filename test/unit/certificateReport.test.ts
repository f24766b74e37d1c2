// The X.509 library asks for this polyfill first.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { webcrypto, X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { certificateReport } from "../../plan/certificateReport";
import {
    algorithmProblem,
    certificateProblems,
    issuedBy,
    mint,
    readBundle,
    type KeyPair,
    type Role,
} from "../../plan/certificates";
import type { Identity } from "../../plan/identity";
import {
    planWebhookCertificates,
    WEBHOOKS,
    webhookName,
    type LiveWebhookCertificates,
    type WebhookCertificates,
    type WebhookPlan,
} from "../../plan/webhooks";
import { certificateLines } from "../../report/certificates";

const now = new Date("2026-11-21T00:00:00Z");
const DAY = 24 * 3_600_000;
const later = (days: number) => new Date(now.getTime() + days * DAY);
const moment = { now, until: now };

async function selfSigned(algorithm: {
    name: string;
    hash: string;
    namedCurve?: string;
    modulusLength?: number;
}): Promise<X509Certificate> {
    const keys = await webcrypto.subtle.generateKey(
        { publicExponent: new Uint8Array([1, 0, 1]), ...algorithm } as webcrypto.EcKeyGenParams,
        true,
        ["sign", "verify"],
    );
    const made = await x509.X509CertificateGenerator.createSelfSigned({
        name: "CN=x",
        keys,
        signingAlgorithm: algorithm,
        notBefore: now,
        notAfter: later(365),
    });
    return new X509Certificate(made.toString("pem"));
}

describe("an algorithm that Linkerd does not accept", () => {
    const p256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const p384 = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-256" };
    const rsa = (modulusLength: number, hash = "SHA-256") => ({
        name: "RSASSA-PKCS1-v1_5",
        modulusLength,
        hash,
    });
    const anchor = "key is neither ECDSA P-256 nor RSA of 2048 or 4096 bits";
    it.each([
        ["issuer", p256, undefined],
        ["issuer", p384, "key is not ECDSA P-256"],
        ["issuer", rsa(2048), "key is not ECDSA P-256"],
        ["issuer", { ...p256, hash: "SHA-384" }, "signature does not use SHA-256"],
        ["anchor", p256, undefined],
        ["anchor", rsa(2048), undefined],
        ["anchor", rsa(3072), anchor],
        ["anchor", p384, anchor],
        ["anchor", rsa(2048, "SHA-512"), "signature does not use SHA-256"],
        ["webhook", p384, undefined],
    ] as const)("of the %s %o: %s", async (role, algorithm, expected) => {
        expect(algorithmProblem(await selfSigned(algorithm), role as Role)).toBe(expected);
    });
});

describe("a certificate is refused by its dates", () => {
    it.each([
        { at: 0, until: 0, expected: [] },
        { at: 0, until: 364, expected: [] },
        { at: -1, until: -1, expected: ["it is not valid before 2026-11-20"] },
        { at: 366, until: 366, expected: ["it expired on 2027-11-21"] },
        {
            at: 364,
            until: 366,
            expected: [
                "it ends on 2027-11-21, before the planned end of this update and certificates.refuseBefore (2027-11-22T00:00Z)",
            ],
        },
    ])("day $at, until day $until", async ({ at, until, expected }) => {
        const pair = await mint({ name: "x", authority: true, years: 1, now });
        const [certificate] = readBundle(pair.certificate);
        const when = { now: later(at), until: later(until) };
        expect(certificateProblems(certificate!, "anchor", "it", when)).toEqual(expected);
    });
});

describe("certificates of webhooks", () => {
    const [webhook] = WEBHOOKS;
    const { service } = webhook;
    const plan = (fields: Partial<WebhookPlan> = {}): WebhookPlan => ({
        ...moment,
        stage: "own",
        renewBefore: 365 * DAY,
        namespaces: ["linkerd"],
        ...fields,
    });
    const leafOf = (by?: KeyPair, fields: { name?: string; years?: number } = {}) =>
        mint({
            name: fields.name ?? webhookName(webhook),
            authority: false,
            years: fields.years ?? 2,
            now,
            ...(by ? { issuer: by } : {}),
        });
    let own: WebhookCertificates;
    let foreign: KeyPair;
    beforeAll(async () => {
        own = (await planWebhookCertificates(
            { leaves: {}, bundles: {} },
            plan(),
        )) as WebhookCertificates;
        foreign = await leafOf(undefined, { years: 1 });
    });
    /** The stack's own, but for the first webhook. */
    const live = (leaf: KeyPair | undefined, bundle: string | undefined) =>
        ({
            ...own,
            leaves: { ...own.leaves, [service]: leaf },
            bundles: { ...own.bundles, [service]: bundle },
        }) as LiveWebhookCertificates;
    const ca = () => own.ca.certificate;
    const stage = async (name: WebhookPlan["stage"], from: LiveWebhookCertificates) =>
        planWebhookCertificates(from, plan({ stage: name }));
    const shown = (made: unknown) => {
        const { leaves, bundles } = made as WebhookCertificates;
        return [leaves[service], readBundle(bundles[service] ?? "").length];
    };

    it("move in stages, each the same when it is repeated", async () => {
        const start = live(foreign, foreign.certificate);
        expect(shown(await stage("adopted", start))).toEqual([foreign, 1]);
        const published = (await stage("publish", start)) as WebhookCertificates;
        expect(shown(published)).toEqual([foreign, 2]);
        expect(await stage("publish", published)).toEqual(published);
        const swapped = (await stage("swap", published)) as WebhookCertificates;
        expect(shown(swapped)).toEqual([expect.not.objectContaining(foreign), 2]);
        expect(await stage("swap", swapped)).toEqual(swapped);
        expect(await stage("own", swapped)).toMatchObject([
            { value: "own", next: "pulumi up again, at 00:02:00Z or later" },
        ]);
        const owned = (await planWebhookCertificates(
            swapped,
            plan({ now: new Date(now.getTime() + 2 * 60_000) }),
        )) as WebhookCertificates;
        expect(owned.leaves).toEqual(swapped.leaves);
        expect(owned.bundles[service]).toBe(ca());
    });

    it.each([
        { name: "own", bundle: () => foreign.certificate, next: "publish" },
        { name: "swap", bundle: () => foreign.certificate, next: "publish" },
        { name: "own", bundle: () => ca() + foreign.certificate, next: "swap" },
    ] as const)("$name too early is refused; next is $next", async ({ name, bundle, next }) => {
        expect(await stage(name, live(foreign, bundle()))).toMatchObject([
            {
                subject: "certificates.webhooks",
                value: name,
                next: `set certificates.webhooks to ${next}, pulumi up, then go on`,
            },
        ]);
    });

    it("are replaced at once where API servers do not accept them anyway", async () => {
        const other = await leafOf();
        expect(shown(await stage("own", live(foreign, other.certificate)))).toEqual([
            expect.not.objectContaining(foreign),
            1,
        ]);
    });

    it.each([
        { name: "adopted", left: false },
        { name: "publish", left: false },
        // A Secret that an installation left behind: API servers verify nothing with it.
        { name: "adopted", left: true },
    ] as const)(
        "begin with the stack's CA where nothing can stay: $name, leaf: $left",
        async ({ name, left }) => {
            const { service: missing } = WEBHOOKS[1];
            const others = live(foreign, foreign.certificate);
            const start = {
                leaves: { ...others.leaves, [missing]: left ? foreign : undefined },
                bundles: { ...others.bundles, [missing]: undefined },
            };
            const made = (await stage(name, start)) as WebhookCertificates;
            expect(made.leaves[service]).toEqual(foreign);
            const [leaf] = readBundle(made.leaves[missing]?.certificate ?? "");
            expect(issuedBy(leaf!, readBundle(made.ca.certificate))).toBe(true);
            expect(readBundle(made.bundles[missing] ?? "")).toHaveLength(1);
            expect(await stage(name, made)).toEqual(made);
        },
    );

    it("that are adopted have the bundle as the charts render it, without its last line break", async () => {
        const start = live(foreign, `${foreign.certificate}\n`);
        const made = (await stage("adopted", start)) as WebhookCertificates;
        expect(made.bundles[service]).toBe(foreign.certificate.trim());
        expect(await stage("adopted", made)).toEqual(made);
        // One of the stack's own is compared as it is rendered, too.
        expect(await stage("adopted", live(own.leaves[service], ca().trim()))).toMatchObject({
            bundles: { [service]: ca().trim() },
        });
    });

    it("of the stack's own CA are renewed at any stage, beside adopted ones", async () => {
        const aged = live(foreign, foreign.certificate);
        const at = { now: later(300), until: later(300), renewBefore: 500 * DAY };
        const made = (await planWebhookCertificates(
            aged,
            plan({ ...at, stage: "adopted" }),
        )) as WebhookCertificates;
        expect(made.leaves[service]).toEqual(foreign);
        expect(made.leaves[WEBHOOKS[1].service]).not.toEqual(own.leaves[WEBHOOKS[1].service]);
    });

    it.each([
        {
            name: "of another name",
            leaf: () => leafOf(own.ca, { name: "else.linkerd.svc" }),
            bundle: ca,
            rule: "the certificate has no subject alternative name linkerd-proxy-injector.linkerd.svc",
        },
        {
            name: "of another CA than API servers know",
            leaf: () => leafOf(),
            bundle: ca,
            rule: "the certificate is not signed by the caBundle that API servers verify it with",
        },
        {
            name: "whose key is another's",
            leaf: async () => ({ ...foreign, key: (await leafOf()).key }),
            bundle: () => foreign.certificate,
            rule: "the private key does not belong to the certificate",
        },
    ])("that are to stay and are $name refuse", async ({ leaf, bundle, rule }) => {
        expect(await stage("adopted", live(await leaf(), bundle()))).toMatchObject([
            {
                subject: "Secret linkerd/linkerd-proxy-injector-k8s-tls",
                rule,
                next: expect.stringContaining("set certificates.webhooks to own") as string,
            },
        ]);
    });

    it("that end soon move by the same stages: publish and swap go on until the very end", async () => {
        const at = { now: later(364), until: later(366) };
        const of = (name: WebhookPlan["stage"], from: LiveWebhookCertificates) =>
            planWebhookCertificates(from, plan({ ...at, stage: name }));
        const start = live(foreign, foreign.certificate);
        expect(await of("adopted", start)).toMatchObject([
            {
                rule: expect.stringContaining("ends on 2027-11-21") as string,
                next: expect.stringContaining("set certificates.webhooks to publish") as string,
            },
        ]);
        const published = (await of("publish", start)) as WebhookCertificates;
        expect(shown(published)).toEqual([foreign, 2]);
        expect(shown(await of("swap", published))).toEqual([
            expect.not.objectContaining(foreign),
            2,
        ]);
    });

    it("whose key is another's are served by nobody, and replaced at once", async () => {
        const broken = { ...foreign, key: (await leafOf()).key };
        expect(shown(await stage("own", live(broken, foreign.certificate)))).toEqual([
            expect.not.objectContaining(foreign),
            1,
        ]);
    });

    it("are renewed by the age that the stack file says", async () => {
        const first = own.leaves[service];
        const at = (renewBefore: number, days: number) =>
            planWebhookCertificates(
                own,
                plan({ now: later(days), until: later(days), renewBefore }),
            );
        expect(shown(await at(30 * DAY, 699))[0]).toEqual(first);
        expect(shown(await at(30 * DAY, 702))[0]).not.toEqual(first);
        expect(shown(await at(365 * DAY, 367))[0]).not.toEqual(first);
    });
});

describe("the report", () => {
    it("shows each certificate with dates and verdict, and those that go", async () => {
        const root = await mint({ name: "root", authority: true, years: 1, now: later(-320) });
        const [issuer, before] = await Promise.all(
            ["new", "old"].map((name) =>
                mint({ name, issuer: root, authority: true, years: 5, now }),
            ),
        );
        const webhooks = (await planWebhookCertificates(
            { leaves: {}, bundles: {} },
            { ...moment, stage: "own", renewBefore: DAY, namespaces: ["linkerd"] },
        )) as WebhookCertificates;
        const identity = { trustAnchors: root.certificate, issuer } as Identity;
        const live = {
            identity: {
                installed: true,
                issuer: {
                    ...before!,
                    trustAnchors: root.certificate,
                    scheme: "kubernetes.io/tls" as const,
                },
            },
            webhooks: { leaves: {}, bundles: {} },
            certManager: { wrote: [] },
        };
        const { declared, leaving } = certificateReport({ identity, webhooks }, live, moment);
        expect(declared.map(({ name, verdict }) => `${name}: ${verdict}`)).toEqual([
            "trust anchor: warning: ends within 60 days",
            "issuer: valid",
            "linkerd/linkerd-proxy-injector: valid",
            "linkerd/linkerd-sp-validator: valid",
            "linkerd/linkerd-policy-validator: valid",
            "webhook CA: valid",
        ]);
        expect(leaving.map(({ name, verdict }) => `${name}: ${verdict}`)).toEqual([
            "issuer: valid; goes with this update",
        ]);
        expect(certificateLines(declared)[1]).toMatch(
            /^certificate issuer: CN=new, valid 2026-11-20 to 2031-11-21, SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}: valid$/,
        );
        // Another day says the same: no days left, no time.
        const tomorrow = { now: later(1), until: later(1) };
        expect(certificateReport({ identity, webhooks }, live, tomorrow).declared).toEqual(
            declared,
        );
    });
});
