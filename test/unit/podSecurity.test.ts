import { describe, expect, it } from "vitest";
import type { LiveNamespace } from "../../cluster/linkerd";
import { POD_SECURITY, podSecurityLabel, podSecurityLabels } from "../../plan/podSecurity";

describe("the Pod Security level of a namespace of the mesh", () => {
    const of = (podSecurity?: string): LiveNamespace[] => [
        { name: "linkerd", stack: undefined, ...(podSecurity ? { podSecurity } : {}) },
    ];
    it.each([
        { name: "linkerd-init runs", namespaces: [], cni: false, level: "privileged" },
        {
            name: "linkerd-init has to run",
            namespaces: of("restricted"),
            cni: false,
            level: "privileged",
        },
        {
            name: "the CNI plugin, as the CLI has it",
            namespaces: [],
            cni: true,
            level: "restricted",
        },
        {
            name: "the CNI plugin, taken over",
            namespaces: of("restricted"),
            cni: true,
            level: "restricted",
        },
        {
            name: "not tightened behind other pods",
            namespaces: of("baseline"),
            cni: true,
            level: "baseline",
        },
        { name: "not set where none was", namespaces: of(), cni: true, level: undefined },
    ])("$name: $level", ({ namespaces, cni, level }) => {
        const label = podSecurityLabel("linkerd", namespaces, { cniEnabled: cni });
        expect(label).toEqual(level === undefined ? {} : { [POD_SECURITY]: level });
    });

    it("of an extension is its own namespace's, not viz's: what is there keeps what it has", () => {
        const around = new Map([
            ["linkerd-smi", { [POD_SECURITY]: "privileged" }],
            ["linkerd-jaeger", {}],
        ]);
        const extensions = ["smi", "jaeger", "multicluster"].map((one) => ({
            namespace: `linkerd-${one}`,
        }));
        expect(podSecurityLabels(extensions, of("baseline"), around, { cniEnabled: true })).toEqual(
            {
                linkerd: { [POD_SECURITY]: "baseline" },
                "linkerd-viz": { [POD_SECURITY]: "restricted" },
                "linkerd-smi": { [POD_SECURITY]: "privileged" },
                "linkerd-jaeger": {},
                "linkerd-multicluster": { [POD_SECURITY]: "restricted" },
            },
        );
    });
});
