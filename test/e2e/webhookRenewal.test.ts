import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeApi } from "../../cluster/api";
import { issuedBy, mint, readBundle, type KeyPair } from "../../plan/certificates";
import { ageWebhooks } from "./support/ageWebhooks";
import { startJourney, type Journey } from "./support/journey";
import { PodProber } from "./support/podProber";

const NAMESPACE = "probed";
const SERVICE = "linkerd-proxy-injector";
const SECRET = `${SERVICE}-k8s-tls`;
const YEAR_MS = 365 * 24 * 3_600_000;

/** With failurePolicy Fail a webhook that an API server does not trust refuses every pod of the cluster. */
describe("webhook certificates change while pods are made all the time, and none is refused", () => {
    let journey: Journey;

    beforeAll(async () => {
        journey = await startJourney("webhook-renewal", {
            config: {
                viz: { enabled: false },
                controlPlane: { values: { webhookFailurePolicy: "Fail" } },
            },
        });
        await journey.up();
        await journey.connection.core.createNamespace({
            body: {
                metadata: { name: NAMESPACE, annotations: { "linkerd.io/inject": "enabled" } },
            },
        });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const secret = async (name: string): Promise<KeyPair> => {
        const { data } = await journey.connection.core.readNamespacedSecret({
            namespace: "linkerd",
            name,
        });
        const decode = (key: string) => Buffer.from(data?.[key] ?? "", "base64").toString();
        return { certificate: decode("tls.crt"), key: decode("tls.key") };
    };
    const setSecret = (name: string, pair: KeyPair) =>
        journey.connection.core.patchNamespacedSecret(
            {
                namespace: "linkerd",
                name,
                body: { stringData: { "tls.crt": pair.certificate, "tls.key": pair.key } },
            },
            MERGE,
        );
    const admission = () =>
        journey.connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const bundle = async () => {
        const name = `${SERVICE}-webhook-config`;
        const { webhooks } = await admission().readMutatingWebhookConfiguration({ name });
        return Buffer.from(webhooks?.[0]?.clientConfig.caBundle ?? "", "base64").toString();
    };
    /** As if the stack had declared it: under its own name, for adoption has its own test. */
    const setBundle = async (pem: string) => {
        const name = `${SERVICE}-webhook-config`;
        const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
        const api = new KubeApi(journey.connection);
        const live = (await api.send("GET", path)) as unknown as k8s.V1MutatingWebhookConfiguration;
        const { labels, annotations, managedFields = [] } = live.metadata ?? {};
        const manager = managedFields.find((one) => one.operation === "Apply")?.manager ?? "";
        const caBundle = Buffer.from(pem).toString("base64");
        const webhooks = live.webhooks?.map((one) => ({
            ...one,
            clientConfig: { ...one.clientConfig, caBundle },
        }));
        await api.send("PATCH", path, {
            body: { ...live, metadata: { name, labels, annotations }, webhooks },
            contentType: "application/apply-patch+yaml",
            query: { fieldManager: manager, force: "true" },
        });
        api.close();
    };
    const fingerprints = (pem: string) => readBundle(pem).map((one) => one.fingerprint256);

    /**
     * `pulumi up` while 25 pods a second are asked for; every one must get its proxy. A machine with other work makes fewer of
     * them: how many it were is printed, and enough to meet a gap of a second is what counts.
     */
    async function upWithoutRefusal(): Promise<void> {
        const prober = new PodProber({
            kubeconfig: journey.connection.kubeconfig,
            namespaces: [NAMESPACE],
            perSecond: 25,
            proxyContainer: "linkerd-proxy",
        });
        prober.start();
        const failure = await journey.up().then(
            () => undefined,
            (error: unknown) => error,
        );
        const result = await prober.stop();
        const probe = result.namespaces[NAMESPACE];
        console.log(`${probe?.created} pods, ${result.perSecond.toFixed(1)} a second`);
        expect(failure).toBeUndefined();
        expect(result.refusals).toEqual([]);
        expect(probe?.without).toBe(0);
        expect(probe?.created).toBeGreaterThan(200);
    }

    it("step 1: a leaf in its last year is renewed by the next update, with the same CA", async () => {
        const ca = await secret("linkerd-webhook-ca");
        const aged = await mint({
            name: `${SERVICE}.linkerd.svc`,
            issuer: ca,
            authority: false,
            years: 2,
            now: new Date(Date.now() - 1.5 * YEAR_MS),
        });
        await setSecret(SECRET, aged);
        const before = await bundle();
        await upWithoutRefusal();
        const renewed = await secret(SECRET);
        expect(renewed.certificate).not.toBe(aged.certificate);
        expect(issuedBy(readBundle(renewed.certificate)[0]!, readBundle(ca.certificate))).toBe(
            true,
        );
        expect(await bundle()).toBe(before);
        await journey.expectNoChanges();
    });

    it("step 2: a self-signed one, as the charts make it, stays when it is adopted", async () => {
        const own = await mint({
            name: `${SERVICE}.linkerd.svc`,
            authority: false,
            years: 1,
            now: new Date(),
        });
        await setSecret(SECRET, own);
        await setBundle(own.certificate.trim());
        const { output } = await journey.failingUp();
        expect(output).toMatch(
            /certificates\.webhooks = "own": linkerd\/linkerd-proxy-injector serves a certificate that is not of this stack's CA, which API servers do not know yet.*\n.*next: set certificates\.webhooks to publish/,
        );
        await journey.stack.edit("certificates", { webhooks: "adopted" });
        await upWithoutRefusal();
        expect(await secret(SECRET)).toEqual(own);
        expect(await bundle()).toBe(own.certificate.trim());
    });

    it("step 3: it moves to the stack's CA in three updates, and API servers trust it at any time", async () => {
        const before = await secret(SECRET);
        const ca = fingerprints((await secret("linkerd-webhook-ca")).certificate);

        await journey.stack.edit("certificates", { webhooks: "publish" });
        await upWithoutRefusal();
        expect(await secret(SECRET)).toEqual(before);
        expect(fingerprints(await bundle())).toEqual([...ca, ...fingerprints(before.certificate)]);

        await journey.stack.edit("certificates", { webhooks: "swap" });
        await upWithoutRefusal();
        const swapped = await secret(SECRET);
        expect(swapped.certificate).not.toBe(before.certificate);
        expect(fingerprints(await bundle())).toEqual([...ca, ...fingerprints(before.certificate)]);
        await journey.expectNoChanges();

        await journey.stack.edit("certificates", { webhooks: "own" });
        await ageWebhooks(journey);
        const aged = await secret(SECRET);
        await upWithoutRefusal();
        expect(await secret(SECRET)).toEqual(aged);
        expect(fingerprints(await bundle())).toEqual(ca);
        await journey.expectNoChanges();
    });
});

const MERGE = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
