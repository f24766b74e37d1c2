import { beforeAll, describe, expect, it } from "vitest";
import { isWrittenByCertManager } from "../../cluster/certManager";
import { withdrawCertificates } from "../../rollout/linkerd/withdrawCertificates";
import { injected } from "../../components/linkerd/certManager";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { certificateReport } from "../../plan/certificateReport";
import {
    CERT_MANAGER_CRDS,
    certManagerFaults,
    certManagerObjects,
    handBackFaults,
    planByCertManager,
    type LiveCertificate,
    type LiveCertManager,
} from "../../plan/certManager";
import { issuedBy, mint, readBundle, writeBundle, type KeyPair } from "../../plan/certificates";
import { RefusedError, type Fault } from "../../plan/faults";
import {
    planIdentity,
    type Identity,
    type IdentityByCertManager,
    type LiveIdentity,
    type LiveIssuer,
} from "../../plan/identity";
import { planWebhookCertificates, webhooksOf, type WebhookCertificates } from "../../plan/webhooks";
import { handOverInput } from "../../rollout/input";
import { failure, json, startScript } from "./support/scriptedServer";

const STACK = "acme/mesh/prod";
const now = new Date("2026-11-21T00:00:00Z");
const until = new Date("2026-11-22T00:00:00Z");
const moment = { now, until };
const surroundings = { ...moment, trustDomain: "cluster.local", proxies: [] };
const RUNNING: LiveCertManager = {
    crds: Object.values(CERT_MANAGER_CRDS),
    available: ["controller", "webhook", "cainjector"],
    certificates: [],
    wrote: [],
    owned: [],
};
const asked = (fields: Partial<LiveCertificate> = {}): LiveCertificate => ({
    namespace: "linkerd",
    name: "linkerd-identity-issuer",
    secretName: "linkerd-identity-issuer",
    stack: STACK,
    ...fields,
});

let anchor: KeyPair;
let other: KeyPair;
let issuer: KeyPair;
let live: LiveIdentity & { readonly issuer: LiveIssuer };

beforeAll(async () => {
    anchor = await mint({ name: "root", authority: true, years: 10, now });
    other = await mint({ name: "other", authority: true, years: 10, now });
    issuer = await mint({ name: "issuer", issuer: anchor, authority: true, years: 1, now });
    live = {
        installed: true,
        anchor: { ...anchor, name: undefined },
        issuer: {
            ...issuer,
            scheme: "kubernetes.io/tls",
            // As it stands in the cluster, whatever its line breaks.
            trustAnchors: `\n${anchor.certificate}\n`,
        },
    };
});

const plan = (fields: Partial<LiveIdentity> = {}) =>
    planByCertManager({ ...live, ...fields }, surroundings);
const rulesOf = (made: object) =>
    Array.isArray(made) ? (made as Fault[]).map(({ subject, rule }) => `${subject}: ${rule}`) : [];

