import { describe, expect, it } from "vitest";
import type { KubeApi } from "../../cluster/api";
import type { Connection } from "../../cluster/connection";
import { readUsers } from "../../cluster/istio/observe";
import type { Injector } from "../../plan/istio/injection";
import { UNKNOWN, usesOfRevision, usesOfTag, type IstioUser } from "../../plan/istio/use";
import { injectorOf, userOf } from "./support/istioCluster";

interface Given {
    readonly name: string;
    readonly of: string;
    readonly namespaces?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly injectors?: readonly Injector[];
    readonly pods?: readonly IstioUser[];
    readonly expected: readonly string[];
}

const users = ({ namespaces = {}, injectors = [], pods = [] }: Given) => ({
    namespaces: new Map(Object.entries(namespaces)),
    injectors,
    pods,
});
const enabled = { "istio-injection": "enabled" };
const rev = (name: string) => ({ "istio.io/rev": name });
const old = injectorOf("1-26-4");
/** The install without a name, after its webhooks were switched off in favour of a tag default. */
const switchedOff: Injector = {
    ...injectorOf("default"),
    namespaceSelector: { matchLabels: { "istio.io/deactivated": "never-match" } },
};

describe("a control plane that somebody still uses is not taken away", () => {
    const cases: Given[] = [
        { name: "nothing at all", of: "1-26-4", expected: [] },
        {
            name: "its own webhooks, other revisions, other tags",
            of: "1-26-4",
            namespaces: { shop: rev("1-27-1"), bank: rev("1-26"), plain: {}, legacy: enabled },
            injectors: [old, injectorOf("1-27-1", "stable"), injectorOf("default")],
            pods: [userOf({ running: "1-27-1" }), userOf({ asked: "stable", running: undefined })],
            expected: [],
        },
        {
            name: "tags, each once for all its webhooks",
            of: "1-26-4",
            injectors: [
                old,
                injectorOf("1-26-4", "stable"),
                injectorOf("1-26-4", "stable"),
                injectorOf("1-26-4", "canary"),
            ],
            expected: ["tag stable", "tag canary"],
        },
        {
            name: "namespaces by label, sorted",
            of: "1-26-4",
            namespaces: { shop: rev("1-26-4"), bank: rev("1-26-4") },
            expected: [
                "namespace bank (istio.io/rev=1-26-4)",
                "namespace shop (istio.io/rev=1-26-4)",
            ],
        },
        {
            name: "not a namespace whose istio-injection=enabled makes its istio.io/rev void",
            of: "1-26-4",
            namespaces: { shop: { ...rev("1-26-4"), ...enabled } },
            expected: [],
        },
        {
            name: "namespaces with istio-injection, of the install without a name",
            of: "default",
            namespaces: {
                shop: { ...rev("1-26-4"), ...enabled },
                off: { "istio-injection": "no" },
            },
            injectors: [injectorOf("default"), old],
            expected: ["namespace shop (istio-injection=enabled)"],
        },
        {
            name: "not those that a tag default serves instead of the install without a name",
            of: "default",
            namespaces: { shop: enabled },
            injectors: [switchedOff, injectorOf("1-27-1", "default")],
            expected: [],
        },
        {
            name: "not the tag default that istioctl makes of it, which goes with it",
            of: "default",
            namespaces: { bank: rev("1-27-1") },
            injectors: [switchedOff, injectorOf("default", "default")],
            expected: [],
        },
        {
            name: "but the namespaces that choose it by that tag",
            of: "default",
            namespaces: { shop: enabled },
            injectors: [switchedOff, injectorOf("default", "default")],
            expected: ["namespace shop (istio-injection=enabled)"],
        },
        {
            name: "pods that ask for the default by their own label, where no namespace's goes before it",
            of: "default",
            namespaces: { plain: {}, shop: rev("1-27-1") },
            injectors: [injectorOf("default")],
            pods: [
                userOf({ namespace: "plain", running: undefined, asksDefault: true }),
                userOf({ running: undefined, asksDefault: true }),
            ],
            expected: ["pod plain/web-1"],
        },
        {
            name: "the tag default, and not each of its namespaces",
            of: "1-27-1",
            namespaces: { shop: enabled },
            injectors: [injectorOf("1-27-1"), injectorOf("1-27-1", "default")],
            expected: ["tag default"],
        },
        {
            name: "not a revision that injects everywhere: nobody chose it by istio-injection",
            of: "1-26-4",
            namespaces: { shop: enabled },
            injectors: [{ ...old, namespaceSelector: {} }],
            expected: [],
        },
        {
            name: "pods by their sidecar, whatever the namespace says now",
            of: "1-26-4",
            namespaces: { shop: rev("1-27-1") },
            pods: [userOf(), userOf({ name: "web-2", running: "1-27-1" })],
            expected: ["pod shop/web-1"],
        },
        {
            name: "pods by their own label, with a sidecar or without",
            of: "1-26-4",
            pods: [
                userOf({ asked: "1-26-4", running: undefined }),
                userOf({ name: "web-2", asked: "1-26-4", running: "1-27-1" }),
            ],
            expected: ["pod shop/web-1", "pod shop/web-2"],
        },
        {
            name: "gateway pods",
            of: "1-26-4",
            pods: [userOf({ name: "in-1", gateway: true })],
            expected: ["gateway pod shop/in-1"],
        },
        {
            name: "pods that do not tell their revision: it may be this one",
            of: "1-26-4",
            pods: [userOf({ running: UNKNOWN })],
            expected: ["pod shop/web-1"],
        },
        {
            name: "three pods at most by name",
            of: "1-26-4",
            pods: [1, 2, 3].map((index) => userOf({ name: `web-${index}` })),
            expected: ["pod shop/web-1", "pod shop/web-2", "pod shop/web-3"],
        },
        {
            name: "more pods by number",
            of: "1-26-4",
            pods: [1, 2, 3, 4, 5].map((index) => userOf({ name: `web-${index}` })),
            expected: ["pod shop/web-1", "pod shop/web-2", "pod shop/web-3", "2 pods more"],
        },
        {
            name: "all kinds: tags, namespaces, pods",
            of: "1-26-4",
            namespaces: { shop: rev("1-26-4") },
            injectors: [injectorOf("1-26-4", "stable")],
            pods: [userOf()],
            expected: ["tag stable", "namespace shop (istio.io/rev=1-26-4)", "pod shop/web-1"],
        },
    ];
    it.each(cases)("$name", (given) => {
        expect(usesOfRevision(given.of, users(given))).toEqual(given.expected);
    });
});

