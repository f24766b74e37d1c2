// The gate behind the CRDs: waits until the API server serves each of them.
import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, reasonOf } from "../cluster/connection";
import { establishedInput, readInput } from "./input";

/** Names are accepted and paths served within a second or two; more means a conflict of names. */
const LIMIT_MS = 60_000;

async function main(): Promise<void> {
    const { cluster, chart } = await readInput(establishedInput);
    const { kubeconfig } = await connect(cluster);
    const api = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
        const { items } = await api.listCustomResourceDefinition({
            labelSelector: `helm.sh/chart=${chart}`,
        });
        const waiting = items.filter((crd) => !isEstablished(crd));
        if (items.length > 0 && waiting.length === 0) {
            process.stderr.write(`check: ${items.length} CRDs of ${chart} are established\n`);
            process.stdout.write(JSON.stringify(items.map((crd) => crd.metadata?.name).sort()));
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(
                items.length === 0
                    ? `no CRD carries label helm.sh/chart=${chart}. Next: pulumi up --refresh`
                    : `CRDs not established after ${LIMIT_MS / 1000} s: ${waiting.map(problem).join("; ")}. Next: kubectl describe crd NAME`,
            );
        }
        await sleep(250);
    }
}

function isEstablished(crd: k8s.V1CustomResourceDefinition): boolean {
    return (
        crd.status?.conditions?.some(
            (one) => one.type === "Established" && one.status === "True",
        ) ?? false
    );
}

function problem(crd: k8s.V1CustomResourceDefinition): string {
    const failed = crd.status?.conditions?.find((one) => one.status === "False");
    return `${crd.metadata?.name} (${failed?.message ?? "no condition yet"})`;
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
