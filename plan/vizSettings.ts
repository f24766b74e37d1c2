import type { LiveClaim, LiveComponent, LiveInstallation } from "../cluster/adoption";
import type { ChartValues } from "../config";
import type { Fault } from "./faults";
import { difference } from "./settings";
import { at, merge } from "./values";

/** Defaults of the chart linkerd-viz that its values.yaml leaves empty, or that show in arguments only. */
const DOMAIN = "cluster.local";
const NAMESPACE = "linkerd";

/** By component, the part of the chart's values that is its own. */
const PARTS = {
    "metrics-api": "metricsAPI",
    web: "dashboard",
    tap: "tap",
    "tap-injector": "tapInjector",
    prometheus: "prometheus",
} as const;

/** Parts that are scheduled by values of their own; the others share the chart's. */
const OWN_SCHEDULE = ["metricsAPI", "prometheus"];

/** Labels and annotations that the chart itself sets, or that others set in what runs. */
const CHARTS_OWN =
    /^(component|namespace|linkerd\.io\/.+|config(\.alpha|\.beta)?\.linkerd\.io\/proxy-.+|checksum\/config|app\.kubernetes\.io\/.+|cluster-autoscaler\.kubernetes\.io\/safe-to-evict|kubectl\.kubernetes\.io\/.+)$/;

type Live = Pick<LiveInstallation, "viz" | "tapInjectorPolicy" | "vizExtras" | "vizClaim">;

/**
 * Settings of a viz that the linkerd CLI installed: nothing keeps them but what runs. What does not show in Deployments,
 * accounts, roles, budgets and the claim of Prometheus is not found: annotations of Services, and the text of Prometheus'
 * configuration, which may hold passwords.
 * @param defaults values.yaml of the release that runs; {}: not to be had, and so the defaults become settings
 */
export function vizSettings(
    live: Live,
    release: string | undefined,
    defaults: ChartValues = {},
): ChartValues {
    const of = (name: string) => live.viz.find((one) => one.name === name);
    const api = of("metrics-api");
    const argument = (component: string, name: string) => argumentOf(of(component), name);
    const domain = argument("metrics-api", "cluster-domain") ?? DOMAIN;
    const trustDomain = argument("tap", "identity-trust-domain");
    const prometheus = argument("metrics-api", "prometheus-url");
    const bundled = `http://prometheus.linkerd-viz.svc.${domain}:9090`;
    const common = {
        defaultLogFormat: argument("metrics-api", "log-format") ?? "plain",
        defaultRegistry: imageOf(api)?.registry,
        defaultImagePullPolicy: api?.container?.imagePullPolicy,
        defaultUID: api?.container?.securityContext?.runAsUser,
        defaultGID: api?.container?.securityContext?.runAsGroup,
    };
    const read = merge(
        setting("clusterDomain", domain, DOMAIN),
        setting("identityTrustDomain", trustDomain, domain),
        setting("linkerdNamespace", argument("metrics-api", "controller-namespace"), NAMESPACE),
        given(common),
        setting("revisionHistoryLimit", api?.revisionHistoryLimit, undefined),
        setting("enablePprof", argument("metrics-api", "enable-pprof") === "true", false),
        setting("prometheusUrl", prometheus, bundled),
        of("prometheus") ? {} : { prometheus: { enabled: false } },
        setting("jaegerUrl", argument("web", "jaeger-addr"), ""),
        under("grafana", {
            ...setting("url", argument("web", "grafana-addr"), ""),
            ...setting("externalUrl", argument("web", "grafana-external-addr"), ""),
            ...setting("uidPrefix", argument("web", "grafana-prefix"), ""),
        }),
        under(
            "dashboard",
            setting("enforcedHostRegexp", argument("web", "enforced-host"), defaultHosts(domain)),
        ),
        under("tap", setting("ignoreHeaders", argument("tap", "ignore-headers")?.split(","), "")),
        under("tapInjector", setting("failurePolicy", live.tapInjectorPolicy, "Ignore")),
        under("commonLabels", users(api?.labels)),
        under("podLabels", users(api?.pod?.metadata?.labels)),
        under("podAnnotations", users(api?.pod?.metadata?.annotations)),
        scheduleOf(of("tap")),
        affinityOf(of("tap")),
        extrasOf(live),
        ...live.viz.map((one) => componentSettings(one, release, common)),
        prometheusSettings(of("prometheus"), api, common.defaultLogFormat),
    );
    return difference(read, defaults);
}

