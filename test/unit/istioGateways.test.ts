import { describe, it } from "vitest";
import { expectRefused, type Refused } from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    it.each<Refused>([
        [
            "a gateway in a namespace that is missing",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "ingress", revision: "1-27-1" }],
                },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
            "istio.gateways edge: namespace = ingress: the cluster has no such namespace",
        ],
        [
            "not a gateway beside the control planes, whose namespace the stack makes",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { users: { namespaces: new Map(), injectors: [], pods: [] } },
            },
        ],
        [
            "a gateway whose namespace has a label that goes before its pods'",
            {
                section: { gateways: [{ name: "edge", namespace: "shop", revision: "1-27-1" }] },
                labels: { shop: { "istio-injection": "enabled" } },
            },
            "istio.gateways edge: revision = 1-27-1: namespace shop has the label istio-injection=enabled, which goes before what its pods choose",
        ],
        [
            "not where the label leads to the same revision",
            {
                section: {
                    tags: { stable: "1-27-1" },
                    gateways: [{ name: "edge", namespace: "shop", revision: "1-27-1" }],
                },
                labels: { shop: { "istio.io/rev": "stable" } },
            },
        ],
        [
            "a gateway that somebody else made",
            {
                section: {
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { gateways: [{ namespace: "istio-system", name: "edge", stack: undefined }] },
            },
            "istio.gateways edge = Deployment istio-system/edge: is in the cluster and was not made by this stack",
        ],
        [
            "not where adopting is asked for",
            {
                section: {
                    base: { adopt: true },
                    gateways: [{ name: "edge", namespace: "istio-system", revision: "1-27-1" }],
                },
                live: { gateways: [{ namespace: "istio-system", name: "edge", stack: undefined }] },
            },
        ],
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});
