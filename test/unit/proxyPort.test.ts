import { describe, expect, it } from "vitest";
import { meshedLabels } from "../../plan/dataPlane";
import { cutOff, type NetworkPolicy } from "../../plan/policy/proxyPort";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";

const WEB = { namespace: "shop", labels: { app: "web" } };
const policy = (name: string, fields: Partial<NetworkPolicy>): NetworkPolicy => ({
    namespace: "shop",
    name,
    ...fields,
});
const ports = (...list: (number | string)[]) => ({ ports: list.map((port) => ({ port })) });
const ingress = (name: string, ...list: (number | string)[]) =>
    policy(name, { ingress: [ports(...list)] });

describe("NetworkPolicies that cut proxies off from each other", () => {
    it.each<[name: string, policies: NetworkPolicy[], cut: string[]]>([
        ["another port only", [ingress("shut", 8080)], ["shut"]],
        ["another port by name", [ingress("http", "http")], ["http"]],
        ["the proxy's port by name", [ingress("proxy", "http", "linkerd-proxy")], []],
        ["the proxy's port beside another", [ingress("proxy", 8080, 4143)], []],
        [
            "the proxy's port in a rule of its own",
            [policy("two", { ingress: [ports(8080), ports(4143)] })],
            [],
        ],
        [
            "a second policy that admits the proxy's port",
            [ingress("a", 8080), ingress("b", 4143)],
            [],
        ],
        [
            "a second policy, of other pods",
            [
                ingress("a", 8080),
                { ...ingress("b", 4143), podSelector: { matchLabels: { app: "db" } } },
            ],
            ["a"],
        ],
        [
            "a second policy, of the same pods",
            [
                ingress("a", 8080),
                {
                    ...ingress("b", 4143),
                    podSelector: { matchExpressions: [{ key: "app", operator: "Exists" }] },
                },
            ],
            [],
        ],
        [
            "other pods only",
            [{ ...ingress("db", 5432), podSelector: { matchLabels: { app: "db" } } }],
            [],
        ],
        [
            "a namespace without meshed pods",
            [{ ...ingress("x", 3000), namespace: "monitoring" }],
            [],
        ],
        ["two that admit other ports", [ingress("a", 8080), ingress("b", 9090)], ["a", "b"]],
        [
            "a range around the proxy's port",
            [policy("range", { ingress: [{ ports: [{ port: 4000, endPort: 5000 }] }] })],
            [],
        ],
        [
            "a range below it",
            [policy("range", { ingress: [{ ports: [{ port: 4000, endPort: 4142 }] }] })],
            ["range"],
        ],
        ["a rule without ports", [policy("any", { ingress: [ports(8080), {}] })], []],
        ["all of TCP", [policy("tcp", { ingress: [{ ports: [{ protocol: "TCP" }] }] })], []],
        [
            "the proxy's number of UDP",
            [
                policy("udp", {
                    ingress: [ports(8080), { ports: [{ protocol: "UDP", port: 4143 }] }],
                }),
            ],
            ["udp"],
        ],
        ["nothing at all: nothing came through before", [policy("none", { ingress: [] })], []],
        [
            "egress to other ports",
            [policy("out", { policyTypes: ["Egress"], egress: [ports(8080, 53)] })],
            ["out"],
        ],
        [
            "egress to names only",
            [
                policy("dns", {
                    policyTypes: ["Egress"],
                    egress: [{ ports: [{ port: 53 }, { protocol: "UDP", port: 53 }] }],
                }),
            ],
            [],
        ],
        [
            "egress that another policy opens",
            [
                policy("out", { policyTypes: ["Egress"], egress: [ports(8080)] }),
                policy("proxies", { policyTypes: ["Egress"], egress: [ports(4143)] }),
            ],
            [],
        ],
        [
            "ingress that opens the proxy's port, egress that does not",
            [
                policy("both", {
                    policyTypes: ["Ingress", "Egress"],
                    ingress: [ports(4143)],
                    egress: [ports(8080)],
                }),
            ],
            ["both"],
        ],
        [
            "rules of a type that the policy is not of",
            [policy("out", { policyTypes: ["Egress"], ingress: [ports(8080)], egress: [{}] })],
            [],
        ],
    ])("%s", (_name, policies, cut) => {
        expect(cutOff(policies, [WEB]).map(({ name }) => name)).toEqual(cut);
    });

    it("a policy is told once, however many pods it selects", () => {
        const shut = ingress("shut", 8080);
        expect(cutOff([shut], [WEB, { ...WEB, labels: { app: "db" } }])).toEqual([shut]);
    });

    it("are asked with the labels of templates, of lone pods, and of the injector", () => {
        const dataPlane = dataPlaneOf({
            workloads: [workloadOf()],
            pods: [
                podOf({ name: "web-1" }),
                podOf({ name: "web-2" }),
                podOf({ name: "lone", owner: undefined, labels: { app: "lone" } }),
            ],
        });
        const injected = { "linkerd.io/control-plane-ns": "linkerd" };
        expect(meshedLabels(dataPlane)).toEqual([
            { namespace: "shop", labels: { app: "web", ...injected } },
            { namespace: "shop", labels: { app: "lone", ...injected } },
        ]);
    });
});
