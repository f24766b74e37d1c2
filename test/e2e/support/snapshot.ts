import * as k8s from "@kubernetes/client-node";
import type { Connection } from "../../../cluster/connection";

/**
 * Name and resourceVersion of every object that an upgrade could touch. Equal snapshots: nothing was made,
 * changed or deleted in between. Leases, events and nodes, which change by themselves, are left out.
 */
export async function snapshot({ kubeconfig, core, apps }: Connection): Promise<string[]> {
    const extensions = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const admission = kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const rbac = kubeconfig.makeApiClient(k8s.RbacAuthorizationV1Api);
    const lists = await Promise.all([
        core.listNamespace(),
        core.listPodForAllNamespaces(),
        core.listSecretForAllNamespaces(),
        core.listConfigMapForAllNamespaces(),
        core.listServiceForAllNamespaces(),
        core.listServiceAccountForAllNamespaces(),
        apps.listDeploymentForAllNamespaces(),
        apps.listStatefulSetForAllNamespaces(),
        apps.listDaemonSetForAllNamespaces(),
        extensions.listCustomResourceDefinition(),
        admission.listMutatingWebhookConfiguration(),
        admission.listValidatingWebhookConfiguration(),
        rbac.listClusterRole(),
        rbac.listRoleForAllNamespaces(),
    ]);
    return lists
        .flatMap((list) =>
            (list.items as k8s.KubernetesObject[]).map(
                ({ metadata }) =>
                    `${list.kind} ${metadata?.namespace ?? ""}/${metadata?.name} ${metadata?.resourceVersion}`,
            ),
        )
        .sort();
}
