import type { V1Pod, V1Service } from "@kubernetes/client-node";

/** The Service that `host` stands for: its cluster address, or its DNS name down to `name.ns`. */
export function serviceAt(services: readonly V1Service[], host: string): V1Service | undefined {
    const [name, namespace, kind = "svc"] = host.split(".");
    return services.find(
        ({ spec, metadata }) =>
            [spec?.clusterIP, ...(spec?.clusterIPs ?? [])].includes(host) ||
            (metadata?.name === name && metadata?.namespace === namespace && kind === "svc"),
    );
}

/** Whether a pod gets traffic of its Services: Ready, and not on its way out. */
export function takesTraffic(pod: V1Pod): boolean {
    return (
        pod.metadata?.deletionTimestamp === undefined &&
        (pod.status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True")
    );
}

/** A Service's selector as the label selector of a list; undefined where it selects nothing. */
export function selectorOf(service: V1Service): string | undefined {
    const labels = Object.entries(service.spec?.selector ?? {});
    if (labels.length === 0) return undefined;
    return labels.map(([key, value]) => `${key}=${value}`).join(",");
}

/** Whether a pod is one of a Service's, Ready or not. */
export function selects({ metadata, spec }: V1Service, pod: V1Pod): boolean {
    const wanted = Object.entries(spec?.selector ?? {});
    return (
        metadata?.namespace === pod.metadata?.namespace &&
        wanted.length > 0 &&
        wanted.every(([key, value]) => pod.metadata?.labels?.[key] === value)
    );
}
