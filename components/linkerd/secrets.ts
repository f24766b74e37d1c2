import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KeyPair } from "../../plan/certificates";
import type { IssuerScheme } from "../../plan/identity";
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
    /** `linkerd.io/tls` is Linkerd's own way for the issuer: an opaque Secret without anchors. Defaults to kubernetes.io/tls. */
    readonly scheme?: IssuerScheme;
}

/** A Secret with a certificate and its key, which is encrypted in the state. */
export function tlsSecret(
    args: TlsSecretArgs,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const { namespace, name, pair, ca, annotations, scheme = "kubernetes.io/tls" } = args;
    const certificate = base64(pair.certificate);
    const key = base64(pair.key);
    return new k8s.core.v1.Secret(
        `${namespace}/${name}`,
        {
            // No empty map: the API server drops it, and it would show as a change for ever.
            metadata: { namespace, name, ...(annotations ? { annotations } : {}) },
            type: scheme === "linkerd.io/tls" ? "Opaque" : scheme,
            data: pulumi.secret(
                scheme === "linkerd.io/tls"
                    ? { "crt.pem": certificate, "key.pem": key }
                    : {
                          "tls.crt": certificate,
                          "tls.key": key,
                          ...(ca === undefined ? {} : { "ca.crt": base64(ca) }),
                      },
            ),
        },
        opts,
    );
}

/** The Secrets that the charts' webhooks of one namespace mount. */
export function webhookSecrets(
    namespace: Webhook["namespace"],
    certificates: WebhookCertificates,
    annotations: Readonly<Record<string, string>>,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret[] {
    return WEBHOOKS.filter((webhook) => webhook.namespace === namespace).map(({ service }) => {
        const pair = certificates.leaves[service];
        if (!pair) {
            throw new Error(`the plan has no certificate for Service ${service}`);
        }
        return tlsSecret({ namespace, name: webhookSecret(service), pair, annotations }, opts);
    });
}

function base64(text: string): string {
    return Buffer.from(text).toString("base64");
}
