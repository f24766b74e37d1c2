import { describe, expect, it } from "vitest";
import type { LiveComponent, LiveInstallation } from "../../cluster/adoption";
import type { LiveCrd, LiveLinkerd } from "../../cluster/linkerd";
import { parseConfig, type ChartValues, type LinkerdStackConfig } from "../../config";
import {
    CHECKSUMS_ANNOTATION,
    planAdoption,
    runningCharts,
    type Adoption,
} from "../../plan/adoption";
import type { Fault } from "../../plan/faults";
import { ownershipFaults } from "../../plan/linkerd";
import { NO_SETTINGS } from "../../plan/settings";
import { claimFaults } from "../../plan/vizSettings";
import { EMPTY, NOTHING, releaseOf } from "./support/live";

const STACK = "acme/mesh/prod";
const EDGE_CHARTS = "https://helm.linkerd.io/edge";
const configOf = (more: Record<string, unknown> = {}) =>
    parseConfig({
        context: "kind",
        clusterUid: "0a1b",
        linkerdVersion: "edge-24.5.3",
        adopt: "true",
        ...more,
    }) as LinkerdStackConfig;
const component = (name: string, fields: Partial<LiveComponent> = {}): LiveComponent => ({
    name,
    replicas: 1,
    args: [],
    image: `cr.l5d.io/linkerd/${name}:edge-24.5.3`,
    checksum: undefined,
    createdBy: "linkerd/helm edge-24.5.3",
    ...fields,
});
const liveOf = (installation: Partial<LiveInstallation>): LiveLinkerd => ({
    ...EMPTY,
    linkerdVersion: "edge-24.5.3",
    installed: true,
    installation: { ...NOTHING, foreign: true, ...installation },
});
const plan = (
    installation: Partial<LiveInstallation>,
    config: Record<string, unknown> = {},
    charts: Record<string, ChartValues> = {},
) => {
    const defaults = Object.entries(charts).map(
        ([chart, values]) => [chart, { values, templates: "" }] as const,
    );
    return planAdoption(
        configOf(config),
        liveOf(installation),
        STACK,
        new Map(defaults),
    ) as Adoption;
};

