import { setTimeout as sleep } from "node:timers/promises";
import type { MeshedPod } from "../../cluster/dataPlane";
import { isAlive } from "../../plan/dataPlane";

const LOOK_MS = 1_000;
/** Their pods stay. Those of Jobs, and bare ones, come and go: they must not crash, but nobody waits for them. */
const LASTING = new Set(["Deployment", "StatefulSet", "DaemonSet", "Rollout"]);

/**
 * Watches the new pods of a wave until each of a lasting workload has been ready for the soak time. A pod that restarts a container, or
 * crash-loops, fails the wave at once; one that is not ready may become so within `timeoutMs`. The time counts from
 * when a pod became ready, so a repeated run does not wait again.
 * @param newPods of the wave, as they are now; asked once a second
 * @returns failures; none: passed
 */
export async function healthGate(
    newPods: () => readonly MeshedPod[],
    options: {
        readonly soakMs: number;
        readonly timeoutMs: number;
        readonly say: (line: string) => void;
        readonly signal: AbortSignal;
    },
): Promise<string[]> {
    const { soakMs, timeoutMs, say, signal } = options;
    const restarts = new Map<string, number>();
    const deadline = Date.now() + timeoutMs + soakMs;
    let told = 0;
    for (;;) {
        const pods = newPods().filter(isAlive);
        const failures = pods.flatMap((pod) => {
            const before = restarts.get(pod.uid) ?? pod.restarts;
            restarts.set(pod.uid, before);
            const name = `${pod.namespace}/${pod.name}`;
            if (pod.restarts > before) {
                return [`${name}: ${pod.restarts - before} restart(s) during the soak time`];
            }
            return /CrashLoopBackOff/.test(pod.trouble ?? "") ? [`${name}: ${pod.trouble}`] : [];
        });
        if (failures.length > 0) {
            return failures;
        }
        const lasting = pods.filter(({ owner }) => LASTING.has(owner?.kind ?? ""));
        const unready = lasting.filter((pod) => !pod.ready);
        const ready = Math.max(0, ...lasting.map((pod) => pod.readySince ?? 0));
        const left = ready + soakMs - Date.now();
        if (unready.length === 0 && left <= 0) {
            return [];
        }
        if (Date.now() > deadline) {
            return unready.length > 0
                ? unready.map(
                      (pod) =>
                          `${pod.namespace}/${pod.name}: not ready: ${pod.trouble ?? "no reason is told"}`,
                  )
                : [`new pods keep coming: none were ready for ${soakMs / 1000} s together`];
        }
        if (Date.now() - told > 15_000) {
            told = Date.now();
            say(
                unready.length > 0
                    ? `${unready.length} of ${lasting.length} new pods are not ready (${unready[0]?.namespace}/${unready[0]?.name}: ${unready[0]?.trouble ?? "no reason is told"})`
                    : `${lasting.length} new pods are ready; about ${Math.ceil(left / 1000)} s of soak time left`,
            );
        }
        await sleep(Math.min(LOOK_MS, Math.max(left, 50)), undefined, { signal });
    }
}
