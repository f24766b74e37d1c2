// The CRDs of the Gateway API, which linkerd-crds brought, and from some release on brings no longer.
import type { LiveLinkerd } from "../cluster/linkerd";
import type { LinkerdStackConfig } from "../config";
import { reaches } from "./releases";

/** Whether a CRD, by its name, is of the Gateway API. */
export function isGatewayApi(crd: string): boolean {
    return crd.endsWith(".gateway.networking.k8s.io");
}

/** From this release on the CRDs of the Gateway API come only where the values ask for them. */
const GATEWAY_API_OPTIONAL = "edge-25.9.4";

/** The name of before wins where both are set (linkerd-crds from edge-25.3.2 on, gateway.networking.k8s.io_httproutes.yaml). */
export function bringsGatewayApi({
    crds,
    linkerdVersion,
}: Pick<LinkerdStackConfig, "crds" | "linkerdVersion">): boolean {
    const asked = crds.values["enableHttpRoutes"] ?? crds.values["installGatewayAPI"];
    return typeof asked === "boolean" ? asked : !reaches(linkerdVersion.tag, GATEWAY_API_OPTIONAL);
}

/** The engine shows them as deleted: they are the stack's, and the chart of the CRDs brings them no longer. */
export function leftLines(
    config: Parameters<typeof bringsGatewayApi>[0],
    live: Pick<LiveLinkerd, "crds">,
    stack: string,
): string[] {
    const left = live.crds.filter((crd) => crd.stack === stack && isGatewayApi(crd.name));
    return left.length === 0 || bringsGatewayApi(config)
        ? []
        : [
              `CRDs of the Gateway API stay in the cluster with their objects (deleted only from the state): ${left.map(({ name }) => name).join(", ")}`,
          ];
}
