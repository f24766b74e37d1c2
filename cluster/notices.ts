import { found, reasonOf } from "./connection";
import type { KubeApi, RawObject } from "./api";
import { STACK_ANNOTATION } from "./linkerd";
import type { Check, Evidence, Notice } from "../plan/policy/notices";
import { cutOff, type Meshed, type NetworkPolicy } from "../plan/policy/proxyPort";

/** What some notices are looked for with. */
interface Around {
    /** Undefined where the data plane could not be read. */
    readonly meshed?: readonly Meshed[] | undefined;
    /** The stack that asks. */
    readonly stack?: string;
}

/** Finds what notices ask about. Read-only; only what a crossed notice asks for is read, page by page. */
export async function readEvidence(
    api: KubeApi,
    notices: readonly Notice[],
    around: Around = {},
): Promise<ReadonlyMap<string, Evidence>> {
    const asked = notices.flatMap(({ id, check }) =>
        typeof check === "string" || check.of === "values" ? [] : [{ id, check }],
    );
    const annotated = annotationPass(
        api,
        asked.flatMap(({ check }) => (check.of === "annotations" ? namesOf(check) : [])),
    );
    return new Map(
        await Promise.all(
            asked.map(async ({ id, check }): Promise<[string, Evidence]> => {
                try {
                    const found =
                        check.of === "annotations"
                            ? annotated(namesOf(check))
                            : look(api, check, around);
                    return [id, { found: (await found).sort() }];
                } catch (error) {
                    return [id, { unknown: reasonOf(error) }];
                }
            }),
        ),
    );
}

function look(
    api: KubeApi,
    check: Exclude<Check, { of: "values" | "annotations" }>,
    { meshed, stack }: Around,
): Promise<string[]> {
    switch (check.of) {
        case "trafficSplits":
            return trafficSplits(api);
        case "serverAuthorizations":
            return named(api, "/apis/policy.linkerd.io/v1beta1/serverauthorizations", "");
        case "envoyFilters":
            return named(api, "/apis/networking.istio.io/v1alpha3/envoyfilters", "");
        case "shutdownJobs":
            return shutdownJobs(api);
        case "networkPolicies":
            return networkPolicies(api, meshed);
        case "gatewayApi":
            return gatewayApi(api);
        case "prometheus":
            return prometheus(api);
        case "scrapedPorts":
            return scrapedPorts(api, check.ports);
        case "extension":
            return extensionNamespaces(api, check.name, stack);
        case "deployment": {
            const { namespace, name } = check;
            return single(api, `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`, () => [
                `Deployment ${namespace}/${name}`,
            ]);
        }
    }
}

