import { describe, expect, test } from "vitest";
import { istiodHandler, rejectAnnotation } from "../../embedded/mesh/istio/istiod";
import { repairs, type WebhookConfiguration, writersOf } from "../../embedded/mesh/istio/webhooks";

const good = "Z29vZA==";

function configuration(
    name: string,
    labels: Record<string, string>,
    webhooks: { caBundle?: string; failurePolicy?: string }[] = [{}],
): WebhookConfiguration {
    return {
        metadata: { name, labels, resourceVersion: "7" },
        webhooks: webhooks.map(({ caBundle, failurePolicy }, index) => ({
            name: `${index}.sidecar-injector.istio.io`,
            admissionReviewVersions: ["v1"],
            sideEffects: "None",
            clientConfig: {
                service: { name: "istiod", namespace: "istio-system" },
                ...(caBundle !== undefined && { caBundle }),
            },
            ...(failurePolicy !== undefined && { failurePolicy }),
        })),
    };
}

describe("which istiods write to a webhook configuration", () => {
    const service = { name: "istiod", namespace: "istio-system" };
    test.each<[string, Record<string, string>, unknown]>([
        ["istio-sidecar-injector-R", { "istio.io/rev": "R" }, { revision: "R" }],
        [
            "istio-revision-tag-prod",
            { "istio.io/rev": "R", "istio.io/tag": "prod" },
            { revision: "R" },
        ],
        ["istiod-default-validator", { "istio.io/rev": "default" }, { revision: "default" }],
        ["istio-sidecar-injector", { app: "sidecar-injector" }, { revision: "default", service }],
        ["istiod-istio-system", { app: "istiod" }, { revision: "default", service }],
        ["linkerd-proxy-injector-webhook-config", {}, undefined],
    ])("%s %o", (name, labels, writers) => {
        expect(writersOf(configuration(name, labels))).toEqual(writers);
    });
});

describe("what istiod changes about a webhook configuration", () => {
    const guard = { op: "test", path: "/metadata/resourceVersion", value: "7" };
    const bundle = (index: number) => ({
        op: "add",
        path: `/webhooks/${index}/clientConfig/caBundle`,
        value: good,
    });
    const fail = { op: "add", path: "/webhooks/0/failurePolicy", value: "Fail" };
    test.each([
        ["all is well", [{ caBundle: good, failurePolicy: "Fail" }], true, []],
        ["no bundle", [{}], false, [guard, bundle(0)]],
        ["another's bundle", [{ caBundle: good }, { caBundle: "b2xk" }], false, [guard, bundle(1)]],
        ["validation is open", [{ caBundle: good, failurePolicy: "Ignore" }], true, [guard, fail]],
        ["injection is open", [{ caBundle: good, failurePolicy: "Ignore" }], false, []],
        ["a new validator", [{ failurePolicy: "Ignore" }], true, [guard, bundle(0), fail]],
    ])("%s", (_case, webhooks, failClosed, steps) => {
        expect(repairs(configuration("any", {}, webhooks), good, failClosed)).toEqual(steps);
    });
});

describe("what an istiod answers", () => {
    const handler = istiodHandler({
        namespace: "istio-system",
        revision: "R",
        istiodVersion: "1.26.4",
        proxyImage: "docker.io/istio/proxyv2:1.26.4",
        nativeSidecar: false,
    });
    const ask = async (path: string, kind: string, operation: string, object: unknown) => {
        const apiVersion = "admission.k8s.io/v1";
        const request = { uid: "1", kind: { kind }, operation, namespace: "shop", object };
        const { body } = await handler(path, { apiVersion, kind: "AdmissionReview", request });
        return (body as { response: object }).response;
    };
    const gateway = (annotations?: object) => ({ metadata: { name: "web", annotations } });
    const refused = { uid: "1", allowed: false, status: { message: "no" } };
    const allowed = { uid: "1", allowed: true };
    test.each<[string, string, string, unknown, object]>([
        ["/validate", "Gateway", "CREATE", gateway(), allowed],
        [
            "/validate?timeout=10s",
            "Gateway",
            "UPDATE",
            gateway({ [rejectAnnotation]: "no" }),
            refused,
        ],
        ["/validate", "Gateway", "DELETE", null, allowed],
        ["/inject", "Pod", "UPDATE", { spec: { containers: [] } }, allowed],
    ])("%s of a %s, %s", async (path, kind, operation, object, answer) => {
        expect(await ask(path, kind, operation, object)).toEqual(answer);
    });

    test("a new pod gets a patch, also on a path with parameters", async () => {
        const answer = await ask("/inject/cluster/one/net/two", "Pod", "CREATE", {
            spec: { containers: [] },
        });
        expect(answer).toMatchObject({ allowed: true, patchType: "JSONPatch" });
    });

    test("other paths are not found", async () => {
        expect((await handler("/metrics", undefined)).status).toBe(404);
    });
});
