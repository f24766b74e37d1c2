import type { LiveNamespace } from "../cluster/linkerd";
import type { ChartValues } from "../config";

/** Label with the Pod Security level that is enforced in a namespace (kubernetes.io/docs/concepts/security/pod-security-admission). */
export const POD_SECURITY = "pod-security.kubernetes.io/enforce";

/**
 * The label for one of the mesh's namespaces. linkerd-init asks for NET_ADMIN, which only `privileged` allows. Where Linkerd's
 * CNI plugin takes its place, the linkerd CLI enforces `restricted`, and a namespace that is there keeps what it has: other
 * pods in it may need it.
 */
export function podSecurityLabel(
    name: string,
    namespaces: readonly LiveNamespace[],
    controlPlane: ChartValues,
): Readonly<Record<string, string>> {
    const live = namespaces.find((one) => one.name === name);
    const withCni = live ? live.podSecurity : "restricted";
    const level = controlPlane["cniEnabled"] === true ? withCni : "privileged";
    return level === undefined ? {} : { [POD_SECURITY]: level };
}
