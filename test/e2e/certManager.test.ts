import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issuedBy, readBundle } from "../../plan/certificates";
import {
    createDeployments,
    installCrds,
    startCertManager,
    type CertManager,
} from "./support/certManager";
import { NEW, startJourney, type Journey } from "./support/journey";
import { PodProber } from "./support/podProber";
import { expectRefused } from "./support/refusal";
import { TrustVerifier } from "./support/trustVerifier";
import { waitFor } from "./support/waiting";

const NAMESPACE = "probed";
const ISSUER = "linkerd/linkerd-identity-issuer";
const LEAVES = [
    "linkerd/linkerd-proxy-injector-k8s-tls",
    "linkerd/linkerd-sp-validator-k8s-tls",
    "linkerd/linkerd-policy-validator-k8s-tls",
    "linkerd-viz/tap-k8s-tls",
    "linkerd-viz/tap-injector-k8s-tls",
];

/** Signed by the real controllers of cert-manager; their Deployments in the cluster are simulated. */
describe("cert-manager takes over a running mesh's certificates and gives them back, and nobody notices", () => {
    let journey: Journey;
    let verifier: TrustVerifier;
    let certManager: CertManager | undefined;

    beforeAll(async () => {
        journey = await startJourney("cert-manager", {
            config: {
                controlPlane: { values: { webhookFailurePolicy: "Fail" } },
            },
        });
        await journey.up();
        await journey.createSample();
        await journey.connection.core.createNamespace({
            body: {
                metadata: { name: NAMESPACE, annotations: { "linkerd.io/inject": "enabled" } },
            },
        });
        verifier = new TrustVerifier(journey.connection);
        await verifier.start();
    });
    afterAll(async () => {
        await verifier?.stop();
        await certManager?.stop();
        await journey?.dispose();
    });

    const source = (name: string) => journey.stack.edit("identity", { source: name });
    const read = async (path: string) => {
        const [namespace = "", name = ""] = path.split("/");
        const { data, metadata } = await journey.connection.core.readNamespacedSecret({
            namespace,
            name,
        });
        const managers = (metadata?.managedFields ?? [])
            .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('"f:tls.crt"'))
            .map(({ manager }) => manager ?? "");
        return {
            uid: metadata?.uid,
            byCertManager: managers.some((one) => one.startsWith("cert-manager")),
            byStack: managers.some((one) => !one.startsWith("cert-manager")),
            certificate: Buffer.from(data?.["tls.crt"] ?? "", "base64").toString(),
        };
    };
    const readAll = (paths: readonly string[]) => Promise.all(paths.map(read));
    const anchors = async () => {
        const { data } = await journey.connection.core.readNamespacedConfigMap({
            namespace: "linkerd",
            name: "linkerd-identity-trust-roots",
        });
        return data?.["ca-bundle.crt"];
    };
    const admission = () =>
        journey.connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const injector = () =>
        admission().readMutatingWebhookConfiguration({
            name: "linkerd-proxy-injector-webhook-config",
        });
    /** Who holds caBundle of the injector's webhook. */
    const bundleOwners = async () =>
        ((await injector()).metadata?.managedFields ?? [])
            .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('"f:caBundle"'))
            .map(({ manager = "" }) => (manager.startsWith("cert-manager") ? manager : "stack"))
            .sort();
    const sampleUids = async () => {
        const { items } = await journey.connection.core.listNamespacedPod({ namespace: "shop" });
        return items.map(({ metadata }) => metadata?.uid).sort();
    };
    const certificates = async () => {
        const custom = journey.connection.kubeconfig.makeApiClient(k8s.CustomObjectsApi);
        const list = (await custom.listCustomObjectForAllNamespaces({
            group: "cert-manager.io",
            version: "v1",
            plural: "certificates",
        })) as { items: unknown[] };
        return list.items.length;
    };

    /** `pulumi up` while pods are made all the time; every one must get its proxy. */
    async function upWithoutRefusal(): Promise<string> {
        const prober = new PodProber({
            kubeconfig: journey.connection.kubeconfig,
            namespaces: [NAMESPACE],
            proxyContainer: "linkerd-proxy",
        });
        prober.start();
        const outcome = await journey.up().catch((error: unknown) => error as Error);
        const { namespaces, refusals } = await prober.stop();
        if (outcome instanceof Error) {
            throw outcome;
        }
        expect(refusals).toEqual([]);
        expect(namespaces[NAMESPACE]?.without).toBe(0);
        expect(namespaces[NAMESPACE]?.created).toBeGreaterThan(50);
        return outcome.output;
    }
    const refused = (expected: RegExp) => expectRefused(journey, expected);

    it("step 1: without cert-manager the change is refused, and where it does not run", async () => {
        await source("cert-manager");
        await refused(
            /identity\.source = "cert-manager": cert-manager is not installed: the cluster has no CRD certificates\.cert-manager\.io, issuers\.cert-manager\.io/,
        );
        await installCrds(journey);
        await refused(
            /identity\.source = "cert-manager": cert-manager does not run: it has no available Deployment with label app\.kubernetes\.io\/component=controller, webhook, cainjector/,
        );
        await createDeployments(journey);
    });

    it("step 2: it takes over under the same anchors: no pod restarts, none is refused", async () => {
        certManager = await startCertManager(journey);
        const before = { anchors: await anchors(), pods: await sampleUids() };
        const secrets = await readAll([ISSUER, ...LEAVES]);
        const { output } = await journey.preview();
        expect(output).toMatch(/identity: cert-manager issues and renews from now on/);
        expect(output).toMatch(/certificate issuer: .*; cert-manager takes it over/);
        await upWithoutRefusal();
        const after = await readAll([ISSUER, ...LEAVES]);
        expect(after.map(({ byCertManager }) => byCertManager)).toEqual(after.map(() => true));
        expect(after.map(({ uid }) => uid)).toEqual(secrets.map(({ uid }) => uid));
        expect({ anchors: await anchors(), pods: await sampleUids() }).toEqual(before);
        const [issuer] = readBundle(after[0]?.certificate ?? "");
        expect(issuer && issuedBy(issuer, readBundle(before.anchors ?? ""))).toBe(true);
        const { metadata } = await injector();
        expect(metadata?.annotations?.["cert-manager.io/inject-ca-from"]).toBe(
            "linkerd/linkerd-proxy-injector",
        );
        await journey.expectNoChanges();
        expect(verifier.violations()).toEqual([]);
    });

    it("step 3: a renewal is no change of the stack's, and an upgrade keeps issuer and anchors", async () => {
        const before = { issuer: await read(ISSUER), anchors: await anchors() };
        const [leaf = ""] = LEAVES;
        for (const path of [ISSUER, leaf]) {
            const [namespace = "", name = ""] = path.split("/");
            await journey.connection.core.deleteNamespacedSecret({ namespace, name });
        }
        await waitFor("cert-manager to issue again", () =>
            readAll([ISSUER, leaf]).then(
                (all) => all.every(({ certificate }) => certificate !== ""),
                () => false,
            ),
        );
        const renewed = await read(ISSUER);
        expect(renewed.certificate).not.toBe(before.issuer.certificate);
        // With the first certificate of its own cert-manager knows the CA that it injects.
        await waitFor(
            `the injector to hold the bundle beside the stack; its log: ${certManager?.log}`,
            async () => (await bundleOwners()).join() === "cert-manager-cainjector,stack",
        );
        await journey.expectNoChanges();

        await journey.editVersion(NEW);
        await upWithoutRefusal();
        expect(await read(ISSUER)).toEqual(renewed);
        expect(await anchors()).toBe(before.anchors);
        await journey.expectNoChanges();
        expect(verifier.violations()).toEqual([]);
    });

    it("step 4: the stack takes them back: Secrets stay, and what it makes lasts", async () => {
        const before = await readAll([ISSUER, ...LEAVES]);
        const roots = await anchors();
        const pods = await sampleUids();
        await source("generated");
        await upWithoutRefusal();
        const after = await readAll([ISSUER, ...LEAVES]);
        expect(after.map(({ uid }) => uid)).toEqual(before.map(({ uid }) => uid));
        expect(after.map(({ byStack }) => byStack)).toEqual(after.map(() => true));
        const ends = after.map(({ certificate }) => readBundle(certificate)[0]?.validTo ?? "");
        for (const end of ends) {
            expect(Date.parse(end)).toBeGreaterThan(Date.now() + 365 * 24 * 3_600_000);
        }
        expect(await certificates()).toBe(0);
        expect(await anchors()).toBe(roots);
        expect(await sampleUids()).toEqual(pods);
        await journey.expectNoChanges();
        expect(verifier.violations()).toEqual([]);
        expect(verifier.size).toBeGreaterThan(0);
    });
});
