import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { podReason } from "../../cluster/podReason";

describe("why a pod is stuck, in words that lead to the cause", () => {
    const no = (type: string, reason?: string, message?: string) => ({
        type,
        status: "False",
        reason,
        message,
    });
    const notReady = no("Ready", "ContainersNotReady", "containers with unready status: [app]");
    const waiting = (name: string, reason: string, message?: string) => ({
        name,
        restartCount: 4,
        state: { waiting: { reason, message } },
    });
    const ended = (name: string, exitCode: number, reason?: string) => ({
        name,
        restartCount: 0,
        state: { terminated: { exitCode, reason } },
    });
    const cases: [name: string, status: object | undefined, reason: string | undefined][] = [
        ["ready", { conditions: [{ type: "Ready", status: "True" }] }, undefined],
        ["without a status", undefined, undefined],
        [
            "no node takes it",
            {
                conditions: [
                    no("PodScheduled", "Unschedulable", "0/3 nodes are available"),
                    notReady,
                ],
            },
            "Unschedulable: 0/3 nodes are available",
        ],
        ["not scheduled, no reason", { conditions: [no("PodScheduled")] }, "not scheduled: "],
        [
            "an image that is not there, before what follows from it",
            {
                conditions: [notReady],
                containerStatuses: [waiting("app", "ImagePullBackOff", "back-off pulling web:2")],
            },
            "container app: ImagePullBackOff (back-off pulling web:2), 4 restarts",
        ],
        [
            "a crash, behind a container that only waits its turn",
            {
                containerStatuses: [
                    waiting("linkerd-proxy", "PodInitializing"),
                    waiting("app", "CrashLoopBackOff"),
                ],
            },
            "container app: CrashLoopBackOff, 4 restarts",
        ],
        [
            "an init container that failed, before the containers that wait for it",
            {
                initContainerStatuses: [ended("done", 0), ended("linkerd-init", 1, "Error")],
                containerStatuses: [waiting("app", "PodInitializing")],
            },
            "container linkerd-init: Error, exit code 1",
        ],
        [
            "an end without a reason",
            { containerStatuses: [ended("app", 137)] },
            "container app: ended, exit code 137",
        ],
        [
            "a probe that fails",
            { conditions: [notReady] },
            "ContainersNotReady: containers with unready status: [app]",
        ],
        ["not ready, no reason", { conditions: [no("Ready")] }, "not ready: "],
    ];
    it.each(cases)("%s", (_, status, reason) => {
        expect(podReason({ status } as k8s.V1Pod)).toBe(reason);
    });

    it("a pod that goes says so, before its readiness", () => {
        const metadata = { deletionTimestamp: new Date(0) };
        expect(podReason({ metadata, status: { conditions: [notReady] } } as k8s.V1Pod)).toBe(
            "is being deleted",
        );
    });
});
