import type { V1ContainerStatus, V1Pod, V1Service } from "@kubernetes/client-node";
import type { HealthPod, HealthService } from "../../plan/checks/observation";
import { imageTag } from "../../plan/images";
import { podReason } from "../podReason";
import { FROM_CONFIG_MAP, PROXY_CONTAINER, TRUST_ANCHORS } from "../pods";

const COMPONENT = "linkerd.io/control-plane-component";
const CONTROL_PLANE = "linkerd.io/control-plane-ns";
const OF_THE_MESH = new Set(["linkerd", "linkerd-viz"]);

/** Annotations that do nothing as a label, and a label that does nothing as an annotation (healthcheck_labels.go). */
const ANNOTATION = /^(linkerd\.io\/inject$|config\.linkerd\.io\/|config\.alpha\.linkerd\.io\/)/;
const LABEL = "mirror.linkerd.io/exported";
/** A label of the control plane's namespace and of kube-system, which begins like an annotation. */
const LABEL_AFTER_ALL = "config.linkerd.io/admission-webhooks";

/** What pods and Services are compared with. */
export interface Surroundings {
    /** Tells whether clusterNetworks holds an address. */
    readonly within: (address: string) => boolean;
    /** Text of ConfigMap linkerd-identity-trust-roots. */
    readonly trustRoots: string | undefined;
}

/** Undefined for a pod that no check has to look at: of a cluster's thousands only those of the mesh stay in memory. */
export function healthPod(pod: V1Pod, around: Surroundings): HealthPod | undefined {
    const { metadata, spec, status } = pod;
    const namespace = metadata?.namespace ?? "";
    const meshed = metadata?.labels?.[CONTROL_PLANE] !== undefined && proxyOf(pod) !== undefined;
    const address = spec?.hostNetwork ? undefined : status?.podIP;
    const outside = address && !around.within(address) ? address : undefined;
    if (!meshed && !OF_THE_MESH.has(namespace) && outside === undefined) {
        return undefined;
    }
    const ready = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True");
    const statuses = status?.containerStatuses ?? [];
    const ofProxy = [...statuses, ...(status?.initContainerStatuses ?? [])].find(isProxy);
    const scheduled = status?.conditions?.find(({ reason }) => reason === "Unschedulable");
    return {
        namespace,
        name: metadata?.name ?? "",
        created: new Date(metadata?.creationTimestamp ?? 0).getTime(),
        gone:
            status?.phase === "Succeeded" ||
            status?.phase === "Failed" ||
            metadata?.deletionTimestamp !== undefined,
        running: status?.phase === "Running",
        component: metadata?.labels?.[COMPONENT] ?? metadata?.labels?.["component"],
        meshed,
        proxy: imageTag(proxyOf(pod)?.image ?? ""),
        proxyReady: ofProxy?.ready ?? ready ?? false,
        containersReady: statuses.length > 0 ? statuses.every((one) => one.ready) : ready === true,
        tags: OF_THE_MESH.has(namespace)
            ? (spec?.containers ?? []).flatMap((one) =>
                  isProxy(one) ? [] : (imageTag(one.image ?? "") ?? []),
              )
            : [],
        trusts: trusts(pod, around.trustRoots),
        unschedulable: scheduled?.message,
        trouble: ready ? undefined : podReason(pod),
        outside,
        misplaced: misplacedLabels(metadata?.labels),
    };
}

export function healthService(
    { metadata, spec }: V1Service,
    { within }: Surroundings,
): HealthService | undefined {
    const namespace = metadata?.namespace ?? "";
    const address = spec?.clusterIP;
    const outside = address && address !== "None" && !within(address) ? address : undefined;
    const service = {
        namespace,
        name: metadata?.name ?? "",
        outside,
        misplacedLabels: misplacedLabels(metadata?.labels),
        misplacedAnnotations: Object.keys(metadata?.annotations ?? {}).filter(
            (key) => key === LABEL,
        ),
    };
    const told =
        outside !== undefined ||
        service.misplacedLabels.length > 0 ||
        service.misplacedAnnotations.length > 0;
    return told || OF_THE_MESH.has(namespace) ? service : undefined;
}

function misplacedLabels(labels: Readonly<Record<string, string>> = {}): string[] {
    return Object.keys(labels).filter((key) => ANNOTATION.test(key) && key !== LABEL_AFTER_ALL);
}

function isProxy({ name }: Pick<V1ContainerStatus, "name">): boolean {
    return name === PROXY_CONTAINER;
}

function proxyOf({ spec }: V1Pod) {
    return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(isProxy);
}

function trusts(pod: V1Pod, trustRoots: string | undefined): boolean | undefined {
    const variable = proxyOf(pod)?.env?.find(({ name }) => name === TRUST_ANCHORS);
    if (variable?.valueFrom?.configMapKeyRef?.name === FROM_CONFIG_MAP) {
        return true;
    }
    return variable?.value === undefined || trustRoots === undefined
        ? undefined
        : variable.value.trim() === trustRoots.trim();
}
