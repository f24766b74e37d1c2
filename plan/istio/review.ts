import type { DataPlane } from "../../cluster/dataPlane";
import type { LiveIstio } from "../../cluster/istio/observe";
import type { IstioStackConfig } from "../../config";
import { blastRadius } from "../blastRadius";
import { reviewedChecks, type Verdict } from "../checks/verdict";
import { istioControlPlane } from "../controlPlaneRadius";
import type { Fault } from "../faults";
import { proxiesOf, type Draft } from "../linkerdReview";
import { istioOrder } from "../order";
import { istioPermissions, type MadeOfIstio } from "../permissions";
import type { NoticeResult } from "../review";
import type { IstioPlan } from "./plan";
import { plannedTarget, proxyText } from "./target";

/** What was found about a planned update of Istio. */
export interface Found {
    readonly config: IstioStackConfig;
    readonly stack: string;
    readonly live: LiveIstio;
    readonly plan: IstioPlan;
    /** A reason, as text, where it could not be read. */
    readonly dataPlane: DataPlane | string;
    readonly refusals: readonly Fault[];
    readonly notices: readonly NoticeResult[];
    readonly verdicts: readonly Verdict[];
}

/** The review of an update of Istio. */
export function istioReview(found: Found): Draft {
    const { config, stack, live, plan, dataPlane } = found;
    const { namespace, foreign, revisions, gateways } = config.istio;
    const controlPlane = istioControlPlane(plan, config.istio, live, stack);
    const radius = blastRadius({
        ...{ dataPlane, controlPlane },
        waves: config.rollout.waves,
        target: plannedTarget(plan.planned),
    });
    const change = controlPlane.workloads.length > 0 || radius.stale > 0;
    return {
        review: {
            format: "mesh-upgrade-review/1",
            mesh: "istio",
            stack,
            context: config.context,
            refusals: found.refusals,
            versions: {
                change: change ? "revisions" : "none",
                target: revisions.map(({ name, version }) => proxyText(version.text, name)),
                controlPlane: live.istiods.map(({ revision, version }) => ({
                    name: revision,
                    version: version ?? null,
                })),
                crds: plan.base ?? null,
                proxies: proxiesOf(dataPlane),
            },
            path: plan.path,
            notices: found.notices,
            checks: reviewedChecks(found.verdicts),
            certificates: [],
            blastRadius: radius,
            order: istioOrder({ base: plan.base, namespace }, radius),
        },
        asked: istioPermissions(
            {
                ...{ change, namespace },
                removes: foreign.some(({ remove }) => remove),
                gatewayNamespaces: gateways.map((one) => one.namespace),
                makes: madeOf(found),
            },
            radius,
        ),
    };
}

function madeOf({ config, live, plan }: Found): MadeOfIstio {
    const lacks = (webhooks: string) => !live.webhooks.some(({ name }) => name === webhooks);
    return {
        namespace: !live.namespaceExists,
        crds: live.crds.length === 0,
        revision: plan.revisions.some(
            ({ name }) => !live.istiods.some(({ revision }) => revision === name),
        ),
        tag: [...plan.tags, ...plan.lateTags].some(({ tag }) => lacks(`istio-revision-tag-${tag}`)),
        validator: config.istio.defaultRevision !== undefined && lacks("istiod-default-validator"),
    };
}
