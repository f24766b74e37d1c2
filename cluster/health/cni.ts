import type { V1DaemonSet } from "@kubernetes/client-node";
import type { HealthCni } from "../../plan/checks/observation";
import type { Read } from "../../plan/checks/result";
import type { KubeApi } from "../api";
import { STACK_ANNOTATION } from "../linkerd";
import { listOf, objectAt } from "./read";

const NAME = "linkerd-cni";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
/** Its chart puts it on the DaemonSet, whose namespace is the user's choice. */
const LABEL = "k8s-app=linkerd-cni";

/** The CNI plugin, as its chart names it; the first read that is refused makes all of it unknown. */
export async function readCni(api: KubeApi): Promise<Read<HealthCni>> {
    const sets = await listOf(api, "/apis/apps/v1/daemonsets", (one: V1DaemonSet) => one, {
        labelSelector: LABEL,
    });
    if ("unknown" in sets) {
        return sets;
    }
    const [found] = sets.value;
    const own = `/api/v1/namespaces/${found?.metadata?.namespace ?? NAME}`;
    const [config, role, binding, account] = await Promise.all([
        objectAt(api, `${own}/configmaps/linkerd-cni-config`),
        objectAt(api, `${RBAC}/clusterroles/${NAME}`),
        objectAt(api, `${RBAC}/clusterrolebindings/${NAME}`),
        objectAt(api, `${own}/serviceaccounts/${NAME}`),
    ]);
    const refused = [config, role, binding, account].find((one) => "unknown" in one);
    if (refused && "unknown" in refused) {
        return refused;
    }
    const exists = (one: Read<unknown>) => "value" in one && one.value !== undefined;
    return {
        value: {
            objects: {
                ConfigMap: exists(config),
                ClusterRole: exists(role),
                ClusterRoleBinding: exists(binding),
                ServiceAccount: exists(account),
                DaemonSet: found !== undefined,
            },
            ready: found?.status?.numberReady ?? 0,
            desired: found?.status?.desiredNumberScheduled ?? 0,
            owners: sets.value.map(({ metadata }) => metadata?.annotations?.[STACK_ANNOTATION]),
        },
    };
}
