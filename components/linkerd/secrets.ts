import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KeyPair } from "../../plan/certificates";
import {
    ANCHOR_NAME,
    ANCHOR_REPLACES,
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

type Annotations = Readonly<Record<string, string>>;

export interface TlsSecretArgs {
    readonly namespace: string;
    readonly name: string;
    readonly pair: KeyPair;
    /** PEM bundle for key `ca.crt`. */
    readonly ca?: string;
    readonly annotations: Annotations;
}

/** The issuer's Secret in its scheme (plan/identity.ts), with what the next update has to know of it. */
export function issuerSecret(
    { scheme, issuer, ca, issuerName, issuedAt }: Identity,
    given: Annotations,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const annotations = {
        ...given,
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
    given: Annotations,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    const annotations = {
        ...given,
        ...(pair.name === undefined ? {} : { [ANCHOR_NAME]: pair.name }),
        ...(pair.replaces ? { [ANCHOR_REPLACES]: pair.replaces.join(",") } : {}),
    };
    return tlsSecret({ namespace: "linkerd", name, pair, annotations }, opts);
}

/** A Secret of type kubernetes.io/tls; its key is encrypted in the state. */
export function tlsSecret(
    { namespace, name, pair, ca, annotations }: TlsSecretArgs,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    return new k8s.core.v1.Secret(
        `${namespace}/${name}`,
        {
            metadata: { namespace, name, annotations },
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
    annotations: Annotations,
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
