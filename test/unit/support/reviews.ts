import { blastRadius } from "../../../plan/blastRadius";
import type { DataPlane } from "../../../cluster/dataPlane";
import { proxyTarget } from "../../../plan/dataPlane";
import type { BlastRadius, ControlPlaneRadius, Review } from "../../../plan/review";
import { rollout } from "../../../plan/waves";

export const OLD = "edge-24.5.3";
export const NEW = "edge-24.7.5";

/** Nothing of the control plane restarts. */
export const STILL: ControlPlaneRadius = {
    workloads: [],
    minutes: { least: 0, most: 0 },
    source: "a guide",
};

/** Of an update to edge-24.7.5. `section`: the stack file's `rollout`. */
export function radiusOf(
    dataPlane: DataPlane | string,
    section: object = {},
    more: Partial<Pick<BlastRadius, "controlPlane" | "waiting">> = {},
): BlastRadius {
    const { waves } = rollout.parse(section);
    return blastRadius({
        dataPlane,
        waves,
        target: proxyTarget(NEW),
        controlPlane: STILL,
        ...more,
    });
}

/** The review of an upgrade in which all is well; `fields` differ. */
export function reviewOf(fields: Partial<Review> = {}): Review {
    return {
        format: "mesh-upgrade-review/1",
        mesh: "linkerd",
        stack: "organization/mesh-upgrade/demo",
        context: "demo",
        refusals: [],
        versions: {
            change: "upgrade",
            target: [NEW],
            controlPlane: [{ name: "linkerd", version: OLD }],
            crds: NEW,
            proxies: [],
        },
        path: { verdict: "allowed", steps: [NEW], rules: [] },
        notices: [],
        checks: [],
        certificates: [],
        blastRadius: radiusOf("pods is forbidden"),
        permissions: { asked: 0, missing: [], maybe: [] },
        order: [],
        ...fields,
    };
}
