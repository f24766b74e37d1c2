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
    next = {
        ...(await authority("root")),
        name: "2027",
        replaces: names(old.certificate),
    };
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
        expect(made.nextAnchor).toMatchObject({ name: "2027", replaces: names(old.certificate) });
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

    it("an anchor of another cluster in the bundle stays through every stage", async () => {
        const other = (await authority("root.other")).certificate;
        const bundle = (await plan(
            stage("bundle"),
            liveOf(byOld, other + old.certificate),
        )) as Identity;
        const added = bundle.nextAnchor!;
        expect(added.replaces).toEqual(names(old.certificate));
        expect(names(bundle.trustAnchors)).toEqual(
            names(other + old.certificate + added.certificate),
        );
        const signed = (await plan(
            stage("issuer"),
            liveOf(byOld, bundle.trustAnchors, { nextAnchor: added }),
        )) as Identity;
        const served = { name: "2027", issuedAt: now.toISOString(), servedSince: LATER };
        const live = liveOf(signed.issuer, bundle.trustAnchors, { nextAnchor: added }, served);
        const finished = (await plan(stage("finish"), live)) as Identity;
        expect(names(finished.trustAnchors)).toEqual(names(other + added.certificate));
        const anchors = { anchor: added, nextAnchor: added };
        const after = liveOf(signed.issuer, finished.trustAnchors, anchors, served);
        expect(await plan(stage("finish"), after)).toEqual({ ...finished, lines: [] });
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

describe("what ends or has ended can be mended, and the report says how", () => {
    const HOUR = 3_600_000;
    const hoursAway = (hours: number) => ({
        now: new Date(new Date(readBundle(ends.certificate)[0]!.validTo).getTime() - hours * HOUR),
    });
    /** Anchor and issuer of the same day, as the linkerd CLI makes them, without the anchor's key. */
    let ends: KeyPair;
    let issuerOfIt: KeyPair;
    beforeAll(async () => {
        ends = await mint({ name: "root", authority: true, years: 1, now });
        issuerOfIt = await mint({
            name: "identity",
            authority: true,
            years: 1,
            now,
            issuer: ends,
        });
    });
    const live = (trustAnchors: string, more: Partial<LiveIdentity> = {}) => {
        const { anchor: _, ...rest } = liveOf(issuerOfIt, trustAnchors);
        return { ...rest, ...more };
    };
    const at = (
        moment: { now: Date },
        config: Parameters<typeof planIdentity>[0],
        of: LiveIdentity,
        proxies: MeshedProxy[] = [],
    ) =>
        planIdentity(config, of, {
            ...moment,
            until: new Date(moment.now.getTime() + 24 * HOUR),
            trustDomain: "cluster.local",
            proxies,
        });
    const text = (value: string) => expect.stringContaining(value) as string;

    it("20 hours before the end nothing else goes on, but the rotation does", async () => {
        const moment = hoursAway(20);
        const refused = await at(moment, { source: "adopted" }, live(ends.certificate));
        expect(refused).toMatchObject([
            {
                rule: text("the issuer ends on"),
                next: text("set identity.rotation to { anchor: NAME, stage: bundle }"),
            },
            { rule: text("the trust anchor CN=root ends on"), next: text("refuseBefore: 0h") },
        ]);
        const bundle = (await at(
            moment,
            { source: "adopted", rotation: stage("bundle") },
            live(ends.certificate),
        )) as Identity;
        expect(readBundle(bundle.trustAnchors)).toHaveLength(2);
        const issuer = (await at(
            moment,
            { source: "adopted", rotation: stage("issuer") },
            live(bundle.trustAnchors, { nextAnchor: bundle.nextAnchor! }),
        )) as Identity;
        expect(issuer.issuer).not.toEqual(issuerOfIt);
    });

    it("an issuer of an anchor that the stack has rotates, also when it has ended", async () => {
        const moment = { now: new Date("2027-12-01T00:00:00Z") };
        const { certificate, key } = await mint({
            name: "identity",
            authority: true,
            years: 1,
            now,
            issuer: old,
        });
        const kept = liveOf({ certificate, key }, old.certificate);
        expect(await at(moment, { source: "generated" }, kept)).toMatchObject([
            { rule: text("expired on"), next: text("set identity.rotation to { issuer: NAME }") },
        ]);
        const rotation = { issuer: "2027-q4" };
        expect(await at(moment, { source: "generated", rotation }, kept)).toMatchObject({
            issuerName: "2027-q4",
        });
    });

    it("a root that has ended is replaced as a whole, which is refused at any other time", async () => {
        const moment = hoursAway(-20);
        expect(await at(moment, { source: "adopted" }, live(ends.certificate))).toMatchObject([
            { next: text("make a new issuer where the trust anchor's key is") },
            { next: text("mTLS is lost already: set identity.source: config") },
        ]);
        const own = {
            source: "config" as const,
            trustAnchors: next.certificate,
            issuer: { certificate: byNext.certificate, key: byNext.key },
        };
        const proxies = [proxyOf(ends.certificate)];
        expect(await at(moment, own, live(ends.certificate), proxies)).toMatchObject({
            trustAnchors: next.certificate,
        });
        expect(await at(hoursAway(20), own, live(ends.certificate), proxies)).toMatchObject([
            { subject: "identity.trustAnchors" },
            { subject: "issuer" },
        ]);
    });

    it("one that has ended beside a good one goes with the next rotation", async () => {
        const moment = hoursAway(-20);
        const kept = liveOf(byOld, ends.certificate + old.certificate);
        expect(await at(moment, { source: "adopted" }, kept)).toMatchObject([
            { rule: text("CN=root expired on"), next: text("its first one drops it") },
        ]);
        const bundle = (await at(
            moment,
            { source: "adopted", rotation: stage("bundle") },
            kept,
        )) as Identity;
        expect(names(bundle.trustAnchors)).toEqual(
            names(old.certificate + (bundle.nextAnchor?.certificate ?? "")),
        );
        expect(
            await at(
                moment,
                {
                    source: "config",
                    trustAnchors: ends.certificate + old.certificate,
                    issuer: byOld,
                },
                kept,
            ),
        ).toMatchObject([{ next: text("take it out of identity.trustAnchors") }]);
    });

    it("and where somebody else changed the issuer, no anchor goes while a pod is older", async () => {
        const own = {
            source: "config" as const,
            trustAnchors: next.certificate,
            issuer: { certificate: byNext.certificate, key: byNext.key },
        };
        const begin = Date.parse(readBundle(byNext.certificate)[0]!.validFrom);
        const of = (createdAt: number) =>
            at({ now }, own, liveOf(byNext, both()), [proxyOf(both(), createdAt)]);
        expect(await of(begin - 1)).toMatchObject([
            { rule: text("while 1 pods were made before the issuer (its certificate begins on") },
        ]);
        expect(await of(begin)).toMatchObject({ issuer: byNext });
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
