import type * as k8s from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { ArgoRollout } from "../../cluster/rolloutStatus";
import {
    controllerRevisionRecord,
    daemonSetRecord,
    deploymentRecord,
    replicaSetRecord,
    rolloutRecord,
    statefulSetRecord,
} from "../../cluster/workloads";

const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
const AT = "2026-11-21T08:00:00Z";

const template = (annotations: object = {}, image = "web:1", labels: object = {}) => ({
    metadata: { labels: { app: "web", ...labels }, annotations: { ...annotations } },
    spec: { containers: [{ name: "app", image }] },
});
const object = (spec: object, status: object = {}, metadata: object = {}) =>
    ({
        metadata: { namespace: "shop", name: "web", generation: 2, ...metadata },
        spec: { template: template(), ...spec },
        status: { observedGeneration: 2, ...status },
    }) as unknown;

const deployment = (...given: Parameters<typeof object>) =>
    deploymentRecord(object(...given) as k8s.V1Deployment);
const statefulSet = (...given: Parameters<typeof object>) =>
    statefulSetRecord(object(...given) as k8s.V1StatefulSet);
const daemonSet = (...given: Parameters<typeof object>) =>
    daemonSetRecord(object(...given) as k8s.V1DaemonSet);
const argoRollout = (...given: Parameters<typeof object>) =>
    rolloutRecord(object(...given) as ArgoRollout);

describe("how many pods of a Deployment go down, and roll, at a time", () => {
    const cases: [
        replicas: number | undefined,
        maxUnavailable: string | number | undefined,
        maxSurge: string | number | undefined,
        down: number,
        step: number,
    ][] = [
        // Defaults of 25 %: of the missing rounded down, of the surplus rounded up.
        [undefined, undefined, undefined, 0, 1],
        [1, undefined, undefined, 0, 1],
        [3, undefined, undefined, 0, 1],
        [4, undefined, undefined, 1, 2],
        [10, undefined, undefined, 2, 5],
        [10, "33%", "33%", 3, 7],
        [10, 0, 1, 0, 1],
        [10, 3, 0, 3, 3],
        // Both 0, also after rounding: the controller takes one.
        [10, 0, 0, 1, 1],
        [3, "33%", 0, 1, 1],
        [3, "33%", "0%", 1, 1],
        // No more can be missing than there are.
        [2, 5, 0, 2, 5],
        [3, "100%", "100%", 3, 6],
        [0, undefined, undefined, 0, 1],
    ];
    it.each(cases)(
        "replicas %s, maxUnavailable %s, maxSurge %s: %i down, %i at a time",
        (replicas, maxUnavailable, maxSurge, down, step) => {
            const rollingUpdate = { maxUnavailable, maxSurge };
            const given = { replicas, strategy: { type: "RollingUpdate", rollingUpdate } };
            const { maxUnavailable: found, step: pods } = deployment(given);
            expect([found, pods]).toEqual([down, step]);
        },
    );

    it.each([
        ["a quarter, rounded up, by default", 10, undefined, 3],
        ["a number", 10, 4, 4],
        ["a part, rounded up", 3, "50%", 2],
        ["none", 10, 0, 0],
    ])("and how many there are more meanwhile: %s", (_, replicas, maxSurge, surge) => {
        const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge } };
        expect(deployment({ replicas, strategy }).surge).toBe(surge);
    });

    it("all of them with the strategy Recreate", () => {
        expect(deployment({ replicas: 3, strategy: { type: "Recreate" } })).toMatchObject({
            strategy: "Recreate",
            maxUnavailable: 3,
            surge: 0,
            step: 3,
        });
    });
});

