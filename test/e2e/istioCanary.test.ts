// Proves the whole journey of a canary by revisions, with a prober that creates pods in every namespace all the time.
import { ApiextensionsV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
    createWorkloads,
    NEW,
    NEW_PROXY,
    NEW_REVISION,
    OLD,
    OLD_PROXY,
    OLD_REVISION,
    startIstioJourney,
    type IstioJourney,
} from "./support/istio";
import { probed } from "./support/probed";

/** By istio-injection, by revision and by tag. */
const NAMESPACES = { legacy: {}, bank: {}, shop: {} };
const REVISIONS = [{ version: OLD }, { version: NEW }];

describe("a canary by revisions", () => {
    let journey: IstioJourney;

    beforeAll(async () => {
        journey = await startIstioJourney(
            "istio-canary",
            NAMESPACES,
            {
                revisions: [{ version: OLD }],
                tags: { stable: OLD_REVISION },
                defaultRevision: OLD_REVISION,
                namespaces: { legacy: "default", bank: OLD_REVISION, shop: "stable" },
                guard: { grace: "2s" },
            },
            {
                rollout: {
                    timeout: "30s",
                    soak: "0s",
                    waves: [{ name: "canary", select: [{ namespaces: ["bank"] }] }],
                },
            },
        );
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    /** An update with pods created in every namespace all the while. */
    const changing = (edit: () => Promise<void>) =>
        probed(
            journey,
            {
                namespaces: Object.keys(NAMESPACES),
                known: [`${OLD_REVISION} ${OLD}`, `${NEW_REVISION} ${NEW}`],
            },
            edit,
        );

    it("step 1: installs, and nothing changes after it", async () => {
        await journey.up();
        expect(await journey.labels("legacy")).toEqual({ "istio-injection": "enabled" });
        expect(await journey.labels("bank")).toEqual({ "istio.io/rev": OLD_REVISION });
        expect(await journey.labels("shop")).toEqual({ "istio.io/rev": "stable" });
        await journey.expectNoChanges();
        await createWorkloads(journey, Object.keys(NAMESPACES));
        await journey.edit({
            gateways: [
                { name: "istio-ingressgateway", namespace: "istio-system", revision: "stable" },
            ],
        });
        await journey.up();
        expect(await journey.sidecars()).toEqual({
            "bank/web": OLD_PROXY,
            "legacy/web": OLD_PROXY,
            "shop/web": OLD_PROXY,
        });
        await journey.expectNoChanges();
    });

    it("step 2: a second revision beside the first changes no pod", async () => {
        await changing(() =>
            journey.edit({
                revisions: REVISIONS,
                tags: { stable: OLD_REVISION, canary: NEW_REVISION },
            }),
        );
        expect(await journey.sidecars()).toMatchObject({ "bank/web": OLD_PROXY });
        await journey.expectNoChanges();
    });

    it("step 3: a namespace moves to the canary tag and back, with its label and its sidecars", async () => {
        const namespaces = { legacy: "default", bank: "canary", shop: "stable" };
        await changing(() => journey.edit({ namespaces }));
        expect(await journey.sidecars()).toEqual({
            "bank/web": NEW_PROXY,
            "legacy/web": OLD_PROXY,
            "shop/web": OLD_PROXY,
        });
        await journey.expectNoChanges();
        const back = { ...namespaces, bank: OLD_REVISION };
        await changing(() => journey.edit({ namespaces: back }));
        expect(await journey.labels("bank")).toEqual({ "istio.io/rev": OLD_REVISION });
        expect(await journey.sidecars()).toMatchObject({ "bank/web": OLD_PROXY });
        await journey.expectNoChanges();
        await changing(() => journey.edit({ namespaces }));
    });

    it("step 4: preview tells what uses a revision that is to go; taking the edit back changes nothing", async () => {
        const before = await journey.webhooks();
        await journey.edit({
            revisions: [{ version: NEW }],
            tags: { canary: NEW_REVISION },
            defaultRevision: NEW_REVISION,
            namespaces: { bank: "canary" },
            gateways: [],
        });
        const { output } = await journey.preview();
        expect(output).toContain(
            `istio revision ${OLD_REVISION}: ${OLD} goes, if nothing uses it then`,
        );
        await journey.edit({
            revisions: REVISIONS,
            tags: { stable: OLD_REVISION, canary: NEW_REVISION },
            defaultRevision: OLD_REVISION,
            namespaces: { legacy: "default", bank: "canary", shop: "stable" },
            gateways: [
                { name: "istio-ingressgateway", namespace: "istio-system", revision: "stable" },
            ],
        });
        await journey.up();
        expect(await journey.webhooks()).toEqual(before);
    });

    it("step 5: the stable tag and the default move everybody", async () => {
        await changing(() =>
            journey.edit({
                tags: { stable: NEW_REVISION, canary: NEW_REVISION },
                defaultRevision: NEW_REVISION,
            }),
        );
        expect(await journey.sidecars()).toEqual({
            "bank/web": NEW_PROXY,
            "legacy/web": NEW_PROXY,
            "shop/web": NEW_PROXY,
        });
        await journey.expectNoChanges();
    });

    it("step 6: the old revision goes, with its own objects only", async () => {
        await changing(() => journey.edit({ revisions: [{ version: NEW }] }));
        expect(await journey.webhooks()).toEqual([
            `istio-revision-tag-canary`,
            `istio-revision-tag-default`,
            `istio-revision-tag-stable`,
            `istio-sidecar-injector-${NEW_REVISION}`,
            `istio-validator-${NEW_REVISION}-istio-system`,
            `istiod-default-validator`,
        ]);
        await journey.expectNoChanges();
    });

    it("step 7: destroy takes the mesh out of the namespaces first, and leaves the CRDs", async () => {
        const { code, output } = await journey.stack.run(["destroy", "--yes", "--skip-preview"]);
        expect(code, output).toBe(0);
        expect(await journey.labels("bank")).toEqual({});
        expect(await journey.sidecars()).toEqual({
            "bank/web": "no sidecar",
            "legacy/web": "no sidecar",
            "shop/web": "no sidecar",
        });
        expect(await journey.webhooks()).toEqual([]);
        const crd = { name: "virtualservices.networking.istio.io" };
        const extensions = journey.connection.kubeconfig.makeApiClient(ApiextensionsV1Api);
        expect((await extensions.readCustomResourceDefinition(crd)).metadata?.name).toBe(crd.name);
    });
});
