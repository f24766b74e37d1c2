import { describe, it } from "vitest";
import {
    expectRefused,
    foreignOf,
    istiodOf,
    OTHER,
    type Refused,
    STACK,
    webhooksOf,
} from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    const crd = { name: "gateways.networking.istio.io", chartVersion: "1.26.4", stack: undefined };
    it.each<Refused>([
        [
            "another stack's namespace, without a word on its CRDs",
            { live: { namespaceStack: OTHER, crds: [{ ...crd, stack: OTHER }] } },
            `Namespace istio-system = ${OTHER}: holds the installation of another stack`,
        ],
        ["its own namespace", { live: { namespaceStack: STACK } }],
        [
            "CRDs that somebody else made",
            { live: { crds: [{ ...crd, stack: STACK }, crd, crd, crd] } },
            "CustomResourceDefinitions = gateways.networking.istio.io and 2 more: exist already and were not made by this stack",
        ],
        ["CRDs that are adopted", { section: { base: { adopt: true } }, live: { crds: [crd] } }],
        [
            "an istiod of that name that somebody else made",
            { live: { istiods: [foreignOf("1-26-4", "1.26.4")] } },
            "istio revision 1-26-4 = Deployment istio-system/istiod-1-26-4: is in the cluster and was not made by this stack",
        ],
        [
            "an istiod of that name of another stack",
            { live: { istiods: [istiodOf("1-26-4", "1.26.4", OTHER)] } },
            "istio revision 1-26-4 = Deployment istio-system/istiod-1-26-4: is in the cluster and was not made by this stack",
        ],
        [
            "a tag that somebody else made",
            {
                section: { tags: { stable: "1-27-1" } },
                live: { webhooks: [webhooksOf("istio-revision-tag-stable", undefined)] },
            },
            "MutatingWebhookConfiguration istio-revision-tag-stable = theirs: tag stable is in the cluster and was not made by this stack",
        ],
        [
            "the default validator of somebody else",
            {
                section: { defaultRevision: "1-27-1" },
                live: { webhooks: [webhooksOf("istiod-default-validator", undefined)] },
            },
            "MutatingWebhookConfiguration istiod-default-validator = theirs: the default validator is in the cluster and was not made by this stack",
        ],
        [
            "not the stack's own tags",
            {
                section: { tags: { stable: "1-27-1" } },
                live: { webhooks: [webhooksOf("istio-revision-tag-stable", STACK)] },
            },
        ],
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});
