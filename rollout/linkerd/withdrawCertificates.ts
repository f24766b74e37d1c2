import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { listMeshCertificates } from "../../cluster/certManager";
import { found, type Connection } from "../../cluster/connection";
import { CERT_MANAGER_CRDS, type LiveCertificate } from "../../plan/certManager";
import type { Webhook } from "../../plan/webhooks";

/** Nothing holds a Certificate back but a finalizer of somebody's. */
const LIMIT_MS = 60_000;
const LOOK_MS = 250;

/**
 * Deletes the Certificates that this stack asked for, of the issuer and of these webhooks, and waits until they are gone. Their Secrets
 * stay. @throws what the API server says, and where one does not go
 */
export async function withdrawCertificates(
    connection: Pick<Connection, "kubeconfig">,
    stack: string,
    webhooks: readonly Webhook[],
): Promise<void> {
    const extensions = connection.kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const name = CERT_MANAGER_CRDS.Certificate;
    if ((await found(extensions.readCustomResourceDefinition({ name }))) === undefined) {
        return;
    }
    const deadline = Date.now() + LIMIT_MS;
    const asked = new Set<string>();
    for (;;) {
        const all = await listMeshCertificates(connection, webhooks);
        const own = all.filter((one) => one.stack === stack);
        if (own.length === 0) {
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(
                `Certificates ${own.map(placeOf).join(", ")} do not go. Next: kubectl -n linkerd get certificate -o yaml, and look at metadata.finalizers; then: pulumi up`,
            );
        }
        for (const one of own.filter((each) => !asked.has(placeOf(each)))) {
            asked.add(placeOf(one));
            await remove(connection, one);
            process.stderr.write(`Certificate ${placeOf(one)} is withdrawn; its Secret stays\n`);
        }
        await sleep(LOOK_MS);
    }
}

async function remove(
    { kubeconfig }: Pick<Connection, "kubeconfig">,
    { namespace, name }: LiveCertificate,
): Promise<void> {
    await found<unknown>(
        kubeconfig.makeApiClient(k8s.CustomObjectsApi).deleteNamespacedCustomObject({
            group: "cert-manager.io",
            version: "v1",
            plural: "certificates",
            namespace,
            name,
        }),
    );
}

function placeOf({ namespace, name }: LiveCertificate): string {
    return `${namespace}/${name}`;
}
