import * as k8s from "@kubernetes/client-node";
import type { Webhook } from "../plan/webhooks";
import { listAll, type Connection } from "./connection";

/** Where a client is called: a webhook's clientConfig, or an APIService's spec. */
interface Called {
    readonly service?: { readonly name?: string; readonly namespace?: string } | undefined;
    readonly caBundle?: string | undefined;
}

/** By Service: the PEM bundle with which API servers verify it; undefined where none is configured. */
export async function readWebhookBundles(
    { kubeconfig }: Pick<Connection, "kubeconfig">,
    webhooks: readonly Webhook[],
): Promise<Record<string, string | undefined>> {
    const admission = kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const registration = kubeconfig.makeApiClient(k8s.ApiregistrationV1Api);
    const [mutating, validating, services] = await Promise.all([
        listAll((page) => admission.listMutatingWebhookConfiguration(page)),
        listAll((page) => admission.listValidatingWebhookConfiguration(page)),
        listAll((page) => registration.listAPIService(page)),
    ]);
    const called: Called[] = [
        ...[...mutating, ...validating].flatMap((one) =>
            (one.webhooks ?? []).map(({ clientConfig }) => clientConfig),
        ),
        ...services.flatMap(({ spec }) => (spec ? [spec] : [])),
    ];
    return Object.fromEntries(
        webhooks.map(({ service, namespace }) => {
            const found = called.find(
                (one) => one.service?.name === service && one.service.namespace === namespace,
            );
            const bundle = found?.caBundle;
            return [service, bundle ? Buffer.from(bundle, "base64").toString() : undefined];
        }),
    );
}
