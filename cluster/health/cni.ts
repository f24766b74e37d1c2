import type { V1DaemonSet, V1Namespace, V1Node, V1Pod } from "@kubernetes/client-node";
import type { HealthCni } from "../../plan/checks/observation";
import type { Read } from "../../plan/checks/result";
import { CNI_NAMESPACE, CONFIG_HASH, onNodes, type PluginPods } from "../../plan/cni";
import type { KubeApi } from "../api";
import { STACK_ANNOTATION } from "../linkerd";
import { listOf, mapRead, objectAt } from "./read";

const NAME = "linkerd-cni";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
/** Its chart puts it on DaemonSet and pods, whose namespace is the user's choice. */
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
    const [config, role, binding, account, pods, owners] = await Promise.all([
        objectAt(api, `${own}/configmaps/linkerd-cni-config`),
        objectAt(api, `${RBAC}/clusterroles/${NAME}`),
        objectAt(api, `${RBAC}/clusterrolebindings/${NAME}`),
        objectAt(api, `${own}/serviceaccounts/${NAME}`),
        readPluginPods(api, found),
        ownersOf(api, sets.value),
    ]);
    for (const one of [config, role, binding, account]) {
        if ("unknown" in one) {
            return one;
        }
    }
    if ("unknown" in pods) {
        return pods;
    }
    if ("unknown" in owners) {
        return owners;
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
            ...onNodes(pods.value),
            owners: owners.value,
        },
    };
}

/** Whose each DaemonSet is. One that this program made before it wrote that down is known by its pods, and is its namespace's. */
async function ownersOf(
    api: KubeApi,
    sets: readonly V1DaemonSet[],
): Promise<Read<HealthCni["owners"]>> {
    const written = ({ metadata }: V1DaemonSet) => metadata?.annotations?.[STACK_ANNOTATION];
    const unwritten = ({ metadata, spec }: V1DaemonSet) =>
        metadata?.namespace === CNI_NAMESPACE &&
        spec?.template.metadata?.annotations?.[CONFIG_HASH] !== undefined;
    if (!sets.some((one) => written(one) === undefined && unwritten(one))) {
        return { value: sets.map(written) };
    }
    const namespace = await objectAt<V1Namespace>(api, `/api/v1/namespaces/${CNI_NAMESPACE}`);
    return mapRead(namespace, (found) =>
        sets.map(
            (one) =>
                written(one) ??
                (unwritten(one) ? found?.metadata?.annotations?.[STACK_ANNOTATION] : undefined),
        ),
    );
}

/** Where the pods of a plugin's DaemonSet are; undefined: there is none. */
export async function readPluginPods(
    api: KubeApi,
    set: V1DaemonSet | undefined,
): Promise<Read<PluginPods>> {
    const namespace = set?.metadata?.namespace;
    if (namespace === undefined) {
        return { value: { desired: 0, pods: [], notReady: new Set() } };
    }
    const [pods, notReady] = await Promise.all([
        listOf(api, `/api/v1/namespaces/${namespace}/pods`, podOf, { labelSelector: LABEL }),
        listOf(api, "/api/v1/nodes", ({ metadata, status }: V1Node) =>
            isReady(status) ? undefined : (metadata?.name ?? ""),
        ),
    ]);
    return "unknown" in pods
        ? pods
        : "unknown" in notReady
          ? notReady
          : {
                value: {
                    desired: set?.status?.desiredNumberScheduled ?? 0,
                    pods: pods.value,
                    notReady: new Set(notReady.value),
                },
            };
}

function isReady(status: V1Node["status"] | V1Pod["status"]): boolean {
    const conditions: readonly { type: string; status: string }[] = status?.conditions ?? [];
    return conditions.some((one) => one.type === "Ready" && one.status === "True");
}

function podOf({ metadata, spec, status }: V1Pod): PluginPods["pods"][number] {
    return {
        // Before it has a node, its affinity names the one that it is for.
        node: spec?.nodeName ?? intendedNode(spec),
        ready: isReady(status) && metadata?.deletionTimestamp === undefined,
        hash: metadata?.labels?.["controller-revision-hash"],
    };
}

function intendedNode(spec: V1Pod["spec"]): string {
    const { requiredDuringSchedulingIgnoredDuringExecution: required } =
        spec?.affinity?.nodeAffinity ?? {};
    const fields = required?.nodeSelectorTerms[0]?.matchFields ?? [];
    return fields.find(({ key }) => key === "metadata.name")?.values?.[0] ?? "";
}
