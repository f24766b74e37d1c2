import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KeyPair } from "../../plan/certificates";
import {
    WEBHOOKS,
    webhookSecret,
    type Webhook,
    type WebhookCertificates,
} from "../../plan/webhooks";

export interface TlsSecretArgs {
    readonly namespace: string;
    readonly name: string;
    readonly pair: KeyPair;
    /** PEM bundle for key `ca.crt`. */
    readonly ca?: string;
    readonly annotations?: Readonly<Record<string, string>>;
}

/** A Secret of type kubernetes.io/tls; its key is encrypted in the state. */
export function tlsSecret(
    args: TlsSecretArgs,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const { namespace, name, pair, ca, annotations } = args;
    return new k8s.core.v1.Secret(
        `${namespace}/${name}`,
        {
            // No empty map: the API server drops it, and it would show as a change for ever.
            metadata: { namespace, name, ...(annotations ? { annotations } : {}) },
            type: "kubernetes.io/tls",
            data: pulumi.secret({
                "tls.crt": base64(pair.certificate),
                "tls.key": base64(pair.key),
                ...(ca === undefined ? {} : { "ca.crt": base64(ca) }),
            }),
        },
        opts,
    );
}

/** The Secrets that the charts' webhooks of one namespace mount. */
export function webhookSecrets(
    namespace: Webhook["namespace"],
    certificates: WebhookCertificates,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret[] {
    return WEBHOOKS.filter((webhook) => webhook.namespace === namespace).map(({ service }) => {
        const pair = certificates.leaves[service];
        if (!pair) {
            throw new Error(`the plan has no certificate for Service ${service}`);
        }
        return tlsSecret({ namespace, name: webhookSecret(service), pair }, opts);
    });
}

function base64(text: string): string {
    return Buffer.from(text).toString("base64");
}
