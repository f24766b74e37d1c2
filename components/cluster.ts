import * as k8s from "@pulumi/kubernetes";
import type { Config } from "../config";

/** The provider for the stack's cluster, and what commands need to reach it. */
export function providerFor(config: Pick<Config, "kubeconfig" | "context" | "clusterUid">) {
    const cluster = {
        ...(config.kubeconfig === undefined ? {} : { kubeconfig: config.kubeconfig }),
        context: config.context,
    };
    const provider = new k8s.Provider("cluster", {
        ...cluster,
        // Another kubeconfig for the same cluster must not replace everything.
        clusterIdentifier: config.clusterUid,
        // Otherwise a change replaces them, and a replacement under one name can end as a deletion.
        enableConfigMapMutable: true,
        enableSecretMutable: true,
        // From 4.29 on creating what exists fails: what an interrupted update made, what a destroyed stack left.
        // What is somebody else's has been refused before (plan/).
        upsertExistingObjects: true,
    });
    return { provider, address: { ...cluster, clusterUid: config.clusterUid } };
}
