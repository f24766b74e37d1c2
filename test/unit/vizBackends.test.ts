import { describe, expect, it } from "vitest";
import { placeOf, portInside } from "../../cluster/vizPrometheus";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { goRegexpProblem } from "../../plan/goRegexp";
import { planLinkerd } from "../../plan/linkerd";
import { backendFaults, externalPrometheus, lossLines, metricsLoss } from "../../plan/vizBackends";
import { EMPTY, releaseOf, VIZ } from "./support/live";

const URL = "http://prometheus.monitoring.svc.cluster.local:9090";

/** `viz.values.prometheusUrl = "x": rule` */
const told = (values: Record<string, unknown>) =>
    backendFaults(values).map(
        ({ subject, value, rule }) =>
            `${subject}${value === undefined ? "" : ` = ${value}`}: ${rule}`,
    );

describe("what names Prometheus, Grafana and jaeger is looked at before anything changes", () => {
    it.each([
        ["nothing", {}],
        [
            "the chart's own empty texts",
            { prometheusUrl: "", grafana: { url: "", externalUrl: null } },
        ],
        ["a Prometheus of the user's", { prometheus: { enabled: false }, prometheusUrl: URL }],
        ["one below a path", { prometheusUrl: "https://mimir.example.com/prometheus/" }],
        ["both Prometheus", { prometheusUrl: URL }],
        ["a Grafana inside", { grafana: { url: "grafana.grafana:3000" } }],
        [
            "a Grafana outside",
            { grafana: { externalUrl: "https://g.example.com/x/", uidPrefix: "prod-eu_1-" } },
        ],
        ["jaeger", { jaegerUrl: "jaeger.linkerd-jaeger.svc.cluster.local:16686" }],
        [
            "a Host",
            { dashboard: { enforcedHostRegexp: String.raw`^linkerd\.example\.com(:\d+)?$` } },
        ],
    ])("%s is fine", (_name, values) => {
        expect(told(values)).toEqual([]);
    });

    it.each([
        [
            { prometheus: { enabled: false } },
            "viz.values.prometheus.enabled = false: leaves viz without a Prometheus, as prometheusUrl is not set",
        ],
        [{ prometheusUrl: 9090 }, "viz.values.prometheusUrl = 9090: must be a text"],
        [
            { prometheusUrl: "prometheus.monitoring:9090" },
            "viz.values.prometheusUrl = prometheus.monitoring:9090: must be a http(s) URL",
        ],
        [{ prometheusUrl: "http://" }, "viz.values.prometheusUrl = http://: must be a http(s) URL"],
        [
            { grafana: { url: "http://grafana.grafana:3000" } },
            "viz.values.grafana.url = http://grafana.grafana:3000: must be HOST:PORT of a Service in the cluster, without http:// and without a path",
        ],
        [
            { grafana: { url: "grafana.grafana" } },
            "viz.values.grafana.url = grafana.grafana: must be HOST:PORT of a Service in the cluster, without http:// and without a path",
        ],
        [
            { jaegerUrl: "jaeger:70000" },
            "viz.values.jaegerUrl = jaeger:70000: must be HOST:PORT of a Service in the cluster, without http:// and without a path",
        ],
        [
            { grafana: { externalUrl: "grafana.example.com" } },
            "viz.values.grafana.externalUrl = grafana.example.com: must be a http(s) URL",
        ],
        [
            { grafana: { url: "grafana.grafana:3000", externalUrl: "https://g.example.com" } },
            "viz.values.grafana = url, externalUrl: sets url (a Grafana in the cluster, reached through the dashboard) and externalUrl (one elsewhere); the chart takes one of them",
        ],
        [
            { grafana: { externalUrl: "https://g.example.com", uidPrefix: "a prefix" } },
            "viz.values.grafana.uidPrefix = a prefix: must be of 1 to 11 letters, digits, dashes and underscores",
        ],
        [
            { dashboard: { enforcedHostRegexp: "^(linkerd" } },
            "viz.values.dashboard.enforcedHostRegexp = ^(linkerd: is no regular expression of Go (unterminated group): the dashboard would not start",
        ],
        [
            { enforcedHostRegexp: ".*" },
            "viz.values.enforcedHostRegexp: is no value of the chart, which would let every Host in that it does by default",
        ],
    ])("%j is refused", (values, expected) => {
        expect(told(values)).toEqual([expected]);
        expect(backendFaults(values)[0]?.next).toMatch(/viz\.values\./);
    });

    it.each([
        ["a password", "https://me:s3cret@prometheus.example.com"],
        ["a token", "https://prometheus.example.com/?token=s3cret"],
        ["a password without a scheme", "me:s3cret@prometheus:9090"],
    ])("%s in an address is refused, and not shown", (_name, text) => {
        for (const values of [
            { prometheusUrl: text },
            { grafana: { externalUrl: text } },
            { jaegerUrl: text.replace("https://", "").replace("?token=", "@") },
        ]) {
            const faults = backendFaults(values);
            expect(faults).toHaveLength(1);
            expect(JSON.stringify(faults)).not.toContain("s3cret");
        }
    });

    it("all at once, and with the plan's other refusals; a stack without viz is not asked", async () => {
        const raw = {
            context: "kind",
            clusterUid: "0a1b",
            linkerdVersion: "edge-24.5.3",
        };
        const values = {
            prometheus: { enabled: false },
            grafana: { url: "x" },
            linkerdVersion: "y",
        };
        const subjects = async (viz: object) => {
            const plan = await planLinkerd(
                parseConfig({ ...raw, viz }) as LinkerdStackConfig,
                EMPTY,
                {
                    stack: "acme/mesh/prod",
                    now: new Date("2026-11-21T00:00:00Z"),
                },
            );
            return Array.isArray(plan)
                ? plan.map(({ subject }: { subject: string }) => subject)
                : [];
        };
        expect(await subjects({ values })).toEqual([
            "viz.values.linkerdVersion",
            "viz.values.prometheus.enabled",
            "viz.values.grafana.url",
        ]);
        expect(await subjects({ enabled: false, values: { grafana: { url: "x" } } })).toEqual([]);
    });
});

