import { beforeAll, describe, expect, it } from "vitest";
import { mint, readBundle, writeBundle, type KeyPair } from "../../plan/certificates";
import {
    planIdentity,
    type Identity,
    type LiveIdentity,
    type LiveIssuer,
    type NamedPair,
} from "../../plan/identity";
import type { Rotation } from "../../plan/rotation";
import type { MeshedProxy } from "../../plan/trust";

const now = new Date("2026-11-21T00:00:00Z");
const LATER = now.getTime() + 1_000;

let old: NamedPair;
let next: NamedPair;
let byOld: KeyPair;
let byNext: KeyPair;
let otherByNext: KeyPair;

const authority = (name: string, issuer?: KeyPair) =>
    mint({ name, authority: true, years: 5, now, ...(issuer ? { issuer } : {}) });
beforeAll(async () => {
    old = { ...(await authority("root")), name: undefined };
    next = { ...(await authority("root")), name: "2027" };
    byOld = await authority("identity", old);
    byNext = await authority("identity", next);
    otherByNext = await authority("identity", next);
});

const both = () => old.certificate + next.certificate;
const liveOf = (
    pair: KeyPair,
    trustAnchors: string,
    more: Partial<LiveIdentity> = {},
    issuer: Partial<LiveIssuer> = {},
): LiveIdentity => ({
    installed: true,
    anchor: old,
    issuer: { ...pair, scheme: "kubernetes.io/tls", trustAnchors, ca: trustAnchors, ...issuer },
    ...more,
});
const proxyOf = (anchors: string, createdAt = LATER, name = "web"): MeshedProxy => ({
    namespace: "shop",
    name,
    createdAt,
    anchors,
});
const plan = (rotation: Rotation | undefined, live: LiveIdentity, proxies: MeshedProxy[] = []) =>
    planIdentity({ source: "generated", rotation }, live, {
        now,
        until: now,
        trustDomain: "cluster.local",
        proxies,
    });
const stage = (name: "bundle" | "issuer" | "finish"): Rotation => ({ anchor: "2027", stage: name });
const names = (pem: string) => readBundle(pem).map((one) => one.fingerprint256);

