import * as k8s from "@kubernetes/client-node";
import { imageTag } from "../../plan/images";
import type { Injector } from "../../plan/istio/injection";
import type { Injection } from "../../plan/istio/target";
import { listAll, type Connection } from "../connection";

export const REVISION_LABEL = "istio.io/rev";
/** `enabled`: the revision or tag `default` injects. */
export const INJECTION_LABEL = "istio-injection";
export const TAG_LABEL = "istio.io/tag";
/** Revision of an install without a revision name. */
export const DEFAULT = "default";

/** Mutating webhooks, for the readers that look at them: one list serves all. */
export function listMutating({
    kubeconfig,
}: Connection): Promise<k8s.V1MutatingWebhookConfiguration[]> {
    const admission = kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    return listAll((page) => admission.listMutatingWebhookConfiguration(page));
}

/** Reads which webhooks inject pods, and the version of the sidecar that each revision gives. */
export async function readInjection(
    connection: Connection,
    namespace: string,
    mutating = listMutating(connection),
): Promise<Injection> {
    const { apps, core } = connection;
    const [configurations, deployments, configMaps] = await Promise.all([
        mutating,
        listAll((page) =>
            apps.listNamespacedDeployment({ ...page, namespace, labelSelector: "app=istiod" }),
        ),
        listAll((page) => core.listNamespacedConfigMap({ ...page, namespace })),
    ]);
    const proxies = new Map(
        deployments.map((one) => [revisionOf(one), imageTagOf(one) ?? "unknown"]),
    );
    for (const { metadata, data } of configMaps) {
        const name = metadata?.name ?? "";
        const tag = injectedTag(data?.["values"]);
        if (name === INJECTOR && tag !== undefined) {
            proxies.set(DEFAULT, tag);
        } else if (name.startsWith(`${INJECTOR}-`) && tag !== undefined) {
            proxies.set(metadata?.labels?.[REVISION_LABEL] ?? name.slice(INJECTOR.length + 1), tag);
        }
    }
    return { injectors: configurations.flatMap(injectorsIn), proxies };
}

const INJECTOR = "istio-sidecar-injector";

/** Revision of an istiod Deployment. */
export function revisionOf({ metadata }: { metadata?: k8s.V1ObjectMeta }): string {
    return metadata?.labels?.[REVISION_LABEL] ?? DEFAULT;
}

/** Tag of its image, its version: `1.27.1`. */
export function imageTagOf({ spec }: k8s.V1Deployment): string | undefined {
    const discovery = spec?.template.spec?.containers.find((one) => one.name === "discovery");
    return plainTag(imageTag(discovery?.image ?? ""));
}

/** Without the variant of the image, which is no part of the version. */
function plainTag(tag: string | undefined): string | undefined {
    return tag?.replace(/-(distroless|debug)$/, "");
}

/** The webhooks of a configuration that are injectors of Istio; none for any other. */
export function injectorsIn({
    metadata,
    webhooks,
}: k8s.V1MutatingWebhookConfiguration): Injector[] {
    return (webhooks ?? [])
        .filter((one) => /sidecar-injector\.istio\.io$/.test(one.name))
        .map((one) => ({
            name: metadata?.name ?? "",
            webhook: one.name,
            revision: metadata?.labels?.[REVISION_LABEL] ?? DEFAULT,
            tag: metadata?.labels?.[TAG_LABEL],
            service: one.clientConfig.service?.name ?? "",
            namespaceSelector: one.namespaceSelector ?? {},
            objectSelector: one.objectSelector ?? {},
        }));
}

/** `global.tag` of the values that an injector works with, unless the proxy's image has a tag of its own. */
function injectedTag(values: string | undefined): string | undefined {
    try {
        const { global } = JSON.parse(values ?? "{}") as {
            global?: { tag?: unknown; proxy?: { image?: unknown } };
        };
        const image = global?.proxy?.image;
        const own = typeof image === "string" && image.includes("/") ? imageTag(image) : undefined;
        return plainTag(own ?? (typeof global?.tag === "string" ? global.tag : undefined));
    } catch {
        return undefined;
    }
}