describe("a regular expression is one of Go's, which the dashboard is written in", () => {
    it.each([
        String.raw`^(localhost|127\.0\.0\.1|web\.linkerd-viz\.svc|\[::1\])(:\d+)?$`,
        String.raw`(?i)^linkerd\.example\.com$`,
        String.raw`(?P<host>[[:alpha:]]+)\z`,
        String.raw`\Q(\E.*`,
        String.raw`\123`,
        ".*",
    ])("%s is read", (text) => {
        expect(goRegexpProblem(text)).toBeUndefined();
    });

    it.each([
        ["(?=x)", "Go does not look ahead or behind: (?= (?! (?<= (?<!"],
        [String.raw`(a)\1`, String.raw`no references back: \1`],
        [String.raw`\d+\y`, String.raw`no such escape: \y`],
        ["a\\", "a backslash at the end"],
        ["a{1001}", "more than 1000 repeats"],
        ["a**", "nothing to repeat"],
        ["[b-a]", "range out of order in character class"],
    ])("%s is not: %s", (text, problem) => {
        expect(goRegexpProblem(text)).toBe(problem);
    });
});

describe("what viz has measured does not go unannounced", () => {
    const prometheusOn = (volumes: object[]) => ({
        ...VIZ,
        name: "prometheus",
        pod: { spec: { volumes } },
    });
    const emptyDir = prometheusOn([{ name: "data", emptyDir: {} }]) as never;
    const live = (config: Record<string, unknown> = {}, viz = [emptyDir]) => ({
        viz,
        release: { ...releaseOf(1, "deployed"), config },
    });
    const radius = (workload?: object) =>
        ({
            waiting: "none",
            waves: [{ name: "rest", workloads: workload ? [workload] : [] }],
        }) as never;
    const own = { namespace: "linkerd-viz", kind: "Deployment", name: "prometheus" };

    it.each([
        ["nothing changes", live(), {}, undefined, []],
        ["viz goes", live(), undefined, undefined, ["viz goes"]],
        [
            "it is switched off",
            live(),
            { prometheus: { enabled: false }, prometheusUrl: URL },
            undefined,
            ["viz.values.prometheus.enabled is false"],
        ],
        [
            "its pod changes",
            live({ podLabels: { a: "b" } }),
            { prometheus: { args: { "storage.tsdb.retention.time": "2d" } } },
            undefined,
            ["its pod is made anew: viz.values.prometheus.args, viz.values.podLabels changed"],
        ],
        [
            "only its configuration, the order of keys, or another component changes",
            live({ prometheus: { args: { a: 1, b: 2 } } }),
            {
                prometheus: { args: { b: 2, a: 1 }, enabled: true, remoteWrite: [{}] },
                tap: { replicas: 2 },
            },
            undefined,
            [],
        ],
        ["a wave restarts it", live(), {}, { ...own, by: "wave" }, ["wave rest restarts it"]],
        [
            "the release restarts it, of which the notice tells",
            live(),
            {},
            { ...own, by: "viz release" },
            [],
        ],
        [
            "its data are on a claim",
            live({}, [prometheusOn([{ name: "data", persistentVolumeClaim: {} }]) as never]),
            undefined,
            undefined,
            [],
        ],
        ["there is none", live({}, []), undefined, undefined, []],
    ])("%s", (_name, installation, values, workload, expected) => {
        expect(metricsLoss(installation, { values, blastRadius: radius(workload) })).toEqual(
            expected,
        );
    });

    it("in one line, which says how to keep it", () => {
        expect(lossLines([])).toEqual([]);
        expect(lossLines(["a", "b"])).toEqual([
            "viz: what its own Prometheus has measured is lost with this update (a; b); docs/viz.md tells how to keep it",
        ]);
    });
});