describe("the anchors of a running mesh stay when cert-manager takes over", () => {
    it("byte by byte, and preview says what changes hands, once", async () => {
        const made = (await plan()) as IdentityByCertManager;
        expect(made.trustAnchors).toBe(live.issuer.trustAnchors);
        expect(made.anchor).toEqual(live.anchor);
        expect("issuer" in made).toBe(false);
        expect(made.lines).toEqual([
            expect.stringMatching(/^identity: cert-manager issues and renews from now on, signed/),
        ]);
        const later = await plan({ issuer: { ...live.issuer, byCertManager: true } });
        expect((later as IdentityByCertManager).lines).toEqual([]);
    });

    it("and only a first installation gets a new one", async () => {
        const first = (await planByCertManager(
            { installed: false },
            surroundings,
        )) as IdentityByCertManager;
        expect(readBundle(first.trustAnchors)).toHaveLength(1);
        expect(first.trustAnchors).toBe(first.anchor?.certificate);
    });

    it.each([
        [
            "the anchor's key is not there",
            { anchor: undefined },
            /linkerd-trust-anchor: is missing/,
        ],
        ["the issuer's Secret is not there", { issuer: undefined }, /issuer: is missing although/],
    ])("or it is refused: %s", async (_, missing, rule) => {
        const { anchor: a, issuer: i, installed } = { ...live, ...missing };
        const made = await planByCertManager(
            { installed, ...(a ? { anchor: a } : {}), ...(i ? { issuer: i } : {}) },
            surroundings,
        );
        expect(rulesOf(made)).toEqual([expect.stringMatching(rule)]);
    });

    it("or it is refused: another anchor, another scheme, a rotation under way, pods of another trust", async () => {
        expect(rulesOf(await plan({ anchor: { ...other, name: undefined } }))).toEqual([
            "Secret linkerd/linkerd-trust-anchor: is not one of the trust anchors that the mesh has",
        ]);
        expect(
            rulesOf(await plan({ anchor: { ...anchor, key: other.key, name: undefined } })),
        ).toEqual([expect.stringMatching(/private key does not belong/)]);
        expect(
            rulesOf(await plan({ issuer: { ...live.issuer, scheme: "linkerd.io/tls" } })),
        ).toEqual([expect.stringMatching(/a Secret's type cannot change/)]);
        const both = writeBundle(readBundle(anchor.certificate + other.certificate));
        expect(
            rulesOf(
                await plan({
                    nextAnchor: { ...other, name: "2027" },
                    issuer: { ...live.issuer, trustAnchors: both },
                }),
            ),
        ).toEqual([expect.stringMatching(/a rotation of the trust anchor is not finished/)]);
        const stranger = {
            namespace: "shop",
            name: "web",
            createdAt: 0,
            anchors: other.certificate,
        };
        expect(
            rulesOf(await planByCertManager(live, { ...surroundings, proxies: [stranger] })),
        ).toEqual([expect.stringMatching(/1 running proxies, which would lose mTLS: shop\/web/)]);
    });
});

describe("the way back", () => {
    const back = (fields: Partial<LiveIssuer>, rest: Partial<LiveIdentity> = {}) =>
        planIdentity(
            { source: "generated" },
            { ...live, ...rest, issuer: { ...live.issuer, ...fields } },
            surroundings,
        ) as Promise<Identity>;

    it("makes an issuer that lasts, under the same anchors, and restarts nothing", async () => {
        const made = await back({ byCertManager: true });
        expect(made.issuer.certificate).not.toBe(issuer.certificate);
        const [certificate] = readBundle(made.issuer.certificate);
        expect(certificate && issuedBy(certificate, readBundle(anchor.certificate))).toBe(true);
        expect(certificate?.validTo).toContain("2031");
        expect(made.trustAnchors).toBe(live.issuer.trustAnchors);
        expect(made.issuedAt).toBeUndefined();
        expect(made.lines).toEqual([expect.stringMatching(/in place of cert-manager's/)]);
        expect((await back({})).issuer).toEqual(issuer);
    });

    it("is refused without the anchor's key: the issuer would end in days", async () => {
        const { anchor: _none, ...rest } = live;
        const made = await planIdentity(
            { source: "adopted" },
            { ...rest, issuer: { ...live.issuer, byCertManager: true } },
            surroundings,
        );
        expect(rulesOf(made)).toEqual([expect.stringMatching(/trust-anchor: is missing, and the/)]);
    });

    it("is refused where a Secret would go with its Certificate, or somebody else's writes it", () => {
        const faults = handBackFaults(
            {
                ...RUNNING,
                certificates: [asked(), asked({ name: "mine", stack: undefined })],
                owned: ["linkerd/linkerd-identity-issuer"],
            },
            "generated",
            STACK,
        );
        expect(rulesOf([...faults])).toEqual([
            expect.stringMatching(/identity\.source: Certificate linkerd\/mine, which this stack/),
            expect.stringMatching(/^Secret linkerd\/linkerd-identity-issuer: is owned by its/),
        ]);
        expect(handBackFaults({ ...RUNNING, certificates: [asked()] }, "generated", STACK)).toEqual(
            [],
        );
    });
});

describe("cert-manager must be there, and nobody else ask for the same", () => {
    it.each<[string, Partial<LiveCertManager>, boolean, RegExp | undefined]>([
        ["all there", { certificates: [asked()] }, false, undefined],
        ["no CRD", { crds: [] }, false, /has no CRD certificates\.cert-manager\.io, issuers/],
        ["one CRD", { crds: [CERT_MANAGER_CRDS.Issuer] }, false, /no CRD certificates\.cert-man/],
        ["no injector", { available: ["controller", "webhook"] }, false, /component=cainjector$/],
        ["its name", { certificates: [asked({ stack: undefined })] }, false, /was not made by/],
        ["adopted", { certificates: [asked({ stack: undefined })] }, true, undefined],
        ["another", { certificates: [asked({ name: "mine" })] }, true, /was not made by this/],
    ])("%s", (_, fields, adopt, rule) => {
        const faults = certManagerFaults({ ...RUNNING, ...fields }, STACK, adopt);
        expect(faults.map((one) => one.rule)).toEqual(
            rule === undefined ? [] : [expect.stringMatching(rule)],
        );
    });

    it("and what the source does not allow is refused by name", () => {
        const required = { context: "kind", clusterUid: "0a1b", linkerdVersion: "edge-24.7.5" };
        const refusal = (rest: object) => {
            try {
                return parseConfig({ ...required, ...rest }) as LinkerdStackConfig;
            } catch (error) {
                return (error as RefusedError).message;
            }
        };
        const identity = { source: "cert-manager" };
        expect(refusal({ identity: { ...identity, rotation: { issuer: "2027" } } })).toMatch(
            /identity\.rotation: is not for identity\.source: cert-manager/,
        );
        expect(refusal({ identity, certificates: { webhooks: "publish" } })).toMatch(
            /certificates\.webhooks = "publish": is not for identity\.source: cert-manager/,
        );
        expect(refusal({ identity, adopt: "true" })).toMatchObject({
            identity,
            certificates: { webhooks: "own" },
        });
    });
});

describe("what is asked of cert-manager", () => {
    it("is a short-lived issuer with the name that Linkerd wants, and a certificate for each webhook", () => {
        const objects = certManagerObjects("linkerd", "mesh.example");
        expect(objects.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
            "Issuer linkerd-trust-anchor",
            "Issuer webhook-issuer",
            "Certificate linkerd-identity-issuer",
            "Certificate linkerd-proxy-injector",
            "Certificate linkerd-sp-validator",
            "Certificate linkerd-policy-validator",
        ]);
        expect(objects[2]?.spec).toMatchObject({
            secretName: "linkerd-identity-issuer",
            commonName: "identity.linkerd.mesh.example",
            isCA: true,
            privateKey: { algorithm: "ECDSA", size: 256 },
        });
        expect(certManagerObjects("linkerd-viz", "mesh.example").map(({ name }) => name)).toEqual([
            "webhook-issuer",
            "tap",
            "tap-injector",
        ]);
        const jaeger = certManagerObjects("linkerd-jaeger", "mesh.example");
        expect(jaeger.map(({ name }) => name)).toEqual(["webhook-issuer", "jaeger-injector"]);
        expect(jaeger[1]?.spec).toMatchObject({
            secretName: "jaeger-injector-k8s-tls",
            dnsNames: ["jaeger-injector.linkerd-jaeger.svc"],
        });
    });

    const certificates = async (leaves: Record<string, KeyPair>, bundle: string) =>
        planWebhookCertificates(
            {
                ca: anchor,
                leaves,
                bundles: Object.fromEntries(Object.keys(leaves).map((one) => [one, bundle])),
            },
            {
                ...moment,
                stage: "own",
                by: "cert-manager",
                renewBefore: 365 * 24 * 3_600_000,
                namespaces: ["linkerd"],
            },
        );

    it("is signed by the webhooks' CA of before, so that API servers trust both all the time", async () => {
        const made = (await certificates({}, "")) as WebhookCertificates;
        expect(made.ca).toEqual(anchor);
        expect(made.leaves).toEqual({});
        const webhook = {
            name: "linkerd-proxy-injector.linkerd.io",
            clientConfig: { service: { name: "linkerd-proxy-injector" }, caBundle: "b2xk" },
        };
        expect(injected([webhook], made.bundles)).toEqual({
            annotations: {
                "cert-manager.io/inject-ca-from": "linkerd/linkerd-proxy-injector",
            },
            webhooks: [
                {
                    ...webhook,
                    clientConfig: {
                        ...webhook.clientConfig,
                        // With its final line break, as the injector writes it: another text would be a change for ever.
                        caBundle: Buffer.from(anchor.certificate).toString("base64"),
                    },
                },
            ],
        });
    });

    it("waits until a webhook's certificate of another CA has moved to the stack's", async () => {
        const leaf = await mint({
            name: "linkerd-proxy-injector.linkerd.svc",
            authority: false,
            years: 1,
            now,
        });
        const made = await certificates({ "linkerd-proxy-injector": leaf }, leaf.certificate);
        expect(made).toMatchObject([
            {
                subject: "certificates.webhooks",
                next: "with the identity.source of before: set certificates.webhooks to publish, pulumi up, then go on",
            },
        ]);
    });
});

it("the report keeps what cert-manager renews out of what the stack declares", async () => {
    const identity = (await plan()) as IdentityByCertManager;
    const webhooks = { ca: anchor, leaves: {}, bundles: {} };
    const observed = {
        identity: live,
        webhooks: { leaves: {}, bundles: {} },
    };
    const reportOf = (wrote: string[]) =>
        certificateReport({ identity, webhooks }, { ...observed, certManager: { wrote } }, moment);
    const verdicts = (entries: readonly { name: string; verdict: string }[]) =>
        entries.map(({ name, verdict }) => `${name}: ${verdict}`);
    const before = reportOf([]);
    expect(verdicts(before.declared)).toEqual(["trust anchor: valid"]);
    expect(verdicts(before.leaving)).toEqual(["issuer: valid; cert-manager takes it over"]);
    expect(before.renewed).toEqual([]);
    const after = reportOf(["linkerd/linkerd-identity-issuer"]);
    expect(verdicts(after.renewed)).toEqual(["issuer: valid; cert-manager renews it"]);
    expect(after.leaving).toEqual([]);
    expect(after.declared).toEqual(before.declared);
});

it("whose a Secret is, its fields tell: annotations stay when it changes hands", () => {
    const secret = (manager: string, key: string) => ({
        metadata: { managedFields: [{ manager, fieldsV1: { "f:data": { [key]: {} } } }] },
    });
    expect(isWrittenByCertManager(secret("cert-manager-certificates-issuing", "f:tls.crt"))).toBe(
        true,
    );
    expect(isWrittenByCertManager(secret("cert-manager-certificates-issuing", "f:ca.crt"))).toBe(
        false,
    );
    expect(isWrittenByCertManager(secret("pulumi-kubernetes-1", "f:tls.crt"))).toBe(false);
    expect(isWrittenByCertManager(undefined)).toBe(false);
});

describe("the hand-over back to the stack", () => {
    const CERTIFICATES = "/apis/cert-manager.io/v1/namespaces";
    const cluster = { context: "kind", clusterUid: "0a1b" };

    it.each([
        [{}, []],
        [{ jaeger: true }, [`GET ${CERTIFICATES}/linkerd-jaeger/certificates`]],
    ])("looks for Certificates only where the stack has webhooks: %j", async (given, more) => {
        const { stack, jaeger } = handOverInput.parse({
            ...{ cluster, to: "stack", stack: STACK, ...given },
        });
        const none = json({ items: [] });
        const steps = [json({ metadata: {} }), none, none, ...more.map(() => none)];
        const server = await startScript([...steps, failure(403, "beyond the rights")]);
        try {
            await withdrawCertificates(server.connection, stack, webhooksOf({ jaeger }));
            expect(server.requests.slice(1).sort()).toEqual(
                [
                    `GET ${CERTIFICATES}/linkerd/certificates`,
                    `GET ${CERTIFICATES}/linkerd-viz/certificates`,
                    ...more,
                ].sort(),
            );
        } finally {
            await server.close();
        }
    });
});
