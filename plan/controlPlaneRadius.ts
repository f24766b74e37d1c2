import type { LiveIstio } from "../cluster/istio/observe";
import type { LiveLinkerd } from "../cluster/linkerd";
import { chartTrustRootHash } from "./certificates";
import { nameOf } from "./dataPlane";
import type { IstioPlan } from "./istio/plan";
import type { IstioConfig } from "./istio/config";
import type { LinkerdPlan } from "./linkerd";
import type { ControlPlaneChange, ControlPlaneRadius } from "./review";

/** Minutes; what the guides of Anthos Service Mesh name for the control plane. */
const ASM = { least: 5, most: 10 };
const BY_ASM = "the upgrade guide of Anthos Service Mesh: 5 to 10 minutes";

/**
 * What restarts of Linkerd's control plane and viz. Every image changes with the version, and the trust anchors stand in the
 * pod templates; what else changes a template (values) shows in the engine's list of changes.
 */
export function linkerdControlPlane(
    plan: Pick<LinkerdPlan, "change" | "version" | "trustRoot">,
    live: LiveLinkerd,
    viz: boolean,
): ControlPlaneRadius {
    const { controlPlane, viz: ofViz } = live.installation;
    const anchors = live.identity.issuer?.trustAnchors;
    const moved = anchors !== undefined && chartTrustRootHash(anchors) !== plan.trustRoot;
    const versioned = plan.change === "upgrade" || plan.change === "revert";
    const change = (namespace: string) => (one: LiveLinkerd["installation"]["viz"][number]) => ({
        ...{ namespace, kind: "Deployment", name: one.name, pods: one.replicas },
        change: "restarts" as const,
        from: live.linkerdVersion ?? null,
        to: plan.version.tag,
    });
    return radiusOf(
        [
            ...(versioned || moved ? controlPlane.map(change("linkerd")) : []),
            ...(versioned && viz ? ofViz.map(change("linkerd-viz")) : []),
        ],
        `${BY_ASM}; Linkerd's guides give no figure`,
    );
}

/** Revisions that come and go, and gateways that go over to another one. */
export function istioControlPlane(
    plan: Pick<IstioPlan, "revisions" | "gateways">,
    { namespace, foreign, revisions }: Pick<IstioConfig, "namespace" | "foreign" | "revisions">,
    live: Pick<LiveIstio, "istiods" | "users">,
    stack: string,
): ControlPlaneRadius {
    const declared = new Set(plan.revisions.map(({ name }) => name));
    const leaving = new Set(foreign.filter(({ remove }) => remove).map((one) => one.revision));
    const running = new Set(live.istiods.map(({ revision }) => revision));
    const versionOf = (name: string) => revisions.find((one) => one.name === name)?.version.text;
    const istiod = { namespace, kind: "Deployment" };
    return radiusOf(
        [
            ...[...declared]
                .filter((name) => !running.has(name))
                .map((name) => ({
                    ...{ ...istiod, name: `istiod-${name}`, pods: 0 },
                    ...{ change: "new" as const, from: null, to: versionOf(name) ?? null },
                })),
            ...live.istiods
                .filter(
                    (one) =>
                        leaving.has(one.revision) ||
                        (one.stack === stack && !declared.has(one.revision)),
                )
                .map(({ name, version }) => ({
                    ...{ ...istiod, name, pods: 0 },
                    ...{ change: "goes" as const, from: version ?? null, to: null },
                })),
            ...plan.gateways.flatMap((one) => gatewayChange(one, live)),
        ],
        BY_ASM,
    );
}

function gatewayChange(
    { namespace, name, revision }: IstioPlan["gateways"][number],
    { users }: Pick<LiveIstio, "users">,
): ControlPlaneChange[] {
    const pods = users.pods.filter(
        (one) => one.gateway && one.namespace === namespace && isOfDeployment(one.name, name),
    );
    const others = [...new Set(pods.map(({ running }) => running ?? "none"))].sort();
    const gateway = { namespace, kind: "Deployment", name, pods: pods.length, to: revision };
    if (pods.length === 0) {
        return [{ ...gateway, change: "new", from: null }];
    }
    return others.every((one) => one === revision)
        ? []
        : [{ ...gateway, change: "restarts", from: others.join(", ") }];
}

/** `ingress-6d4cf56db6-x2x9z`: the name of the Deployment, a hash and five characters. */
function isOfDeployment(pod: string, name: string): boolean {
    return pod.startsWith(`${name}-`) && /^[a-z0-9]+-[a-z0-9]{5}$/.test(pod.slice(name.length + 1));
}

function radiusOf(workloads: readonly ControlPlaneChange[], source: string): ControlPlaneRadius {
    const sorted = [...workloads].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
    const works = sorted.some(({ change }) => change !== "goes");
    return { workloads: sorted, minutes: works ? ASM : { least: 0, most: 0 }, source };
}