/** What every component has unless its own part says otherwise. */
interface Common {
    readonly defaultLogFormat: string;
    readonly defaultRegistry: string | undefined;
    readonly defaultImagePullPolicy: string | undefined;
    readonly defaultUID: number | undefined;
    readonly defaultGID: number | undefined;
}

function componentSettings(
    component: LiveComponent,
    release: string | undefined,
    common: Common,
): ChartValues {
    const part = PARTS[component.name as keyof typeof PARTS];
    if (part === undefined) {
        return {};
    }
    const { container, pod } = component;
    const image = imageOf(component);
    const own = part === "prometheus";
    return under(part, {
        ...setting("replicas", component.replicas, 1),
        ...setting("logLevel", argumentOf(component, own ? "log.level" : "log-level"), "info"),
        ...(own
            ? {}
            : setting("logFormat", argumentOf(component, "log-format"), common.defaultLogFormat)),
        ...under("image", {
            ...setting("registry", image?.registry, own ? undefined : common.defaultRegistry),
            ...(own ? setting("name", image?.name, undefined) : {}),
            ...setting("tag", image?.tag, own ? undefined : release),
            ...setting("pullPolicy", container?.imagePullPolicy, common.defaultImagePullPolicy),
        }),
        ...(own ? {} : setting("UID", container?.securityContext?.runAsUser, common.defaultUID)),
        ...(own ? {} : setting("GID", container?.securityContext?.runAsGroup, common.defaultGID)),
        ...under("resources", resourcesOf(container)),
        ...under("proxy", under("resources", proxyResourcesOf(pod?.metadata?.annotations ?? {}))),
        ...(OWN_SCHEDULE.includes(part) ? scheduleOf(component) : {}),
    });
}

function prometheusSettings(
    prometheus: LiveComponent | undefined,
    api: LiveComponent | undefined,
    logFormat: string,
): ChartValues {
    const args = Object.fromEntries(
        (prometheus?.args ?? [])
            .map((one) => /^--([^=]+)(?:=(.*))?$/s.exec(one))
            .filter((one) => one !== null)
            .map(([, name = "", value = ""]) => [name, value] as const)
            .filter(([name]) => !name.startsWith("log.")),
    );
    const format = argumentOf(prometheus, "log.format")?.replace("logfmt", "plain");
    const everybodys = users(api?.pod?.metadata?.annotations);
    const annotations = Object.entries(users(prometheus?.pod?.metadata?.annotations));
    return under("prometheus", {
        ...setting("logFormat", format, logFormat),
        ...under("args", args),
        ...under(
            "podAnnotations",
            Object.fromEntries(annotations.filter(([key, value]) => everybodys[key] !== value)),
        ),
    });
}

function extrasOf({ vizExtras, vizClaim: claim }: Live): ChartValues {
    if (!vizExtras) {
        return {};
    }
    const { pullSecrets, checks, budgets } = vizExtras;
    return {
        ...(pullSecrets.length > 0 ? { imagePullSecrets: pullSecrets } : {}),
        ...(checks ? {} : { dashboard: { restrictPrivileges: true } }),
        ...(budgets ? { enablePodDisruptionBudget: true } : {}),
        ...(claim ? { prometheus: { persistence: persistenceOf(claim) } } : {}),
    };
}

function persistenceOf({ storageClass, accessMode, size }: LiveClaim): ChartValues {
    return given({ storageClass, accessMode, size });
}

