import type { MeshedPod, Workload } from "../../../cluster/dataPlane";

/** A stale pod of Deployment shop/web; `fields` differ. */
export const podOf = (fields: Partial<MeshedPod> = {}): MeshedPod => ({
    namespace: "shop",
    name: "web-1",
    phase: "Running",
    ready: true,
    terminating: false,
    proxy: "edge-24.5.3",
    owner: { kind: "Deployment", name: "web" },
    currentRevision: true,
    pin: undefined,
    restartedAt: undefined,
    ...fields,
});

/** Deployment shop/web; `fields` differ. */
export const workloadOf = (fields: Partial<Workload> = {}): Workload => ({
    kind: "Deployment",
    namespace: "shop",
    name: "web",
    replicas: 1,
    strategy: "RollingUpdate",
    partition: 0,
    paused: false,
    manuallyInjected: false,
    revisions: [],
    ...fields,
});
