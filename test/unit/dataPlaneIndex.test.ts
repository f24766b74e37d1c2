import { describe, expect, it } from "vitest";
import { assemble, DataPlaneIndex, workloadKey, type Collections } from "../../cluster/dataPlane";
import type { PodRecord } from "../../cluster/pods";
import type { RevisionRecord, WorkloadKind, WorkloadRecord } from "../../cluster/workloads";
import { podOf, workloadOf } from "./support/meshedPods";

/** restartedAt of two restarts, one after the other. */
const FIRST = "2026-11-20T08:00:00Z";
const SECOND = "2026-11-21T08:00:00Z";

type Named = { readonly namespace?: string; readonly name: string };
const byKey = <T extends Named>(...items: T[]) =>
    new Map(items.map((one) => [one.namespace ? `${one.namespace}/${one.name}` : one.name, one]));

const collectionsOf = (fields: Partial<Collections> = {}): Collections => ({
    pods: new Map(),
    namespaces: new Map(),
    replicaSets: new Map(),
    controllerRevisions: new Map(),
    deployments: new Map(),
    statefulSets: new Map(),
    daemonSets: new Map(),
    rollouts: new Map(),
    budgets: new Map(),
    canaries: new Map(),
    ...fields,
});

const pod = (fields: Partial<PodRecord> = {}): PodRecord => {
    const {
        owner: _owner,
        currentRevision: _current,
        templateChanged: _changed,
        ...record
    } = podOf({ name: "web-7d9f-abcde", hash: "7d9f", ...fields });
    return { ...record, controller: { kind: "ReplicaSet", name: "web-7d9f" }, ...fields };
};
const workload = (fields: Partial<WorkloadRecord> = {}): WorkloadRecord => {
    const { revisions: _revisions, ...record } = workloadOf({ revision: "1", ...fields });
    return record;
};
const revision = (kind: WorkloadKind, fields: Partial<RevisionRecord> = {}): RevisionRecord => ({
    namespace: "shop",
    name: "web-7d9f",
    owner: { kind, name: "web" },
    number: "1",
    restartedAt: undefined,
    fingerprint: "a",
    ...fields,
});

describe("the workload behind a pod", () => {
    const deployments = byKey(workload());
    const ownerOf = (one: PodRecord, fields: Partial<Collections> = {}) =>
        new DataPlaneIndex(collectionsOf(fields)).ownerOf(one);

    it("is found through its ReplicaSet", () => {
        const replicaSets = byKey(
            revision("Deployment", { owner: { kind: "Deployment", name: "x" } }),
        );
        expect(ownerOf(pod(), { replicaSets, deployments })).toEqual({
            kind: "Deployment",
            name: "x",
        });
    });

    it("is found before the ReplicaSet is known, by the name that it has from its Deployment", () => {
        expect(ownerOf(pod(), { deployments })).toEqual({ kind: "Deployment", name: "web" });
    });

    const replicaSet = { kind: "ReplicaSet", name: "web-7d9f" };
    it.each([
        ["no Deployment has this name", pod(), {}],
        ["the Deployment is in another namespace", pod({ namespace: "pay" }), { deployments }],
        ["the name does not end with the hash of the pod", pod({ hash: "d9f" }), { deployments }],
        ["the pod has no hash", pod({ hash: undefined }), { deployments }],
    ])("is the ReplicaSet itself where %s", (_, one, fields) => {
        expect(ownerOf(one, fields)).toEqual(replicaSet);
    });

    it("is the ReplicaSet itself where that has no owner, whatever it is named after", () => {
        const replicaSets = byKey(revision("Deployment", { owner: undefined }));
        expect(ownerOf(pod(), { replicaSets, deployments })).toEqual(replicaSet);
    });

    it.each([
        ["a StatefulSet", { kind: "StatefulSet", name: "web" }],
        ["a Job", { kind: "Job", name: "web-7d9f" }],
        ["nothing", undefined],
    ])("is its controller itself: %s", (_, controller) => {
        expect(ownerOf(pod({ controller }), { deployments })).toEqual(controller);
    });
});

