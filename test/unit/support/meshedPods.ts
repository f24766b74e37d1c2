import type { DataPlane, MeshedPod, Workload } from "../../../cluster/dataPlane";

/** A stale pod of Deployment shop/web; `fields` differ. */
export const podOf = (fields: Partial<MeshedPod> = {}): MeshedPod => ({
    namespace: "shop",
    name: "web-1",
    uid: "uid",
    phase: "Running",
    ready: true,
    readySince: 0,
    createdAt: 0,
    terminating: false,
    restarts: 0,
    trouble: undefined,
    controller: undefined,
    hash: undefined,
    labels: {},
    templateChanged: false,
    proxy: "edge-24.5.3",
    owner: { kind: "Deployment", name: "web" },
    currentRevision: true,
    pin: undefined,
    namespaceLabels: {},
    restartedAt: undefined,
    ...fields,
});

/** Deployment shop/web; `fields` differ. */
export const workloadOf = (fields: Partial<Workload> = {}): Workload => ({
    kind: "Deployment",
    namespace: "shop",
    name: "web",
    labels: {},
    podLabels: { app: "web" },
    generation: 1,
    observed: true,
    replicas: 1,
    strategy: "RollingUpdate",
    partition: 0,
    maxUnavailable: 0,
    surge: 1,
    step: 1,
    restartedAt: undefined,
    revision: undefined,
    manager: undefined,
    status: {
        done: true,
        updated: 1,
        available: 1,
        wanted: 1,
        givenUp: undefined,
        problem: undefined,
    },
    paused: false,
    manuallyInjected: false,
    pin: undefined,
    revisions: [],
    ...fields,
});

/** No canary and no budget. */
export const ALONE = { canaries: [], budgets: [] };

/** A data plane of these, in namespaces without labels. */
export const dataPlaneOf = (
    fields: Pick<DataPlane, "pods" | "workloads"> & Partial<DataPlane>,
): DataPlane => ({ namespaceLabels: new Map(), budgets: [], canaries: [], ...fields });
