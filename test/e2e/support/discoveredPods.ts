import type { V1Pod } from "@kubernetes/client-node";

interface ScrapeConfig {
    readonly kubernetes_sd_configs?: readonly {
        readonly namespaces?: { readonly names: string[] };
    }[];
    readonly [key: string]: unknown;
}

/**
 * Plays Prometheus' discovery of pods: a job with the targets and the labels that its documentation lists for the role pod, for
 * each port of each container. All of them lead to one address on this machine.
 */
export function withDiscoveredPods(
    { kubernetes_sd_configs: discovery = [], ...job }: ScrapeConfig,
    pods: readonly V1Pod[],
    address: string,
): object {
    const names = discovery.flatMap(({ namespaces }) => namespaces?.names ?? []);
    const all = pods.filter(
        ({ metadata }) => names.length === 0 || names.includes(metadata?.namespace ?? ""),
    );
    return { ...job, static_configs: all.flatMap((pod) => targetsOf(pod, address)) };
}

function targetsOf({ metadata, spec }: V1Pod, address: string) {
    const ofPod = {
        __meta_kubernetes_namespace: metadata?.namespace ?? "",
        __meta_kubernetes_pod_name: metadata?.name ?? "",
        ...Object.fromEntries(
            Object.entries(metadata?.labels ?? {}).map(([key, value]) => [
                `__meta_kubernetes_pod_label_${key.replace(/\W/g, "_")}`,
                value,
            ]),
        ),
    };
    return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].flatMap((container) =>
        (container.ports ?? []).map(({ name = "" }) => ({
            targets: [address],
            labels: {
                ...ofPod,
                __meta_kubernetes_pod_container_name: container.name,
                __meta_kubernetes_pod_container_port_name: name,
            },
        })),
    );
}
