import type { LiveInstallation } from "../../../cluster/adoption";
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
    vizRelease: undefined,
    vizObjects: false,
    installation: NOTHING,
    serverVersion: "v1.34.4",
};
