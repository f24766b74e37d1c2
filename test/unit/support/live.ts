import type { LiveComponent, LiveInstallation, LiveRelease } from "../../../cluster/adoption";
import type { LiveLinkerd } from "../../../cluster/linkerd";

/** Nothing is installed. */
export const NOTHING: LiveInstallation = {
    taken: undefined,
    foreign: false,
    values: {},
    overrides: undefined,
    heartbeatSchedule: undefined,
    controlPlane: [],
    viz: [],
    tapInjectorPolicy: undefined,
    vizExtras: undefined,
    vizClaim: undefined,
    release: undefined,
    records: [],
};

/** A cluster without Linkerd. */
export const EMPTY: LiveLinkerd = {
    namespaces: [],
    linkerdVersion: undefined,
    installed: false,
    crds: [],
    identity: { installed: false },
    webhooks: { leaves: {}, bundles: {} },
    certManager: { crds: [], available: [], certificates: [], wrote: [], owned: [] },
    installation: NOTHING,
    serverVersion: "v1.34.4",
};

/** Helm's record of viz. */
export const releaseOf = (revision: number, status: string): LiveRelease => ({
    revision,
    status,
    chartVersion: "2024.5.3",
    config: {},
});

/** A Deployment of viz, whoever made it. */
export const VIZ: LiveComponent = {
    name: "web",
    replicas: 1,
    args: [],
    image: "",
    checksum: undefined,
    createdBy: undefined,
};
