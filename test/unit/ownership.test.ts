import { describe, expect, it } from "vitest";
import type { LiveCrd, LiveLinkerd } from "../../cluster/linkerd";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { ownershipFaults } from "../../plan/linkerd";
import { EMPTY, NOTHING, releaseOf, VIZ } from "./support/live";

const STACK = "acme/mesh/prod";
const OTHER = "acme/mesh/dev";
const ADOPT = "to take it over: pulumi config set adopt true, then: pulumi preview";

const crdOf = (stack: string | undefined, name = "servers.policy.linkerd.io"): LiveCrd => ({
    name,
    chartVersion: "2024.5.3",
    linkerd: true,
    stack,
});
const faultsOf = (
    live: Partial<LiveLinkerd>,
    config: Record<string, unknown> = {},
    linkerdVersion = "edge-24.7.5",
) =>
    ownershipFaults(
        { ...EMPTY, ...live },
        STACK,
        parseConfig({
            context: "kind",
            clusterUid: "0a1b",
            linkerdVersion,
            ...config,
        }) as LinkerdStackConfig,
    );

const owned = (name: string, stack: string | undefined) => ({ name, stack });
const unmade = (name: string) => ({
    subject: `Namespace ${name}`,
    rule: "holds an installation that this stack did not make (by the linkerd CLI or Helm)",
    next: ADOPT,
});
const anotherStack = (name: string) => ({
    subject: `Namespace ${name}`,
    value: OTHER,
    rule: `is owned by another stack, not by ${STACK}`,
    next: `pulumi stack select ${OTHER}; after a rename of the stack: kubectl annotate namespace ${name} mesh-upgrade/stack=${STACK} --overwrite`,
});
const foreignCrds = (value: string) => ({
    subject: "CustomResourceDefinitions",
    value,
    rule: "exist already and were not made by this stack",
    next: ADOPT,
});

describe("an installation that is not this stack's is never touched", () => {
    const issuer = {
        certificate: "",
        key: "",
        scheme: "kubernetes.io/tls",
        trustAnchors: "",
    } as const;
    const mine = [owned("linkerd", STACK), owned("linkerd-viz", STACK)];
    const cases: { name: string; live: Partial<LiveLinkerd>; faults: unknown[] }[] = [
        { name: "an empty cluster is free", live: {}, faults: [] },
        {
            name: "namespaces that somebody made and nobody uses are free",
            live: { namespaces: [owned("linkerd", undefined), owned("linkerd-viz", undefined)] },
            faults: [],
        },
        {
            name: "its own installation is its own",
            live: {
                namespaces: mine,
                installed: true,
                installation: { ...NOTHING, release: releaseOf(1, "deployed") },
                crds: [crdOf(STACK)],
            },
            faults: [],
        },
        {
            name: "CRDs that its own first update left behind when it was killed are its own",
            live: { crds: [crdOf(STACK)] },
            faults: [],
        },
        {
            name: "an installation of the CLI is refused",
            live: { namespaces: [owned("linkerd", undefined)], installed: true },
            faults: [unmade("linkerd")],
        },
        {
            name: "the issuer that an installation left behind is refused",
            live: { identity: { installed: false, issuer } },
            faults: [unmade("linkerd")],
        },
        {
            name: "a viz of the CLI is refused",
            live: {
                namespaces: [owned("linkerd", STACK)],
                installation: { ...NOTHING, viz: [VIZ] },
            },
            faults: [unmade("linkerd-viz")],
        },
        {
            name: "a viz of Helm is refused",
            live: { installation: { ...NOTHING, release: releaseOf(1, "deployed") } },
            faults: [unmade("linkerd-viz")],
        },
        {
            name: "both namespaces of another stack are refused at once",
            live: {
                namespaces: [owned("linkerd", OTHER), owned("linkerd-viz", OTHER)],
                crds: [crdOf(OTHER)],
            },
            faults: [anotherStack("linkerd"), anotherStack("linkerd-viz")],
        },
        {
            name: "CRDs that no stack made are refused by name",
            live: { crds: [crdOf(undefined), crdOf(STACK), crdOf(undefined, "x.linkerd.io")] },
            faults: [foreignCrds("servers.policy.linkerd.io, x.linkerd.io")],
        },
        {
            name: "CRDs of another stack are refused, also beside an installation of its own",
            live: { namespaces: mine, installed: true, crds: [crdOf(OTHER)] },
            faults: [foreignCrds("servers.policy.linkerd.io")],
        },
    ];
    it.each(cases)("$name", ({ live, faults }) => {
        expect(faultsOf(live)).toEqual(faults);
    });

    it("a viz of somebody else is nobody's business where the stack has none", () => {
        const viz = { enabled: false };
        expect(faultsOf({ installation: { ...NOTHING, viz: [VIZ] } }, { viz })).toEqual([]);
        const namespaces = [owned("linkerd-viz", OTHER)];
        expect(faultsOf({ namespaces }, { viz })).toEqual([]);
    });
});

