import { describe, expect, it } from "vitest";
import { healthGate } from "../../rollout/gates/health";
import { podOf } from "./support/meshedPods";

const options = {
    soakMs: 0,
    timeoutMs: 0,
    say: () => undefined,
    signal: new AbortController().signal,
};
const owner = (kind: string) => ({ kind, name: "web" });
const waiting = { ready: false, readySince: undefined };

describe("the soak of new pods", () => {
    it.each([
        ["a ready pod", podOf(), []],
        ["a bare pod that is not ready", podOf({ ...waiting, owner: undefined }), []],
        ["a Job's pod that is not ready", podOf({ ...waiting, owner: owner("Job") }), []],
        [
            "a StatefulSet's pod that is not ready",
            podOf({ ...waiting, owner: owner("StatefulSet"), trouble: "Unschedulable" }),
            ["shop/web-1: not ready: Unschedulable"],
        ],
        [
            "a pod that gives no reason",
            podOf(waiting),
            ["shop/web-1: not ready: no reason is told"],
        ],
        [
            "a Job's pod that crashes",
            podOf({ ...waiting, owner: owner("Job"), trouble: "CrashLoopBackOff" }),
            ["shop/web-1: CrashLoopBackOff"],
        ],
    ])("%s", async (_, pod, failures) => {
        expect(await healthGate(() => [pod], options)).toEqual(failures);
    });
});
