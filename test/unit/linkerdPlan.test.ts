import { beforeAll, describe, expect, it } from "vitest";
import type { LocatedChart } from "../../charts/source";
import { recordsOf } from "../../cluster/adoption";
import type { LiveCrd, LiveLinkerd } from "../../cluster/linkerd";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { mint, type KeyPair } from "../../plan/certificates";
import type { Fault } from "../../plan/faults";
import { chartFaults, crdVersion, planLinkerd, type LinkerdPlan } from "../../plan/linkerd";
import { controlPlaneValues } from "../../plan/values";
import { webhookName, webhooksOf } from "../../plan/webhooks";
import { helmRecord } from "./support/helmRecord";
import { EMPTY, NOTHING, releaseOf } from "./support/live";
import { versionAt } from "./support/releases";

const now = new Date("2026-11-21T00:00:00Z");
const STACK = "acme/mesh/prod";
const OTHER = "acme/mesh/dev";

const liveOf = (fields: Partial<LiveLinkerd> = {}): LiveLinkerd => ({ ...EMPTY, ...fields });
const crdOf = (chartVersion: string | undefined, fields: Partial<LiveCrd> = {}): LiveCrd => ({
    name: "servers.policy.linkerd.io",
    chartVersion,
    linkerd: true,
    stack: STACK,
    ...fields,
});
const configOf = (linkerdVersion: string, rest: Record<string, unknown> = {}) =>
    parseConfig({
        context: "kind",
        clusterUid: "0a1b",
        linkerdVersion,
        ...rest,
    }) as LinkerdStackConfig;

describe("CRDs never move back, which the API server would refuse half-way", () => {
    it.each([
        { name: "none there", live: [], expected: "edge-24.5.3" },
        { name: "older ones", live: ["2024.3.1"], expected: "edge-24.5.3" },
        { name: "newer ones", live: ["2024.7.5"], expected: "edge-24.7.5" },
        { name: "a half-done update", live: ["2024.3.1", "2024.7.5"], expected: "edge-24.7.5" },
        { name: "a larger number", live: ["2024.5.10", "2024.5.9"], expected: "edge-24.5.10" },
        { name: "no label", live: [undefined], expected: "edge-24.5.3" },
        { name: "those of a stable release", live: ["1.8.0"], expected: "edge-24.5.3" },
        { name: "a numbering of before", live: ["1.4.0"], expected: "edge-24.5.3" },
        { name: "an edge's", to: "stable-2.14.10", live: ["2024.7.5"], expected: "edge-24.7.5" },
        // The releases of stable-2.14 have one chart of CRDs.
        { name: "its own", to: "stable-2.14.3", live: ["1.8.0"], expected: "stable-2.14.3" },
        { name: "older ones", to: "stable-2.14.10", live: ["1.4.0"], expected: "stable-2.14.10" },
    ])("$name: $expected", ({ to = "edge-24.5.3", live, expected }) => {
        const crds = live.map((version) => crdOf(version));
        expect(crdVersion(versionAt(to), liveOf({ crds })).tag).toBe(expected);
    });
});

describe("charts and the version of the API server", () => {
    const chartOf = (kubeVersion: string | undefined): LocatedChart => ({
        name: "linkerd-crds",
        version: "2024.7.5",
        path: "./.charts/0/linkerd-crds-2024.7.5",
        kubeVersion,
    });
    it.each([
        [undefined, "v1.2.3"],
        [">=1.22.0-0", "v1.22.0"],
        [">=1.22.0-0", "v1.30.4-eks-a737599"],
        [">=1.22.0-0", "v1.27.8-gke.1067004"],
        [">=1.22.0-0", "v1.31.1+k3s1"],
        [">=1.31.0", "v1.31.0-rc.1"],
        [">= 1.22.0, < 1.31.0", "v1.30.4"],
        [">= 1.22.0 < 1.25.0 || >= 1.30", "v1.30.4"],
    ])("%s accepts %s, vendor's suffix or not", (range, server) => {
        expect(chartFaults([chartOf(range)], server)).toEqual([]);
    });

    it.each([
        [">=1.22.0-0", "v1.21.14-eks-1"],
        [">= 1.22.0, < 1.31.0", "v1.31.0"],
        [">=1.22.0-0", "unreadable"],
    ])("%s refuses %s", (range, server) => {
        expect(chartFaults([chartOf(range), chartOf(undefined)], server)).toEqual([
            {
                subject: "chart linkerd-crds 2024.7.5",
                value: server,
                rule: `the chart asks for Kubernetes ${range} (rule linkerd-kubernetes)`,
                next: "upgrade the cluster first, or choose an older linkerdVersion",
            },
        ]);
    });
});

