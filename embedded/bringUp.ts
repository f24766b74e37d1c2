import type { KubeConfig } from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { layout, type ClusterRecord } from "./directory";
import {
    assertComponentsRun,
    ComponentEnded,
    createComponents,
    kwokKubeconfig,
    removeComponents,
} from "./kwokctl";
import { waitUntilUsable, writeKubeconfig } from "./ready";

const attempts = 5;

/**
 * Starts a cluster's components and returns, when it can be used, kube-system's uid and the access.
 * Ports are free when they are picked, not reserved: where another process was faster it tries with
 * others. `checkpoint` throws when the start is to be given up.
 */
export async function bringUp(
    directory: string,
    record: ClusterRecord,
    say: (line: string) => void,
    checkpoint: () => void,
): Promise<{ uid: string; config: KubeConfig }> {
    for (let attempt = 1; ; attempt++) {
        try {
            await createComponents(directory, record);
            const config = await writeKubeconfig(
                await kwokKubeconfig(directory),
                layout(directory).kubeconfig,
            );
            const check = () => {
                checkpoint();
                return assertComponentsRun(directory, record.name);
            };
            const uid = await waitUntilUsable(config, record.nodes, check);
            await check();
            return { uid, config };
        } catch (error) {
            const again = error instanceof ComponentEnded && error.conflict;
            if (!again || attempt === attempts) throw error;
            say(`Another process took a port of the embedded cluster; trying with others.`);
            await removeComponents(directory);
            await sleep(50);
        }
    }
}
