import type { LiveComponent, LiveInstallation } from "../cluster/adoption";
import type { ChartValues } from "../config";
import { merge } from "./values";

/** Defaults of the chart linkerd-viz that show in arguments and images. */
const REGISTRY = "cr.l5d.io/linkerd";
const DOMAIN = "cluster.local";
const NAMESPACE = "linkerd";

/** By component, the part of the chart's values that is its own. */
const PARTS = {
    "metrics-api": "metricsAPI",
    web: "dashboard",
    tap: "tap",
    "tap-injector": "tapInjector",
} as const;

/**
 * Settings of a viz that the linkerd CLI installed: nothing keeps them but the arguments, images and replicas of its
 * Deployments. What does not show there (resources, tolerations) is not found.
 */
export function vizSettings(
    live: Pick<LiveInstallation, "viz" | "tapInjectorPolicy">,
    release: string | undefined,
): ChartValues {
    const of = (name: string) => live.viz.find((one) => one.name === name);
    const argument = (component: string, name: string) => argumentOf(of(component), name);
    const domain = argument("metrics-api", "cluster-domain") ?? DOMAIN;
    const trustDomain = argument("tap", "identity-trust-domain");
    const prometheus = argument("metrics-api", "prometheus-url");
    const bundled = `http://prometheus.linkerd-viz.svc.${domain}:9090`;
    const logFormat = argument("metrics-api", "log-format");
    return merge(
        setting("clusterDomain", domain, DOMAIN),
        setting("identityTrustDomain", trustDomain, domain),
        setting("linkerdNamespace", argument("metrics-api", "controller-namespace"), NAMESPACE),
        setting("defaultLogFormat", logFormat, "plain"),
        setting("defaultRegistry", registryOf(of("metrics-api")), REGISTRY),
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
        under("tapInjector", setting("failurePolicy", live.tapInjectorPolicy, "Ignore")),
        ...live.viz.map((one) => componentSettings(one, release)),
    );
}

function componentSettings(component: LiveComponent, release: string | undefined): ChartValues {
    const part = PARTS[component.name as keyof typeof PARTS];
    if (part === undefined) {
        return {};
    }
    const tag = /:([^/:@]+)(@.*)?$/.exec(component.image)?.[1];
    return under(part, {
        ...(component.replicas === 1 ? {} : { replicas: component.replicas }),
        ...setting("logLevel", argumentOf(component, "log-level"), "info"),
        ...under("image", setting("tag", tag, release)),
    });
}

/** What the chart makes of an empty value: the dashboard's own names. */
function defaultHosts(domain: string): string {
    const escaped = (host: string) => host.replaceAll(".", "\\.");
    const names = [`web.linkerd-viz.svc.${domain}`, "web.linkerd-viz.svc"].map(escaped).join("|");
    return `^(localhost|127\\.0\\.0\\.1|${names}|\\[::1\\])(:\\d+)?$`;
}

function argumentOf(component: LiveComponent | undefined, name: string): string | undefined {
    const start = new RegExp(`^--?${name}=`);
    return component?.args.find((one) => start.test(one))?.replace(start, "");
}

function registryOf(component: LiveComponent | undefined): string | undefined {
    return component && /^(.+)\/[^/]+$/.exec(component.image)?.[1];
}

function setting(name: string, value: unknown, unless: unknown): ChartValues {
    return value === undefined || value === unless ? {} : { [name]: value };
}

function under(name: string, values: ChartValues): ChartValues {
    return Object.keys(values).length > 0 ? { [name]: values } : {};
}