describe("the plan", () => {
    let installed: LiveLinkerd;
    const at = (linkerdVersion: string | undefined, fields: Partial<LiveLinkerd> = {}) => ({
        ...installed,
        linkerdVersion,
        ...fields,
    });
    beforeAll(async () => {
        const root = await mint({ name: "root", authority: true, years: 10, now });
        const name = "identity.linkerd.cluster.local";
        const issuer = await mint({ name, issuer: root, authority: true, years: 5, now });
        installed = liveOf({
            namespaces: [{ name: "linkerd", stack: STACK }],
            installed: true,
            identity: {
                installed: true,
                issuer: { ...issuer, scheme: "kubernetes.io/tls", trustAnchors: root.certificate },
            },
        });
    });
    it.each<[string, string, object, string[]]>([
        ["edge-24.7.5", "edge-26.8.3", {}, ["httproutes.gateway.networking.k8s.io"]],
        ["edge-24.7.5", "edge-26.8.3", { installGatewayAPI: true }, []],
        ["edge-25.10.7", "edge-26.8.3", {}, ["httproutes.gateway.networking.k8s.io"]],
        [
            "edge-24.7.5",
            "edge-26.8.3",
            { enableTcpRoutes: true },
            ["httproutes.gateway.networking.k8s.io"],
        ],
        ["edge-24.5.3", "edge-24.7.5", {}, []],
        ["edge-26.8.3", "edge-24.7.5", {}, []],
    ])("from %s to %s with %j tells the routes that stay: %j", async (from, to, values, left) => {
        const crds = [
            crdOf(from.replace("edge-", "20")),
            crdOf("2024.7.5", { name: "httproutes.gateway.networking.k8s.io" }),
            // Somebody else's, which a chart that brings its own would refuse.
            ...(left.length > 0
                ? [crdOf(undefined, { name: "grpcroutes.gateway.networking.k8s.io", stack: OTHER })]
                : []),
        ];
        const config = configOf(to, { crds: { values } });
        const { lines } = (await planLinkerd(config, at(from, { crds }), {
            ...{ stack: STACK, now },
        })) as LinkerdPlan;
        expect(lines.filter((line) => line.startsWith("CRDs of the Gateway API"))).toEqual(
            left.map(
                (name) =>
                    `CRDs of the Gateway API are no longer declared; they stay in the cluster with their objects: ${name} (for another owner take the stack's name off: kubectl annotate crd ${name} mesh-upgrade/stack-)`,
            ),
        );
    });

    const stays =
        "CRDs stay at edge-24.7.5: they move forward only (linkerdVersion is edge-24.5.3; the API server refuses to drop a stored version)";

    it.each([
        { from: "edge-24.5.3", to: "edge-24.7.5", change: "upgrade" },
        { from: "edge-24.7.5", to: "edge-24.7.5", change: "none" },
        { from: "edge-24.5.10", to: "edge-24.5.9", change: "revert" },
        { from: "stable-2.14.10", to: "edge-24.7.5", change: "upgrade" },
        { from: "stable-2.14.3", to: "stable-2.14.10", change: "upgrade", crds: "1.8.0" },
        { from: "edge-24.3.1", to: "stable-2.14.10", change: "revert" },
        { from: "edge-24.7.5", to: "edge-24.5.3", change: "revert", crds: "2024.7.5", line: stays },
        { from: "edge-24.5.3", to: "edge-24.5.3", change: "none", crds: "2024.7.5", line: stays },
    ])("from $from to $to is called $change", async ({ from, to, change, crds, line }) => {
        const live = at(from, { crds: crds === undefined ? [] : [crdOf(crds)] });
        const plan = (await planLinkerd(configOf(to), live, { stack: STACK, now })) as LinkerdPlan;
        expect(plan.change).toBe(change);
        expect(plan.proxy).toBe(to);
        expect(plan.crds.charts["linkerd-crds"]).toBe(crds ?? plan.version.charts["linkerd-crds"]);
        expect(plan.lines).toEqual([
            `linkerd: ${from} -> ${to} (${change})`,
            ...(line === undefined ? [] : [line]),
        ]);
    });

    it("of a first installation says so and follows a proxy version of the user's", async () => {
        const values = { proxy: { image: { version: "edge-24.7.5-fips" } } };
        const config = configOf("edge-24.7.5", { controlPlane: { values } });
        const plan = await planLinkerd(config, liveOf(), { stack: STACK, now });
        expect(plan).toMatchObject({
            change: "install",
            proxy: "edge-24.7.5-fips",
            lines: ["linkerd: not installed -> edge-24.7.5 (install)"],
        });
    });

    it("with rendered YAML has its settings alone: what was taken over could not get there", async () => {
        const taken = { crds: {}, controlPlane: { controllerReplicas: 5 }, viz: {} };
        const live = at("edge-24.5.3", { installation: { ...NOTHING, taken } });
        const raw = { adopt: "true", certificates: { webhooks: "own" } };
        const valuesOf = async (controlPlane: LinkerdStackConfig["controlPlane"]) => {
            const config = { ...configOf("edge-24.7.5", raw), controlPlane };
            const plan = await planLinkerd(config, live, { stack: STACK, now });
            return (plan as LinkerdPlan).values.controlPlane;
        };
        const values = { controllerLogLevel: "debug" };
        expect(await valuesOf({ values })).toEqual({ ...values, controllerReplicas: 5 });
        expect(await valuesOf({ values, manifests: "plane.yaml" })).toEqual(values);
    });

    it("refuses an upgrade that would lose a setting whose name is another by now", async () => {
        const values = { controlPlaneTracing: true };
        const config = configOf("edge-25.10.1", { controlPlane: { values } });
        const known = { values: { controller: { tracing: { enabled: false } } }, templates: "" };
        const defaults = new Map([["linkerd-control-plane 2025.10.1", known]]);
        const faultsFrom = async (from: string) => {
            const planned = await planLinkerd(config, at(from), { stack: STACK, now, defaults });
            return Array.isArray(planned) ? (planned as Fault[]).map(({ subject }) => subject) : [];
        };
        expect(await faultsFrom("edge-24.7.5")).toEqual([
            "controlPlane.values.controlPlaneTracing",
        ]);
        expect(await faultsFrom("edge-25.10.1")).toEqual([]);
        expect(await faultsFrom("edge-26.1.1")).toEqual([]);
    });

    it("comes with every reason at once where something stands in its way", async () => {
        const config = configOf("edge-24.7.5", { crds: { values: { linkerdVersion: "x" } } });
        const live = at("edge-24.5.3", {
            namespaces: ["linkerd", "linkerd-viz"].map((name) => ({ name, stack: STACK })),
            installation: { ...NOTHING, release: releaseOf(2, "pending-upgrade") },
            identity: { installed: true },
            webhooks: { ca: { certificate: "", key: "" }, leaves: {}, bundles: {} },
        });
        const faults = (await planLinkerd(config, live, { stack: STACK, now })) as readonly Fault[];
        expect(faults.map((one) => one.subject)).toEqual([
            "crds.values.linkerdVersion",
            "Helm release linkerd-viz/linkerd-viz",
            "Secret linkerd/linkerd-identity-issuer",
            "Secret linkerd/linkerd-webhook-ca",
        ]);
    });

    it("names what Helm still believes of the control plane, which would undo the stack's work", async () => {
        const records = await recordsOf([
            helmRecord("linkerd-crds", 1),
            helmRecord("my-mesh", 4, { chart: "linkerd-control-plane" }),
            helmRecord("my-mesh", 3, { chart: "linkerd-control-plane" }),
            helmRecord("linkerd-smi", 1),
            { metadata: { name: "no record", labels: { owner: "helm", name: "x" } } },
        ]);
        const live = at("edge-24.5.3", { installation: { ...NOTHING, records } });
        const plan = await planLinkerd(configOf("edge-24.5.3"), live, { stack: STACK, now });
        const line = (release: string, secrets: string) =>
            `Helm's records of release linkerd/${release} are no longer true after a take-over (${secrets}): do not use helm on it; after pulumi up: kubectl -n linkerd delete secret -l owner=helm,name=${release}`;
        expect((plan as LinkerdPlan).lines.slice(1)).toEqual([
            line("linkerd-crds", "sh.helm.release.v1.linkerd-crds.v1"),
            line("my-mesh", "sh.helm.release.v1.my-mesh.v3, sh.helm.release.v1.my-mesh.v4"),
        ]);
    });

    it("compares pods by tag where the user's proxy version names a digest as well", async () => {
        const values = { proxy: { image: { version: "edge-24.7.5@sha256:0a1b" } } };
        const config = configOf("edge-24.7.5", { controlPlane: { values } });
        expect(await planLinkerd(config, liveOf(), { stack: STACK, now })).toMatchObject({
            proxy: "edge-24.7.5",
        });
    });

    it("does not let a broken release of viz stand in the way where the stack has no viz", async () => {
        const config = configOf("edge-24.7.5", { viz: { enabled: false } });
        const live = at("edge-24.5.3", {
            installation: { ...NOTHING, release: releaseOf(1, "pending-install") },
        });
        expect(await planLinkerd(config, live, { stack: STACK, now })).toMatchObject({
            change: "upgrade",
        });
    });

    it("refuses another's installation before it looks at any key of it", async () => {
        const live = at("edge-24.5.3", { namespaces: [{ name: "linkerd", stack: OTHER }] });
        expect(
            await planLinkerd(configOf("edge-24.7.5"), live, { stack: STACK, now }),
        ).toMatchObject([{ subject: "Namespace linkerd", value: OTHER }]);
    });
});

