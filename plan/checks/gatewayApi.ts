import type { LiveLinkerd } from "../../cluster/linkerd";
import type { LinkerdStackConfig } from "../../config";
import { bringsRoute } from "../gatewayApi";
import { crdVersion, type LinkerdPlan } from "../linkerd";
import { merge } from "../values";
import { reaches } from "../releases";
import type { Evaluators } from "./evaluator";
import type { LinkerdHealth } from "./observation";
import { failed, ok, skipped } from "./result";

/** From here on releases ask for them (github.com/linkerd/linkerd2/releases/tag/edge-25.3.4). */
const MANDATORY = "edge-25.3.4";

/** One of them is enough (CheckGatewayAPICRDs in pkg/healthcheck of linkerd2, edge-26.8.3). */
const ASKED_FOR = ["httproutes.gateway.networking.k8s.io", "grpcroutes.gateway.networking.k8s.io"];

/** Of the planned update; where it is refused for other reasons, as far as values are known. */
export function gatewayApiOf(
    config: Pick<LinkerdStackConfig, "crds" | "linkerdVersion">,
    live: LiveLinkerd,
    plan: Pick<LinkerdPlan, "values"> | undefined,
): NonNullable<LinkerdHealth["gatewayApi"]> {
    const known = merge(live.installation.taken?.crds ?? {}, config.crds.values);
    const planned = {
        crds: { values: plan?.values.crds ?? known },
        linkerdVersion: crdVersion(config.linkerdVersion, live),
    };
    return {
        target: config.linkerdVersion.tag,
        brought: ASKED_FOR.some((crd) => bringsRoute(crd, planned)),
    };
}

export const gatewayApiChecks: Evaluators = {
    "gateway-api-crd": ({ live, gatewayApi }) => {
        if (!reaches(gatewayApi?.target, MANDATORY)) {
            return skipped("the target does without the CRDs of the Gateway API");
        }
        const found = live.crds.filter(({ name }) => ASKED_FOR.includes(name));
        // Linkerd's own count as they are; those of others have to have version v1.
        const old = found.some(({ linkerd }) => linkerd)
            ? []
            : found.filter(({ versions }) => versions?.includes("v1") === false);
        return old.length > 0
            ? failed(
                  `${gatewayApi?.target} needs version v1 of ${old.map(({ name }) => name).join(", ")}: upgrade the Gateway API to v1.1.1 or later`,
              )
            : found.length > 0
              ? ok(`there: ${found.map(({ name }) => name).join(", ")}`)
              : gatewayApi?.brought === true
                ? ok("the chart linkerd-crds brings the CRDs of the Gateway API")
                : failed(
                      `${gatewayApi?.target} needs the CRDs of the Gateway API: neither HTTPRoutes nor GRPCRoutes are there, and the chart linkerd-crds brings neither; install the Gateway API, or set crds.values.enableHttpRoutes: true`,
                  );
    },
};
