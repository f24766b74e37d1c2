import type { DataPlane } from "../cluster/dataPlane";
import type { LiveNamespace } from "../cluster/linkerd";
import type { ChartValues } from "../config";
import type { PlannedExtension } from "./extensions";

/** Label with the Pod Security level that is enforced in a namespace (kubernetes.io/docs/concepts/security/pod-security-admission). */
export const POD_SECURITY = "pod-security.kubernetes.io/enforce";

type Labels = Readonly<Record<string, string>>;

/** Labels of the mesh's namespaces with their level, by namespace. */
export type PodSecurity = Readonly<Record<"linkerd" | "linkerd-viz", Labels>> &
    Readonly<Record<string, Labels>>;

/** `around`: labels of every namespace; undefined where they could not be read, which only a preview survives. */
export function podSecurityLabels(
    extensions: readonly Pick<PlannedExtension, "namespace">[],
    namespaces: readonly LiveNamespace[],
    around: DataPlane["namespaceLabels"] | undefined,
    controlPlane: ChartValues,
): PodSecurity {
    const others = [...(around ?? [])].map(([name, labels]) => ({
        name,
        ...(labels[POD_SECURITY] === undefined ? {} : { podSecurity: labels[POD_SECURITY] }),
    }));
    return {
        ...Object.fromEntries(
            extensions.map(({ namespace }) => [
                namespace,
                podSecurityLabel(namespace, others, controlPlane),
            ]),
        ),
        linkerd: podSecurityLabel("linkerd", namespaces, controlPlane),
        "linkerd-viz": podSecurityLabel("linkerd-viz", namespaces, controlPlane),
    };
}

/**
 * The label for one of the mesh's namespaces. linkerd-init asks for NET_ADMIN, which only `privileged` allows. Where Linkerd's
 * CNI plugin takes its place, the linkerd CLI enforces `restricted`, and a namespace that is there keeps what it has: other
 * pods in it may need it.
 */
export function podSecurityLabel(
    name: string,
    namespaces: readonly Pick<LiveNamespace, "name" | "podSecurity">[],
    controlPlane: ChartValues,
): Labels {
    const live = namespaces.find((one) => one.name === name);
    const withCni = live ? live.podSecurity : "restricted";
    const level = controlPlane["cniEnabled"] === true ? withCni : "privileged";
    return level === undefined ? {} : { [POD_SECURITY]: level };
}
