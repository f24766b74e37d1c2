import { setTimeout as sleep } from "node:timers/promises";
import type { KubeApi } from "../cluster/api";

/** Times of objects are of whole seconds. */
const SECOND_MS = 1_000;

/** By the API server's clock, which dates pods, in ms since the epoch: of a dry run that makes nothing. */
export async function serverTime(api: KubeApi): Promise<number> {
    const probe = (await api.send("POST", "/api/v1/namespaces/linkerd/configmaps", {
        body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "mesh-upgrade-clock" } },
        query: { dryRun: "All" },
    })) as { readonly metadata?: { readonly creationTimestamp?: string } };
    return Date.parse(probe.metadata?.creationTimestamp ?? "");
}

/** The second after now by that clock, waited for. */
export async function nextSecond(api: KubeApi): Promise<string> {
    const now = await serverTime(api);
    await sleep(SECOND_MS);
    return new Date(now + SECOND_MS).toISOString();
}
