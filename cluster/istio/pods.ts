import type { V1Pod } from "@kubernetes/client-node";
import { NO_SIDECAR } from "../../plan/dataPlane";
import { runningOf, wishOf, type PodWish } from "../../plan/istio/injection";
import { proxyText } from "../../plan/istio/target";
import type { PodSource } from "../dataPlane";
import { recordOf, type PodRecord } from "../pods";

/** Filled in by the injector as a gateway, which has a stage of its own. */
const TEMPLATES = "inject.istio.io/templates";

/** All pods of these namespaces but gateways, with and without a sidecar: who is to get one is in labels. */
export function istioPods(namespaces: ReadonlySet<string>): PodSource {
    return {
        record: (pod: V1Pod) =>
            namespaces.has(pod.metadata?.namespace ?? "") && !isGateway(pod)
                ? istioPodRecord(pod)
                : undefined,
    };
}

export function isGateway({ metadata }: V1Pod): boolean {
    return metadata?.annotations?.[TEMPLATES]?.split(",").includes("gateway") ?? false;
}

export function istioPodRecord(pod: V1Pod): PodRecord & { readonly wish: PodWish } {
    const { metadata, spec } = pod;
    const said = {
        labels: metadata?.labels ?? {},
        annotations: metadata?.annotations ?? {},
        containers: imagesOf(spec?.containers),
        initContainers: imagesOf(spec?.initContainers),
        hostNetwork: spec?.hostNetwork ?? false,
    };
    const running = runningOf(said);
    const proxy = running ? proxyText(running.version, running.revision ?? "default") : NO_SIDECAR;
    return { ...recordOf(pod, proxy), wish: wishOf(said) };
}

function imagesOf(containers: readonly { name: string; image?: string }[] | undefined) {
    return (containers ?? []).map(({ name, image = "" }) => ({ name, image }));
}
