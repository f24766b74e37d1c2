import * as k8s from "@pulumi/kubernetes";
import { EXEMPT_NAMESPACE } from "../../plan/highAvailability";

/**
 * Takes kube-system out of Linkerd's webhooks before they begin to refuse. Without high availability the patch goes, after
 * the webhooks are changed, and its label with it.
 */
export function exemptKubeSystem(provider: k8s.Provider) {
    const { name, label } = EXEMPT_NAMESPACE;
    return new k8s.core.v1.NamespacePatch(
        `${name}-without-webhooks`,
        { metadata: { name, labels: label } },
        { provider },
    );
}
