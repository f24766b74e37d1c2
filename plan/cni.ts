import type { LinkerdStackConfig } from "../config";
import type { HealthCni } from "./checks/observation";
import type { Read } from "./checks/result";
import type { Fault } from "./faults";
import type { LinkerdPlan } from "./linkerd";
import type { Settings } from "./settings";
import { at } from "./values";

export const CNI_CHART = "linkerd2-cni";
export const CNI_NAMESPACE = "linkerd-cni";

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
    const { objects, ready, desired, owners } = read.value;
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
        ...(ready === desired || change === "none" || change === "revert"
            ? []
            : [
                  {
                      subject,
                      value: "true",
                      rule: `the CNI plugin is ready on ${ready} of ${desired} nodes: pods on the others would not start`,
                      next: "kubectl get pods -A -l k8s-app=linkerd-cni -o wide, mend it, then: pulumi up",
                  },
              ]),
    ];
}
