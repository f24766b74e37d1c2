import type { MeshedPod } from "../../cluster/dataPlane";
import { NO_SIDECAR, type Target } from "../dataPlane";
import { wantedOf, type Injector } from "./injection";

/** Who injects, and what. */
export interface Injection {
    readonly injectors: readonly Injector[];
    /** Version of the sidecar that a revision injects, by revision. */
    readonly proxies: ReadonlyMap<string, string>;
}

/** What a pod would get that more than one revision injects. */
export const SEVERAL_SIDECARS = "several sidecars";

/** As a pod's `proxy` reads: `1.27.1 (1-27-1)`. */
export function proxyText(version: string, revision: string): string {
    return `${version} (${revision})`;
}

/** A pod is to run what the labels, tags and webhooks, as they are, would give a new one. */
export function istioTarget(injection: Injection): Target {
    return { text: "what labels and webhooks choose", of: (pod) => proxyFor(pod, injection) };
}

/** What a namespace is to choose. */
export interface Planned {
    readonly revision: string;
    readonly version: string;
}

/** A pod is to run what its namespace will choose, unless it refuses a sidecar. */
export function plannedTarget(planned: ReadonlyMap<string, Planned>): Target {
    const anyPod: Injector = {
        name: "planned",
        webhook: "planned",
        revision: "planned",
        tag: undefined,
        service: "",
        namespaceSelector: {},
        objectSelector: {},
    };
    return {
        text: "what labels and webhooks will choose",
        of: ({ namespace: name, namespaceLabels: labels, wish }) => {
            const choice = planned.get(name);
            return choice && wish && wantedOf([anyPod], { name, labels }, wish)
                ? proxyText(choice.version, choice.revision)
                : NO_SIDECAR;
        },
    };
}

function proxyFor(pod: MeshedPod, { injectors, proxies }: Injection): string {
    if (pod.wish === undefined) {
        return NO_SIDECAR;
    }
    const namespace = { name: pod.namespace, labels: pod.namespaceLabels };
    const wanted = wantedOf(injectors, namespace, pod.wish);
    if (wanted === "several") {
        return SEVERAL_SIDECARS;
    }
    return wanted === undefined
        ? NO_SIDECAR
        : proxyText(proxies.get(wanted.revision) ?? "unknown", wanted.revision);
}