describe("a tag that somebody still chooses is not taken away", () => {
    const cases: Given[] = [
        { name: "nothing at all", of: "stable", expected: [] },
        {
            name: "namespaces and pods by label, but not by sidecar",
            of: "stable",
            namespaces: { shop: rev("stable"), bank: rev("canary"), legacy: enabled },
            injectors: [injectorOf("1-26-4", "stable")],
            pods: [
                userOf({ running: "stable" }),
                userOf({ name: "web-2", asked: "stable" }),
                userOf({ name: "in-1", asked: "stable", gateway: true }),
                userOf({ name: "web-3", running: UNKNOWN }),
            ],
            expected: [
                "namespace shop (istio.io/rev=stable)",
                "pod shop/web-2",
                "gateway pod shop/in-1",
            ],
        },
        {
            name: "default by istio-injection=enabled, whoever else serves it",
            of: "default",
            namespaces: {
                shop: enabled,
                bank: rev("default"),
                off: { "istio-injection": "disabled" },
            },
            injectors: [injectorOf("1-27-1", "default"), injectorOf("default")],
            expected: [
                "namespace bank (istio.io/rev=default)",
                "namespace shop (istio-injection=enabled)",
            ],
        },
    ];
    it("default by pods that ask for a sidecar and name none", () => {
        const gateway = userOf({ running: "1-27-1", gateway: true, asksDefault: true });
        const given = { name: "", of: "default", pods: [gateway], expected: [] };
        expect(usesOfTag("default", users(given))).toEqual(["gateway pod shop/web-1"]);
        expect(usesOfTag("stable", users(given))).toEqual([]);
    });
    it.each(cases)("$name", (given) => {
        expect(usesOfTag(given.of, users(given))).toEqual(given.expected);
    });
});

// The API server is made up: it proves what is kept of a pod, not how pods are listed.
describe("pods that are looked at", () => {
    const nothing = () => Promise.resolve({ metadata: {}, items: [] });
    const connection = {
        core: { listNamespace: nothing },
        kubeconfig: { makeApiClient: () => ({ listMutatingWebhookConfiguration: nothing }) },
    } as unknown as Connection;
    const read = async (...pods: object[]) => {
        const list = (_path: string, record: (pod: object) => object | undefined) =>
            Promise.resolve({ items: pods.map(record).filter((one) => one !== undefined) });
        return (await readUsers(connection, { list } as unknown as KubeApi)).pods;
    };
    const sidecar = { name: "istio-proxy", image: "docker.io/istio/proxyv2:1.26.4" };
    const status = { "sidecar.istio.io/status": '{"revision":"1-26-4"}' };
    const made = (
        phase: string,
        fields: object = {},
        spec: object = { containers: [sidecar] },
    ) => ({
        metadata: { namespace: "shop", name: "web-1", annotations: status, ...fields },
        spec,
        status: { phase },
    });
    it.each<[string, object, IstioUser[]]>([
        ["running", made("Running"), [userOf()]],
        ["not started yet", made("Pending"), [userOf()]],
        ["finished: it cannot hold a revision back", made("Succeeded"), []],
        ["failed", made("Failed"), []],
        [
            "with a native sidecar",
            made("Running", {}, { containers: [], initContainers: [sidecar] }),
            [userOf()],
        ],
        [
            "that does not tell its revision",
            made("Running", { annotations: {} }),
            [userOf({ running: UNKNOWN })],
        ],
        [
            "with a wish and no sidecar",
            made("Running", { labels: { "istio.io/rev": "stable" } }, { containers: [] }),
            [userOf({ running: undefined, asked: "stable" })],
        ],
        [
            "that asks for a sidecar and names none",
            made("Running", { labels: { "sidecar.istio.io/inject": "true" } }, { containers: [] }),
            [userOf({ running: undefined, asksDefault: true })],
        ],
        [
            "of ambient's ztunnel, which is no sidecar",
            made("Running", { labels: { app: "ztunnel" }, annotations: {} }),
            [],
        ],
        ["without either", made("Running", {}, { containers: [] }), []],
        [
            "of a gateway",
            made("Running", { annotations: { ...status, "inject.istio.io/templates": "gateway" } }),
            [userOf({ gateway: true })],
        ],
        [
            "of istiod itself, whose label names its revision",
            made("Running", { labels: { app: "istiod", "istio.io/rev": "1-26-4" } }, {}),
            [],
        ],
    ])("%s", async (_, pod, expected) => {
        expect(await read(pod)).toEqual(expected);
    });
});
