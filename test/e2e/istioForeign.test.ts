// Proves the way from an unrevisioned install that somebody else made to a revision of the stack, and back on the way.
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
    applyAs,
    existing,
    ownObjects,
    ownTag,
    sharedObjects,
    writeIstioObject,
} from "./support/foreignIstio";
import {
    createWorkloads,
    NEW,
    NEW_PROXY,
    NEW_REVISION,
    OLD,
    startIstioJourney,
    type IstioJourney,
} from "./support/istio";
import { probed } from "./support/probed";

const INJECTED = { "istio-injection": "enabled" };
const FOREIGN = { revision: "default", version: OLD };
const FOREIGN_PROXY = `${OLD} (default)`;
const PROBED = {
    namespaces: ["shop", "bank"],
    known: [`default ${OLD}`, `${NEW_REVISION} ${NEW}`],
};
const NS = "istio-system";

describe("from an install of istioctl without a revision name", () => {
    let journey: IstioJourney;
    const own = ownObjects();
    const shared = sharedObjects();
    const names = (objects: typeof own) =>
        objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();

    beforeAll(async () => {
        journey = await startIstioJourney(
            "istio-foreign",
            { shop: INJECTED, bank: INJECTED },
            {
                revisions: [{ version: NEW }],
                foreign: [FOREIGN],
                namespaces: { shop: "default", bank: "default" },
                guard: { grace: "2s" },
            },
            { rollout: { timeout: "30s", soak: "0s" } },
        );
        await journey.connection.core.createNamespace({ body: { metadata: { name: NS } } });
        await applyAs("istioctl", journey.connection, [...shared, ...own, ownTag()]);
        await createWorkloads(journey, ["shop", "bank"]);
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const pods = async () => {
        const { items } = await journey.connection.core.listPodForAllNamespaces();
        return items
            .filter(({ metadata }) => metadata?.labels?.["app"] === "web")
            .map(({ metadata }) => metadata?.uid)
            .sort();
    };
    const validated = async () => {
        const api = journey.connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
        const found = await api.readValidatingWebhookConfiguration({
            name: "istiod-default-validator",
        });
        return found.webhooks?.map(({ clientConfig }) => clientConfig.service?.name);
    };

    const tagged = async () => {
        const api = journey.connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
        const { metadata } = await api.readMutatingWebhookConfiguration({
            name: "istio-revision-tag-default",
        });
        return metadata?.labels?.["istio.io/rev"];
    };

    it("step 1: is refused as long as the stack does not ask for it, and nothing changes", async () => {
        const before = await journey.webhooks();
        const { output } = await journey.failingUp();
        expect(output).toContain("exist already and were not made by this stack");
        expect(output).toContain("set istio.base.adopt: true");
        expect(output).not.toMatch(/^ +2\. /m);
        expect(await journey.webhooks()).toEqual(before);
        expect(await journey.labels("shop")).toEqual(INJECTED);
        expect(
            (await journey.connection.core.readNamespace({ name: "shop" })).metadata?.annotations,
        ).toBeUndefined();
    });

    it("step 2: the new istiod comes beside it, and no pod restarts", async () => {
        const before = await pods();
        expect(before).toHaveLength(4);
        await journey.edit({ base: { adopt: true } });
        await journey.up();
        expect(await pods()).toEqual(before);
        expect(await journey.sidecars()).toEqual({
            "bank/web": FOREIGN_PROXY,
            "shop/web": FOREIGN_PROXY,
        });
        expect(await journey.webhooks()).toContain(`istio-sidecar-injector-${NEW_REVISION}`);
        expect(await validated()).toEqual(["istiod"]);
        expect(await tagged()).toBe("default");
        await journey.expectNoChanges();
    });

    it("step 3: one namespace moves, with its label in one change", async () => {
        await probed(journey, PROBED, () =>
            journey.edit({ namespaces: { shop: NEW_REVISION, bank: "default" } }),
        );
        expect(await journey.labels("shop")).toEqual({ "istio.io/rev": NEW_REVISION });
        expect(await journey.labels("bank")).toEqual(INJECTED);
        expect(await journey.sidecars()).toEqual({
            "bank/web": FOREIGN_PROXY,
            "shop/web": NEW_PROXY,
        });
        await journey.expectNoChanges();
    });

    it("step 4: it moves back, to the label and the sidecars of before", async () => {
        await journey.edit({ namespaces: { shop: "default", bank: "default" } });
        await journey.up();
        expect(await journey.labels("shop")).toEqual(INJECTED);
        expect(await journey.sidecars()).toMatchObject({ "shop/web": FOREIGN_PROXY });
        await journey.edit({ namespaces: { shop: NEW_REVISION, bank: "default" } });
        await journey.up();
    });

    it("step 5: the old control plane is not removed while a namespace uses it", async () => {
        await journey.edit({
            defaultRevision: NEW_REVISION,
            foreign: [{ ...FOREIGN, remove: true }],
        });
        const refused = await journey.preview();
        expect(refused.code).not.toBe(0);
        expect(refused.output).toContain('istio.namespaces.bank = "default": is injected by');
        // Nobody tells the program of the namespace: it looks.
        await journey.edit({ namespaces: { shop: NEW_REVISION } });
        const { output } = await journey.failingUp();
        expect(output).toContain("revision default stays, and all of it: it is in use by");
        expect(output).toContain("namespace bank (istio-injection=enabled)");
        expect(await existing(journey.connection, own)).toEqual(names(own));
        expect(await validated()).toEqual(["istiod"]);
        expect(await journey.sidecars()).toMatchObject({ "bank/web": FOREIGN_PROXY });
    });

    it("step 6: the last namespace moves and the old control plane goes, with its own objects only", async () => {
        await probed(journey, PROBED, () =>
            journey.edit({ namespaces: { shop: NEW_REVISION, bank: NEW_REVISION } }),
        );
        expect(await journey.sidecars()).toEqual({ "bank/web": NEW_PROXY, "shop/web": NEW_PROXY });
        expect(await existing(journey.connection, own)).toEqual([]);
        expect(await existing(journey.connection, shared)).toEqual(names(shared));
        expect(await tagged()).toBe(NEW_REVISION);
        await journey.connection.core.readNamespacedSecret({
            namespace: NS,
            name: "istio-ca-secret",
        });
        expect(await validated()).toEqual([`istiod-${NEW_REVISION}`]);
        expect(await journey.webhooks()).toEqual([
            "istio-revision-tag-default",
            `istio-sidecar-injector-${NEW_REVISION}`,
            `istio-validator-${NEW_REVISION}-${NS}`,
            "istiod-default-validator",
        ]);
        await writeIstioObject(journey.connection);
        await journey.expectNoChanges();
    });

    it("step 7: the entry may leave the stack file then, and default stands for the new revision", async () => {
        await journey.edit({ foreign: [], namespaces: { shop: NEW_REVISION, bank: "default" } });
        await journey.up();
        expect(await journey.labels("bank")).toEqual(INJECTED);
        expect(await journey.sidecars()).toMatchObject({ "bank/web": NEW_PROXY });
        await journey.expectNoChanges();
    });
});
