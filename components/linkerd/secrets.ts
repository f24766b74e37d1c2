import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KeyPair } from "../../plan/certificates";
import {
    ANCHOR_NAME,
    ISSUED_AT,
    ISSUER_NAME,
    ISSUER_SECRET,
    type Identity,
    type NamedPair,
} from "../../plan/identity";
import {
    WEBHOOKS,
    webhookSecret,
    type Webhook,
    type WebhookCertificates,
} from "../../plan/webhooks";
import { TAKE_OVER } from "../crds";

export interface TlsSecretArgs {
    readonly namespace: string;
    readonly name: string;
    readonly pair: KeyPair;
    /** PEM bundle for key `ca.crt`. */
    readonly ca?: string;
    readonly annotations?: Readonly<Record<string, string>>;
}

/** The issuer's Secret in its scheme (plan/identity.ts), with what the next update has to know of it. */
export function issuerSecret(
    { scheme, issuer, ca, issuerName, issuedAt }: Identity,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const annotations = {
        ...TAKE_OVER,
        ...(issuerName === undefined ? {} : { [ISSUER_NAME]: issuerName }),
        ...(issuedAt === undefined ? {} : { [ISSUED_AT]: issuedAt }),
    };
    const place = { namespace: "linkerd", name: ISSUER_SECRET };
    return scheme === "kubernetes.io/tls"
        ? tlsSecret({ ...place, pair: issuer, ca, annotations }, opts)
        : new k8s.core.v1.Secret(
              `${place.namespace}/${place.name}`,
              {
                  metadata: { ...place, annotations },
                  type: "Opaque",
                  data: pulumi.secret({
                      "crt.pem": base64(issuer.certificate),
                      "key.pem": base64(issuer.key),
                  }),
              },
              opts,
          );
}

/** The Secret of a trust anchor whose key the stack knows. */
export function anchorSecret(
    name: string,
    pair: NamedPair,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const annotations = {
        ...TAKE_OVER,
        ...(pair.name === undefined ? {} : { [ANCHOR_NAME]: pair.name }),
    };
    return tlsSecret({ namespace: "linkerd", name, pair, annotations }, opts);
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

/**
 * Adopted ones were made by a chart, which does not make them any more: without this Helm's next upgrade deletes them.
 * Other managers hold their fields then.
 */
const KEPT_BY_HELM = { ...TAKE_OVER, "helm.sh/resource-policy": "keep" };

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
        const name = webhookSecret(service);
        return tlsSecret({ namespace, name, pair, annotations: KEPT_BY_HELM }, opts);
    });
}

function base64(text: string): string {
    return Buffer.from(text).toString("base64");
}