describe("how many pods of the other kinds go down, and roll, at a time", () => {
    const update = (rollingUpdate: object) => ({ updateStrategy: { rollingUpdate } });
    it.each([
        ["a StatefulSet by default", {}, 1, 1],
        ["a StatefulSet with maxUnavailable", update({ maxUnavailable: 2 }), 2, 2],
        ["a StatefulSet with half", update({ maxUnavailable: "50%" }), 2, 2],
        ["a StatefulSet with 0", update({ maxUnavailable: 0 }), 1, 1],
        ["a StatefulSet with more than there are", update({ maxUnavailable: 9 }), 4, 9],
    ])("%s", (_, spec, down, step) => {
        const { maxUnavailable, step: pods, surge } = statefulSet({ replicas: 4, ...spec });
        expect([maxUnavailable, pods, surge]).toEqual([down, step, 0]);
    });

    it.each([
        ["a DaemonSet by default", {}, 1, 1, 0],
        ["a DaemonSet with a part, rounded up", update({ maxUnavailable: "30%" }), 2, 2, 0],
        ["a DaemonSet that adds first", update({ maxSurge: 1, maxUnavailable: 0 }), 0, 1, 1],
        ["a DaemonSet that adds a part first", update({ maxSurge: "30%" }), 0, 2, 2],
        ["a DaemonSet with both 0", update({ maxSurge: "0%", maxUnavailable: "0%" }), 1, 1, 0],
        ["a DaemonSet with more than there are", update({ maxUnavailable: 9 }), 4, 9, 0],
    ])("%s", (_, spec, down, step, more) => {
        const status = { desiredNumberScheduled: 4 };
        const { maxUnavailable, step: pods, surge, replicas } = daemonSet(spec, status);
        expect([maxUnavailable, pods, surge, replicas]).toEqual([down, step, more, 4]);
    });

    it("a DaemonSet that no node wants: none", () => {
        expect(daemonSet({})).toMatchObject({ replicas: 0, maxUnavailable: 0 });
    });
});

describe("what is kept of a workload", () => {
    const restarted = { template: template({ [RESTARTED_AT]: AT }) };
    const metadata = {
        labels: { team: "a" },
        annotations: { "deployment.kubernetes.io/revision": "7" },
    };

    it("of a Deployment", () => {
        const given = { ...restarted, paused: true };
        const { status, ...record } = deployment(given, {}, metadata);
        expect(record).toEqual({
            kind: "Deployment",
            namespace: "shop",
            name: "web",
            labels: { team: "a" },
            podLabels: { app: "web" },
            generation: 2,
            observed: true,
            replicas: 1,
            strategy: "RollingUpdate",
            partition: 0,
            maxUnavailable: 0,
            surge: 1,
            step: 1,
            paused: true,
            manuallyInjected: false,
            pin: undefined,
            restartedAt: AT,
            revision: "7",
            manager: undefined,
        });
        expect(status.wanted).toBe(1);
    });

    it("of a StatefulSet: the name of the revision that it updates to, strategy and partition", () => {
        const rollingUpdate = { partition: 2 };
        const given = { replicas: 3, updateStrategy: { type: "RollingUpdate", rollingUpdate } };
        expect(statefulSet(given, { updateRevision: "web-6c" }, metadata)).toMatchObject({
            kind: "StatefulSet",
            replicas: 3,
            strategy: "RollingUpdate",
            partition: 2,
            revision: "web-6c",
            restartedAt: undefined,
        });
        const onDelete = { updateStrategy: { type: "OnDelete" } };
        expect(statefulSet(onDelete)).toMatchObject({ strategy: "OnDelete", partition: 0 });
        expect(daemonSet(onDelete)).toMatchObject({ kind: "DaemonSet", strategy: "OnDelete" });
    });

    it("of a Rollout of Argo: restartAt, whatever its template says; its generation is no number", () => {
        const given = { ...restarted, replicas: 4, restartAt: "2026-11-22T08:00:00Z" };
        expect(argoRollout(given, { observedGeneration: "5f8c" })).toMatchObject({
            kind: "Rollout",
            replicas: 4,
            strategy: "restartAt",
            observed: true,
            maxUnavailable: 1,
            step: 1,
            restartedAt: "2026-11-22T08:00:00Z",
        });
        expect(argoRollout(restarted)).toMatchObject({ replicas: 1, restartedAt: undefined });
    });

    it.each([
        [2, true],
        [3, true],
        [1, false],
        [undefined, false],
    ])("whether its controller has seen generation 2, when it has seen %s", (seen, observed) => {
        expect(statefulSet({}, { observedGeneration: seen }).observed).toBe(observed);
    });

    it.each([
        ["containers", true],
        ["initContainers", true],
        ["ephemeralContainers", false],
    ])("that it is injected by hand where its template has the proxy among its %s", (key, by) => {
        const spec = { containers: [{ name: "app" }], [key]: [{ name: "linkerd-proxy" }] };
        expect(daemonSet({ template: { spec } }).manuallyInjected).toBe(by);
    });
});

