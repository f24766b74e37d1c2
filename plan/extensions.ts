import type { LocatedChart } from "../charts/source";
import { releaseOfMaker, type LiveExtension } from "../cluster/extensions";
import { LINKS, type LiveLinks } from "../cluster/links";
import { TRAFFIC_SPLITS, type LiveTrafficSplits } from "../cluster/trafficSplits";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Defaults } from "./adoption";
import type { Fault } from "./faults";
import { compareReleases, reaches, releaseOf } from "./releases";
import { derivedFaults, DERIVED_OF_EXTENSIONS } from "./values";
import { repositoryOf } from "./versions";

/** An extension that the stack file brings. */
export interface PlannedExtension {
    /** Label of its namespace, and key of the stack file. */
    readonly name: "jaeger" | "multicluster" | "smi";
    readonly namespace: string;
    /** `next`: what to do where it is not to be had. */
    readonly chart: { readonly name: string; readonly version: string; readonly next: string };
    /** Where the chart comes from. */
    readonly source: string;
    readonly values: ChartValues;
}

type Configured = Pick<LinkerdStackConfig, "charts" | "extensions" | "linkerdVersion">;

/** Those of the stack file, in the order of their names; without one that is refused for the target. */
export function plannedExtensions({
    charts,
    extensions: { smi, ...released },
    linkerdVersion,
}: Configured): readonly PlannedExtension[] {
    const withTheMesh = (["jaeger", "multicluster"] as const).flatMap((name) => {
        const asked = released[name];
        return asked === undefined || isGone(name, linkerdVersion.tag)
            ? []
            : [
                  {
                      name,
                      namespace: `linkerd-${name}`,
                      chart: {
                          name: `linkerd-${name}`,
                          version: linkerdVersion.charts[`linkerd-${name}`],
                          next: `set extensions.${name}.charts to a repository or directory that has it`,
                      },
                      source: asked.charts ?? charts ?? repositoryOf(linkerdVersion),
                      values: asked.values,
                  },
              ];
    });
    return smi === undefined
        ? withTheMesh
        : [
              ...withTheMesh,
              {
                  name: "smi",
                  namespace: "linkerd-smi",
                  chart: {
                      name: "linkerd-smi",
                      version: smi.version,
                      next: "set extensions.smi.version to one that exists, or extensions.smi.charts to a repository or directory that has it",
                  },
                  source: smi.charts,
                  values: smi.values,
              },
          ];
}

function isGone(name: PlannedExtension["name"], version: string): boolean {
    return name === "jaeger" && reaches(version, JAEGER_GONE);
}

/** What of the section cannot be, whatever is live: an extension that the target does not have, values that are derived. */
export function extensionConfigFaults(config: Configured): readonly Fault[] {
    const { extensions, linkerdVersion } = config;
    return [
        ...(extensions.jaeger && isGone("jaeger", linkerdVersion.tag)
            ? [
                  {
                      subject: "extensions.jaeger",
                      value: linkerdVersion.tag,
                      rule: `Linkerd has no extension jaeger from ${JAEGER_GONE} on`,
                      next: "take extensions.jaeger out of the stack file in an update at the version of now, and bring a collector of your own (docs/extensions.md); then upgrade",
                  },
              ]
            : []),
        ...plannedExtensions(config).flatMap(({ name, values }) =>
            derivedFaults(`extensions.${name}`, values, DERIVED_OF_EXTENSIONS[name]),
        ),
    ];
}

/** What was seen of extensions; a reason, as text, where it could not be read. */
export interface SeenExtensions {
    readonly live: readonly LiveExtension[] | string;
    /** Undefined: there are none, or the stack file does not ask for smi. */
    readonly trafficSplits: LiveTrafficSplits | string | undefined;
    /** Undefined: there are none, or the stack file does not ask for multicluster. */
    readonly links: LiveLinks | string | undefined;
}

