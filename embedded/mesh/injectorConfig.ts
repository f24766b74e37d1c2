import { createHash } from "node:crypto";
import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";
import { parse } from "yaml";
import { z } from "zod";

const valuesSchema = z.object({
    linkerdVersion: z.string(),
    identityTrustDomain: z.string().optional(),
    clusterDomain: z.string().optional(),
    cniEnabled: z.boolean().optional(),
    proxy: z.object({
        image: z.object({ name: z.string(), version: z.string().nullish() }),
        nativeSidecar: z.boolean().optional(),
    }),
    // The image went away with edge-25.11.3: linkerd-init then runs the proxy's.
    proxyInit: z
        .object({ image: z.object({ name: z.string(), version: z.string().nullish() }).optional() })
        .optional(),
});

/** What an injector pod injects, as it found it when it started. */
export interface InjectorConfig {
    /** The namespace of the control plane. */
    namespace: string;
    /** The injector's own image tag. */
    tag: string;
    proxyImage: string;
    proxyVersion: string;
    nativeSidecar: boolean;
    cni: boolean;
    /** Undefined where linkerd-init runs the proxy's image. */
    initImage: string | undefined;
    trustDomain: string;
    trustAnchors: string;
    trustAnchorsHash: string;
}

/**
 * Reads what an injector pod has mounted. Called once a pod, when it turns Ready. (The real one
 * reads its mounted files for each request, and the kubelet refreshes those after a minute or so:
 * until then, and for ever here, the pod injects what it was started with.)
 */
export async function readInjectorConfig(core: CoreV1Api, pod: V1Pod): Promise<InjectorConfig> {
    const namespace = pod.metadata?.namespace ?? "";
    const [config, roots] = await Promise.all([
        core.readNamespacedConfigMap({ namespace, name: "linkerd-config" }),
        core.readNamespacedConfigMap({ namespace, name: "linkerd-identity-trust-roots" }),
    ]);
    const image = pod.spec?.containers.find(({ name }) => name === "proxy-injector")?.image ?? "";
    return injectorConfig({
        namespace,
        tag: tagOf(image),
        values: config.data?.["values"] ?? "",
        trustAnchors: roots.data?.["ca-bundle.crt"] ?? "",
    });
}

/** The part of linkerd-config's values (YAML) that injection depends on. */
export function injectorConfig(mounted: {
    namespace: string;
    tag: string;
    values: string;
    trustAnchors: string;
}): InjectorConfig {
    const values = valuesSchema.parse(parse(mounted.values));
    const init = values.proxyInit?.image;
    return {
        namespace: mounted.namespace,
        tag: mounted.tag,
        proxyImage: values.proxy.image.name,
        // An empty version stands for that of the control plane.
        proxyVersion: values.proxy.image.version || values.linkerdVersion,
        nativeSidecar: values.proxy.nativeSidecar ?? false,
        cni: values.cniEnabled ?? false,
        initImage: init && `${init.name}:${init.version || values.linkerdVersion}`,
        trustDomain: values.identityTrustDomain ?? values.clusterDomain ?? "cluster.local",
        trustAnchors: mounted.trustAnchors,
        trustAnchorsHash: createHash("sha256").update(mounted.trustAnchors).digest("hex"),
    };
}

/** The tag of an image reference; "latest" without one, as container runtimes have it. */
export function tagOf(image: string): string {
    const last = image.split("@")[0]?.split("/").at(-1) ?? "";
    return last.split(":")[1] ?? "latest";
}