describe("taking over", () => {
    it("begins with what the CLI was asked for, and with the heartbeat's own minute", () => {
        const overrides = { controllerLogLevel: "debug" };
        const { base, keep } = plan({ overrides, heartbeatSchedule: "7 3 * * *" });
        const controlPlane = { heartbeatSchedule: "7 3 * * *", controllerLogLevel: "debug" };
        expect(base.controlPlane).toEqual(controlPlane);
        expect(keep).toEqual({ ...NO_SETTINGS, controlPlane });
    });

    it("of a control plane of Helm's compares with the defaults of the release that runs", () => {
        const live = { values: { controllerLogLevel: "debug", controllerReplicas: 1 } };
        expect(runningCharts(configOf(), liveOf(live))).toEqual([
            { name: "linkerd-control-plane", version: "2024.5.3", source: EDGE_CHARTS },
        ]);
        const charts = {
            "linkerd-control-plane 2024.5.3": { controllerLogLevel: "info", controllerReplicas: 1 },
        };
        expect(plan(live, {}, charts).base.controlPlane).toEqual({ controllerLogLevel: "debug" });
    });

    it.each([
        {
            name: "the repository of the channel that runs",
            config: {},
            source: "https://helm.linkerd.io/stable",
        },
        { name: "where all charts come from", config: { charts: "all" }, source: "all" },
        {
            name: "where this one comes from",
            config: { charts: "all", controlPlane: { charts: "own" } },
            source: "own",
        },
    ])("looks for the chart of a stable release that runs in $name", ({ config, source }) => {
        const live = {
            ...liveOf({ values: { controllerLogLevel: "debug" } }),
            linkerdVersion: "stable-2.14.10",
        };
        const found = runningCharts(configOf({ ...config, viz: { enabled: false } }), live);
        expect(found.find(({ name }) => name === "linkerd-control-plane")).toEqual({
            ...{ name: "linkerd-control-plane", version: "1.16.11", source },
        });
    });

    it("of viz's Helm release knows the release by its chart", () => {
        const release = { ...releaseOf(1, "deployed"), chartVersion: "30.12.11" };
        const live = { ...liveOf({ release }), linkerdVersion: "stable-2.14.10" };
        const { importViz, compareViz } = planAdoption(
            configOf({ linkerdVersion: "stable-2.14.10" }),
            live,
            STACK,
            new Map([["linkerd-control-plane 1.16.11", { values: {}, templates: "" }]]),
        ) as Adoption;
        expect({ importViz, compareViz }).toEqual({ importViz: true, compareViz: true });
    });

    it.each<[chart: string, routes: string[], left: ChartValues]>([
        ["2024.5.3", ["httproutes", "grpcroutes"], {}],
        ["2024.5.3", [], { enableHttpRoutes: false }],
        ["2024.11.8", ["httproutes", "grpcroutes", "tcproutes"], { enableTlsRoutes: false }],
        [
            "2025.10.7",
            [],
            { enableHttpRoutes: false, enableTcpRoutes: false, enableTlsRoutes: false },
        ],
    ])("of CRDs of chart %s with %j goes on without the others: %j", (chart, routes, left) => {
        const names = routes.map((one) => `${one}.gateway.networking.k8s.io`);
        const crds = ["servers.policy.linkerd.io", ...names].map((name) => ({
            ...{ name, chartVersion: chart, linkerd: true, stack: undefined },
        }));
        const foreign = { name: "tlsroutes.gateway.networking.k8s.io", stack: undefined };
        const live = {
            ...liveOf({ overrides: {} }),
            crds: [...crds, { ...foreign, chartVersion: undefined, linkerd: false }],
        };
        const { base } = planAdoption(configOf(), live, STACK, new Map()) as Adoption;
        expect(base.crds).toEqual(left);
    });

    it("is refused where those defaults are not to be had", () => {
        const faults = plan({ values: {} }) as unknown as readonly Fault[];
        expect(faults).toMatchObject([
            {
                subject: "ConfigMap linkerd/linkerd-config",
                next: "put linkerd-control-plane-2024.5.3 into charts",
            },
        ]);
    });

    it("goes on with what was taken over before, whatever is live by now", () => {
        const taken = { ...NO_SETTINGS, controlPlane: { controllerLogLevel: "debug" } };
        const { base, keep } = plan({ taken, overrides: { controllerLogLevel: "trace" } });
        expect(base.controlPlane).toEqual({ controllerLogLevel: "debug" });
        expect(keep).toEqual(taken);
    });

    it("takes no setting from what the stack made itself", () => {
        const live = { ...liveOf({ foreign: false, values: { controllerLogLevel: "debug" } }) };
        const { keep } = planAdoption(configOf(), live, STACK, new Map()) as Adoption;
        expect(keep).toEqual(NO_SETTINGS);
    });

    it("names a setting that the target's chart no longer knows, and hands it on all the same", () => {
        const overrides = { proxyInit: { resources: { cpu: { limit: "1" } } } };
        const charts = {
            "linkerd-control-plane 2024.5.3": { proxyInit: { a: 1, resources: {} } },
            "linkerd-control-plane 2024.7.5": { proxyInit: { a: 1 } },
        };
        const newer = { linkerdVersion: "edge-24.7.5" };
        const { base, lines, keep } = plan({ overrides }, newer, charts);
        expect(base.controlPlane).toEqual(overrides);
        expect(keep?.controlPlane).toEqual(overrides);
        expect(lines).toContain(
            "setting controlPlane.values.proxyInit.resources.cpu.limit is not known to chart linkerd-control-plane 2024.7.5: handed on, without effect there; proxy.resources count for proxy-init",
        );
        const { "linkerd-control-plane 2024.5.3": _before, ...target } = charts;
        expect(plan({ overrides }, newer, target).lines.at(-1)).toBe(
            "controlPlane.values: whether chart linkerd-control-plane 2024.7.5 knows every setting that was taken over was not checked: chart linkerd-control-plane 2024.5.3, which runs, is not to be had",
        );
    });

    it("leaves nothing out at the version that runs, whatever its values.yaml lacks", () => {
        const overrides = { tolerations: [{ operator: "Exists" }], highAvailability: true };
        const charts = { "linkerd-control-plane 2024.5.3": { controllerReplicas: 1 } };
        const { base, lines } = plan({ overrides, heartbeatSchedule: "7 3 * * *" }, {}, charts);
        expect(base.controlPlane).toEqual({ ...overrides, heartbeatSchedule: "7 3 * * *" });
        expect(lines.filter((line) => line.startsWith("setting "))).toEqual([]);
    });

    it("keeps checksums and the maker's mark only where the target is what runs", () => {
        const live = {
            overrides: {},
            values: { cliVersion: "linkerd/cli edge-24.5.3" },
            controlPlane: [component("linkerd-destination", { checksum: "abc" })],
            viz: [component("tap", { checksum: "def" }), component("web")],
        };
        const same = plan(live);
        expect(same.checksums).toEqual({ "linkerd-destination": "abc" });
        expect(same.base.controlPlane).toEqual({ cliVersion: "linkerd/cli edge-24.5.3" });
        expect(same.base.viz).toMatchObject({
            podAnnotations: { [CHECKSUMS_ANNOTATION]: '{"tap":"def"}' },
        });
        const newer = plan(live, { linkerdVersion: "edge-24.7.5" });
        expect(newer.checksums).toEqual({});
        expect(newer.base.controlPlane).toEqual({});
        expect(newer.base.viz).not.toHaveProperty("podAnnotations");
    });

    it("imports a Helm release of viz with its settings, and keeps its checksums without adopt", () => {
        const release = { revision: 3, status: "deployed", chartVersion: "2024.5.3" };
        const viz = [component("tap", { checksum: "def" })];
        const config = { defaultLogLevel: "debug", tap: { keyPEM: "K", replicas: 2 } };
        const adopted = plan({ overrides: {}, viz, release: { ...release, config } });
        expect(adopted).toMatchObject({ importViz: true, markViz: false });
        expect(adopted.keep?.viz).toEqual({ defaultLogLevel: "debug", tap: { replicas: 2 } });
        const podAnnotations = { [CHECKSUMS_ANNOTATION]: '{"tap":"def"}' };
        const later = { ...config, podAnnotations, tap: { externalSecret: true } };
        const free = plan(
            { foreign: false, viz, release: { ...release, config: later } },
            { adopt: "false" },
        );
        expect(free.base.viz).toEqual({ podAnnotations });
    });

    it("reads the settings of a viz of the CLI from what runs", () => {
        const viz = [
            component("metrics-api", {
                args: [
                    "-controller-namespace=linkerd",
                    "-log-level=debug",
                    "-cluster-domain=cluster.local",
                    "-prometheus-url=http://prometheus.monitoring:9090",
                ],
            }),
            component("web", {
                replicas: 2,
                args: ["-grafana-addr=grafana:3000", "-log-level=info", "-cluster-domain=x"],
            }),
        ];
        const charts = {
            "linkerd-viz 2024.5.3": {
                defaultLogFormat: "plain",
                defaultRegistry: "cr.l5d.io/linkerd",
                nodeSelector: { "kubernetes.io/os": "linux" },
            },
        };
        expect(runningCharts(configOf(), liveOf({ overrides: {}, viz }))).toEqual([
            { name: "linkerd-viz", version: "2024.5.3", source: EDGE_CHARTS },
        ]);
        const live = { overrides: {}, viz, tapInjectorPolicy: "Fail" };
        const { keep, markViz } = plan(live, {}, charts);
        expect(markViz).toBe(true);
        expect(keep?.viz).toEqual({
            prometheusUrl: "http://prometheus.monitoring:9090",
            prometheus: { enabled: false },
            grafana: { url: "grafana:3000" },
            tapInjector: { failurePolicy: "Fail" },
            metricsAPI: { logLevel: "debug" },
            dashboard: { replicas: 2 },
        });
    });

    it("reads what else shows of it: where it runs, as whom, with what, and what it may do", () => {
        const tolerations = [{ key: "dedicated", operator: "Exists" }];
        const part = (name: string, runAsUser: number, fields: Partial<LiveComponent> = {}) =>
            component(name, {
                args: name === "tap" ? ["api", "-ignore-headers=cookie,authorization"] : [],
                container: { name, securityContext: { runAsUser } },
                pod: {
                    metadata: {
                        labels: { component: name, "linkerd.io/extension": "viz", team: "mesh" },
                        annotations: {
                            "linkerd.io/inject": "enabled",
                            "config.linkerd.io/proxy-cpu-limit": "1",
                            "kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z",
                            "example.com/a": "b",
                        },
                    },
                    spec: { containers: [], nodeSelector: { os: "linux", zone: "a" }, tolerations },
                },
                ...fields,
            });
        const viz = [
            part("metrics-api", 3000),
            part("tap", 3000),
            part("web", 77, { replicas: 2 }),
            component("prometheus", {
                image: "prom/prometheus:v2.48.1",
                args: ["--log.level=info", "--a.path=/data", "--retention=12h", "--admin"],
                container: {
                    name: "prometheus",
                    resources: { limits: { memory: "1Gi" }, requests: { memory: "8Mi", cpu: "1" } },
                },
            }),
        ];
        const vizExtras = {
            pullSecrets: [{ name: "registry" }],
            checks: false,
            budgets: true,
        };
        const vizClaim = {
            storageClass: "gp3",
            accessMode: "ReadWriteOnce",
            size: "50Gi",
            helms: false,
        };
        const charts = {
            "linkerd-viz 2024.5.3": {
                defaultLogFormat: "plain",
                defaultRegistry: "cr.l5d.io/linkerd",
                defaultUID: 2103,
                nodeSelector: { os: "linux" },
                metricsAPI: { nodeSelector: { os: "linux" } },
                prometheus: {
                    image: { registry: "prom", name: "prometheus", tag: "v2.48.1" },
                    args: { "a.path": "/data", retention: "6h" },
                },
            },
        };
        const proxy = { resources: { cpu: { limit: "1" } } };
        expect(plan({ overrides: {}, viz, vizExtras, vizClaim }, {}, charts).keep?.viz).toEqual({
            defaultUID: 3000,
            podLabels: { team: "mesh" },
            podAnnotations: { "example.com/a": "b" },
            nodeSelector: { zone: "a" },
            tolerations,
            imagePullSecrets: [{ name: "registry" }],
            enablePodDisruptionBudget: true,
            metricsAPI: { nodeSelector: { zone: "a" }, tolerations, proxy },
            tap: { ignoreHeaders: ["cookie", "authorization"], proxy },
            dashboard: { replicas: 2, UID: 77, restrictPrivileges: true, proxy },
            prometheus: {
                args: { retention: "12h", admin: "" },
                resources: { memory: { limit: "1Gi", request: "8Mi" }, cpu: { request: "1" } },
                persistence: { storageClass: "gp3", accessMode: "ReadWriteOnce", size: "50Gi" },
            },
        });
    });

    it("compares viz with what Helm would make of it only in the update that takes it over", () => {
        const live = { overrides: {}, viz: [component("web")] };
        const release = {
            revision: 1,
            status: "deployed",
            chartVersion: "2024.5.3",
            config: {},
        };
        expect(plan(live).compareViz).toBe(true);
        expect(plan({ ...live, release }).compareViz).toBe(true);
        const newer = { linkerdVersion: "edge-24.7.5" };
        expect(plan(live, newer).compareViz).toBe(true);
        expect(plan({ ...live, release }, newer).compareViz).toBe(false);
        const own = liveOf({ ...live, release });
        const namespaces = [{ name: "linkerd-viz", stack: STACK }];
        const later = planAdoption(configOf(), { ...own, namespaces }, STACK, new Map());
        expect((later as Adoption).compareViz).toBe(false);
    });

    it.each([
        { name: "without its setting", values: {}, helms: true, faults: 1 },
        { name: "with its setting", values: { persistence: { size: "1Gi" } }, faults: 0 },
        {
            name: "without Prometheus",
            values: { enabled: false, persistence: { size: "1Gi" } },
            faults: 1,
        },
        { name: "which is not Helm's, or kept", values: {}, helms: false, faults: 0 },
    ])("keeps Helm from deleting the claim of Prometheus: $name", ({ values, faults, ...rest }) => {
        const claim = { storageClass: "gp3", accessMode: "ReadWriteOnce", size: "1Gi" };
        const vizClaim = { ...claim, helms: rest.helms ?? true };
        const found = claimFaults({ vizClaim }, { prometheus: values });
        expect(found).toHaveLength(faults);
        if (faults > 0) {
            expect(found[0]?.subject).toBe("PersistentVolumeClaim linkerd-viz/prometheus");
            expect(found[0]?.next).toContain(JSON.stringify(claim));
        }
    });

    it("leaves a viz alone that the stack file does not want", () => {
        const viz = [component("web", { replicas: 2 })];
        const adopted = plan({ overrides: {}, viz }, { viz: { enabled: false } });
        expect(adopted).toMatchObject({ markViz: false, base: { viz: {} } });
        expect(adopted.lines.join("\n")).not.toContain("viz");
    });
});

