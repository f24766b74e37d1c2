import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBundle } from "../../plan/certificates";
import { OLD, startJourney, type Journey } from "./support/journey";
import { filesBelow, privateKeyTexts } from "./support/privateKeys";
import { expectRefused } from "./support/refusal";
import { TrustVerifier } from "./support/trustVerifier";
import { waitFor } from "./support/waiting";

const ROTATION = "2027";

describe("a user rotates the trust anchor in stages, and no two pods ever lack a common chain", () => {
    let journey: Journey;
    let verifier: TrustVerifier;

    beforeAll(async () => {
        journey = await startJourney("rotation", { config: { viz: { enabled: false } } });
        await journey.up();
        await journey.createSample();
        verifier = new TrustVerifier(journey.connection);
        await verifier.start();
    });
    afterAll(async () => {
        await verifier?.stop();
        await journey?.dispose();
    });

    const rotate = (rotation: object | undefined) =>
        journey.stack.edit("identity", { source: "generated", ...(rotation ? { rotation } : {}) });
    const stage = (name: string) => rotate({ anchor: ROTATION, stage: name });
    const issuer = async () => {
        const { data, metadata } = await journey.connection.core.readNamespacedSecret({
            namespace: "linkerd",
            name: "linkerd-identity-issuer",
        });
        return {
            certificate: Buffer.from(data?.["tls.crt"] ?? "", "base64").toString(),
            name: metadata?.annotations?.["mesh-upgrade/issuer"],
        };
    };
    const bundle = async () => {
        const { data } = await journey.connection.core.readNamespacedConfigMap({
            namespace: "linkerd",
            name: "linkerd-identity-trust-roots",
        });
        return readBundle(data?.["ca-bundle.crt"] ?? "").map((one) => one.fingerprint256);
    };
    /** Running pods of the sample. */
    const pods = async () => {
        const { items } = await journey.connection.core.listPodForAllNamespaces({
            labelSelector: "linkerd.io/control-plane-ns=linkerd,app",
        });
        return items
            .filter((pod) => pod.metadata?.deletionTimestamp === undefined)
            .filter((pod) => pod.status?.phase !== "Succeeded")
            .map((pod) => `${pod.metadata?.namespace}/${pod.metadata?.name}`);
    };
    const refused = (...expected: RegExp[]) => expectRefused(journey, ...expected);
    async function remove(...names: string[]): Promise<void> {
        const { core } = journey.connection;
        for (const path of names) {
            const [namespace = "", name = ""] = path.split("/");
            await core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
        }
        await waitFor("the pods are gone", async () => {
            const left = await pods();
            return names.every((name) => !left.includes(name));
        });
    }

    it("step 1: a stage whose turn it is not is refused, with the one that is", async () => {
        await stage("issuer");
        await refused(
            /identity\.rotation\.stage = "issuer": trust anchor 2027 is not in the bundle yet\n.*next: set it to bundle/,
        );
    });

    it("step 2: bundle: every restartable pod trusts the old and the new anchor", async () => {
        const [before, oldIssuer] = [await bundle(), await issuer()];
        await stage("bundle");
        const { output } = await journey.preview();
        expect(output).toContain("identity: trust anchors change (1 -> 2 in the bundle)");
        expect(output).toContain(
            `shop/Deployment/web: 3 pods, proxy ${OLD} -> ${OLD}, new trust anchors`,
        );
        await journey.up();
        await journey.expectNoChanges();
        const after = await bundle();
        expect(after).toHaveLength(2);
        expect(after).toEqual(expect.arrayContaining(before));
        expect(await issuer()).toEqual(oldIssuer);
        expect(verifier.violations()).toEqual([]);
    });

    it("step 3: issuer: refused while a pod lacks the new anchor, and names it", async () => {
        await stage("issuer");
        await refused(
            /issuer = .*: does not verify against the trust anchors of 1 running proxies, which would lose mTLS: batch\/debug-shell/,
        );
        // What nothing restarts is the user's to delete.
        await remove("batch/debug-shell");
        await stage("finish");
        await refused(/the issuer is not signed by trust anchor 2027 yet\n.*set it to issuer/);
    });

    it("step 4: issuer: a new one, and every pod is made anew after it", async () => {
        await journey.connection.core.createNamespacedPod({
            namespace: "shop",
            body: {
                metadata: { name: "straggler", labels: { app: "straggler" } },
                spec: { containers: [{ name: "main", image: "main" }] },
            },
        });
        const [before, oldPods] = [await issuer(), await pods()];
        await stage("issuer");
        await journey.up();
        await journey.expectNoChanges();
        const after = await issuer();
        expect(after.certificate).not.toBe(before.certificate);
        expect(after.name).toBe(ROTATION);
        expect(await bundle()).toHaveLength(2);
        const left = (await pods()).filter((name) => oldPods.includes(name));
        // A StatefulSet's pods keep their names.
        expect(left.sort()).toEqual(["shop/ledger-0", "shop/ledger-1", "shop/straggler"]);
        expect(verifier.violations()).toEqual([]);
    });

    it("step 5: finish: refused while a pod is older than the issuer, and names it", async () => {
        await stage("finish");
        await refused(
            /drops a trust anchor .* while 1 pods were made before the new issuer served .*: shop\/straggler/,
        );
        await remove("shop/straggler");
    });

    it("step 6: going back from the issuer would drop what signs it, and is refused", async () => {
        await rotate(undefined);
        await refused(
            /identity\.rotation = "2027": the issuer is signed by this trust anchor, whose rotation is not finished/,
        );
    });

    it("step 7: finish: only the new anchor is left", async () => {
        const before = await issuer();
        await stage("finish");
        await journey.up();
        await journey.expectNoChanges();
        expect(await bundle()).toHaveLength(1);
        expect(await issuer()).toEqual(before);
        expect(verifier.violations()).toEqual([]);
        expect(verifier.seen).toEqual({ bundles: 3, issuers: 2 });
    });

    it("step 8: a new issuer of the same anchor, asked for by its name", async () => {
        const [before, anchors] = [await issuer(), await bundle()];
        await rotate({ issuer: "2027-q2" });
        await journey.up();
        await journey.expectNoChanges();
        const after = await issuer();
        expect(after.certificate).not.toBe(before.certificate);
        expect(after.name).toBe("2027-q2");
        expect(await bundle()).toEqual(anchors);
        expect(verifier.violations()).toEqual([]);
        // Nothing rotates that is not asked for.
        await rotate(undefined);
        await journey.expectNoChanges();
        expect(await issuer()).toEqual(after);
    });

    it("no private key shows in state, output or stack file", async () => {
        const keys = await privateKeyTexts(journey.connection);
        const exported = await journey.stack.run(["stack", "export"]);
        expect(exported.stdout).toContain("linkerd-trust-anchor");
        const places = [
            ...(await filesBelow(journey.stack.stateDirectory)),
            { path: "exported stack", text: exported.stdout },
            { path: "output", text: journey.printed.join("\n") },
            { path: "stack file", text: await readFile(journey.stack.file, "utf8") },
        ];
        const leaks = places.filter(
            ({ text }) => keys.some((key) => text.includes(key)) || text.includes("PRIVATE KEY"),
        );
        expect(leaks.map(({ path }) => path)).toEqual([]);
    });
});
