import { describe, expect, it } from "vitest";
import { rolloutStatus, type Live } from "../../cluster/rolloutStatus";
import type { WorkloadKind } from "../../cluster/workloads";

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
        givenUp: undefined,
        problem: undefined,
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

describe("a Rollout of Argo is not called restarted too early", () => {
    const asked = "2026-11-21T08:00:00Z";
    const cases: Case[] = [
        { name: "complete", status: {}, expected: [true, 3, 3, 3] },
        { name: "no status yet", expected: [false, 0, 0, 3] },
        {
            name: "its controller is at an earlier restart",
            status: { restartedAt: "2026-11-20T08:00:00Z" },
            expected: [false, 0, 3, 3],
        },
        {
            name: "a new pod is not ready",
            status: { availableReplicas: 2 },
            expected: [false, 3, 2, 3],
        },
        {
            name: "never restarted, nothing asked for",
            spec: { restartAt: undefined },
            status: { restartedAt: undefined },
            expected: [true, 3, 3, 3],
        },
    ];
    const status = { restartedAt: asked, availableReplicas: 3 };
    it.each(cases)("$name", ({ spec, ...given }) => {
        check("Rollout", status)({ ...given, spec: { restartAt: asked, ...spec } });
    });
});

describe("what the controller itself says about a rollout that does not go on", () => {
    const progressing = (reason: string, message?: string) => [
        { type: "Progressing", status: "False", reason, message },
    ];
    const failing = (status: string) => [
        { type: "ReplicaFailure", status, reason: "FailedCreate", message: "exceeded quota: pods" },
    ];
    const told = 'ReplicaSet "web-1" has timed out progressing.';
    const cases: {
        name: string;
        kind?: WorkloadKind;
        status: object;
        givenUp?: string;
        problem?: string;
    }[] = [
        {
            name: "the deadline is over",
            status: { conditions: progressing("ProgressDeadlineExceeded", told) },
            givenUp: told,
        },
        {
            name: "the deadline is over, without words",
            status: { conditions: progressing("ProgressDeadlineExceeded") },
            givenUp: "ProgressDeadlineExceeded",
        },
        {
            name: "the deadline of before the last change says nothing",
            status: {
                observedGeneration: 1,
                conditions: progressing("ProgressDeadlineExceeded", told),
            },
        },
        { name: "it goes on", status: { conditions: progressing("ReplicaSetUpdated", told) } },
        {
            name: "a quota keeps pods from coming",
            status: { conditions: failing("True") },
            problem: "exceeded quota: pods",
        },
        { name: "a quota that kept pods, and no more", status: { conditions: failing("False") } },
        {
            name: "a degraded Rollout",
            kind: "Rollout",
            status: { phase: "Degraded", message: "ProgressDeadlineExceeded: web timed out" },
            givenUp: "ProgressDeadlineExceeded: web timed out",
        },
        { name: "a healthy Rollout", kind: "Rollout", status: { phase: "Healthy", message: "x" } },
    ];
    it.each(cases)("$name", ({ kind = "Deployment", status, givenUp, problem }) => {
        const live = {
            metadata: { generation: 2 },
            spec: {},
            status: { observedGeneration: 2, ...status },
        };
        expect(rolloutStatus(kind, live as unknown as Live)).toMatchObject({ givenUp, problem });
    });
});
