import type { V1Deployment } from "@kubernetes/client-node";
import type { HealthIstiod, IstioHealth } from "../../plan/checks/istio";
import type { Read } from "../../plan/checks/result";
import type { KubeApi } from "../api";
import type { DataPlane } from "../dataPlane";
import { revisionOf } from "../istio/injection";
import type { LiveIstio } from "../istio/observe";
import { listOf, mapRead, objectAt } from "./read";

/**
 * Reads, beside what is installed, the istiods' rollouts and the Services that webhooks call: one request, and one for each of
 * these Services. A cluster has thousands of Services, and of them an istiod's webhooks call a handful.
 */
export async function observeIstioHealth(
    api: KubeApi,
    live: LiveIstio,
    dataPlane: Pick<DataPlane, "pods"> | string,
    { namespace, validates }: { readonly namespace: string; readonly validates: boolean },
): Promise<IstioHealth> {
    const called = [...new Set(live.webhooks.flatMap(({ services }) => services))];
    const [istiods, services] = await Promise.all([
        listOf(api, `/apis/apps/v1/namespaces/${namespace}/deployments`, istiodOf, {
            labelSelector: "app=istiod",
        }),
        existing(api, called),
    ]);
    return {
        live,
        istiods,
        services,
        dataPlane: typeof dataPlane === "string" ? { unknown: dataPlane } : { value: dataPlane },
        validates,
    };
}

/** Of Services (`istio-system/istiod`) those that exist. */
async function existing(api: KubeApi, names: readonly string[]): Promise<Read<string[]>> {
    const reads = await Promise.all(
        names.map(async (name) => {
            const [namespace, service] = name.split("/");
            const path = `/api/v1/namespaces/${namespace}/services/${service}`;
            return mapRead(await objectAt(api, path), (one) => (one === undefined ? [] : [name]));
        }),
    );
    const unread = reads.find((one) => "unknown" in one);
    return unread ?? { value: reads.flatMap((one) => ("value" in one ? one.value : [])) };
}

function istiodOf(one: V1Deployment): HealthIstiod {
    return {
        name: one.metadata?.name ?? "",
        revision: revisionOf(one),
        available: one.status?.availableReplicas ?? 0,
        wanted: one.spec?.replicas ?? 1,
    };
}
