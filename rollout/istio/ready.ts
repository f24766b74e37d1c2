// Waits until the istiod of a revision serves: rolled out, and its webhooks carry its CA bundle. Prints that bundle, which a
// tag of the revision starts with.
import { setTimeout as sleep } from "node:timers/promises";
import { revisionOf } from "../../cluster/istio/injection";
import { readWebhooks } from "../../cluster/istio/observe";
import { connect, type Connection } from "../../cluster/connection";
import { rolloutStatus } from "../../cluster/rolloutStatus";
import { readInput } from "../input";
import { runProgram } from "../program";
import { readyInput } from "./input";

const LIMIT_MS = 300_000;
const LOOK_MS = 500;

runProgram(async () => {
    const { cluster, namespace, revision } = await readInput(readyInput);
    const connection = await connect(cluster);
    const deadline = Date.now() + LIMIT_MS;
    let told = "";
    for (;;) {
        const state = await look(connection, namespace, revision);
        if (state.caBundle !== undefined) {
            process.stderr.write(`istiod of revision ${revision} serves\n`);
            process.stdout.write(state.caBundle);
            return;
        }
        if (state.missing !== told) {
            told = state.missing;
            process.stderr.write(`waiting: ${told}\n`);
        }
        if (Date.now() > deadline) {
            throw new Error(
                `istiod of revision ${revision} does not serve after ${LIMIT_MS / 1000} s: ${told}. Next: kubectl -n ${namespace} describe deployment -l app=istiod`,
            );
        }
        await sleep(LOOK_MS);
    }
});

async function look(connection: Connection, namespace: string, revision: string) {
    const { items } = await connection.apps.listNamespacedDeployment({
        namespace,
        labelSelector: "app=istiod",
    });
    const istiod = items.find((one) => revisionOf(one) === revision);
    if (!istiod) {
        return { missing: `no Deployment of revision ${revision} in ${namespace}` };
    }
    const status = rolloutStatus("Deployment", istiod);
    if (!status.done) {
        const { available, wanted } = status;
        return { missing: `${istiod.metadata?.name}: ${available} of ${wanted} pods available` };
    }
    const webhooks = await readWebhooks(connection);
    const injector = webhooks.find(
        ({ kind, revision: of, tagged }) =>
            kind === "MutatingWebhookConfiguration" && of === revision && !tagged,
    );
    return injector?.complete && injector.caBundle !== undefined
        ? { missing: "", caBundle: injector.caBundle }
        : { missing: `the injector webhook of revision ${revision} has no CA bundle yet` };
}
