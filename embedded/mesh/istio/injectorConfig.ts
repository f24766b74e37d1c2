import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";
import { parse } from "yaml";
import { z } from "zod";
import { tagOf } from "../injectorConfig";

const unrevisioned = "default";

const valuesSchema = z.object({
    global: z.object({ hub: z.string().nullish(), tag: z.string().nullish() }).nullish(),
});

/** What an istiod injects, as it found it when it started. */
export interface IstioInjectorConfig {
    /** The namespace of the control plane. */
    namespace: string;
    revision: string;
    /** `1.6.14-asm.2`: the istiod's own, on which it depends what it writes to pods. */
    istiodVersion: string;
    proxyImage: string;
    nativeSidecar: boolean;
}

/** The revision that an istiod pod serves; `default` for an install without one. */
export function revisionOf(pod: V1Pod): string {
    const label = pod.metadata?.labels?.["istio.io/rev"];
    return environmentOf(pod)("REVISION") || label || unrevisioned;
}

/** Reads the istiod's ConfigMap. (The real one sees a change of it after a minute or so.) */
export async function readIstioInjectorConfig(
    core: CoreV1Api,
    pod: V1Pod,
): Promise<IstioInjectorConfig> {
    const revision = revisionOf(pod);
    const suffix = revision === unrevisioned ? "" : `-${revision}`;
    const config = await core.readNamespacedConfigMap({
        namespace: pod.metadata?.namespace ?? "",
        name: `istio-sidecar-injector${suffix}`,
    });
    return istioInjectorConfig(pod, config.data?.["values"] ?? "");
}

/**
 * What follows from an istiod's pod and its ConfigMap.
 * @param values JSON; what is not in it is taken from the pod's own image
 */
export function istioInjectorConfig(pod: V1Pod, values: string): IstioInjectorConfig {
    const { global } = valuesSchema.parse(parse(values) ?? {});
    const image = discoveryOf(pod)?.image ?? "";
    const istiodVersion = tagOf(image);
    const hub = global?.hub || image.split("/").slice(0, -1).join("/");
    const wanted = environmentOf(pod)("ENABLE_NATIVE_SIDECARS");
    return {
        namespace: pod.metadata?.namespace ?? "",
        revision: revisionOf(pod),
        istiodVersion,
        proxyImage: `${hub}/proxyv2:${global?.tag || istiodVersion}`,
        nativeSidecar:
            wanted === "true" || (wanted !== "false" && isAtLeast(istiodVersion, [1, 27])),
    };
}

/** Whether a version is of that minor or a later one. One without numbers (`latest`) is. */
export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
    const match = /^v?(\d+)\.(\d+)/.exec(version);
    if (match === null) return true;
    const [ofMajor, ofMinor] = [Number(match[1]), Number(match[2])];
    return ofMajor > major || (ofMajor === major && ofMinor >= minor);
}

function discoveryOf(pod: V1Pod) {
    return pod.spec?.containers.find(({ name }) => name === "discovery");
}

function environmentOf(pod: V1Pod): (name: string) => string | undefined {
    const env = discoveryOf(pod)?.env ?? [];
    return (name) => env.find((one) => one.name === name)?.value;
}
