import { isDeepStrictEqual } from "node:util";
import type { LiveInstallation } from "../cluster/adoption";
import type { ChartValues } from "../config";
import type { Fault } from "./faults";
import { goRegexpProblem } from "./goRegexp";
import type { BlastRadius } from "./review";
import { at } from "./values";

const DOCS = "docs/viz.md";
const EXAMPLE = "http://prometheus.monitoring.svc.cluster.local:9090";

/**
 * Faults of the values of viz that name its Prometheus, Grafana and jaeger. The chart would find the first two in the middle of
 * an update, the others only a component when it starts, or nobody.
 */
export function backendFaults(viz: ChartValues): readonly Fault[] {
    const url = textAt(viz, "prometheusUrl");
    const off = at(viz, "prometheus.enabled") === false;
    const inside = textAt(viz, "grafana.url");
    const outside = textAt(viz, "grafana.externalUrl");
    return [
        ...(off && url === ""
            ? [
                  {
                      subject: "viz.values.prometheus.enabled",
                      value: "false",
                      rule: "leaves viz without a Prometheus, as prometheusUrl is not set",
                      next: `set viz.values.prometheusUrl to one that the cluster's pods reach, such as ${EXAMPLE} (${DOCS}), or take prometheus.enabled out`,
                  },
              ]
            : []),
        ...urlFaults(viz, "prometheusUrl", EXAMPLE),
        ...(inside !== "" && outside !== ""
            ? [
                  {
                      subject: "viz.values.grafana",
                      value: "url, externalUrl",
                      rule: "sets url (a Grafana in the cluster, reached through the dashboard) and externalUrl (one elsewhere); the chart takes one of them",
                      next: `take viz.values.grafana.url or viz.values.grafana.externalUrl out (${DOCS})`,
                  },
              ]
            : []),
        ...addressFaults(viz, "grafana.url", "grafana.grafana:3000"),
        ...urlFaults(viz, "grafana.externalUrl", "https://grafana.example.com"),
        ...prefixFaults(viz),
        ...addressFaults(viz, "jaegerUrl", "jaeger.linkerd-jaeger:16686"),
        ...hostFaults(viz),
    ];
}

/** The Prometheus of the user's that viz reads; undefined: its own. */
export function externalPrometheus(viz: ChartValues): string | undefined {
    return textAt(viz, "prometheusUrl") || undefined;
}

/** The empty text is the chart's default. */
function textAt(viz: ChartValues, path: string): string {
    const value = at(viz, path);
    return typeof value === "string" ? value : "";
}

/** `judge`: the rule that a value breaks, and whether the value may be shown. */
function faultsOf(
    viz: ChartValues,
    path: string,
    next: string,
    judge: (text: string) => { readonly rule: string; readonly hide?: boolean } | undefined,
): Fault[] {
    const value = at(viz, path);
    if (value === undefined || value === null || value === "") {
        return [];
    }
    const broken = typeof value === "string" ? judge(value) : { rule: "must be a text" };
    const shown = typeof value === "string" ? value : JSON.stringify(value);
    return broken
        ? [
              {
                  subject: `viz.values.${path}`,
                  ...(broken.hide ? {} : { value: shown }),
                  rule: broken.rule,
                  next,
              },
          ]
        : [];
}

/** What follows the address would be lost, and a password would stand in plaintext in state, preview and pods. */
function urlFaults(viz: ChartValues, path: string, example: string): Fault[] {
    const next = `set viz.values.${path} to an address such as ${example} (${DOCS})`;
    return faultsOf(viz, path, next, (text) => {
        const url = URL.canParse(text) ? new URL(text) : undefined;
        if (url === undefined || !/^https?:\/\/[^/\s]/.test(text)) {
            return { rule: "must be a http(s) URL", hide: text.includes("@") };
        }
        if (url.username !== "" || url.password !== "") {
            const rule =
                "holds a user or a password, which would stand in plaintext in the state, in preview and in the pod; viz sends what the address alone says";
            return { rule, hide: true };
        }
        return url.search !== "" || url.hash !== ""
            ? { rule: "must end with its path: viz drops what follows", hide: true }
            : undefined;
    });
}

/** The dashboard forwards to it by plain HTTP, whatever stands before the host. */
function addressFaults(viz: ChartValues, path: string, example: string): Fault[] {
    const next = `set viz.values.${path} to HOST:PORT, such as ${example} (${DOCS})`;
    return faultsOf(viz, path, next, (text) => {
        const port = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:(\d{1,5})$/i.exec(text)?.[2];
        return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
            ? undefined
            : {
                  rule: "must be HOST:PORT of a Service in the cluster, without http:// and without a path",
                  hide: text.includes("@"),
              };
    });
}

