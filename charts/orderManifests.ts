// The order of the objects of control plane, CNI plugin and extensions.
//
// The engine applies a chart's objects side by side, where Helm and kubectl apply ConfigMaps before Deployments.
// An injector whose pod starts before linkerd-config is updated mounts the old one and goes on injecting the old
// proxy until the kubelet's next sync, a minute or more. So Deployments are told to wait for the ConfigMaps, and so is the
// CNI plugin's DaemonSet, which reads its own once.
//
// And the identity service comes first of them: another's proxy that starts beside the old identity pod would get its
// certificate of the old issuer, and keep it for most of a day, when a rotation has gone on to drop the anchor of it. The
// others cannot become Ready before it anyway: their proxies need a certificate.
//
// A Secret that asks for a token of a ServiceAccount waits for that: where there is none, the cluster deletes the Secret.
//
// And the chart's own Secret of the issuer is dropped: with the scheme linkerd.io/tls it would hold a placeholder in place
// of the key. The stack declares the real one (components/linkerd/secrets.ts).
import { isMap, parseAllDocuments, type Document } from "yaml";

/** Fixed by Linkerd. Not imported: it is loaded at every render, and plan/ brings much with it. */
const ISSUER_SECRET = "linkerd-identity-issuer";
const IDENTITY_SERVICE = "linkerd-identity";

/** Source: kubernetes.io/docs/concepts/configuration/secret, ServiceAccount token Secrets. */
const TOKEN = "kubernetes.io/service-account-token";
const TOKEN_OF = "kubernetes.io/service-account.name";

/** The provider's own way to order objects of a chart; see the docs of helm.v4.Chart. */
export const DEPENDS_ON = "config.kubernetes.io/depends-on";

/**
 * Adds the order to a stream of manifests. Scalars are read as text only (the failsafe schema) and so written as
 * they stood: what `yes`, `n` or `0644` means stays the reader's decision.
 */
export function orderManifests(stream: string): string {
    const manifests = parseAllDocuments(stream, { schema: "failsafe", uniqueKeys: false }).filter(
        (one) => isMap(one.contents) && !isIssuer(one),
    );
    const ofKind = (kind: string) => manifests.filter((one) => at(one, "kind") === kind);
    const deployments = ofKind("Deployment");
    for (const secret of ofKind("Secret")) {
        const account = at(secret, "metadata", "annotations", TOKEN_OF);
        if (at(secret, "type") === TOKEN && account) {
            const place = at(secret, "metadata", "namespace");
            const before = `/namespaces/${place}/ServiceAccount/${account}`;
            secret.setIn(["metadata", "annotations", DEPENDS_ON], before);
        }
    }
    for (const manifest of [...deployments, ...ofKind("DaemonSet")]) {
        const namespace = at(manifest, "metadata", "namespace");
        const beside = (one: Document) => at(one, "metadata", "namespace") === namespace;
        const first = isIdentity(manifest)
            ? []
            : deployments.filter((one) => isIdentity(one) && beside(one));
        const before = [
            ...ofKind("ConfigMap")
                .filter(beside)
                .map((one) => `/namespaces/${namespace}/ConfigMap/${nameOf(one)}`),
            ...first.map((one) => `apps/namespaces/${namespace}/Deployment/${nameOf(one)}`),
        ];
        if (before.length > 0) {
            manifest.setIn(["metadata", "annotations", DEPENDS_ON], before.join(","));
        }
    }
    return manifests
        .map((one) => one.toString({ lineWidth: 0 }))
        .map((one) => (one.startsWith("---") ? one : `---\n${one}`))
        .join("");
}

function at(manifest: Document, ...path: string[]): string {
    return manifest.getIn(path) as string;
}

function nameOf(manifest: Document): string {
    return at(manifest, "metadata", "name");
}

function isIssuer(manifest: Document): boolean {
    return at(manifest, "kind") === "Secret" && nameOf(manifest) === ISSUER_SECRET;
}

function isIdentity(deployment: Document): boolean {
    return nameOf(deployment) === IDENTITY_SERVICE;
}
