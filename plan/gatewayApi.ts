// The CRDs of the Gateway API, which linkerd-crds brings or not: release and values say so for each of them.
import type { LiveCrd } from "../cluster/linkerd";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
import { reaches } from "./releases";

type ConfiguredCrds = Pick<LinkerdStackConfig, "linkerdVersion"> & {
    readonly crds: Pick<LinkerdStackConfig["crds"], "values" | "manifests">;
};

interface Route {
    readonly crd: string;
    /** First release whose chart has it; absent: all that the version line may name. */
    readonly since?: string;
    /** Value that asks for it; HTTPRoutes and GRPCRoutes share theirs. */
    readonly key: string;
}

/** Source: gateway.networking.k8s.io_*.yaml and values.yaml of linkerd-crds at the tags of linkerd2, as for all of the below. */
const ROUTES: readonly Route[] = [
    { crd: "httproutes.gateway.networking.k8s.io", key: "enableHttpRoutes" },
    { crd: "grpcroutes.gateway.networking.k8s.io", since: "edge-24.5.2", key: "enableHttpRoutes" },
    { crd: "tcproutes.gateway.networking.k8s.io", since: "edge-24.10.4", key: "enableTcpRoutes" },
    { crd: "tlsroutes.gateway.networking.k8s.io", since: "edge-24.10.4", key: "enableTlsRoutes" },
];
const KEYS = [...new Set(ROUTES.map(({ key }) => key))];

/** From this release on `installGatewayAPI` is for all of them; in this one a route's own value counts only where it is true. */
const COMMON_KEY = "edge-25.3.1";
/** From this release on a route's own value wins over the common one. */
const OWN_KEY_WINS = "edge-25.3.2";
/** From this release on they come only where the values ask for them. */
const OPTIONAL = "edge-25.9.4";

/** Whether a CRD, by its name, is of the Gateway API. */
export function isGatewayApi(crd: string): boolean {
    return crd.endsWith(".gateway.networking.k8s.io");
}

/** Whether the chart of this release brings the CRD with these values; false for one that the chart never has. */
export function bringsRoute(crd: string, { crds, linkerdVersion }: ConfiguredCrds): boolean {
    const { tag } = linkerdVersion;
    const route = ROUTES.find((one) => one.crd === crd);
    if (!route || !isInChart(route, tag)) {
        return false;
    }
    const own = crds.values[route.key];
    if (!reaches(tag, COMMON_KEY)) {
        return Boolean(own ?? true);
    }
    const common = crds.values["installGatewayAPI"] ?? !reaches(tag, OPTIONAL);
    return Boolean(reaches(tag, OWN_KEY_WINS) ? (own ?? common) : own || common);
}

/** Refuses to write over those of somebody else's CRDs, by name, that the chart would bring. */
export function routeFaults(foreign: readonly string[], config: ConfiguredCrds): readonly Fault[] {
    const brought = foreign.filter((name) => bringsRoute(name, config));
    const settings = settingsWithout(brought, config.linkerdVersion.tag);
    return brought.length === 0
        ? []
        : [
              {
                  subject: "CustomResourceDefinitions",
                  value: brought.join(", "),
                  rule: "exist already and are somebody else's, yet the chart linkerd-crds would bring its own",
                  next:
                      config.crds.manifests === undefined
                          ? `set in crds.values ${settings}, to leave them as they are`
                          : `render crds.manifests with ${settings}, to leave them as they are`,
              },
          ];
}

/** Settings with which the chart of `tag` brings none of these CRDs: `enableTcpRoutes: false, enableTlsRoutes: false`. */
function settingsWithout(crds: readonly string[], tag: string): string {
    const keys = KEYS.filter((key) =>
        ROUTES.some((one) => one.key === key && crds.includes(one.crd)),
    );
    const common = reaches(tag, COMMON_KEY) && !reaches(tag, OWN_KEY_WINS);
    return [...(common ? ["installGatewayAPI"] : []), ...keys]
        .map((key) => `${key}: false`)
        .join(", ");
}

/** Values of a chart that brought no other routes than those among `crds`. */
export function valuesOfRoutes(crds: readonly string[]): ChartValues {
    const own = KEYS.map((key) => [key, !isMissing(key, crds)] as const);
    return { installGatewayAPI: false, ...Object.fromEntries(own) };
}

/** Those of the values that leave routes out, where the chart of `tag` brought no others than those among `crds`. */
export function valuesLeftOut(crds: readonly string[], tag: string | undefined): ChartValues {
    const had = KEYS.filter((key) => ROUTES.some((one) => one.key === key && isInChart(one, tag)));
    return Object.fromEntries(
        had.filter((key) => isMissing(key, crds)).map((key) => [key, false] as const),
    );
}

function isInChart({ since }: Route, tag: string | undefined): boolean {
    return since === undefined || reaches(tag, since);
}

function isMissing(key: string, crds: readonly string[]): boolean {
    return !ROUTES.some((one) => one.key === key && crds.includes(one.crd));
}

/** Those that an update of this stack brought and that this one does not; their annotation tells whose they were. */
export function leftLines(
    config: ConfiguredCrds,
    live: { readonly crds: readonly LiveCrd[] },
    stack: string,
): string[] {
    const left = live.crds
        .filter((crd) => crd.stack === stack && isGatewayApi(crd.name))
        .filter((crd) => !bringsRoute(crd.name, config))
        .map(({ name }) => name);
    return left.length === 0
        ? []
        : [
              `CRDs of the Gateway API are no longer declared; they stay in the cluster with their objects: ${left.join(", ")} (for another owner take the stack's name off: kubectl annotate crd ${left.join(" ")} mesh-upgrade/stack-)`,
          ];
}