describe("a mesh that is taken over keeps every key", () => {
    let live: LiveLinkerd;
    let leaf: KeyPair;
    beforeAll(async () => {
        const root = await mint({ name: "root", authority: true, years: 10, now });
        const name = "identity.linkerd.cluster.local";
        const issuer = await mint({ name, issuer: root, authority: true, years: 1, now });
        const leaves = await Promise.all(
            webhooksOf({}).map(async (webhook) => {
                const name = webhookName(webhook);
                const made = await mint({ name, authority: false, years: 1, now });
                return [webhook.service, made] as const;
            }),
        );
        leaf = leaves[0]![1];
        live = liveOf({
            namespaces: ["linkerd", "linkerd-viz"].map((name) => ({ name, stack: undefined })),
            linkerdVersion: "edge-24.5.3",
            installed: true,
            identity: {
                installed: true,
                issuer: { ...issuer, scheme: "linkerd.io/tls", trustAnchors: root.certificate },
            },
            webhooks: {
                leaves: Object.fromEntries(leaves),
                bundles: Object.fromEntries(
                    leaves.map(([service, { certificate }]) => [service, certificate]),
                ),
            },
            installation: { ...NOTHING, foreign: true, overrides: {} },
        });
    });
    const planOf = (config: Record<string, unknown>, from: LiveLinkerd) =>
        planLinkerd(configOf("edge-24.5.3", config), from, { stack: STACK, now });

    it.each(["generated", "adopted"])("with identity.source %s", async (source) => {
        const config = { adopt: "true", identity: { source } };
        const plan = (await planOf(config, live)) as LinkerdPlan;
        const { issuer } = live.identity;
        expect(plan.identity).toMatchObject({
            scheme: "linkerd.io/tls",
            trustAnchors: issuer?.trustAnchors,
            issuer: { certificate: issuer?.certificate, key: issuer?.key },
            lines: [],
        });
        expect(plan.identity).not.toHaveProperty("issuedAt");
        expect(plan.webhooks.leaves).toEqual(live.webhooks.leaves);
        expect(plan.leavingCertificates).toEqual([]);
        const { values, version, identity, webhooks } = plan;
        const rendered = controlPlaneValues(
            values.controlPlane,
            version,
            identity,
            webhooks,
            "0a1b",
        );
        expect(rendered["proxyInjector"]).toEqual({
            externalSecret: true,
            caBundle: leaf.certificate.trim(),
        });
        expect(JSON.stringify(rendered)).not.toContain("PRIVATE KEY");
    });

    it("and without adopt the stack file has to say that webhook certificates stay", async () => {
        const owned = {
            ...live,
            namespaces: live.namespaces.map(({ name }) => ({ name, stack: STACK })),
            installation: NOTHING,
        };
        const faults = (await planOf({}, owned)) as readonly Fault[];
        expect(faults.map(({ subject, value, next }) => [subject, value, next])).toEqual(
            webhooksOf({}).map(() => [
                "certificates.webhooks",
                "own",
                "set certificates.webhooks to publish, pulumi up, then go on",
            ]),
        );
        const certificates = { webhooks: "adopted" };
        const plan = (await planOf({ certificates }, owned)) as LinkerdPlan;
        expect(plan.webhooks.leaves).toEqual(live.webhooks.leaves);
    });
});