describe("adopt takes over what nobody's stack made, and nothing else", () => {
    const crd = (fields: Partial<LiveCrd>): LiveCrd => ({
        name: "servers.policy.linkerd.io",
        chartVersion: "2024.5.3",
        linkerd: true,
        stack: undefined,
        ...fields,
    });
    const faultsOf = (fields: Partial<LiveLinkerd>) =>
        ownershipFaults({ ...liveOf({}), ...fields }, STACK, configOf());

    it.each([
        {
            name: "a namespace of the CLI's",
            live: { namespaces: [{ name: "linkerd", stack: undefined }] },
        },
        { name: "CRDs of the CLI's", live: { crds: [crd({})] } },
        {
            name: "routes that Linkerd brought",
            live: { crds: [crd({ name: "httproutes.gateway.networking.k8s.io" })] },
        },
    ])("$name is taken over", ({ live }) => {
        expect(faultsOf(live)).toEqual([]);
    });

    it.each([
        {
            name: "a namespace of another stack",
            live: { namespaces: [{ name: "linkerd", stack: "x" }] },
        },
        { name: "CRDs of another stack", live: { crds: [crd({ stack: "x" })] } },
        {
            name: "routes that somebody else brought",
            live: { crds: [crd({ name: "httproutes.gateway.networking.k8s.io", linkerd: false })] },
        },
    ])("$name stays refused", ({ live }) => {
        expect(faultsOf(live)).toHaveLength(1);
    });
});
