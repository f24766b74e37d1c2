import type { V1ObjectMeta } from "@kubernetes/client-node";

/**
 * The GitOps controller that owns an object, in words, or undefined. Such a controller may take restartedAt off again,
 * which restarts the workload once more (fluxcd/flux2#2526).
 */
export function managerOf(metadata: V1ObjectMeta | undefined): string | undefined {
    const { labels = {}, annotations = {}, managedFields = [] } = metadata ?? {};
    const flux = ["kustomize", "helm"].find((kind) => labels[`${kind}.toolkit.fluxcd.io/name`]);
    if (flux) {
        const kind = flux === "helm" ? "HelmRelease" : "Kustomization";
        const prefix = `${flux}.toolkit.fluxcd.io`;
        return `Flux (${kind} ${labels[`${prefix}/namespace`]}/${labels[`${prefix}/name`]})`;
    }
    const tracked = annotations["argocd.argoproj.io/tracking-id"]?.split(":")[0];
    const application = tracked ?? labels["argocd.argoproj.io/instance"];
    if (application) {
        return `Argo CD (Application ${application})`;
    }
    // Argo CD's own default marks objects with a label that others use too; its field manager is its own.
    return managedFields.some((one) => one.manager?.startsWith("argocd-")) ? "Argo CD" : undefined;
}