/** Reasons why the stack must not bring what its file asks for. `acting`: what could not be read is one, too. */
export function extensionFaults(
    planned: readonly PlannedExtension[],
    { live, trafficSplits, links }: SeenExtensions,
    { stack, acting }: { readonly stack: string; readonly acting: boolean },
): readonly Fault[] {
    const unread = [
        ...(typeof live === "string" ? [[live, "list namespaces and deployments"]] : []),
        ...[trafficSplits, links]
            .filter((one) => typeof one === "string")
            .map((reason) => [reason, "get customresourcedefinitions"]),
    ];
    return [
        ...(acting && planned.length > 0
            ? unread.map(([reason, what]) => ({
                  subject: "extensions",
                  rule: `what there is of them could not be read: ${reason}`,
                  next: `ask for permission to ${what} (kubectl auth can-i), then: pulumi up`,
              }))
            : []),
        ...(typeof live === "string"
            ? []
            : planned.flatMap((one) => live.flatMap((each) => foreignFault(one, each, stack)))),
        ...(typeof trafficSplits === "object"
            ? [...ownerFaults(TRAFFIC_SPLITS, trafficSplits, stack), ...storedFaults(trafficSplits)]
            : []),
        ...(typeof links === "object" ? ownerFaults(LINKS, links, stack) : []),
    ];
}

function foreignFault(
    { name, namespace }: PlannedExtension,
    live: LiveExtension,
    stack: string,
): readonly Fault[] {
    const elsewhere = live.name === name && live.namespace !== namespace;
    const foreign = live.namespace === namespace && live.stack !== stack;
    if (!elsewhere && !(foreign && (live.stack !== undefined || live.workloads > 0))) {
        return [];
    }
    return [
        {
            subject: `extensions.${name}`,
            value: `Namespace ${live.namespace}`,
            rule:
                live.stack === undefined
                    ? "holds this extension already, and this stack did not make it"
                    : `is owned by another stack, ${live.stack}`,
            next: `take extensions.${name} out of the stack file: it goes on as it is${UNINSTALLED[name]}`,
        },
    ];
}

/** What it would mean to uninstall it first. */
const UNINSTALLED: Readonly<Record<PlannedExtension["name"], string>> = {
    smi: "; helm uninstall or linkerd smi uninstall would delete every TrafficSplit with its CRD",
    multicluster:
        "; helm uninstall or linkerd multicluster uninstall would delete every Link with its CRD, and each cluster has to be linked again",
    jaeger: "; or uninstall it first (helm uninstall, or linkerd jaeger uninstall | kubectl delete -f -), and pulumi up again",
};

/** The schemas of the chart linkerd-smi (1.0.x): an API server refuses a CRD that lacks a version in which objects are stored. */
const SERVED = ["v1alpha1", "v1alpha2"];

function storedFaults({ stored }: LiveTrafficSplits): readonly Fault[] {
    const lost = stored.filter((one) => !SERVED.includes(one));
    return lost.length > 0
        ? [
              {
                  subject: `CustomResourceDefinition ${TRAFFIC_SPLITS}`,
                  value: lost.join(", "),
                  rule: "has TrafficSplits stored in a version that the chart linkerd-smi does not have, so that the API server would refuse its CRD",
                  next: "take extensions.smi out of the stack file: who brought the CRD goes on with it",
              },
          ]
        : [];
}

function ownerFaults(
    crd: string,
    { stack: owner }: { readonly stack: string | undefined },
    stack: string,
): readonly Fault[] {
    const key = crd === LINKS ? "extensions.multicluster" : "extensions.smi";
    return owner === undefined || owner === stack
        ? []
        : [
              {
                  subject: `CustomResourceDefinition ${crd}`,
                  value: owner,
                  rule: `is owned by another stack, not by ${stack}`,
                  next: `take ${key} out of this stack's file, or out of the other's, with pulumi up there`,
              },
          ];
}

/**
 * The CRD of Links, where a later release than the target's made it: it moves forward only, as those of the mesh do. An API
 * server refuses a CRD that lacks a version in which objects are stored, and a later CRD serves every version of before.
 */
