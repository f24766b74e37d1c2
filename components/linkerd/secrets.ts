import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KeyPair } from "../../plan/certificates";

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

function base64(text: string): string {
    return Buffer.from(text).toString("base64");
}
