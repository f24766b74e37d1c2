import { describe, expect, it } from "vitest";
import { ApiError, type KubeApi } from "../../cluster/api";
import { observeIstioHealth } from "../../cluster/health/istio";
import { liveOf } from "./support/istioCluster";

const webhooksOf = (...services: string[]) => ({
    ...{ kind: "MutatingWebhookConfiguration" as const, name: "x", revision: undefined },
    ...{ stack: undefined, caBundle: undefined, complete: true, tagged: false, services },
});
const ISTIOD = "istio-system/istiod";
const GONE = "istio-system/istiod-1-26-4";

describe("of a cluster's Services only those are read that a webhook calls", () => {
    it.each<[services: string[], forbidden: boolean, expected: object]>([
        [[], false, { value: [] }],
        [[ISTIOD, GONE], false, { value: [ISTIOD] }],
        [[GONE, ISTIOD], true, { unknown: "no Services" }],
    ])("%j, forbidden %s: %j", async (services, forbidden, expected) => {
        const asked: string[] = [];
        const api = {
            list: (path: string) => {
                asked.push(path);
                return Promise.resolve({ items: [] });
            },
            send: (_: string, path: string) => {
                asked.push(path);
                return forbidden && path.endsWith("/istiod")
                    ? Promise.reject(new ApiError(403, "no Services"))
                    : path.endsWith("/istiod")
                      ? Promise.resolve({})
                      : Promise.reject(new ApiError(404, "not found"));
            },
        } as unknown as KubeApi;
        const live = liveOf({ webhooks: [webhooksOf(...services), webhooksOf(...services)] });
        const how = { namespace: "istio-system", validates: false };
        const health = await observeIstioHealth(api, live, "unread", how);
        expect(health.services).toEqual(expected);
        expect(asked).toEqual([
            "/apis/apps/v1/namespaces/istio-system/deployments",
            ...services.map((one) => `/api/v1/namespaces/${one.replace("/", "/services/")}`),
        ]);
    });
});