export function keptLinks(
    { links }: Pick<SeenExtensions, "links">,
    to: string,
): LiveLinks | undefined {
    const made = typeof links === "object" ? releaseOf(releaseOfMaker(links.createdBy)) : undefined;
    const target = releaseOf(to);
    return typeof links === "object" && made && target && compareReleases(made, target) > 0
        ? links
        : undefined;
}

/** A version of a CRD, as the chart's templates write it out. */
const CRD_VERSION = /^[ \t]*- name: ["']?(v\d+(?:(?:alpha|beta)\d+)?)["']?[ \t\r]*$/gm;

/**
 * Links in a version that the chart does not have, where the CRD does not say which release made it (a distribution, a chart of
 * git). `defaults`: with the chart's templates; nothing is known of one that writes out no version.
 */
export function storedLinksFaults(
    seen: Pick<SeenExtensions, "links">,
    planned: readonly PlannedExtension[],
    defaults: Defaults,
    to: string,
): readonly Fault[] {
    const chart = planned.find(({ name }) => name === "multicluster")?.chart;
    const templates = chart && defaults.get(`${chart.name} ${chart.version}`)?.templates;
    const has = [...(templates ?? "").matchAll(CRD_VERSION)].map(([, version]) => version);
    const stored = typeof seen.links === "object" ? seen.links.stored : [];
    const lost = stored.filter((one) => !has.includes(one));
    return !chart || has.length === 0 || lost.length === 0 || keptLinks(seen, to)
        ? []
        : [
              {
                  subject: `CustomResourceDefinition ${LINKS}`,
                  value: lost.join(", "),
                  rule: `has Links stored in a version that the chart ${chart.name} ${chart.version} does not have, so that the API server would refuse its CRD`,
                  next: "set linkerdVersion, or extensions.multicluster.charts, to one with that version; or take extensions.multicluster out of the stack file: who brought the CRD goes on with it",
              },
          ];
}

/** A chart of an extension, found. */
export interface LocatedExtension extends PlannedExtension {
    readonly located: LocatedChart;
}

/** The first release without the extension linkerd-jaeger. Source: github.com/linkerd/linkerd2/releases/tag/edge-25.10.1 */
export const JAEGER_GONE = "edge-25.10.1";

/** Whether one that the stack file does not bring is the stack's own, so that its objects go: more than its namespace is there. */
export function leaves({ stack: owner, charted }: LiveExtension, stack: string): boolean {
    return owner === stack && charted > 0;
}

/**
 * Jaeger goes in an update of its own. In one that goes beyond its last release pods would restart while its injector still runs, and
 * proxies would get the address of a collector that the same update deletes at its end. `asked`: whether the stack file brings it,
 * which is refused for itself.
 */
export function leavingJaegerFaults(
    { live }: Pick<SeenExtensions, "live">,
    { asked, stack, from, to }: Way & { readonly asked: boolean; readonly stack: string },
): readonly Fault[] {
    const own = typeof live === "string" ? [] : live.filter((one) => leaves(one, stack));
    return asked || !crosses(JAEGER_GONE, { from, to })
        ? []
        : own
              .filter(({ name }) => name === "jaeger")
              .map(({ namespace }) => ({
                  subject: "linkerdVersion",
                  value: to,
                  rule: `Linkerd has no extension jaeger from ${JAEGER_GONE} on, and this stack's is still there (Namespace ${namespace}): restarted pods would be pointed to a collector that goes at the end of the same update`,
                  next: `set linkerdVersion to what runs (${from}), without extensions.jaeger, and pulumi up; then upgrade (docs/extensions.md)`,
              }));
}

/** From what runs to the target. */
export interface Way {
    readonly from: string | undefined;
    readonly to: string;
}

/** Where what runs is no release, it may be of before. */
export function crosses(marker: string, { from, to }: Way): boolean {
    return from !== undefined && reaches(to, marker) && !reaches(from, marker);
}
