import { describe, expect, it } from "vitest";
import { ApiError, type KubeApi, type RawObject } from "../../cluster/api";
import { readEvidence } from "../../cluster/notices";
import { istioNotices } from "../../plan/policy/istio";
import { ISTIO_NOTICES } from "../../plan/policy/istioNotices";
import { parseIstioVersion, type IstioVersion } from "../../plan/istio/versions";
import { linkerdNotices } from "../../plan/policy/linkerd";
import { LINKERD_NOTICES } from "../../plan/policy/linkerdNotices";
import {
    EVERY,
    noticeFaults,
    noticeResults,
    shortList,
    type Notice,
    type NoticeCircumstances,
} from "../../plan/policy/notices";
import { releaseOf } from "../../plan/releases";
import { noticeLines } from "../../report/policy";

const ALL = [...LINKERD_NOTICES, ...ISTIO_NOTICES];
const noticeOf = (id: string): Notice => {
    const found = ALL.find((one) => one.id === id);
    if (!found) {
        throw new Error(id);
    }
    return found;
};

describe("the notices of the releases crossed", () => {
    // Sources of the single releases stand beside each notice; that all of a span are told is the table's.
    it.each<[from: string | undefined, to: string, expected: string[], source: string]>([
        [undefined, "edge-24.7.5", [], "a first installation crosses nothing"],
        ["edge-24.7.5", "edge-24.7.5", [], "nothing changes"],
        ["edge-24.5.3", "edge-24.6.1", ["viz-metrics"], "prometheus.yaml of linkerd-viz"],
        ["edge-24.7.5", "edge-24.5.3", ["viz-metrics"], "on the way back only viz's data is lost"],
        [
            "edge-24.5.3",
            "edge-24.7.5",
            ["shutdown-endpoint", "proxy-init-resources", "viz-metrics"],
            "releases edge-24.6.2, edge-24.6.4",
        ],
        ["edge-24.6.2", "edge-24.6.3", ["viz-metrics"], "the origin's own changes are over"],
        [
            "stable-2.9.5",
            "stable-2.11.1",
            ["viz-split", "multicluster-relink-2.11", "proxy-first", "viz-metrics"],
            "linkerd.io/2.10/tasks/upgrade, linkerd.io/2.11/tasks/upgrade",
        ],
        [
            "stable-2.11.1",
            "stable-2.12.0",
            [
                "traffic-split",
                "grafana-unbundled",
                "viz-reinstall",
                "server-authorizations",
                "probes-authorized",
                "proxy-await",
                "iptables-mode",
                "identity-annotations",
                "viz-metrics",
            ],
            "linkerd.io/2.12/tasks/upgrade",
        ],
        [
            "stable-2.13.7",
            "stable-2.14.10",
            ["multicluster-relink-2.14", "viz-metrics"],
            "linkerd.io/2.14/tasks/upgrade",
        ],
        [
            "edge-25.2.1",
            "edge-25.4.4",
            [
                "open-telemetry",
                "proxy-port",
                "proxy-cores",
                "gateway-api-mandatory",
                "gateway-api-ownership",
                "viz-metrics",
            ],
            "linkerd.io/2.18/tasks/upgrade, releases edge-25.2.2 to edge-25.3.4",
        ],
        [
            "edge-25.4.4",
            "edge-25.10.7",
            [
                "renamed-ports",
                "undefined-ports",
                "iptables-nft",
                "policy-controller-image",
                "jaeger-removed",
                "tracing-values",
                "viz-metrics",
            ],
            "releases edge-25.6.3 to edge-25.10.1",
        ],
        [
            "edge-25.10.7",
            "edge-26.8.3",
            [
                "proxy-init-image",
                "init-image-annotations",
                "kubernetes-1.31",
                "native-sidecars",
                "undefined-ports-2",
                "viz-metrics",
            ],
            "releases edge-25.11.3 to edge-26.7.1",
        ],
    ])("%s -> %s: %j (%s)", (linkerdVersion, to, expected) => {
        const found = linkerdNotices(
            { installed: linkerdVersion !== undefined, linkerdVersion },
            to,
        );
        expect(found.map(({ id }) => id)).toEqual(expected);
    });

    it.each(["edge-24.5.3-acme.1", "dev-undefined", undefined])(
        "what runs is no release (%s): all up to the target, since any may be crossed",
        (linkerdVersion) => {
            const found = linkerdNotices({ installed: true, linkerdVersion }, "edge-25.6.3");
            expect(found.map(({ id }) => id)).toEqual([
                ...LINKERD_NOTICES.slice(
                    0,
                    LINKERD_NOTICES.findIndex(({ id }) => id === "renamed-ports") + 1,
                ).map(({ id }) => id),
                "viz-metrics",
            ]);
        },
    );

    const version = (text: string) => parseIstioVersion(text, "x") as IstioVersion;
    it.each<[from: string[], to: string[], expected: string[], source: string]>([
        [[], ["1.27.1"], [], "a first installation"],
        [["1.26.4"], ["1.26.4"], [], "nothing changes"],
        [
            ["1.26.4"],
            ["1.26.4", "1.27.1"],
            ["istio-native-sidecars", "istio-envoy-filters"],
            "upgrade notes of 1.27",
        ],
        [
            ["1.26.4", "1.27.1"],
            ["1.27.1"],
            ["istio-native-sidecars", "istio-envoy-filters"],
            "until the old one has gone",
        ],
        [
            ["1.5.10-asm.2"],
            ["1.6.14-asm.2"],
            ["asm-gateway-in-place", "istio-envoy-filters"],
            "ASM 1.6, upgrade guide",
        ],
        [["1.5.10"], ["1.6.14"], ["istio-envoy-filters"], "ASM's do not concern Istio"],
        [
            ["1.7.8"],
            ["1.12.9"],
            [
                "istio-mixer-removed",
                "istio-revision-label",
                "istio-default-revision",
                "istio-envoy-filters",
            ],
            "upgrade notes of 1.8, 1.11 and 1.12",
        ],
        [
            ["1.26.4-solo"],
            ["1.27.1"],
            ["istio-native-sidecars", "istio-envoy-filters"],
            "a vendor's build is of the release that it names",
        ],
        [
            ["acme-main", "1.27.1"],
            ["1.21.0"],
            [
                "istio-mixer-removed",
                "istio-revision-label",
                "istio-default-revision",
                "istio-verify-certificates",
                "istio-envoy-filters",
            ],
            "any may be crossed from what is of no release",
        ],
        [
            ["1.20.8"],
            ["1.29.0"],
            [
                "istio-verify-certificates",
                "istio-tracing-default",
                "istio-opencensus-removed",
                "istio-native-sidecars",
                "istio-debug-endpoints",
                "istio-envoy-filters",
            ],
            "upgrade notes of 1.21, 1.22, 1.25, 1.27 and 1.29",
        ],
    ])("Istio %j -> %j: %j (%s)", (from, to, expected) => {
        const istiods = from.map((text) => ({
            name: "istiod",
            revision: "r",
            version: text,
            stack: undefined,
        }));
        const revisions = to.map((text) => ({ version: version(text) })) as never;
        expect(istioNotices({ istiods }, { revisions }).map(({ id }) => id)).toEqual(expected);
    });

    it("each has an id of its own, a release that exists in form, a source and an action", () => {
        expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
        for (const { id, since, source, action, title } of ALL) {
            const parsed = releaseOf(since) ?? parseIstioVersion(since, "x");
            expect(since === EVERY || !("rule" in parsed), id).toBe(true);
            expect(Math.min(source.length, action.length, title.length), id).toBeGreaterThan(6);
        }
    });
});

