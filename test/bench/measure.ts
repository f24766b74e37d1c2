import { countRequests, userKubeconfig } from "../e2e/support/faults";
import type { Contender } from "./contenders";
import type { Field } from "./field";
import { PeakMemory } from "./memory";
import type { Session } from "./session";

const TELL_MS = 15_000;

/** What a contender took. */
export interface Figures {
    readonly seconds: number;
    /** That the API server served it, watches included. */
    readonly requests: number;
    /** Undefined: not measured. */
    readonly peakMemoryMiB: number | undefined;
    /** The most pods that were wanted and not available at a time. */
    readonly peakUnavailable: number;
}

/** Makes all pods stale, lets the contender restart them as a user of its own, and checks that it did. */
export async function measure(
    name: string,
    contender: Contender,
    field: Field,
    { say, signal }: Session,
): Promise<Figures> {
    const { cluster, observer } = field;
    await field.upgradeControlPlane();
    const kubeconfig = await userKubeconfig(cluster, name);
    const folder = await field.folder();
    const before = await countRequests(cluster, name);
    const memory = new PeakMemory();
    observer.begin();
    say(`${name}: begins.`);
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const teller = setInterval(() => say(`${name}: ${progressOf(field, seconds())}`), TELL_MS);
    try {
        const { context } = cluster;
        const { deployments } = observer;
        await contender({ kubeconfig, context, deployments, folder, memory, signal });
        const took = seconds();
        const figures = {
            seconds: Math.round(took * 10) / 10,
            requests: (await countRequests(cluster, name)) - before,
            peakMemoryMiB: memory.stop(),
            peakUnavailable: observer.peakUnavailable,
        };
        say(`${name}: ${figures.seconds} s, ${figures.requests} requests.`);
        await field.assertUpgraded();
        return figures;
    } finally {
        clearInterval(teller);
        memory.stop();
    }
}

function progressOf(field: Field, seconds: number): string {
    const { workloads, workloadsDone, pods, podsDone } = field.observer.progress();
    const left = Math.round((seconds / podsDone) * (pods - podsDone));
    return (
        `${workloadsDone} of ${workloads} workloads, ${podsDone} of ${pods} pods ` +
        `after ${Math.round(seconds)} s${podsDone === 0 ? "" : `, about ${left} s left`}`
    );
}
