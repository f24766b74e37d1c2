import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, KubeApi } from "../../cluster/api";
import { found, type Connection } from "../../cluster/connection";
import { readWebhooks } from "../../cluster/istio/observe";

/** The API server goes on calling a webhook for a moment after it has changed. */
const PROPAGATION_MS = 10_000;
const LOOK_MS = 500;

/** @throws Error where a webhook calls a Service that does not exist, or an object of Istio cannot be written. */
export async function refuseLeftovers(connection: Connection, namespace: string): Promise<void> {
    const api = new KubeApi(connection, { patienceMs: 0 });
    const deadline = Date.now() + PROPAGATION_MS;
    try {
        for (;;) {
            const left = [
                ...(await deadWebhooks(connection)),
                ...(await unwritable(api, namespace)),
            ];
            if (left.length === 0) {
                process.stderr.write(
                    "no webhook calls a missing Service; Istio's objects can be written\n",
                );
                return;
            }
            if (Date.now() > deadline) {
                throw new Error(`left behind: ${left.join("; ")}`);
            }
            await sleep(LOOK_MS);
        }
    } finally {
        api.close();
    }
}

async function deadWebhooks(connection: Connection): Promise<string[]> {
    const left: string[] = [];
    for (const { kind, name, services } of await readWebhooks(connection)) {
        for (const service of services) {
            const [namespace = "", serviceName = ""] = service.split("/");
            if (
                !(await found(
                    connection.core.readNamespacedService({ namespace, name: serviceName }),
                ))
            ) {
                left.push(
                    `${kind} ${name} calls Service ${service}, which does not exist (kubectl delete ${kind.toLowerCase()} ${name}, or point it to a revision that serves)`,
                );
            }
        }
    }
    return left;
}

/** A dry run that makes no object, but asks every webhook. */
async function unwritable(api: KubeApi, namespace: string): Promise<string[]> {
    const path = `/apis/networking.istio.io/v1beta1/namespaces/${namespace}/destinationrules`;
    try {
        await api.send("POST", path, {
            query: { dryRun: "All" },
            body: {
                apiVersion: "networking.istio.io/v1beta1",
                kind: "DestinationRule",
                metadata: { name: "mesh-upgrade-probe" },
                spec: { host: "mesh-upgrade-probe.invalid" },
            },
        });
        return [];
    } catch (error) {
        // No such kind: there is nothing to write.
        return error instanceof ApiError && error.status === 404
            ? []
            : [`a DestinationRule cannot be written: ${(error as Error).message}`];
    }
}
