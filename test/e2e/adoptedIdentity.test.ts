import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mint, type KeyPair } from "../../plan/certificates";
import { startJourney, type Journey } from "./support/journey";
import { expectRefused } from "./support/refusal";

const SECRET = { namespace: "linkerd", name: "linkerd-identity-issuer" };
const YEAR_MS = 365 * 24 * 3_600_000;

/** Not proven here: that the rest of an installation by the linkerd CLI is taken over. */
describe("an identity in the scheme of the linkerd CLI is kept, and judged before anything changes", () => {
    let journey: Journey;
    let anchor: KeyPair;
    let issuer: KeyPair;

    const authority = (name: string, by?: KeyPair, now = new Date(), years = 1) =>
        mint({ name, authority: true, years, now, ...(by ? { issuer: by } : {}) });
    const encode = (text: string) => Buffer.from(text).toString("base64");
    const dataOf = ({ certificate, key }: KeyPair) => ({
        "crt.pem": encode(certificate),
        "key.pem": encode(key),
    });

    beforeAll(async () => {
        journey = await startJourney("adopted-identity", {
            config: { viz: { enabled: false }, identity: { source: "adopted" } },
        });
        anchor = await authority("root.linkerd.cluster.local");
        issuer = await authority("identity.linkerd.cluster.local", anchor);
        const { core } = journey.connection;
        await core.createNamespace({
            body: {
                metadata: {
                    name: "linkerd",
                    annotations: { "mesh-upgrade/stack": "organization/mesh-upgrade/demo" },
                },
            },
        });
        await core.createNamespacedSecret({
            namespace: "linkerd",
            body: { metadata: { name: SECRET.name }, type: "Opaque", data: dataOf(issuer) },
        });
        await core.createNamespacedConfigMap({
            namespace: "linkerd",
            body: {
                metadata: { name: "linkerd-identity-trust-roots" },
                data: { "ca-bundle.crt": anchor.certificate.trim() },
            },
        });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const live = async () => (await journey.connection.core.readNamespacedSecret(SECRET)).data;
    const replace = async (pair: KeyPair) => {
        const secret = await journey.connection.core.readNamespacedSecret(SECRET);
        await journey.connection.core.replaceNamespacedSecret({
            ...SECRET,
            body: { ...secret, data: dataOf(pair) },
        });
    };
    const refused = (...expected: RegExp[]) => expectRefused(journey, ...expected);

    it("stays byte by byte; its key is in no value, state or ConfigMap", async () => {
        await journey.up();
        expect(await live()).toEqual(dataOf(issuer));
        const config = await journey.connection.core.readNamespacedConfigMap({
            namespace: "linkerd",
            name: "linkerd-config",
        });
        expect(config.data?.["values"]).toContain("scheme: linkerd.io/tls");
        const exported = await journey.stack.run(["stack", "export"]);
        for (const text of [JSON.stringify(config), exported.stdout, journey.printed.join("\n")]) {
            expect(text).not.toContain("PRIVATE KEY");
            expect(text).not.toContain(dataOf(issuer)["key.pem"].slice(80, 120));
        }
        await journey.expectNoChanges();
        expect(journey.printed.at(-1)).toMatch(
            /certificate issuer: CN=identity\.linkerd\.cluster\.local, valid .* SHA-256 [0-9A-F:]{95}: valid/,
        );
    });

    it("is refused where the issuer has expired, or ends before the upgrade does", async () => {
        const past = new Date(Date.now() - 2 * YEAR_MS);
        await replace(await authority("identity.linkerd.cluster.local", anchor, past));
        await refused(
            /Secret linkerd\/linkerd-identity-issuer: the issuer expired on \d{4}-\d\d-\d\d/,
        );
        await replace(issuer);
        await journey.stack.edit("certificates", { refuseBefore: "400d" });
        await refused(
            /the issuer ends on \d{4}-\d\d-\d\d, before the planned end of this update and certificates\.refuseBefore/,
            /the trust anchor CN=root\.linkerd\.cluster\.local ends on/,
        );
        await journey.stack.edit("certificates", undefined);
    });

    it("is refused where no anchor signed the issuer", async () => {
        const other = await authority("root.linkerd.cluster.local");
        await replace(await authority("identity.linkerd.cluster.local", other));
        await refused(/the issuer is not signed by any of the trust anchors/);
        await replace(issuer);
    });

    it("is refused where a running proxy trusts other anchors, with the pod's name", async () => {
        const other = await authority("root.linkerd.cluster.local");
        await journey.connection.core.createNamespacedPod({
            namespace: "default",
            body: {
                metadata: {
                    name: "stranger",
                    labels: { "linkerd.io/control-plane-ns": "linkerd" },
                },
                spec: {
                    containers: [
                        {
                            name: "linkerd-proxy",
                            image: "cr.l5d.io/linkerd/proxy:edge-24.5.3",
                            env: [
                                {
                                    name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS",
                                    value: other.certificate,
                                },
                            ],
                        },
                    ],
                },
            },
        });
        await refused(
            /issuer = "CN=identity\.linkerd\.cluster\.local": does not verify against the trust anchors of 1 running proxies.*: default\/stranger/,
        );
    });
});
