import type { LiveIstio } from "../../../cluster/istio/observe";
import type { Injector } from "../../../plan/istio/injection";
import type { IstioUser } from "../../../plan/istio/use";

const REV = "istio.io/rev";
const INJECTION = "istio-injection";

/** What selects namespaces by istio.io/rev; `default` (the install without a name, or the tag) those with istio-injection. */
export function injectorOf(revision: string, tag?: string): Injector {
    const label = tag ?? revision;
    return {
        name:
            tag === undefined ? `istio-sidecar-injector-${revision}` : `istio-revision-tag-${tag}`,
        webhook: "namespace.sidecar-injector.istio.io",
        revision,
        tag,
        service: revision === "default" ? "istiod" : `istiod-${revision}`,
        namespaceSelector: {
            matchExpressions:
                label === "default"
                    ? [{ key: INJECTION, operator: "In", values: ["enabled"] }]
                    : [
                          { key: REV, operator: "In", values: [label] },
                          { key: INJECTION, operator: "DoesNotExist" },
                      ],
        },
        objectSelector: {},
    };
}

/** Pod shop/web-1 with a sidecar of 1-26-4, which its namespace chose; `fields` differ. */
export const userOf = (fields: Partial<IstioUser> = {}): IstioUser => ({
    namespace: "shop",
    name: "web-1",
    running: "1-26-4",
    asked: undefined,
    asksDefault: false,
    gateway: false,
    ...fields,
});

/** Nothing of Istio; `fields` differ. */
export const liveOf = (fields: Partial<LiveIstio> = {}): LiveIstio => ({
    istiods: [],
    injection: { injectors: [], proxies: new Map() },
    webhooks: [],
    gateways: [],
    crds: [],
    namespaceStack: undefined,
    namespaceExists: false,
    ran: [],
    users: { namespaces: new Map(), injectors: [], pods: [] },
    serverVersion: "v1.32.2",
    clusterAdmin: true,
    ...fields,
});
