// Proves Anthos Service Mesh 1.5 -> 1.6.14 -> 1.5 -> 1.6.14 from rendered manifests, each way in place where it has to be.
import * as k8s from "@kubernetes/client-node";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { PROJECT } from "../../embedded/stack";
import type { KubeObject } from "../../plan/istio/manifests";
import { applyAs, existing, writeIstioObject } from "./support/foreignIstio";
import { createWorkloads, startIstioJourney, type IstioJourney } from "./support/istio";
import { probed } from "./support/probed";

const NS = "istio-system";
const OLD = "1.5.10-asm.2";
const NEW = "1.6.14-asm.2";
const REVISION = "asm-1614-2";
const OLD_PROXY = `${OLD} (default)`;
const NEW_PROXY = `${NEW} (${REVISION})`;
const PROBED = {
    namespaces: ["shop"],
    known: [`default ${OLD}`, `${REVISION} ${NEW}`],
};
/** As the stack file names them: the project's directory of the stack has a link to test. */
const FIXTURES = "test/fixtures/asm";

const GATEWAY = "istio-ingressgateway";
const FOREIGN = {
    revision: "default",
    version: OLD,
    manifests: `${FIXTURES}/asm-1.5.10.yaml`,
    options: { set: ["values.global.proxy.accessLogFile=/dev/stdout"] },
};
const OURS = { version: NEW, manifests: `${FIXTURES}/asm-1.6.14.yaml` };
/** The edit of the stack file that moves everybody. */
const onto = (revision: string) => ({
    namespaces: { shop: revision },
    gateways: [{ name: GATEWAY, namespace: NS, revision }],
});