/** A claim that Helm would delete, and what was measured with it, since the release has it no more. */
export function claimFaults(
    { vizClaim: claim }: Pick<LiveInstallation, "vizClaim">,
    viz: ChartValues,
): Fault[] {
    const kept =
        at(viz, "prometheus.enabled") !== false && at(viz, "prometheus.persistence") !== undefined;
    return claim?.helms && !kept
        ? [
              {
                  subject: "PersistentVolumeClaim linkerd-viz/prometheus",
                  rule: "is of the Helm release of viz, whose values have no prometheus.persistence: Helm would delete it with what was measured",
                  next: `set viz.values.prometheus.persistence to ${JSON.stringify(persistenceOf(claim))}, or to leave the claim out of the release: kubectl -n linkerd-viz annotate pvc prometheus helm.sh/resource-policy=keep`,
              },
          ]
        : [];
}

function scheduleOf(component: LiveComponent | undefined): ChartValues {
    const { nodeSelector, tolerations } = component?.pod?.spec ?? {};
    return given({ nodeSelector, tolerations });
}

function affinityOf(component: LiveComponent | undefined): ChartValues {
    const { podAntiAffinity, nodeAffinity } = component?.pod?.spec?.affinity ?? {};
    return {
        ...(podAntiAffinity ? { enablePodAntiAffinity: true } : {}),
        ...given({ nodeAffinity }),
    };
}

/** As the charts have them: by resource, then limit and request. */
function resourcesOf(container: LiveComponent["container"]): ChartValues {
    const { limits = {}, requests = {} } = container?.resources ?? {};
    const names = [...new Set([...Object.keys(limits), ...Object.keys(requests)])];
    return Object.fromEntries(
        names.map((name) => [name, given({ limit: limits[name], request: requests[name] })]),
    );
}

/** The injector is told by annotations: `config.linkerd.io/proxy-cpu-limit`. */
function proxyResourcesOf(annotations: Readonly<Record<string, string>>): ChartValues {
    const pattern = /^config\.linkerd\.io\/proxy-(cpu|memory|ephemeral-storage)-(limit|request)$/;
    return merge(
        ...Object.entries(annotations).map(([key, value]) => {
            const [, name, bound] = pattern.exec(key) ?? [];
            return name && bound ? { [name]: { [bound]: value } } : {};
        }),
    );
}

/** Labels or annotations that the user asked for. */
function users(all: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.entries(all).filter(([key]) => !CHARTS_OWN.test(key)));
}

/** What the chart makes of an empty value: the dashboard's own names. */
function defaultHosts(domain: string): string {
    const escaped = (host: string) => host.replaceAll(".", "\\.");
    const names = [`web.linkerd-viz.svc.${domain}`, "web.linkerd-viz.svc"].map(escaped).join("|");
    return `^(localhost|127\\.0\\.0\\.1|${names}|\\[::1\\])(:\\d+)?$`;
}

function argumentOf(component: LiveComponent | undefined, name: string): string | undefined {
    const start = `-${name}=`;
    const argument = component?.args.find((one) => one.replace(/^--/, "-").startsWith(start));
    return argument?.replace(/^--/, "-").slice(start.length);
}

/** `cr.l5d.io/linkerd/tap:edge-24.5.3` */
function imageOf(component: LiveComponent | undefined) {
    const [, registry, name, tag] =
        /^(?:(.+)\/)?([^/:@]+)(?::([^/:@]+))?(?:@.*)?$/.exec(component?.image ?? "") ?? [];
    return name === undefined ? undefined : { registry, name, tag };
}

function setting(name: string, value: unknown, unless: unknown): ChartValues {
    return value === undefined || value === unless ? {} : { [name]: value };
}

function under(name: string, values: ChartValues): ChartValues {
    return Object.keys(values).length > 0 ? { [name]: values } : {};
}

function given(values: ChartValues): ChartValues {
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