describe("a trust anchor rotates in stages that a stack file names", () => {
    it("bundle: adds a new anchor and changes neither the old one nor the issuer", async () => {
        const made = (await plan(stage("bundle"), liveOf(byOld, old.certificate))) as Identity;
        expect(made.issuer).toEqual(byOld);
        expect(made.anchor).toEqual(old);
        expect(made.nextAnchor?.name).toBe("2027");
        expect(names(made.trustAnchors)).toEqual([
            ...names(old.certificate),
            ...names(made.nextAnchor?.certificate ?? ""),
        ]);
        expect(made.ca).toBe(made.trustAnchors);
        expect(made.issuedAt).toBeUndefined();
        const again = liveOf(byOld, made.trustAnchors, { nextAnchor: made.nextAnchor! });
        expect(await plan(stage("bundle"), again)).toEqual({ ...made, lines: [] });
    });

    it("issuer: signs a new one with the new anchor, once", async () => {
        const live = liveOf(byOld, both(), { nextAnchor: next });
        const made = (await plan(stage("issuer"), live, [proxyOf(both())])) as Identity;
        expect(made.issuer).not.toEqual(byOld);
        expect(made.issuerName).toBe("2027");
        expect(made.issuedAt).toBe(now.toISOString());
        expect(made.trustAnchors).toBe(both());
        const again = liveOf(
            made.issuer,
            both(),
            { nextAnchor: next },
            { name: "2027", issuedAt: now.toISOString() },
        );
        expect(await plan(stage("issuer"), again)).toEqual({ ...made, lines: [] });
    });

    it("finish: leaves the new anchor alone, and stays so when the section is removed", async () => {
        const served = { name: "2027", issuedAt: now.toISOString(), servedSince: LATER };
        const live = liveOf(byNext, both(), { nextAnchor: next }, served);
        const made = (await plan(stage("finish"), live, [proxyOf(both())])) as Identity;
        expect(names(made.trustAnchors)).toEqual(names(next.certificate));
        expect(made.anchor).toEqual(next);
        expect(made.issuer).toEqual(byNext);
        const anchors = { anchor: next, nextAnchor: next };
        const after = liveOf(byNext, made.trustAnchors, anchors, served);
        expect(await plan(stage("finish"), after)).toEqual({ ...made, lines: [] });
        const { nextAnchor: _, ...kept } = made;
        expect(await plan(undefined, after)).toEqual({ ...kept, lines: [] });
    });

    it("bundle goes back, as nobody needs the new anchor; the issuer goes back by a third one", async () => {
        const published = liveOf(byOld, both(), { nextAnchor: next });
        const back = (await plan(undefined, published, [proxyOf(both())])) as Identity;
        expect(names(back.trustAnchors)).toEqual(names(old.certificate));
        expect(back.issuer).toEqual(byOld);
        const signed = liveOf(byNext, both(), { nextAnchor: next }, { name: "2027" });
        const third = (await plan(stage("bundle"), signed)) as Identity;
        expect(third.trustAnchors).toBe(both());
        expect(
            readBundle(third.issuer.certificate)[0]?.checkIssued(readBundle(old.certificate)[0]!),
        ).toBe(true);
        expect(third.issuedAt).toBe(now.toISOString());
    });

    it.each([
        { asked: "issuer", has: "nothing", next: "set it to bundle" },
        { asked: "finish", has: "nothing", next: "set it to bundle" },
        { asked: "finish", has: "bundle", next: "set it to issuer" },
        { asked: "bundle", has: "finished", next: /^set the stage to finish, or remove/ },
        { asked: "issuer", has: "finished", next: /^set the stage to finish, or remove/ },
    ] as const)("$asked after $has is refused with the stage that is next", async (one) => {
        const live = {
            nothing: liveOf(byOld, old.certificate),
            bundle: liveOf(byOld, both(), { nextAnchor: next }),
            finished: liveOf(byNext, next.certificate, { anchor: next, nextAnchor: next }),
        }[one.has];
        expect(await plan(stage(one.asked), live)).toMatchObject([
            {
                subject: "identity.rotation.stage",
                value: one.asked,
                next: expect.stringMatching(one.next) as string,
            },
        ]);
    });

    it("an unfinished rotation cannot be left, by removing it or by another name", async () => {
        const live = liveOf(byNext, both(), { nextAnchor: next });
        const rule = expect.stringContaining("whose rotation is not finished") as string;
        expect(await plan(undefined, live)).toMatchObject([{ value: "2027", rule }]);
        expect(await plan({ issuer: "x" }, live)).toMatchObject([{ value: "2027", rule }]);
        expect(await plan({ anchor: "2028", stage: "bundle" }, live)).toMatchObject([
            { value: "2027", rule },
        ]);
    });

    it("issuer is refused while a running proxy does not know the new anchor, with its name", async () => {
        const live = liveOf(byOld, both(), { nextAnchor: next });
        const proxies = [
            proxyOf(both()),
            ...["a", "b", "c", "d", "e", "f"].map((name) => proxyOf(old.certificate, LATER, name)),
        ];
        expect(await plan(stage("issuer"), live, proxies)).toMatchObject([
            {
                subject: "issuer",
                rule: "does not verify against the trust anchors of 6 running proxies, which would lose mTLS: shop/a, shop/b, shop/c, shop/d, shop/e and 1 more",
            },
        ]);
    });

    it("finish is refused while a pod may have a certificate of the issuer of before", async () => {
        const served = { issuedAt: now.toISOString(), servedSince: LATER };
        const live = liveOf(byNext, both(), { nextAnchor: next }, served);
        const early = proxyOf(both(), LATER - 1, "early");
        expect(await plan(stage("finish"), live, [proxyOf(both()), early])).toMatchObject([
            {
                subject: "identity.rotation",
                rule: expect.stringContaining("while 1 pods were made before") as string,
            },
        ]);
        const unrecorded = liveOf(
            byNext,
            both(),
            { nextAnchor: next },
            { issuedAt: now.toISOString() },
        );
        expect(await plan(stage("finish"), unrecorded, [proxyOf(both())])).toMatchObject([
            { subject: "identity.rotation" },
        ]);
    });

    it("is refused on a first installation: there is nothing to rotate", async () => {
        expect(await plan(stage("bundle"), { installed: false })).toMatchObject([
            { subject: "identity.rotation" },
        ]);
    });
});

