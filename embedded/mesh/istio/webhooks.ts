import type {
    V1MutatingWebhookConfiguration,
    V1ValidatingWebhookConfiguration,
} from "@kubernetes/client-node";

export type WebhookConfiguration =
    V1MutatingWebhookConfiguration | V1ValidatingWebhookConfiguration;

const revisionLabel = "istio.io/rev";
/** Those of releases that put no revision on them (1.5, and the shared validator of 1.6). */
const withoutRevision = ["istio-sidecar-injector", "istiod-istio-system"];

/** Which istiods write to a webhook configuration. */
export type Writers =
    | { readonly revision: string }
    /** The unrevisioned ones, and those behind the Service that it names. */
    | { readonly revision: "default"; readonly service: { name: string; namespace: string } };

/** Undefined for a configuration that is none of istiod's. */
export function writersOf({ metadata, webhooks }: WebhookConfiguration): Writers | undefined {
    const revision = metadata?.labels?.[revisionLabel];
    if (revision !== undefined) return { revision };
    if (!withoutRevision.includes(metadata?.name ?? "")) return undefined;
    const { name = "", namespace = "" } = webhooks?.[0]?.clientConfig.service ?? {};
    return { revision: "default", service: { name, namespace } };
}

/**
 * What istiod changes about a webhook configuration, as a JSON patch; empty where all is well.
 * @param failClosed a failurePolicy Ignore becomes Fail: for validation
 */
export function repairs(
    { metadata, webhooks = [] }: WebhookConfiguration,
    caBundle: string,
    failClosed: boolean,
): object[] {
    const steps = webhooks.flatMap(({ clientConfig, failurePolicy }, index) => [
        ...(clientConfig.caBundle === caBundle
            ? []
            : [set(`/webhooks/${index}/clientConfig/caBundle`, caBundle)]),
        ...(failClosed && failurePolicy === "Ignore"
            ? [set(`/webhooks/${index}/failurePolicy`, "Fail")]
            : []),
    ]);
    if (steps.length === 0) return [];
    // Positions count only in the version that was looked at.
    const value = metadata?.resourceVersion;
    return [{ op: "test", path: "/metadata/resourceVersion", value }, ...steps];
}

function set(path: string, value: string): object {
    return { op: "add", path, value };
}