describe("whether a notice applies", () => {
    const given = (fields: Partial<NoticeCircumstances> = {}): NoticeCircumstances => ({
        evidence: new Map(),
        values: {},
        acknowledge: new Set(),
        acting: false,
        ...fields,
    });
    const shutdown = noticeOf("shutdown-endpoint");
    const found = new Map([["shutdown-endpoint", { found: ["Job batch/report"] }]]);
    const unread = new Map([["shutdown-endpoint", { unknown: "jobs is forbidden" }]]);
    const on = { controlPlane: { proxy: { enableShutdownEndpoint: true } } };

    it.each<[string, Notice, Partial<NoticeCircumstances>, string, string[], boolean]>([
        ["found", shutdown, { evidence: found }, "yes", ["Job batch/report"], true],
        [
            "nothing found",
            shutdown,
            { evidence: new Map([["shutdown-endpoint", { found: [] }]]) },
            "no",
            [],
            false,
        ],
        ["averted by a value", shutdown, { evidence: found, values: on }, "no", [], false],
        [
            "unread in preview",
            shutdown,
            { evidence: unread },
            "unknown",
            ["jobs is forbidden"],
            false,
        ],
        [
            "unread before a change",
            shutdown,
            { evidence: unread, acting: true },
            "unknown",
            ["jobs is forbidden"],
            true,
        ],
        ["for everybody", noticeOf("native-sidecars"), {}, "yes", [], false],
        ["by hand", noticeOf("undefined-ports"), {}, "unknown", ["only you can tell"], false],
        [
            "a value in use",
            noticeOf("proxy-cores"),
            { values: { controlPlane: { proxy: { cores: 2 } } } },
            "yes",
            ["controlPlane.values.proxy.cores"],
            false,
        ],
        [
            "a map of values without any",
            noticeOf("proxy-init-resources"),
            { values: { controlPlane: { proxyInit: { resources: {} } } } },
            "no",
            [],
            false,
        ],
    ])("%s", (_name, notice, fields, applies, evidence, blocking) => {
        expect(noticeResults([notice], given(fields))).toEqual([
            {
                id: notice.id,
                since: notice.since,
                title: notice.title,
                action: notice.action,
                source: notice.source,
                applies,
                evidence,
                blocking,
                acknowledged: false,
            },
        ]);
    });

    it("one that blocks is a fault with its way out; acknowledged, a line", () => {
        const results = noticeResults([shutdown], given({ evidence: found }));
        expect(noticeFaults(results)).toEqual([
            {
                subject: "notice shutdown-endpoint",
                value: "Job batch/report",
                rule: "the proxy's /shutdown is off by default: Jobs that call it never end (since edge-24.6.2)",
                next: `${shutdown.action}; to go on with what it means, add shutdown-endpoint to policy.acknowledge`,
            },
        ]);
        const accepted = noticeResults(
            [shutdown, noticeOf("proxy-cores")],
            given({ evidence: found, acknowledge: new Set(["shutdown-endpoint"]) }),
        );
        expect(noticeFaults(accepted)).toEqual([]);
        expect(noticeLines(accepted)).toEqual([
            "notices: 2 of the releases crossed; 1 do not apply here",
            "  shutdown-endpoint (since edge-24.6.2): the proxy's /shutdown is off by default: Jobs that call it never end [acknowledged]",
            "    found: Job batch/report",
            `    do: ${shutdown.action} (${shutdown.source})`,
        ]);
    });

    it("what could not be read before a change says so", () => {
        const results = noticeResults([shutdown], given({ evidence: unread, acting: true }));
        expect(noticeFaults(results)[0]?.rule).toContain("could not be read");
    });

    it("many are counted", () => {
        expect(shortList(["a", "b", "c", "d", "e", "f", "g"])).toBe("a, b, c, d, e and 2 more");
    });
});