it("the revisions of a workload come and go as the watch tells, each time with the workload's name", () => {
    const one = revision("Deployment");
    const two = revision("Deployment", { name: "web-6c", number: "2", restartedAt: FIRST });
    const index = new DataPlaneIndex(
        collectionsOf({
            replicaSets: byKey(one),
            deployments: byKey(workload({ revision: "2" })),
        }),
    );
    const revisions = () =>
        index
            .workload("Deployment/shop/web")
            ?.revisions.map(({ restartedAt, current }) => [restartedAt, current]);
    expect(revisions()).toEqual([[undefined, false]]);
    expect(index.replaceRevision(undefined, two)).toBe("Deployment/shop/web");
    expect(revisions()).toEqual([
        [undefined, false],
        [FIRST, true],
    ]);
    // Back to it: its number grows.
    expect(index.replaceRevision(one, { ...one, number: "3" })).toBe("Deployment/shop/web");
    expect(revisions()).toEqual([
        [FIRST, true],
        [undefined, false],
    ]);
    expect(index.replaceRevision(two, undefined)).toBe("Deployment/shop/web");
    expect(revisions()).toEqual([[undefined, false]]);
    expect(index.replaceRevision(undefined, { ...two, owner: undefined })).toBeUndefined();
});

describe("whether a pod is of the template that its workload has now", () => {
    const set = (name: string, number: string, fields: Partial<RevisionRecord> = {}) =>
        revision("Deployment", { name, number, ...fields });
    const ofSet = (hash: string, fields: Partial<PodRecord> = {}) =>
        pod({ hash, controller: { kind: "ReplicaSet", name: `web-${hash}` }, ...fields });
    const controlled = (kind: WorkloadKind, hash: string, fields: Partial<PodRecord> = {}) =>
        pod({ hash, controller: { kind, name: "web" }, ...fields });
    const of = (kind: WorkloadKind, ...all: [name: string, number: string, print?: string][]) =>
        byKey(
            ...all.map(([name, number, fingerprint = "a"]) =>
                revision(kind, { name, number, fingerprint }),
            ),
        );
    const stateful = (revision: string, fields: Partial<WorkloadRecord> = {}) =>
        byKey(workload({ kind: "StatefulSet", revision, ...fields }));
    const daemon = byKey(workload({ kind: "DaemonSet", revision: undefined }));
    const rollout = (restartedAt?: string) =>
        byKey(workload({ kind: "Rollout", revision: undefined, restartedAt }));
    const ofRollout = (createdAt: string) =>
        pod({
            createdAt: Date.parse(createdAt),
            controller: { kind: "Rollout", name: "web" },
        });

    const cases: {
        name: string;
        pod: PodRecord;
        collections: Partial<Collections>;
        current: boolean;
        changed?: boolean;
    }[] = [
        {
            name: "of a Deployment, of the ReplicaSet with its number",
            pod: ofSet("2b", { restartedAt: SECOND }),
            collections: {
                deployments: byKey(workload({ revision: "2", restartedAt: SECOND })),
                replicaSets: byKey(set("web-1a", "1"), set("web-2b", "2")),
            },
            current: true,
        },
        {
            name: "of a Deployment, of the ReplicaSet before",
            pod: ofSet("1a", { restartedAt: FIRST }),
            collections: {
                deployments: byKey(workload({ revision: "2", restartedAt: SECOND })),
                replicaSets: byKey(set("web-1a", "1"), set("web-2b", "2")),
            },
            current: false,
        },
        {
            name: "of a Deployment, of a ReplicaSet with another image and the same restart",
            pod: ofSet("1a"),
            collections: {
                deployments: byKey(workload({ revision: "2" })),
                replicaSets: byKey(set("web-1a", "1"), set("web-2b", "2", { fingerprint: "b" })),
            },
            current: false,
            changed: true,
        },
        {
            name: "of a Deployment, restarted just now: its controller has made no ReplicaSet yet",
            pod: ofSet("1a", { restartedAt: FIRST }),
            collections: {
                deployments: byKey(workload({ restartedAt: SECOND })),
                replicaSets: byKey(set("web-1a", "1")),
            },
            current: false,
        },
        {
            name: "of a Deployment, whose restart was taken off again",
            pod: ofSet("1a", { restartedAt: FIRST }),
            collections: {
                deployments: byKey(workload()),
                replicaSets: byKey(set("web-1a", "1")),
            },
            current: false,
        },
        {
            name: "of a Deployment, before its ReplicaSet is known: its restart tells",
            pod: ofSet("2b", { restartedAt: SECOND }),
            collections: { deployments: byKey(workload({ revision: "2", restartedAt: SECOND })) },
            current: true,
        },
        {
            name: "of a StatefulSet, of its update revision, whatever the numbers say",
            pod: controlled("StatefulSet", "web-6c"),
            collections: {
                statefulSets: stateful("web-6c"),
                controllerRevisions: of("StatefulSet", ["web-6c", "1"], ["web-7d", "2"]),
            },
            current: true,
        },
        {
            name: "of a StatefulSet, of the revision before",
            pod: controlled("StatefulSet", "web-6c"),
            collections: {
                statefulSets: stateful("web-7d"),
                controllerRevisions: of("StatefulSet", ["web-6c", "1"], ["web-7d", "2"]),
            },
            current: false,
        },
        {
            name: "of a StatefulSet with OnDelete and a change that the pod has not",
            pod: controlled("StatefulSet", "web-6c"),
            collections: {
                statefulSets: stateful("web-7d", { strategy: "OnDelete" }),
                controllerRevisions: of("StatefulSet", ["web-6c", "1"], ["web-7d", "2", "b"]),
            },
            current: false,
            changed: true,
        },
        {
            name: "of a DaemonSet, of the newest revision: by number, not by text or place",
            pod: controlled("DaemonSet", "10th"),
            collections: {
                daemonSets: daemon,
                controllerRevisions: of(
                    "DaemonSet",
                    ["web-9th", "9"],
                    ["web-10th", "10"],
                    ["web-2nd", "2"],
                ),
            },
            current: true,
        },
        {
            name: "of a DaemonSet, of an older revision with another template",
            pod: controlled("DaemonSet", "9th"),
            collections: {
                daemonSets: daemon,
                controllerRevisions: of("DaemonSet", ["web-9th", "9"], ["web-10th", "10", "b"]),
            },
            current: false,
            changed: true,
        },
        {
            name: "of a Rollout that was never restarted",
            pod: ofRollout(FIRST),
            collections: { rollouts: rollout() },
            current: true,
        },
        {
            name: "of a Rollout, made before its restart",
            pod: ofRollout(FIRST),
            collections: { rollouts: rollout(SECOND) },
            current: false,
        },
        {
            name: "of a Rollout, made in the second of its restart",
            pod: ofRollout(SECOND),
            collections: { rollouts: rollout(SECOND) },
            current: true,
        },
        {
            name: "a pod without a workload has no older template",
            pod: pod({ controller: { kind: "Job", name: "web" } }),
            collections: {},
            current: true,
        },
    ];
    it.each(cases)("$name", ({ pod: one, collections, current, changed = false }) => {
        const meshed = new DataPlaneIndex(collectionsOf(collections)).meshedPod(one);
        expect([meshed.currentRevision, meshed.templateChanged]).toEqual([current, changed]);
    });
});

