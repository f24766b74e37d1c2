import { describe, it } from "vitest";
import { expectRefused, foreignOf, type Refused } from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    it.each<Refused>([
        [
            "a foreign one that is missing",
            { section: { foreign: [{ revision: "old" }] } },
            "istio.foreign.0.revision = old: namespace istio-system has no istiod of this revision",
        ],
        [
            "not one that is missing because it was to go",
            { section: { foreign: [{ revision: "old", remove: true }] } },
        ],
        [
            "a foreign one of another version",
            {
                section: { foreign: [{ revision: "old", version: "1.25.0" }] },
                live: { istiods: [foreignOf("old", "1.25.1")] },
            },
            "istio.foreign.0.version = 1.25.0: Deployment istio-system/istiod-old runs 1.25.1",
        ],
        [
            "the removal of the default validator's control plane without another",
            {
                section: { foreign: [{ revision: "default", remove: true }] },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.defaultRevision = undefined: must be set before the control plane without a revision name goes: the default validator calls it, and without it no object of Istio could be written",
        ],
        ["not once it has gone", { section: { foreign: [{ revision: "default", remove: true }] } }],
        [
            "tag default beside the control plane without a revision name, which left the file too early",
            {
                section: { defaultRevision: "1-27-1" },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.defaultRevision = 1-27-1: the control plane without a revision name is still there and injects the namespaces that choose default: two would inject them",
        ],
        ["not without the tag", { live: { istiods: [foreignOf("default", "1.26.4")] } }],
        [
            "namespaces bound by istio-injection to a control plane that is to go",
            {
                section: {
                    foreign: [{ revision: "default", remove: true }],
                    defaultRevision: "1-27-1",
                    namespaces: { shop: "default", zoo: "1-27-1" },
                },
                live: { istiods: [foreignOf("default", "1.26.4")] },
            },
            "istio.namespaces.shop = default: is injected by the control plane without a revision name, which would go last and only if nothing uses it",
        ],
        [
            "not once it has gone: the tag default serves them",
            {
                section: {
                    foreign: [{ revision: "default", remove: true }],
                    defaultRevision: "1-27-1",
                    namespaces: { shop: "default" },
                },
            },
        ],
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});