describe("what is looked for in the cluster", () => {
    const named = (name: string, more: object = {}) => ({
        metadata: { namespace: "ns", name },
        ...more,
    });
    /** By path: the items of a list, an object, or the status of a refusal; 404 for any other. */
    const apiOf = (answers: Readonly<Record<string, object | number>>) => {
        const asked: string[] = [];
        const answer = (path: string): Promise<object> => {
            asked.push(path);
            const found = answers[path] ?? 404;
            return typeof found === "number"
                ? Promise.reject(new ApiError(found, `HTTP ${found}`))
                : Promise.resolve(found);
        };
        const api = {
            list: (path: string, slim: (item: RawObject) => unknown) =>
                answer(path).then((items) => ({
                    items: (items as RawObject[]).map(slim).filter((one) => one !== undefined),
                })),
            send: (_method: string, path: string) => answer(path),
        } as unknown as KubeApi;
        return { api, asked };
    };
    const lookFor = async (id: string, answers: Readonly<Record<string, object | number>>) =>
        (
            await readEvidence(apiOf(answers).api, [noticeOf(id)], { meshed: MESHED, stack: "x" })
        ).get(id);
    const MESHED = [{ namespace: "ns", labels: {} }];

    const command = (...args: string[]) => ({ spec: { containers: [{ args }] } });
    const shutdown = command("curl", "-X", "POST", "localhost:4191/shutdown");
    const charts = (name: string) => ({
        namespace: "ns",
        name,
        annotations: { "linkerd.io/created-by": "linkerd/helm edge-25.6.2" },
    });
    const scrapes = "scrape_configs:\n- regex: admin-http";
    /** As the chart's own PodMonitor selects the port: podmonitor.yaml of linkerd-control-plane, edge-25.6.2. */
    const portName = "__meta_kubernetes_pod_container_port_name";
    const relabeled = {
        podMetricsEndpoints: [
            { relabelings: [{ sourceLabels: [portName], action: "keep", regex: "admin-http" }] },
        ],
    };
    const ADMIN_SHUTDOWN = "config.linkerd.io/proxy-admin-shutdown";
    const finished = { status: { conditions: [{ type: "Complete", status: "True" }] } };
    const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const splitCrd = { spec: { versions: [{ name: "v1", served: true }] } };
    const SPLITS = "/apis/split.smi-spec.io/v1/trafficsplits";
    const PROMETHEUS = "/apis/apps/v1/namespaces/linkerd-viz/deployments/prometheus";

    it.each<[string, string, Readonly<Record<string, object | number>>, object]>([
        [
            "Jobs and CronJobs that call /shutdown, but for finished ones and those that switch it on",
            "shutdown-endpoint",
            {
                "/apis/batch/v1/jobs": [
                    named("await", {
                        spec: { template: command("linkerd-await", "--shutdown", "--", "x") },
                    }),
                    named("port", {
                        spec: { template: command("sh -c 'curl $HOST:${PORT}/shutdown'") },
                    }),
                    named("curl", { spec: { template: shutdown } }),
                    named("done", { spec: { template: shutdown }, ...finished }),
                    named("other", {
                        spec: { template: command("curl", "localhost:8080/shutdown") },
                    }),
                    named("waits", { spec: { template: command("linkerd-await", "--", "x") } }),
                    named("switched", {
                        spec: {
                            template: {
                                ...shutdown,
                                metadata: {
                                    annotations: { [ADMIN_SHUTDOWN]: "enabled" },
                                },
                            },
                        },
                    }),
                ],
                "/apis/batch/v1/cronjobs": [
                    named("nightly", {
                        spec: { jobTemplate: { spec: { template: shutdown } } },
                    }),
                ],
            },
            { found: ["CronJob ns/nightly", "Job ns/await", "Job ns/curl", "Job ns/port"] },
        ],
        [
            "no Jobs whose namespace switches /shutdown on for them, but those that switch it off",
            "shutdown-endpoint",
            {
                "/api/v1/namespaces": [
                    { metadata: { name: "ns", annotations: { [ADMIN_SHUTDOWN]: "enabled" } } },
                    { metadata: { name: "off", annotations: { [ADMIN_SHUTDOWN]: "disabled" } } },
                    { metadata: { name: "plain" } },
                ],
                "/apis/batch/v1/jobs": [
                    named("inherits", { spec: { template: shutdown } }),
                    named("declines", {
                        spec: {
                            template: {
                                ...shutdown,
                                metadata: { annotations: { [ADMIN_SHUTDOWN]: "disabled" } },
                            },
                        },
                    }),
                    {
                        metadata: { namespace: "off", name: "job" },
                        spec: { template: shutdown },
                    },
                    {
                        metadata: { namespace: "plain", name: "job" },
                        spec: { template: shutdown },
                    },
                ],
                "/apis/batch/v1/cronjobs": [
                    named("nightly", { spec: { jobTemplate: { spec: { template: shutdown } } } }),
                ],
            },
            { found: ["Job ns/declines", "Job off/job", "Job plain/job"] },
        ],
        [
            "a list that is forbidden",
            "shutdown-endpoint",
            { "/apis/batch/v1/jobs": 403, "/apis/batch/v1/cronjobs": [] },
            { unknown: "HTTP 403" },
        ],
        ["no TrafficSplit CRD", "traffic-split", {}, { found: [] }],
        [
            "TrafficSplits that nobody will serve",
            "traffic-split",
            {
                [`${CRDS}/trafficsplits.split.smi-spec.io`]: { ...named("x"), ...splitCrd },
                [SPLITS]: [named("web")],
            },
            { found: ["TrafficSplit ns/web"] },
        ],
        [
            "TrafficSplits of linkerd-smi",
            "traffic-split",
            {
                [`${CRDS}/trafficsplits.split.smi-spec.io`]: {
                    metadata: { annotations: { "meta.helm.sh/release-name": "linkerd-smi" } },
                    ...splitCrd,
                },
                [SPLITS]: [named("web")],
            },
            { found: [] },
        ],
        [
            "viz's Grafana",
            "grafana-unbundled",
            { "/apis/apps/v1/namespaces/linkerd-viz/deployments/grafana": named("grafana") },
            { found: ["Deployment linkerd-viz/grafana"] },
        ],
        [
            "ServerAuthorizations",
            "server-authorizations",
            { "/apis/policy.linkerd.io/v1beta1/serverauthorizations": [named("b"), named("a")] },
            { found: ["ns/a", "ns/b"] },
        ],
        ["a kind that is not there", "server-authorizations", {}, { found: [] }],
        [
            "a Prometheus whose data goes with its pod",
            "viz-metrics",
            { [PROMETHEUS]: { spec: { template: { spec: { volumes: [{ emptyDir: {} }] } } } } },
            { found: ["Deployment linkerd-viz/prometheus"] },
        ],
        [
            "a Prometheus with a claim",
            "viz-metrics",
            {
                [PROMETHEUS]: {
                    spec: { template: { spec: { volumes: [{ persistentVolumeClaim: {} }] } } },
                },
            },
            { found: [] },
        ],
        [
            "PodMonitors and scrape configurations on the old names of ports",
            "renamed-ports",
            {
                "/apis/monitoring.coreos.com/v1/podmonitors": [
                    named("old", { spec: { podMetricsEndpoints: [{ port: "admin-http" }] } }),
                    named("new", { spec: { podMetricsEndpoints: [{ port: "dest-admin" }] } }),
                    named("relabeled", { spec: relabeled }),
                    { metadata: charts("chart"), spec: relabeled },
                    named("none"),
                ],
                "/api/v1/configmaps": [
                    named("prometheus", { data: { a: scrapes } }),
                    named("notes", { data: { a: "admin-http" } }),
                    { metadata: charts("prometheus-config"), data: { a: scrapes } },
                    named("empty"),
                ],
            },
            {
                found: ["ConfigMap ns/prometheus", "PodMonitor ns/old", "PodMonitor ns/relabeled"],
            },
        ],
        [
            "NetworkPolicies by which meshed pods are cut off",
            "proxy-port",
            {
                "/apis/networking.k8s.io/v1/networkpolicies": [
                    named("shut", { spec: { ingress: [{ ports: [{ port: 8080 }] }] } }),
                    {
                        metadata: { namespace: "monitoring", name: "grafana" },
                        spec: { ingress: [{ ports: [{ port: 3000 }] }] },
                    },
                ],
            },
            { found: ["NetworkPolicy ns/shut"] },
        ],
        [
            "annotations that vanish, on namespaces and pods",
            "init-image-annotations",
            {
                "/api/v1/namespaces": [
                    {
                        metadata: {
                            name: "a",
                            annotations: { "config.linkerd.io/init-image": "x" },
                        },
                    },
                ],
                "/api/v1/pods": [named("plain")],
            },
            { found: ["Namespace a (config.linkerd.io/init-image)"] },
        ],
        [
            "what sends traces: the extension, and pods with a collector of their own",
            "open-telemetry",
            {
                "/api/v1/namespaces": [
                    {
                        metadata: {
                            name: "linkerd-jaeger",
                            labels: { "linkerd.io/extension": "jaeger" },
                        },
                    },
                    {
                        metadata: {
                            name: "linkerd-viz",
                            labels: { "linkerd.io/extension": "viz" },
                        },
                    },
                ],
                "/api/v1/pods": [
                    {
                        metadata: {
                            namespace: "ns",
                            name: "web",
                            annotations: { "config.linkerd.io/trace-collector": "otel:55678" },
                        },
                    },
                ],
            },
            {
                found: [
                    "Namespace linkerd-jaeger (linkerd.io/extension=jaeger)",
                    "Pod ns/web (config.linkerd.io/trace-collector)",
                ],
            },
        ],
        [
            "CRDs of the Gateway API that are Linkerd's",
            "gateway-api-ownership",
            {
                [CRDS]: [
                    {
                        metadata: {
                            name: "httproutes.gateway.networking.k8s.io",
                            labels: { "helm.sh/chart": "linkerd-crds-2024.7.5" },
                        },
                    },
                    { metadata: { name: "grpcroutes.gateway.networking.k8s.io" } },
                ],
            },
            { found: ["httproutes.gateway.networking.k8s.io"] },
        ],
        [
            "an extension",
            "jaeger-removed",
            {
                "/api/v1/namespaces": [
                    { metadata: { name: "linkerd-jaeger" } },
                    { metadata: { name: "own", annotations: { "mesh-upgrade/stack": "x" } } },
                    { metadata: { name: "other", annotations: { "mesh-upgrade/stack": "y" } } },
                    { metadata: { name: "left", annotations: { "mesh-upgrade/stack": "y" } } },
                ],
                "/apis/apps/v1/namespaces/own/deployments": [named("collector")],
                "/apis/apps/v1/namespaces/other/deployments": [named("collector")],
            },
            { found: ["Namespace linkerd-jaeger", "Namespace other"] },
        ],
        [
            "EnvoyFilters",
            "istio-envoy-filters",
            { "/apis/networking.istio.io/v1alpha3/envoyfilters": [named("lua")] },
            { found: ["ns/lua"] },
        ],
    ])("%s", async (_name, id, answers, expected) => {
        expect(await lookFor(id, answers)).toEqual(expected);
    });

    it("without the data plane nobody can tell which policies matter", async () => {
        const found = await readEvidence(apiOf({}).api, [noticeOf("proxy-port")]);
        expect(found.get("proxy-port")).toEqual({
            unknown: "which pods are meshed could not be read",
        });
    });

    it("namespaces and pods are read once for all notices that ask for annotations", async () => {
        const [first, second] = ["linkerd.io/identity-mode", "config.linkerd.io/init-image"];
        const with_ = (...names: string[]) => ({
            metadata: {
                ...{ namespace: "ns", name: "web" },
                annotations: Object.fromEntries(names.map((name) => [name, "x"])),
            },
        });
        const { api, asked } = apiOf({
            "/api/v1/namespaces": [],
            "/api/v1/pods": [with_(first, second), with_("other")],
        });
        const notices = [noticeOf("identity-annotations"), noticeOf("init-image-annotations")];
        expect(await readEvidence(api, notices)).toEqual(
            new Map([
                ["identity-annotations", { found: [`Pod ns/web (${first})`] }],
                ["init-image-annotations", { found: [`Pod ns/web (${second})`] }],
            ]),
        );
        expect(asked).toEqual(["/api/v1/namespaces", "/api/v1/pods"]);
        const forbidden = apiOf({ "/api/v1/namespaces": [], "/api/v1/pods": 403 });
        expect(await readEvidence(forbidden.api, notices)).toEqual(
            new Map(notices.map(({ id }) => [id, { unknown: "HTTP 403" }])),
        );
    });

    it("nothing is read for what needs no look", async () => {
        const { api, asked } = apiOf({});
        await readEvidence(api, [noticeOf("native-sidecars"), noticeOf("proxy-cores")]);
        expect(asked).toEqual([]);
    });
});