/** Before `linkerd-deployment` and the like; Grafana takes 40 characters in all, and the longest name has 29. */
function prefixFaults(viz: ChartValues): Fault[] {
    const path = "grafana.uidPrefix";
    const next = `set viz.values.${path} to a prefix such as prod- (${DOCS}), or take it out`;
    return faultsOf(viz, path, next, (text) =>
        /^[\w-]{1,11}$/.test(text)
            ? undefined
            : { rule: "must be of 1 to 11 letters, digits, dashes and underscores" },
    );
}

function hostFaults(viz: ChartValues): Fault[] {
    const name = "enforcedHostRegexp";
    const path = `dashboard.${name}`;
    const next = `set viz.values.${path} to a regular expression of Go such as ^linkerd\\.example\\.com(:\\d+)?$ (${DOCS})`;
    return [
        ...(at(viz, name) === undefined
            ? []
            : [
                  {
                      subject: `viz.values.${name}`,
                      rule: "is no value of the chart, which would let every Host in that it does by default",
                      next: `move it to viz.values.${path}`,
                  },
              ]),
        ...faultsOf(viz, path, next, (text) => {
            const problem = goRegexpProblem(text);
            return problem === undefined
                ? undefined
                : {
                      rule: `is no regular expression of Go (${problem}): the dashboard would not start`,
                  };
        }),
    ];
}

/** Values from which the chart makes the pod of its Prometheus. */
const POD_VALUES = [
    ...["podLabels", "podAnnotations", "defaultImagePullPolicy"],
    ...["defaultLogLevel", "defaultLogFormat"],
];
/** Parts of the section `prometheus` that its pod does not show: it runs, and what stands in its configuration only. */
const ELSEWHERE = [
    "enabled",
    ...["globalConfig", "scrapeConfigs", "metricRelabelConfigs", "remoteWrite"],
    ...["alertmanagers", "alertRelabelConfigs"],
];

type WorkloadRadius = BlastRadius["waves"][number]["workloads"][number];

/** What an update makes of viz. */
interface Planned {
    /** undefined: viz goes. */
    readonly values: ChartValues | undefined;
    readonly blastRadius: Pick<BlastRadius, "waiting" | "waves">;
}

/**
 * Why an update takes away what the Prometheus of viz has measured, other than a change of the version, of which notice viz-metrics
 * tells. None where its data outlive the pod.
 */
export function metricsLoss(
    { viz, release }: Pick<LiveInstallation, "viz" | "release">,
    { values, blastRadius }: Planned,
): readonly string[] {
    const volumes = viz.find(({ name }) => name === "prometheus")?.pod?.spec?.volumes;
    if (!volumes || volumes.some((one) => one.persistentVolumeClaim)) {
        return [];
    }
    if (values === undefined) {
        return ["viz goes"];
    }
    if (at(values, "prometheus.enabled") === false) {
        return ["viz.values.prometheus.enabled is false"];
    }
    // Who installed viz without Helm left no values to compare with.
    const changed = release === undefined ? [] : changedPaths(release.config, values);
    const waves = blastRadius.waiting === "none" ? blastRadius.waves : [];
    return [
        ...(changed.length > 0 ? [`its pod is made anew: ${changed.join(", ")} changed`] : []),
        ...waves
            .filter(({ workloads }) => workloads.some(isPrometheus))
            .map(({ name }) => `wave ${name} restarts it`),
    ];
}

/** With the release of viz it restarts for another version, of which the notice tells. */
function isPrometheus({ namespace, name, by }: WorkloadRadius): boolean {
    return namespace === "linkerd-viz" && name === "prometheus" && by === "wave";
}

function changedPaths(from: ChartValues, to: ChartValues): string[] {
    const keys = (values: ChartValues) => Object.keys(at(values, "prometheus") ?? {});
    const own = [...new Set([...keys(from), ...keys(to)])]
        .filter((key) => !ELSEWHERE.includes(key))
        .map((key) => `prometheus.${key}`);
    return [...own, ...POD_VALUES]
        .filter((path) => !isDeepStrictEqual(at(from, path), at(to, path)))
        .map((path) => `viz.values.${path}`);
}

/** For preview. */
export function lossLines(reasons: readonly string[]): readonly string[] {
    return reasons.length === 0
        ? []
        : [
              `viz: what its own Prometheus has measured is lost with this update (${reasons.join("; ")}); ${DOCS} tells how to keep it`,
          ];
}