interface Named {
    readonly metadata?: {
        readonly namespace?: string;
        readonly name?: string;
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
}

/** `Job batch/nightly`; without a kind `batch/nightly`. */
function nameIn(kind: string, { metadata }: Named): string {
    const { namespace, name = "" } = metadata ?? {};
    const path = namespace === undefined ? name : `${namespace}/${name}`;
    return kind === "" ? path : `${kind} ${path}`;
}

/** A kind that the cluster does not have has no objects. */
async function list<T = string>(
    api: KubeApi,
    path: string,
    slim: (item: RawObject) => T | undefined,
    query: Readonly<Record<string, string>> = {},
): Promise<T[]> {
    return unlessMissing(async () => (await api.list(path, slim, query)).items);
}

function named(api: KubeApi, path: string, kind: string): Promise<string[]> {
    return list(api, path, (item) => nameIn(kind, item));
}

function single(
    api: KubeApi,
    path: string,
    lines: (object: RawObject) => string[] | Promise<string[]>,
): Promise<string[]> {
    return unlessMissing(async () => lines(await api.send("GET", path)));
}

async function unlessMissing<T>(read: () => Promise<T[]>): Promise<T[]> {
    return (await found(read())) ?? [];
}

const CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Crd extends Named {
    readonly spec?: { readonly versions?: readonly { name: string; served: boolean }[] };
}

/** None where the CRD is the extension's: then they are served. */
async function trafficSplits(api: KubeApi): Promise<string[]> {
    return single(api, `${CRD}/trafficsplits.split.smi-spec.io`, async (object) => {
        const { metadata, spec } = object as Crd;
        const { labels = {}, annotations = {} } = metadata ?? {};
        const marks = [
            annotations["meta.helm.sh/release-name"],
            annotations["linkerd.io/created-by"],
            labels["helm.sh/chart"],
            labels["linkerd.io/extension"],
        ];
        const version = spec?.versions?.find(({ served }) => served)?.name;
        return marks.some((mark) => mark?.includes("smi")) || version === undefined
            ? []
            : named(api, `/apis/split.smi-spec.io/${version}/trafficsplits`, "TrafficSplit");
    });
}

interface PodTemplate {
    readonly metadata?: Named["metadata"];
    readonly spec?: {
        readonly containers?: readonly Container[];
        readonly initContainers?: readonly Container[];
    };
}

interface Container {
    readonly command?: readonly string[];
    readonly args?: readonly string[];
}

/** `curl -X POST localhost:4191/shutdown`, a port in a variable, or linkerd-await, which calls it too. */
const SHUTDOWN = /:(4191|\$\{?\w+\}?)\/shutdown|linkerd-await\b.*\s(--shutdown|-S)\b/s;
/**
 * On a pod, or on a namespace for its pods that say nothing, it switches the endpoint on. Source: pkg/k8s/labels.go and
 * pkg/inject/inject.go of linkerd2.
 */
const ADMIN_SHUTDOWN = "config.linkerd.io/proxy-admin-shutdown";

/** `inherited`: the annotation of its namespace. */
function callsShutdown({ metadata, spec }: PodTemplate, inherited: string | undefined): boolean {
    const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
    return (
        (metadata?.annotations?.[ADMIN_SHUTDOWN] ?? inherited) !== "enabled" &&
        containers.some(({ command = [], args = [] }) =>
            SHUTDOWN.test([...command, ...args].join(" ")),
        )
    );
}

interface Job extends Named {
    readonly spec?: { readonly template?: PodTemplate };
    readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

interface CronJob extends Named {
    readonly spec?: { readonly jobTemplate?: Job };
}

async function shutdownJobs(api: KubeApi): Promise<string[]> {
    const namespaces = await list(api, "/api/v1/namespaces", (item) => {
        const { name = "", annotations } = (item as Named).metadata ?? {};
        const value = annotations?.[ADMIN_SHUTDOWN];
        return value === undefined ? undefined : ([name, value] as const);
    });
    const inherited = new Map(namespaces);
    const calls = ({ metadata }: Named, template: PodTemplate = {}) =>
        callsShutdown(template, inherited.get(metadata?.namespace ?? ""));
    const [jobs, cronJobs] = await Promise.all([
        list(api, "/apis/batch/v1/jobs", (item) => {
            const { spec, status } = item as Job;
            const finished = status?.conditions?.some(
                (one) => ["Complete", "Failed"].includes(one.type) && one.status === "True",
            );
            return !finished && calls(item, spec?.template) ? nameIn("Job", item) : undefined;
        }),
        list(api, "/apis/batch/v1/cronjobs", (item) =>
            calls(item as CronJob, (item as CronJob).spec?.jobTemplate?.spec?.template)
                ? nameIn("CronJob", item)
                : undefined,
        ),
    ]);
    return [...jobs, ...cronJobs];
}

async function networkPolicies(
    api: KubeApi,
    meshed: readonly Meshed[] | undefined,
): Promise<string[]> {
    if (!meshed) {
        throw new Error("which pods are meshed could not be read");
    }
    const policies = await list(api, "/apis/networking.k8s.io/v1/networkpolicies", (item) => {
        const { metadata, spec } = item as Named & { spec?: object };
        const { namespace = "", name = "" } = metadata ?? {};
        return { ...spec, namespace, name } satisfies NetworkPolicy;
    });
    return cutOff(policies, meshed).map((metadata) => nameIn("NetworkPolicy", { metadata }));
}

/** Whether a chart or the CLI of Linkerd made it. */
function isLinkerds(metadata: Named["metadata"]): boolean {
    return metadata?.annotations?.["linkerd.io/created-by"]?.startsWith("linkerd/") === true;
}

/** CRDs of the Gateway API that are of Linkerd's chart or CLI. */
function gatewayApi(api: KubeApi): Promise<string[]> {
    return list(api, CRD, (item) => {
        const { metadata } = item as Named;
        const { name = "", labels } = metadata ?? {};
        const linkerds =
            labels?.["helm.sh/chart"]?.startsWith("linkerd-crds-") === true || isLinkerds(metadata);
        return linkerds && name.endsWith(".gateway.networking.k8s.io") ? name : undefined;
    });
}

/** viz's own, where its data goes with the pod. */
function prometheus(api: KubeApi): Promise<string[]> {
    return single(api, "/apis/apps/v1/namespaces/linkerd-viz/deployments/prometheus", (object) => {
        const { spec } = object as {
            spec?: { template?: { spec?: { volumes?: { persistentVolumeClaim?: object }[] } } };
        };
        const volumes = spec?.template?.spec?.volumes ?? [];
        return volumes.some(({ persistentVolumeClaim }) => persistentVolumeClaim)
            ? []
            : ["Deployment linkerd-viz/prometheus"];
    });
}

/** Namespaces of an extension, without the asking stack's, and without what another stack left behind when it went. */
async function extensionNamespaces(
    api: KubeApi,
    extension: string,
    stack: string | undefined,
): Promise<string[]> {
    const labelSelector = `${EXTENSION}=${extension}`;
    const namespaces = await list(api, "/api/v1/namespaces", (item) => (item as Named).metadata, {
        labelSelector,
    });
    const found = await Promise.all(
        namespaces.map(async (metadata) => {
            const { name = "", annotations = {} } = metadata;
            const owner = annotations[STACK_ANNOTATION];
            const path = `/apis/apps/v1/namespaces/${name}/deployments`;
            const runs = async () =>
                owner !== stack &&
                (await list(api, path, () => true, { labelSelector })).length > 0;
            return owner === undefined || (await runs()) ? [nameIn("Namespace", { metadata })] : [];
        }),
    );
    return found.flat();
}

interface PodMonitor extends Named {
    readonly spec?: { readonly podMetricsEndpoints?: readonly unknown[] };
}

interface ConfigMap extends Named {
    readonly data?: Readonly<Record<string, string>>;
}

/**
 * An endpoint names the port itself, or in a relabeling that keeps it (podmonitor.yaml of linkerd-control-plane). What the
 * charts or the CLI of Linkerd made goes up with them.
 */
async function scrapedPorts(api: KubeApi, ports: readonly string[]): Promise<string[]> {
    const names = (text: string) => ports.some((one) => text.includes(one));
    const [monitors, configurations] = await Promise.all([
        list(api, "/apis/monitoring.coreos.com/v1/podmonitors", (item) => {
            const { metadata, spec } = item as PodMonitor;
            return !isLinkerds(metadata) && names(JSON.stringify(spec?.podMetricsEndpoints ?? []))
                ? nameIn("PodMonitor", item)
                : undefined;
        }),
        list(
            api,
            "/api/v1/configmaps",
            (item) => {
                const { metadata, data = {} } = item as ConfigMap;
                const scrapes = Object.values(data).some(
                    (text) => text.includes("scrape_configs") && names(text),
                );
                return scrapes && !isLinkerds(metadata) ? nameIn("ConfigMap", item) : undefined;
            },
            { fieldSelector: "metadata.namespace!=linkerd-viz" },
        ),
    ]);
    return [...monitors, ...configurations];
}

const EXTENSION = "linkerd.io/extension";

interface Annotated {
    /** `Namespace shop`. */
    readonly name: string;
    readonly has: readonly string[];
}

/** What is looked for: annotations, and the label of an extension's namespace as `linkerd.io/extension=jaeger`. */
function namesOf({ names, extension }: Extract<Check, { of: "annotations" }>): string[] {
    return [...(extension === undefined ? [] : [`${EXTENSION}=${extension}`]), ...names];
}

/** Namespaces and pods are read once for all notices that ask for annotations, and not at all where none does. */
function annotationPass(api: KubeApi, all: readonly string[]) {
    let pass: Promise<readonly Annotated[]> | undefined;
    return async (names: readonly string[]): Promise<string[]> =>
        (await (pass ??= annotated(api, all))).flatMap(({ name, has }) => {
            const own = names.filter((one) => has.includes(one));
            return own.length > 0 ? [`${name} (${own.join(", ")})`] : [];
        });
}

/** Pods carry the annotations of their templates. */
async function annotated(api: KubeApi, names: readonly string[]): Promise<Annotated[]> {
    const slim = (kind: string) => (item: RawObject) => {
        const { annotations = {}, labels = {} } = (item as Named).metadata ?? {};
        const own = [`${EXTENSION}=${labels[EXTENSION]}`, ...Object.keys(annotations)];
        const has = own.filter((one) => names.includes(one));
        return has.length > 0 ? { name: nameIn(kind, item), has } : undefined;
    };
    const [namespaces, pods] = await Promise.all([
        list(api, "/api/v1/namespaces", slim("Namespace")),
        list(api, "/api/v1/pods", slim("Pod")),
    ]);
    return [...namespaces, ...pods];
}