describe("an issuer rotates by its name", () => {
    it("once for each name, signed by the anchor whose key the stack has", async () => {
        const live = liveOf(byOld, old.certificate);
        const made = (await plan({ issuer: "q2" }, live)) as Identity;
        expect(made.issuerName).toBe("q2");
        expect(made.trustAnchors).toBe(old.certificate);
        const after = liveOf(
            made.issuer,
            old.certificate,
            {},
            { name: "q2", issuedAt: made.issuedAt! },
        );
        expect(await plan({ issuer: "q2" }, after)).toEqual({ ...made, lines: [] });
        expect(await plan(undefined, after)).toEqual({ ...made, lines: [] });
    });

    it("is refused without the anchor's key, with the two ways that are left", async () => {
        const { anchor: _, ...live } = liveOf(byOld, old.certificate);
        expect(await plan({ issuer: "q2" }, live)).toMatchObject([
            {
                subject: "identity.rotation.issuer",
                value: "q2",
                next: expect.stringContaining("identity.source: config") as string,
            },
        ]);
    });
});

describe("texts of the user's rotate by what they say", () => {
    const own = (
        pair: KeyPair,
        trustAnchors: string,
        live: LiveIdentity,
        proxies?: MeshedProxy[],
    ) =>
        planIdentity(
            {
                source: "config",
                trustAnchors,
                issuer: { certificate: pair.certificate, key: pair.key },
            },
            live,
            { now, until: now, trustDomain: "cluster.local", proxies },
        );

    it("a bundle of old and new, then a new issuer, then the new anchor alone", async () => {
        const first = await own(byOld, both(), liveOf(byOld, old.certificate), [
            proxyOf(old.certificate),
        ]);
        expect(first).toMatchObject({ trustAnchors: both(), issuer: byOld });
        expect(first).not.toHaveProperty("issuedAt");
        const second = await own(byNext, both(), liveOf(byOld, both()), [proxyOf(both())]);
        expect(second).toMatchObject({ issuedAt: now.toISOString(), issuer: byNext });
        const served = { issuedAt: now.toISOString(), servedSince: LATER };
        const third = await own(byNext, next.certificate, liveOf(byNext, both(), {}, served), [
            proxyOf(both()),
        ]);
        expect(third).toMatchObject({ trustAnchors: writeBundle(readBundle(next.certificate)) });
    });

    it.each([
        {
            name: "a new issuer before every proxy trusts it",
            planned: () => own(byNext, both(), liveOf(byOld, both()), [proxyOf(old.certificate)]),
            fault: { subject: "issuer" },
        },
        {
            name: "the old anchor dropped together with the issuer",
            planned: () => own(otherByNext, next.certificate, liveOf(byNext, both())),
            fault: { subject: "identity.trustAnchors" },
        },
        {
            name: "the old anchor dropped while a pod is older than the issuer",
            planned: () =>
                own(
                    byNext,
                    next.certificate,
                    liveOf(byNext, both(), {}, { issuedAt: "x", servedSince: LATER + 1 }),
                    [proxyOf(both())],
                ),
            fault: { subject: "identity.trustAnchors" },
        },
    ])("$name is refused", async ({ planned, fault }) => {
        expect(await planned()).toMatchObject([fault]);
    });
});

describe("what is adopted stays byte by byte, in its scheme", () => {
    const adopted = (live: LiveIdentity) =>
        planIdentity({ source: "adopted" }, live, {
            now,
            until: now,
            trustDomain: "cluster.local",
            proxies: [],
        });

    it.each(["linkerd.io/tls", "kubernetes.io/tls"] as const)("%s", async (scheme) => {
        const text = `\n${old.certificate.trim()}`;
        const pair = { certificate: `${byOld.certificate}\n\n`, key: byOld.key };
        const live = liveOf(pair, text, {}, { scheme });
        expect(await adopted(live)).toEqual({
            scheme,
            trustAnchors: text,
            ca: text,
            issuer: pair,
            anchor: old,
            lines: [],
        });
    });

    it("and is refused where there is nothing", async () => {
        expect(await adopted({ installed: false })).toMatchObject([
            { subject: "identity.source", value: "adopted" },
        ]);
    });
});
