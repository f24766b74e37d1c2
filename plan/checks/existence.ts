import { at } from "../values";
import { networksOf, rangeWithin } from "./networks";
import type { Evaluators } from "./evaluator";
import type { HealthPod, LinkerdHealth } from "./observation";
import { failed, given, names, noneOf, ok, skipped, type Finding } from "./result";

/** Components that have a Deployment in namespace linkerd. */
export const COMPONENTS = ["destination", "identity", "proxy-injector"];
const CLUSTER_NETWORKS = "clusterNetworks";

/** Pods of the control plane that run, or should. */
export function controlPlanePods(pods: readonly HealthPod[]): readonly HealthPod[] {
    return pods.filter(
        ({ namespace, gone, component }) =>
            namespace === "linkerd" && !gone && component !== undefined,
    );
}

export const existenceChecks: Evaluators = {
    "l5d-existence-linkerd-config": ({ live }) =>
        live.linkerdVersion === undefined
            ? failed("ConfigMap linkerd/linkerd-config is missing or names no linkerdVersion")
            : ok(`linkerd-config names ${live.linkerdVersion}`),
    "l5d-existence-sa": ({ live, serviceAccounts }) =>
        at(live.values, "disableHeartBeat") === true
            ? skipped("the heartbeat is disabled")
            : given(serviceAccounts, (found) =>
                  found.includes("linkerd-heartbeat")
                      ? ok("ServiceAccount linkerd-heartbeat exists")
                      : failed("ServiceAccount missing: linkerd-heartbeat"),
              ),
    "l5d-existence-replicasets": ({ replicaFailures }) =>
        given(replicaFailures, (all) =>
            noneOf(all, "no pods can be made", "the control plane's ReplicaSets can make pods"),
        ),
    "l5d-existence-unschedulable-pods": ({ pods }) =>
        given(pods, (all) =>
            noneOf(
                controlPlanePods(all).flatMap(({ name, unschedulable }) =>
                    unschedulable === undefined ? [] : [`${name} (${unschedulable})`],
                ),
                "pods without a node",
                "each pod of the control plane has a node",
            ),
        ),
    "l5d-api-control-ready": ({ pods }) =>
        given(pods, (all) => {
            const own = controlPlanePods(all);
            return noneOf(
                COMPONENTS.filter(
                    (name) => !own.some((pod) => pod.component === name && isServing(pod)),
                ).map((name) => `linkerd-${name} (${troubleOf(own, name)})`),
                "without a ready pod",
                "each component of the control plane has a ready pod",
            );
        }),
    "l5d-cluster-networks-cidr": (health) =>
        withNetworks(health, (networks) =>
            given(health.nodes, (nodes) => {
                const ranges = nodes.flatMap(({ podCidr }) => podCidr ?? []);
                return ranges.length === 0
                    ? skipped("no node tells its pod range (spec.podCIDR)")
                    : noneOf(
                          ranges.filter((range) => !rangeWithin(range, networks)),
                          `${CLUSTER_NETWORKS} does not hold the nodes' pod ranges`,
                          `${CLUSTER_NETWORKS} holds the pod ranges of ${ranges.length} nodes`,
                      );
            }),
        ),
    "l5d-cluster-networks-pods": (health) =>
        withNetworks(health, () =>
            given(health.pods, (pods) =>
                given(health.services, (services) =>
                    noneOf(
                        [
                            ...pods
                                .filter(({ gone }) => !gone)
                                .flatMap((one) => outside("pod", one)),
                            ...services.flatMap((one) => outside("Service", one)),
                        ],
                        `${CLUSTER_NETWORKS} does not hold`,
                        `${CLUSTER_NETWORKS} holds every address of a pod or Service`,
                    ),
                ),
            ),
        ),
};

function isServing({ running, containersReady }: HealthPod): boolean {
    return running && containersReady;
}

function troubleOf(pods: readonly HealthPod[], component: string): string {
    const reasons = pods
        .filter((pod) => pod.component === component)
        .map(({ name, trouble }) => `${name}: ${trouble ?? "not ready"}`);
    return reasons.length === 0 ? "no pod" : names(reasons);
}

function outside(
    kind: string,
    one: {
        readonly namespace: string;
        readonly name: string;
        readonly outside: string | undefined;
    },
): string[] {
    return one.outside === undefined
        ? []
        : [`${kind} ${one.namespace}/${one.name} (${one.outside})`];
}

function withNetworks(
    { live }: LinkerdHealth,
    judge: (networks: readonly string[]) => Finding,
): Finding {
    const networks = networksOf(live.values);
    return networks === undefined
        ? skipped(`linkerd-config has no ${CLUSTER_NETWORKS} that can be read`)
        : judge(networks);
}
