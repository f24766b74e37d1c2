import type { LinkerdStackConfig } from "../config";
import type { HealthCni } from "./checks/observation";
import type { Read } from "./checks/result";
import type { Fault } from "./faults";
import type { LinkerdPlan } from "./linkerd";
import type { Settings } from "./settings";
import { at } from "./values";

export const CNI_CHART = "linkerd2-cni";
export const CNI_NAMESPACE = "linkerd-cni";

/** Annotation of the pods of a stack's own plugin: what they were configured with. */
export const CONFIG_HASH = "mesh-upgrade/config";

/** Where the pods of a plugin's DaemonSet are. */
export interface PluginPods {
    /** Nodes that are to have one. */
    readonly desired: number;
    readonly pods: readonly {
        readonly node: string;
        /** Ready, and not on its way out. */
        readonly ready: boolean;
        /** Of its template. */
        readonly hash: string | undefined;
    }[];
    /** Names of nodes that are not ready, whoever has pods there. */
    readonly notReady: ReadonlySet<string>;
}

/**
 * On how many nodes the plugin is. One that is not ready is named, not counted: no pod starts there, with a plugin or without,
 * and nobody's update makes it ready. `ready` may exceed `desired`: a pod may be left on a node that is to have none.
 * @param hash of the template that counts; undefined: any
 */
export function onNodes(
    { desired, pods, notReady }: PluginPods,
    hash?: string,
): Pick<HealthCni, "ready" | "desired" | "down"> {
    const nodes = new Set(pods.map(({ node }) => node));
    const down = [...nodes].filter((node) => notReady.has(node)).sort();
    const serving = pods.filter(
        (pod) => pod.ready && !notReady.has(pod.node) && (hash === undefined || pod.hash === hash),
    );
    return {
        ready: new Set(serving.map(({ node }) => node)).size,
        desired: Math.max(0, desired - down.length),
        down,
    };
}

/** `the CNI plugin is ready on 2 of 2 nodes (beside node-3, not ready itself)`. */
export function onNodesText({ ready, desired, down }: ReturnType<typeof onNodes>): string {
    const shown = down.length > 5 ? [...down.slice(0, 5), `${down.length - 5} more`] : down;
    const beside =
        down.length === 0
            ? ""
            : ` (beside ${shown.join(", ")}, not ready ${down.length > 1 ? "themselves" : "itself"})`;
    return `the CNI plugin is ready on ${ready} of ${desired} nodes${beside}`;
}

/** Whether new pods rely on the plugin: they get no linkerd-init. */
export function usesCni({ controlPlane }: Pick<Settings, "controlPlane">): boolean {
    return at(controlPlane, "cniEnabled") === true;
}

/** A fault where the control plane's values, or those it was rendered with, contradict `cni.enabled`. */
export function cniValueFaults({
    cni,
    controlPlane: { manifests, values },
}: Pick<LinkerdStackConfig, "cni" | "controlPlane">): Fault[] {
    if (!cni.enabled) {
        return [];
    }
    if (manifests !== undefined) {
        return at(values, "cniEnabled") === true
            ? []
            : [
                  {
                      subject: "cni.enabled",
                      value: "true",
                      rule: `${manifests} was rendered without cniEnabled: true`,
                      next: "render it with it (linkerd install --linkerd-cni-enabled), or set cni.enabled: false",
                  },
              ];
    }
    return at(values, "cniEnabled") === false
        ? [
              {
                  subject: "controlPlane.values.cniEnabled",
                  value: "false",
                  rule: "contradicts cni.enabled: true, with which pods get no linkerd-init",
                  next: "remove cniEnabled from controlPlane.values, or set cni.enabled: false",
              },
          ]
        : [];
}

/**
 * Why pods must not begin, or go on, to rely on the plugin: it is somebody else's and the stack would bring its own, or
 * nobody's and it is not there. `read`: what is live.
 */
export function cniFaults(
    { cni }: Pick<LinkerdStackConfig, "cni">,
    stack: string,
    read: Read<HealthCni>,
    change: LinkerdPlan["change"],
): Fault[] {
    if ("unknown" in read) {
        return [
            {
                subject: "controlPlane.values.cniEnabled",
                value: "true",
                rule: `needs a CNI plugin, which could not be looked at: ${read.unknown}`,
                next: "kubectl auth can-i --list, and ask for the missing permission",
            },
        ];
    }
    const { objects, ready, desired, down, owners } = read.value;
    // The namespace says nothing: it stays when the stack's own plugin goes, and somebody may put another there.
    const foreign = owners.filter((one) => one !== stack);
    if (cni.enabled) {
        const owner = foreign.find((one) => one !== undefined);
        return foreign.length > 0
            ? [
                  {
                      subject: "cni.enabled",
                      value: "true",
                      rule: `a CNI plugin runs already that this stack did not make${owner === undefined ? "" : ` (it is of ${owner})`}`,
                      next: "set cni.enabled: false and controlPlane.values.cniEnabled: true to use it as it is",
                  },
              ]
            : [];
    }
    const subject = "controlPlane.values.cniEnabled";
    if (!objects.DaemonSet) {
        return [
            {
                subject,
                value: "true",
                rule: "needs a CNI plugin, and none runs (no DaemonSet with label k8s-app=linkerd-cni): traffic of new pods would pass their proxy by, or their start would fail",
                next: "set cni.enabled: true, or install the chart linkerd2-cni first",
            },
        ];
    }
    return [
        ...(owners.includes(stack)
            ? [
                  {
                      subject: "cni.enabled",
                      value: "false",
                      rule: "would remove the CNI plugin that this stack made, and controlPlane.values.cniEnabled: true needs it",
                      next: "set cni.enabled: true, or remove cniEnabled from controlPlane.values",
                  },
              ]
            : []),
        // What runs goes on as it is: one bad node holds up neither a revert nor what mends the mesh.
        ...(ready >= desired || change === "none" || change === "revert"
            ? []
            : [
                  {
                      subject,
                      value: "true",
                      rule: `${onNodesText({ ready, desired, down })}: pods on the others would not start`,
                      next: "kubectl get pods -A -l k8s-app=linkerd-cni -o wide, mend it, then: pulumi up",
                  },
              ]),
    ];
}
