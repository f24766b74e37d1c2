import { describe, expect, it } from "vitest";
import type { MeshedPod } from "../../cluster/dataPlane";
import { checkIstio, ISTIO_EVALUATED, type IstioHealth } from "../../plan/checks/istio";
import { ISTIO_CHECKS } from "../../plan/checks/table";
import { injectorOf, liveOf, userOf } from "./support/istioCluster";

const pod = (labels: Record<string, string>): MeshedPod =>
    ({
        namespace: "shop",
        name: "web-1",
        proxy: "1.26.4 (1-26-4)",
        namespaceLabels: labels,
        wish: { labels: {}, annotations: {}, hostNetwork: false },
    }) as unknown as MeshedPod;

const well: IstioHealth = {
    live: liveOf({
        webhooks: [
            {
                kind: "MutatingWebhookConfiguration",
                name: "istio-sidecar-injector-1-26-4",
                revision: "1-26-4",
                stack: undefined,
                caBundle: "Q0E=",
                complete: true,
                tagged: false,
                services: ["istio-system/istiod-1-26-4"],
            },
            {
                kind: "ValidatingWebhookConfiguration",
                name: "istiod-default-validator",
                revision: "default",
                stack: undefined,
                caBundle: "Q0E=",
                complete: true,
                tagged: false,
                services: ["istio-system/istiod-1-26-4"],
            },
        ],
        injection: {
            injectors: [injectorOf("1-26-4"), injectorOf("1-26-4", "prod")],
            proxies: new Map([["1-26-4", "1.26.4"]]),
        },
        crds: [{ name: "gateways.networking.istio.io", chartVersion: "1.26.4", stack: undefined }],
        users: { namespaces: new Map(), injectors: [], pods: [userOf()] },
    }),
    istiods: {
        // One of three replicas is missing: it serves.
        value: [{ name: "istiod-1-26-4", revision: "1-26-4", available: 2, wanted: 3 }],
    },
    services: { value: ["istio-system/istiod-1-26-4"] },
    dataPlane: { value: { pods: [pod({ "istio.io/rev": "1-26-4" })] } },
    validates: true,
};

const findings = (health: IstioHealth) =>
    Object.fromEntries(
        checkIstio(health, "before")
            .filter(({ result }) => result !== "ok")
            .map(({ id, result, message }) => [id, `${result}: ${message}`]),
    );

describe("the checks of Istio", () => {
    it("a mesh in which all is well fails none, and each row of the table is evaluated", () => {
        expect(findings(well)).toEqual({});
        expect(ISTIO_CHECKS.map(({ id }) => id).sort()).toEqual([...ISTIO_EVALUATED].sort());
    });

    it.each<[string, IstioHealth, string]>([
        [
            "istio-istiod-ready",
            {
                ...well,
                istiods: {
                    value: [
                        {
                            name: "istiod-1-26-4",
                            revision: "1-26-4",
                            available: 0,
                            wanted: 1,
                        },
                    ],
                },
            },
            "failed: istiods in use that do not serve: istiod-1-26-4 (0 of 1 pods available)",
        ],
        [
            "istio-webhook-services",
            {
                ...well,
                live: { ...well.live, webhooks: well.live.webhooks.slice(0, 1) },
                services: { value: [] },
                validates: false,
            },
            "failed: webhooks that call a Service that does not exist: istio-sidecar-injector-1-26-4 calls istio-system/istiod-1-26-4",
        ],
        [
            "istio-default-validator",
            { ...well, live: { ...well.live, webhooks: well.live.webhooks.slice(0, 1) } },
            "failed: nothing validates Istio's objects without a revision's label: ValidatingWebhookConfiguration",
        ],
        [
            "istio-single-injector",
            {
                ...well,
                live: {
                    ...well.live,
                    injection: {
                        ...well.live.injection,
                        injectors: [
                            injectorOf("1-26-4"),
                            { ...injectorOf("1-27-1"), namespaceSelector: {} },
                        ],
                    },
                },
            },
            "failed: pods that several webhooks would inject: shop/web-1",
        ],
        [
            "istio-crd-versions",
            {
                ...well,
                live: {
                    ...well.live,
                    crds: [
                        ...well.live.crds,
                        {
                            name: "sidecars.networking.istio.io",
                            chartVersion: "1.27.1",
                            stack: undefined,
                        },
                    ],
                },
            },
            "failed: CRDs of several releases: 1.26.4, 1.27.1",
        ],
        [
            "istio-single-injector",
            { ...well, dataPlane: { unknown: "pods is forbidden" } },
            "unknown: pods is forbidden",
        ],
    ])("%s", (id, health, message) => {
        expect(findings(health)[id]).toBe(message);
    });

    it("an istiod that nobody uses, such as one that a failed upgrade left, harms nobody", () => {
        const left = {
            name: "istiod-1-27-1",
            revision: "1-27-1",
            available: 0,
            wanted: 1,
        };
        expect(findings({ ...well, istiods: { value: [left] } })).toEqual({
            "istio-istiod-ready": "skipped: no pod uses an istiod",
        });
    });
});