describe("Anthos Service Mesh by rendered manifests", () => {
    let journey: IstioJourney;
    let old: KubeObject[];
    let next: KubeObject[];

    beforeAll(async () => {
        old = await fixture("asm-1.5.10.yaml");
        next = await fixture("asm-1.6.14.yaml");
        journey = await startIstioJourney(
            "istio-asm",
            { shop: { "istio-injection": "enabled" } },
            {
                revisions: [OURS],
                foreign: [{ ...FOREIGN, manifests: undefined }],
                base: { adopt: true },
                guard: { grace: "2s" },
                ...onto("default"),
            },
            { rollout: { timeout: "30s", soak: "0s" } },
        );
        await journey.connection.core.createNamespace({ body: { metadata: { name: NS } } });
        await applyAs("kubectl", journey.connection, old);
        await createWorkloads(journey, ["shop"]);
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const pods = async () => {
        const { items } = await journey.connection.core.listPodForAllNamespaces();
        return items.filter(({ metadata }) => /^(web|istio)/.test(metadata?.name ?? ""));
    };
    /** Image of its pods; fails where they have several. */
    const gatewayImage = async () => {
        const found = (await pods()).filter(
            ({ metadata }) => metadata?.labels?.["app"] === GATEWAY && !metadata.deletionTimestamp,
        );
        const images = new Set(found.map(({ spec }) => spec?.containers[0]?.image));
        expect(images.size).toBe(1);
        return [...images][0];
    };
    const service = (name: string) =>
        journey.connection.core.readNamespacedService({ namespace: NS, name });
    const gatewayPorts = async () => {
        const { spec } = await service(GATEWAY);
        return spec?.ports?.map(({ port }) => port).sort((a, b) => a - b);
    };

    it("preview asks for the way back before the way forward, and for the Kubernetes that 1.6 wants", async () => {
        const { code, output } = await journey.preview();
        expect(code).not.toBe(0);
        expect(output).toContain("(rule kubernetes-range)");
        expect(output).toContain("add kubernetes-range to policy.override");
        expect(output).toContain("istio.foreign.0.manifests: must be at hand before");
    });

    it("1.4 goes through 1.5", async () => {
        await journey.stack.edit("policy", { override: ["kubernetes-range"] });
        await journey.edit({ foreign: [FOREIGN] });
        const [pilot] = (await fixture("asm-1.4.10.yaml")).filter(
            ({ kind }) => kind === "Deployment",
        );
        const { connection } = journey;
        await applyAs("kubectl", connection, pilot ? [pilot] : []);
        const { code, output } = await journey.preview();
        expect(code).not.toBe(0);
        expect(output).toContain(`1.4.10-asm.18 -> ${NEW}`);
        expect(output).toContain("go through 1.5");
        await connection.apps.deleteNamespacedDeployment({ namespace: NS, name: "istio-pilot" });
    });

    it("the new istiod comes beside the old one, and no pod changes", async () => {
        const { output } = await journey.preview();
        expect(output).toContain("(overridden: kubernetes-range)");
        expect(output).toContain(
            `revision ${REVISION} was rendered without --set values.global.proxy.accessLogFile=/dev/stdout, which default has`,
        );
        const before = (await pods()).map(({ metadata }) => metadata?.uid);
        await served(journey, () => probed(journey, PROBED, async () => {}));
        const after = (await pods()).filter(
            ({ metadata }) => metadata?.labels?.["istio.io/rev"] !== REVISION,
        );
        expect(after.map(({ metadata }) => metadata?.uid).sort()).toEqual(before.sort());
        expect((await service("istiod")).spec?.selector).toEqual({ app: "istiod", istio: "pilot" });
        expect(await journey.sidecars()).toEqual({ "shop/web": OLD_PROXY });
        expect(await gatewayPorts()).toContain(15020);
        await journey.expectNoChanges();
    });

    it("sidecars move, and the gateway after them, in place", async () => {
        await journey.edit(onto(REVISION));
        const { output } = await journey.preview();
        expect(output).toContain(
            `gateway ${NS}/${GATEWAY}: default -> ${REVISION}, in place, after the sidecars: plan downtime for it`,
        );
        await served(journey, () => probed(journey, PROBED, async () => {}));
        expect(await journey.labels("shop")).toEqual({ "istio.io/rev": REVISION });
        expect(await journey.sidecars()).toEqual({ "shop/web": NEW_PROXY });
        expect(await gatewayImage()).toBe(`gcr.io/gke-release/asm/proxyv2:${NEW}`);
        // What 1.6 dropped has gone, although kubectl had set it.
        expect(await gatewayPorts()).toEqual([80, 443, 15021]);
        const created = (prefix: string, all: k8s.V1Pod[]) =>
            all
                .filter(({ metadata }) => metadata?.name?.startsWith(prefix))
                .map(({ metadata }) => metadata?.creationTimestamp?.getTime() ?? 0);
        const all = await pods();
        expect(Math.min(...created(GATEWAY, all))).toBeGreaterThanOrEqual(
            Math.max(...created("web-", all)),
        );
        await journey.expectNoChanges();
    });

    it("both go back", async () => {
        await served(journey, () => probed(journey, PROBED, () => journey.edit(onto("default"))));
        expect(await journey.labels("shop")).toEqual({ "istio-injection": "enabled" });
        expect(await journey.sidecars()).toEqual({ "shop/web": OLD_PROXY });
        expect(await gatewayImage()).toBe(`gcr.io/gke-release/asm/proxyv2:${OLD}`);
        expect(await gatewayPorts()).toEqual([80, 443, 15020]);
    });

    it("the new revision goes, and what is left is the old stack", async () => {
        await served(journey, () => probed(journey, PROBED, () => journey.edit({ revisions: [] })));
        const shared = next.filter(({ metadata }) => !metadata.name.includes(REVISION));
        expect(await existing(journey.connection, next)).toEqual(names(shared));
        expect(await existing(journey.connection, old)).toEqual(names(old));
        expect(await journey.webhooks()).toEqual(["istio-sidecar-injector", `istiod-${NS}`]);
        expect(await journey.sidecars()).toEqual({ "shop/web": OLD_PROXY });
        await writeIstioObject(journey.connection);
        await journey.expectNoChanges();
    });

    it("forward again, and the old control plane goes when Service istiod serves from the new one", async () => {
        await journey.edit({ revisions: [OURS], ...onto(REVISION) });
        await served(journey, () => journey.up());
        expect(await journey.sidecars()).toEqual({ "shop/web": NEW_PROXY });
        await served(journey, () =>
            probed(journey, PROBED, () =>
                journey.edit({ foreign: [{ ...FOREIGN, remove: true }] }),
            ),
        );
        const own = ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"].map(
            (kind) => `${kind} istiod`,
        );
        const gone = [
            "ConfigMap istio",
            "ConfigMap istio-sidecar-injector",
            "MutatingWebhookConfiguration istio-sidecar-injector",
            ...own,
        ];
        expect(await existing(journey.connection, old)).toEqual(
            names(old).filter((name) => !gone.includes(name)),
        );
        expect(await journey.webhooks()).toEqual([
            `istio-sidecar-injector-${REVISION}`,
            `istiod-${NS}`,
        ]);
        await writeIstioObject(journey.connection);
        await journey.expectNoChanges();
        // The entry has done its work.
        await served(journey, async () => {
            await journey.edit({ foreign: [] });
            await journey.up();
        });
        expect((await service("istiod")).spec?.selector).toEqual({
            app: "istiod",
            "istio.io/rev": REVISION,
        });
    });
});

async function fixture(name: string): Promise<KubeObject[]> {
    const text = await readFile(join(PROJECT, FIXTURES, name), "utf8");
    return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

function names(objects: readonly KubeObject[]): string[] {
    return objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
}

/** Service istiod, which the validating webhook calls, has a ready endpoint all the while. */
async function served({ connection }: IstioJourney, change: () => Promise<unknown>): Promise<void> {
    const api = connection.kubeconfig.makeApiClient(k8s.DiscoveryV1Api);
    const seen = new Set<number>();
    const look = async () => {
        const { items } = await api.listNamespacedEndpointSlice({
            namespace: NS,
            labelSelector: "kubernetes.io/service-name=istiod",
        });
        const endpoints = items.flatMap((one) => one.endpoints);
        seen.add(endpoints.filter(({ conditions }) => conditions?.ready).length);
    };
    let changing = true;
    const watching = (async () => {
        for (; changing; await sleep(100)) {
            await look();
        }
    })();
    try {
        await change();
    } finally {
        changing = false;
        await watching;
    }
    expect([...seen]).not.toContain(0);
}
