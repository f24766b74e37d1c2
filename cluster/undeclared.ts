import type { KubeApi } from "./api";
import {
    CHART_KINDS,
    listLabelled,
    nameOfObject,
    POLICY_KINDS,
    type MeshObject,
} from "./meshObjects";

/** Label key of everything that an installer of the control plane made. */
const LABEL = "linkerd.io/control-plane-ns";

/** What the CLI was asked for: its own memory, which a return to the CLI needs. */
const KEPT = new Set(["Secret linkerd/linkerd-config-overrides"]);

/**
 * Objects with the control plane's label, of the kinds that `linkerd prune` looks at, that are not `declared`. CRDs
 * are none of them, whether objects of theirs are left or not: deleting one deletes every object of its kind.
 */
export async function findUndeclared(
    api: KubeApi,
    declared: ReadonlySet<string>,
): Promise<MeshObject[]> {
    const labelled = await listLabelled(api, [...CHART_KINDS, ...POLICY_KINDS], LABEL);
    return labelled.filter((one) => {
        const name = nameOfObject(one);
        return !declared.has(name) && !KEPT.has(name) && !isInjected(one) && !isStacks(one);
    });
}

/** What the stack declared before is deleted by the engine. */
function isStacks({ annotations }: MeshObject): boolean {
    return annotations["pulumi.com/patchFieldManager"] !== undefined;
}

/** The injector labels pods, and with Jobs and the like users copy that label. */
function isInjected({ kind, labels }: MeshObject): boolean {
    return (
        ["DaemonSet", "Deployment", "Job", "StatefulSet", "CronJob"].includes(kind) &&
        labels["linkerd.io/control-plane-component"] === undefined
    );
}