describe("the Gateway API of somebody else", () => {
    const route = "httproutes.gateway.networking.k8s.io";
    const crds = [crdOf(undefined, route)];
    const faultOf = (value: string, settings: string) => ({
        subject: "CustomResourceDefinitions",
        value,
        rule: "exist already and are somebody else's, yet the chart linkerd-crds would bring its own",
        next: `set in crds.values ${settings}, to leave them as they are`,
    });
    const fault = faultOf(route, "enableHttpRoutes: false");
    const kindOf = (name: string) => `${name}routes.gateway.networking.k8s.io`;
    const foreign = (name: string): LiveCrd => ({
        ...crdOf(undefined, kindOf(name)),
        ...{ chartVersion: undefined, linkerd: false },
    });
    const every = ["http", "grpc", "tcp", "tls"].map(foreign);
    const tcpAndTls = `${kindOf("tcp")}, ${kindOf("tls")}`;
    it.each([
        ["edge-24.7.5", {}, [fault]],
        ["edge-24.7.5", { enableHttpRoutes: false }, []],
        ["edge-24.7.5", { enableHttpRoutes: true }, [fault]],
        ["edge-25.4.1", { installGatewayAPI: false }, []],
        ["edge-25.4.1", { installGatewayAPI: true, enableHttpRoutes: false }, []],
        ["edge-25.4.1", { installGatewayAPI: false, enableHttpRoutes: true }, [fault]],
        ["edge-25.9.3", {}, [fault]],
        ["edge-25.9.4", {}, []],
        ["edge-25.9.4", { installGatewayAPI: true }, [fault]],
    ])("is left alone: %s with %j", (version, values, faults) => {
        expect(faultsOf({ crds }, { crds: { values } }, version)).toEqual(faults);
    });

    const off = { enableHttpRoutes: false };
    const all = { ...off, enableTcpRoutes: false, enableTlsRoutes: false };
    const keysOff = "enableHttpRoutes: false, enableTcpRoutes: false, enableTlsRoutes: false";
    // gateway.networking.k8s.io_*.yaml and values.yaml of linkerd-crds at these tags
    it.each<[string, object, string[], string]>([
        ["stable-2.14.10", {}, ["http"], "enableHttpRoutes: false"],
        ["stable-2.14.10", off, [], ""],
        ["edge-24.5.1", {}, ["http"], "enableHttpRoutes: false"],
        ["edge-24.5.2", {}, ["http", "grpc"], "enableHttpRoutes: false"],
        ["edge-24.10.3", off, [], ""],
        ["edge-24.10.4", off, ["tcp", "tls"], "enableTcpRoutes: false, enableTlsRoutes: false"],
        ["edge-24.11.8", { ...off, enableTcpRoutes: false }, ["tls"], "enableTlsRoutes: false"],
        ["edge-24.11.8", all, [], ""],
        // There no value of its own can leave a route out.
        [
            "edge-25.3.1",
            all,
            ["http", "grpc", "tcp", "tls"],
            `installGatewayAPI: false, ${keysOff}`,
        ],
        ["edge-25.3.1", { ...all, installGatewayAPI: false }, [], ""],
        [
            "edge-25.3.1",
            { installGatewayAPI: false, enableTlsRoutes: true },
            ["tls"],
            "installGatewayAPI: false, enableTlsRoutes: false",
        ],
        ["edge-25.3.2", off, ["tcp", "tls"], "enableTcpRoutes: false, enableTlsRoutes: false"],
        ["edge-25.9.3", off, ["tcp", "tls"], "enableTcpRoutes: false, enableTlsRoutes: false"],
        ["edge-25.9.3", { installGatewayAPI: false }, [], ""],
        ["edge-25.9.4", { enableTcpRoutes: true }, ["tcp"], "enableTcpRoutes: false"],
        ["edge-26.8.3", { ...all, installGatewayAPI: true }, [], ""],
    ])("in full: %s with %j refuses %j", (version, values, refused, settings) => {
        expect(faultsOf({ crds: every }, { crds: { values } }, version)).toEqual(
            refused.length > 0 ? [faultOf(refused.map(kindOf).join(", "), settings)] : [],
        );
    });

    it("of kinds that the stack's release does not have is nobody's business", () => {
        const own = ["http", "grpc"].map((one) => crdOf(STACK, kindOf(one)));
        expect(faultsOf({ crds: [...own, foreign("tls")] }, {}, "edge-24.8.2")).toEqual([]);
        const routes = { ...crdOf(STACK, route), chartVersion: "1.8.0" };
        expect(faultsOf({ crds: [routes, foreign("grpc")] }, {}, "stable-2.14.10")).toEqual([]);
    });

    it("of rendered CRDs is left out by those who render them", () => {
        const config = parseConfig({
            ...{ context: "kind", clusterUid: "0a1b", linkerdVersion: "edge-24.11.8" },
            crds: { manifests: "crds.yaml" },
        }) as LinkerdStackConfig;
        const crds = { ...config.crds, values: { installGatewayAPI: false, ...off } };
        expect(
            ownershipFaults({ ...EMPTY, crds: every }, STACK, { ...config, crds }),
        ).toMatchObject([
            {
                value: tcpAndTls,
                next: "render crds.manifests with enableTcpRoutes: false, enableTlsRoutes: false, to leave them as they are",
            },
        ]);
    });

    it("is left alone where the CRDs stay at a release that brings none: a revert", () => {
        const live = { crds: [...crds, { ...crdOf(STACK), chartVersion: "2026.8.3" }] };
        expect(faultsOf(live, {}, "edge-24.7.5")).toEqual([]);
        expect(faultsOf(live, {}, "stable-2.14.10")).toEqual([]);
    });

    it("is refused together with foreign CRDs of Linkerd: one round, not two", () => {
        expect(faultsOf({ crds: [...crds, crdOf(undefined)] })).toEqual([
            foreignCrds("servers.policy.linkerd.io"),
            fault,
        ]);
    });
});