describe("a revision", () => {
    const owned = {
        namespace: "shop",
        name: "web-7d9f",
        annotations: { "deployment.kubernetes.io/revision": "7" },
        ownerReferences: [{ kind: "Deployment", name: "web", controller: true }],
    };
    const replicaSet = (template: object, metadata: object = owned, replicas = 1, running = 1) =>
        replicaSetRecord({
            metadata,
            spec: { replicas, template },
            status: { replicas: running },
        } as unknown as k8s.V1ReplicaSet);

    it("of a Deployment is its ReplicaSet", () => {
        expect(replicaSet(template({ [RESTARTED_AT]: AT }))).toMatchObject({
            namespace: "shop",
            name: "web-7d9f",
            owner: { kind: "Deployment", name: "web" },
            number: "7",
            restartedAt: AT,
        });
    });

    it("of a StatefulSet or DaemonSet is its ControllerRevision", () => {
        const record = controllerRevisionRecord({
            metadata: { namespace: "shop", name: "web-1" },
            revision: 12,
            data: { spec: { template: template({ [RESTARTED_AT]: AT }) } },
        });
        expect(record).toMatchObject({ name: "web-1", number: "12", restartedAt: AT });
        expect(record.fingerprint).toBe(replicaSet(template())?.fingerprint);
    });

    it.each([
        ["without pods is none", 0, 0, false],
        ["that comes is one", 1, 0, true],
        ["whose last pod goes is one", 0, 1, true],
    ])("a ReplicaSet %s", (_, replicas, running, kept) => {
        expect(replicaSet(template(), owned, replicas, running) !== undefined).toBe(kept);
    });

    const first = replicaSet(template())?.fingerprint;
    it.each([
        ["restartedAt", template({ [RESTARTED_AT]: AT })],
        ["the hash that its controller adds", template({}, "web:1", { "pod-template-hash": "7d" })],
    ])("is the same as another but for %s", (_, given) => {
        expect(replicaSet(given)?.fingerprint).toBe(first);
    });
    it.each([
        ["an annotation", template({ note: "x" })],
        ["a label", template({}, "web:1", { tier: "front" })],
        ["an image", template({}, "web:2")],
    ])("is not the same as another with %s", (_, given) => {
        expect(replicaSet(given)?.fingerprint).not.toBe(first);
    });
});

describe("who manages a workload, and may take its restart off again", () => {
    const flux = (kind: string) => ({
        labels: {
            [`${kind}.toolkit.fluxcd.io/name`]: "apps",
            [`${kind}.toolkit.fluxcd.io/namespace`]: "flux-system",
        },
    });
    const argo = "argocd.argoproj.io";
    const cases: [name: string, metadata: object, manager: string | undefined][] = [
        ["nobody", {}, undefined],
        ["a Kustomization of Flux", flux("kustomize"), "Flux (Kustomization flux-system/apps)"],
        ["a HelmRelease of Flux", flux("helm"), "Flux (HelmRelease flux-system/apps)"],
        [
            "Argo CD by its tracking id",
            { annotations: { [`${argo}/tracking-id`]: "shop:apps/Deployment:shop/web" } },
            "Argo CD (Application shop)",
        ],
        [
            "Argo CD by its label",
            { labels: { [`${argo}/instance`]: "shop" } },
            "Argo CD (Application shop)",
        ],
        [
            "Argo CD by its field manager",
            { managedFields: [{ manager: "kubectl" }, { manager: "argocd-controller" }] },
            "Argo CD",
        ],
        [
            "a label that Helm charts set as well says nothing",
            { labels: { "app.kubernetes.io/instance": "shop" } },
            undefined,
        ],
        [
            "another field manager",
            { managedFields: [{ manager: "helm" }, { manager: "argoexec" }, {}] },
            undefined,
        ],
    ];
    it.each(cases)("%s", (_, metadata, manager) => {
        expect(deployment({}, {}, metadata).manager).toBe(manager);
    });
});
