import type { LiveLinkerd } from "../../cluster/linkerd";
import type { LinkerdStackConfig } from "../../config";
import { bringsGatewayApi, isGatewayApi } from "../gatewayApi";
import { crdVersion, type LinkerdPlan } from "../linkerd";
import { merge } from "../values";
import { reaches } from "../releases";
import type { Evaluators } from "./evaluator";
import type { LinkerdHealth } from "./observation";
import { failed, ok, skipped } from "./result";

/** From here on releases ask for them (github.com/linkerd/linkerd2/releases/tag/edge-25.3.4). */
const MANDATORY = "edge-25.3.4";

/** Of the planned update; where it is refused for other reasons, as far as values are known. */
export function gatewayApiOf(
    config: Pick<LinkerdStackConfig, "crds" | "linkerdVersion">,
    live: LiveLinkerd,
    plan: Pick<LinkerdPlan, "values"> | undefined,
): NonNullable<LinkerdHealth["gatewayApi"]> {
    const known = merge(live.installation.taken?.crds ?? {}, config.crds.values);
    return {
        target: config.linkerdVersion.tag,
        brought: bringsGatewayApi({
            crds: { values: plan?.values.crds ?? known },
            linkerdVersion: crdVersion(config.linkerdVersion, live),
        }),
    };
}

export const gatewayApiChecks: Evaluators = {
    "gateway-api-crd": ({ live, gatewayApi }) => {
        if (!reaches(gatewayApi?.target, MANDATORY)) {
            return skipped("the target does without the CRDs of the Gateway API");
        }
        const found = live.crds.filter(({ name }) => isGatewayApi(name));
        return found.length > 0
            ? ok(`${found.length} CRDs of the Gateway API exist`)
            : gatewayApi?.brought === true
              ? ok("the chart linkerd-crds brings the CRDs of the Gateway API")
              : failed(
                    `${gatewayApi?.target} needs the CRDs of the Gateway API: there are none, and the chart linkerd-crds brings none; install the Gateway API, or set crds.values.enableHttpRoutes: true`,
                );
    },
};
