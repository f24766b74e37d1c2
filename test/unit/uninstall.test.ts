import { describe, expect, it } from "vitest";
import { inUseText, meshedUsers, remainsText } from "../../plan/uninstall";
import { podOf } from "./support/meshedPods";

const OWN = ["linkerd", "linkerd-viz"];

describe("an uninstall names every workload that it would leave with a proxy and without a control plane", () => {
    const cases = [
        { name: "no pod at all", pods: [], users: [] },
        {
            name: "pods of one workload, a bare pod and a Job's",
            pods: [
                podOf(),
                podOf({ name: "web-2" }),
                podOf({ name: "debug", owner: undefined }),
                podOf({ namespace: "batch", name: "n-1", owner: { kind: "Job", name: "n" } }),
            ],
            users: [
                "batch/Job/n (1 pod)",
                "shop/Deployment/web (2 pods)",
                "shop/Pod/debug (1 pod)",
            ],
        },
        {
            name: "what has finished or is on its way out",
            pods: [
                podOf({ phase: "Succeeded" }),
                podOf({ phase: "Failed" }),
                podOf({ terminating: true }),
            ],
            users: [],
        },
        {
            name: "viz of the stack, and another extension that is not",
            pods: [
                podOf({ namespace: "linkerd-viz" }),
                podOf({
                    namespace: "linkerd-jaeger",
                    owner: { kind: "Deployment", name: "jaeger" },
                }),
            ],
            users: ["linkerd-jaeger/Deployment/jaeger (1 pod)"],
        },
    ];
    it.each(cases)("$name", ({ pods, users }) => {
        expect(meshedUsers(pods, OWN)).toEqual(users);
    });

    it("counts what it does not name, so that the text stays readable in a large cluster", () => {
        const users = Array.from({ length: 12 }, (_, index) => `shop/Deployment/w${index} (1 pod)`);
        const text = inUseText(users);
        expect(text).toContain("12 workload(s)");
        expect(text).toContain("w9 (1 pod); and 2 more. Next: take each out of the mesh");
        expect(text).not.toContain("w10");
    });
});

it("tells only of namespaces that are the stack's how to remove them", () => {
    expect(remainsText(["linkerd"])).toContain("kubectl delete namespace linkerd");
    expect(remainsText(["linkerd"])).not.toContain("linkerd-viz");
});