describe("the data plane as a whole", () => {
    const collections = collectionsOf({
        pods: byKey(
            pod({ pin: "of the namespace before" }),
            pod({ name: "ledger-0", controller: { kind: "StatefulSet", name: "ledger" } }),
            pod({ name: "debug", controller: undefined, labels: { app: "debug" } }),
            pod({ name: "probe", controller: undefined, labels: { app: "probe" }, pin: "own" }),
            pod({ name: "pay-1", namespace: "pay", controller: undefined }),
        ),
        namespaces: byKey(
            { name: "shop", labels: { zone: "eu" }, pin: "of the namespace" },
            { name: "idle", labels: {}, pin: undefined },
        ),
        replicaSets: byKey(revision("Deployment", { restartedAt: FIRST })),
        deployments: byKey(
            workload(),
            workload({ name: "unmeshed" }),
            workload({ namespace: "pay" }),
        ),
        statefulSets: byKey(
            workload({ kind: "StatefulSet", name: "ledger", pin: "of the template" }),
        ),
    });
    const dataPlane = assemble(collections);

    it("has every pod, with what stands behind it and the pin that a new one in its place would have", () => {
        const all = dataPlane.pods.map((one) => [workloadKey(one), one.pin]);
        expect(all).toEqual([
            ["Deployment/shop/web", "of the namespace"],
            ["StatefulSet/shop/ledger", "of the template"],
            ["Pod/shop/debug", "of the namespace"],
            ["Pod/shop/probe", "own"],
            ["Pod/pay/pay-1", undefined],
        ]);
    });

    it("has each workload with meshed pods once, with its revisions, and no other", () => {
        expect(dataPlane.workloads).toEqual([
            {
                ...workload(),
                revisions: [{ restartedAt: FIRST, fingerprint: "a", current: true }],
            },
            expect.objectContaining({ kind: "StatefulSet", name: "ledger" }),
        ]);
    });

    it("has the labels of every namespace, also of one without pods", () => {
        expect(Object.fromEntries(dataPlane.namespaceLabels)).toEqual({
            shop: { zone: "eu" },
            idle: {},
        });
    });
});