describe("the gate on metrics asks the Prometheus that viz has its metrics from", () => {
    const service = {
        namespace: "linkerd-viz",
        name: "prometheus",
        scheme: "http",
        port: 9090,
        path: "",
    };
    it.each([
        ["http://prometheus.linkerd-viz.svc.cluster.local:9090", service],
        ["http://prometheus:9090", service],
        [
            "http://mimir.monitoring.svc/prometheus/",
            { ...service, name: "mimir", namespace: "monitoring", port: 80, path: "/prometheus" },
        ],
        [
            "https://p.monitoring.svc.example.org",
            { ...service, name: "p", namespace: "monitoring", scheme: "https", port: 443 },
        ],
        ["https://prometheus.example.com", "https://prometheus.example.com"],
        ["http://10.0.0.1:9090", "http://10.0.0.1:9090"],
        ["http://localhost:9090", "http://localhost:9090"],
        ["no URL", "no URL"],
    ])("%s", (url, expected) => {
        expect(placeOf(url, "linkerd-viz")).toEqual(expected);
    });

    it("at the port inside the pod to which that of its Service leads", () => {
        const containers = [{}, { ports: [{ name: "web", containerPort: 9091 }] }];
        const inside = (targetPort?: number | string) =>
            portInside([{ port: 80, ...(targetPort === undefined ? {} : { targetPort }) }], 80, {
                spec: { containers },
            });
        expect(inside(9090)).toBe(9090);
        expect(inside("web")).toBe(9091);
        expect(inside("other")).toBeUndefined();
        expect(inside()).toBe(80);
        expect(portInside([], 9090, { spec: { containers } })).toBe(9090);
    });

    it("which the namespace says as well, for `linkerd viz check`", () => {
        expect(externalPrometheus({ prometheusUrl: URL })).toBe(URL);
        expect(externalPrometheus({ prometheusUrl: "" })).toBeUndefined();
    });
});
