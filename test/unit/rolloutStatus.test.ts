import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { WorkloadKind } from "../../cluster/dataPlane";
import { podReason, rolloutStatus } from "../../cluster/rolloutStatus";

type Live = Parameters<typeof rolloutStatus>[1];
interface Case {
    readonly name: string;
    readonly spec?: object;
    readonly status?: object;
    /** done, updated, available, wanted. */
    readonly expected: readonly [boolean, number, number, number];
}

const check = (kind: WorkloadKind, defaults: object) => (given: Case) => {
    const status = given.status && { observedGeneration: 2, ...defaults, ...given.status };
    const live = { metadata: { generation: 2 }, spec: { replicas: 3, ...given.spec }, status };
    const [done, updated, available, wanted] = given.expected;
    expect(rolloutStatus(kind, live as unknown as Live)).toEqual({
        done,
        updated,
        available,
        wanted,
    });
};

describe("a Deployment is not called rolled out too early", () => {
    const cases: Case[] = [
        { name: "complete", status: {}, expected: [true, 3, 3, 3] },
        { name: "no status yet", expected: [false, 0, 0, 3] },
        {
            name: "the controller has not seen the change",
            status: { observedGeneration: 1 },
            expected: [false, 0, 3, 3],
        },
        { name: "one of three is new", status: { updatedReplicas: 1 }, expected: [false, 1, 3, 3] },
        { name: "an old pod still goes", status: { replicas: 4 }, expected: [false, 3, 3, 3] },
        {
            name: "a new pod is not ready",
            status: { availableReplicas: 2 },
            expected: [false, 3, 2, 3],
        },
        {
            name: "scaled to zero: nothing to wait for",
            spec: { replicas: 0 },
            status: { replicas: 0, updatedReplicas: undefined, availableReplicas: undefined },
            expected: [true, 0, 0, 0],
        },
        {
            name: "replicas not given: one",
            spec: { replicas: undefined },
            status: { replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
            expected: [true, 1, 1, 1],
        },
    ];
    const status = { replicas: 3, updatedReplicas: 3, availableReplicas: 3 };
    it.each(cases)("$name", check("Deployment", status));
});

describe("a StatefulSet is not called rolled out too early", () => {
    const rolling = { currentRevision: "web-1" };
    const cases: Case[] = [
        { name: "complete", status: {}, expected: [true, 3, 3, 3] },
        { name: "no status yet", expected: [false, 0, 0, 3] },
        {
            name: "the controller has not seen the change",
            status: { observedGeneration: 1 },
            expected: [false, 0, 3, 3],
        },
        {
            name: "two of three are new",
            status: { ...rolling, updatedReplicas: 2 },
            expected: [false, 2, 3, 3],
        },
        {
            name: "all are new, the controller has not settled",
            status: { ...rolling, updatedReplicas: 3 },
            expected: [false, 3, 3, 3],
        },
        {
            name: "the last one is not ready",
            status: { readyReplicas: 2 },
            expected: [false, 3, 2, 3],
        },
    ];
    const status = { readyReplicas: 3, currentRevision: "web-2", updateRevision: "web-2" };
    it.each(cases)("$name", check("StatefulSet", status));
});

describe("a DaemonSet is not called rolled out too early", () => {
    const cases: Case[] = [
        { name: "complete", status: {}, expected: [true, 3, 3, 3] },
        { name: "no status yet", expected: [false, 0, 0, 0] },
        {
            name: "the controller has not seen the change",
            status: { observedGeneration: 1 },
            expected: [false, 0, 3, 3],
        },
        {
            name: "one of three nodes is new",
            status: { updatedNumberScheduled: 1 },
            expected: [false, 1, 3, 3],
        },
        {
            name: "a node is without it",
            status: { numberAvailable: 2 },
            expected: [false, 3, 2, 3],
        },
        {
            name: "no node wants it",
            status: { desiredNumberScheduled: 0, updatedNumberScheduled: 0, numberAvailable: 0 },
            expected: [true, 0, 0, 0],
        },
    ];
    const status = { desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3 };
    it.each(cases)("$name", check("DaemonSet", status));
});

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
