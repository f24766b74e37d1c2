import { describe, expect, it } from "vitest";
import { DEPENDS_ON } from "../../charts/orderManifests";
import { adjustObjects, servingAdjustment } from "../../components/linkerd/chartObjects";
import type { KeyPair } from "../../plan/certificates";
import type { LinkerdPlan } from "../../plan/linkerd";

/** What becomes of an object with these annotations. */
const adjusted = (type: string, annotations: object, adjust: Parameters<typeof adjustObjects>[0]) =>
    adjustObjects(adjust)({
        ...{ type, name: "x", custom: true, resource: undefined as never },
        props: { metadata: { name: "x", annotations } },
        opts: { protect: true },
    }) as { props: { metadata: object }; opts: object } | undefined;

describe("objects of a chart", () => {
    it("lose the order's annotation, keep theirs, and get options beside their own", () => {
        const aliases = [{ type: "kubernetes:policy.linkerd.io/v1beta1:Server" }];
        const result = adjusted(
            "kubernetes:policy.linkerd.io/v1beta2:Server",
            { [DEPENDS_ON]: "y", own: "1" },
            () => ({ annotations: { more: "2" }, opts: { aliases } }),
        );
        expect(result?.props.metadata).toEqual({ name: "x", annotations: { own: "1", more: "2" } });
        expect(result?.opts).toMatchObject({ protect: true, aliases });
    });

    it("are left alone where they are none of Kubernetes", () => {
        expect(adjusted("kubernetes:helm.sh/v4:Chart", {}, () => ({}))).toBeUndefined();
        expect(adjusted("command:local:Command", {}, () => ({}))).toBeUndefined();
    });

    const type = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration";
    const webhook = (service: string) => ({ clientConfig: { service: { name: service } } });
    const pair = { certificate: "", key: "" };
    const webhooks = {
        ...{ ca: pair, leaves: {} },
        bundles: { "jaeger-injector": "CA" },
    };

    it("that are webhook configurations carry the stack's bundle where cert-manager keeps them", () => {
        const of = (issuer: KeyPair | undefined, service = "jaeger-injector") =>
            servingAdjustment(
                type,
                { webhooks: [webhook(service)] },
                { identity: { issuer } as LinkerdPlan["identity"], webhooks },
            );
        expect(of(undefined)).toMatchObject({
            annotations: {
                "pulumi.com/patchForce": "true",
                "cert-manager.io/inject-ca-from": "linkerd-jaeger/jaeger-injector",
            },
            props: { webhooks: [{ clientConfig: { caBundle: "Q0E=" } }] },
        });
        expect(of(pair)).toEqual({ annotations: { "pulumi.com/patchForce": "true" } });
        expect(of(undefined, "other")).toEqual(of(pair));
    });
});
