// The gate behind the CNI plugin: waits until its pod of the declared template is ready on every node.
import { setTimeout as sleep } from "node:timers/promises";
import type { V1DaemonSet } from "@kubernetes/client-node";
import { connect } from "../../cluster/connection";
import { CNI_NAMESPACE } from "../../plan/cni";
import { cniReadyInput, readInput } from "../input";
import { runProgram } from "../program";

/** Without any progress; a node at a time is replaced. */
const LIMIT_MS = 180_000;
const LOOK_MS = 500;

runProgram(async () => {
    const { cluster } = await readInput(cniReadyInput);
    const { apps } = await connect(cluster);
    let last = "";
    let deadline = Date.now() + LIMIT_MS;
    for (;;) {
        const set = await apps.readNamespacedDaemonSet({
            namespace: CNI_NAMESPACE,
            name: "linkerd-cni",
        });
        const { ready, text } = progressOf(set);
        if (text !== last) {
            process.stderr.write(`${text}\n`);
            last = text;
            deadline = Date.now() + LIMIT_MS;
        }
        if (ready) {
            process.stdout.write(text);
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(
                `${text}, and no progress for ${LIMIT_MS / 1000} s; the control plane was not touched. Next: kubectl -n ${CNI_NAMESPACE} get pods -o wide, mend it, then: pulumi up`,
            );
        }
        await sleep(LOOK_MS);
    }
});

function progressOf({ metadata, status }: V1DaemonSet): { ready: boolean; text: string } {
    const wanted = status?.desiredNumberScheduled ?? 0;
    const updated = status?.updatedNumberScheduled ?? 0;
    const available = status?.numberAvailable ?? 0;
    const seen = status?.observedGeneration === metadata?.generation;
    return {
        ready: seen && updated === wanted && available === wanted,
        text: `the CNI plugin is ready on ${Math.min(updated, available)} of ${wanted} nodes`,
    };
}
