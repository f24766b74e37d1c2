import type { LocatedChart } from "../charts/source";
import type { LiveExtension } from "../cluster/extensions";
import type { LiveTrafficSplits } from "../cluster/trafficSplits";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
import { reaches, releaseOf } from "./releases";

/** An extension that the stack file brings. */
export interface PlannedExtension {
    /** Label of its namespace, and key of the stack file: `smi`. */
    readonly name: "smi";
    readonly namespace: string;
    /** `next`: what to do where it is not to be had. */
    readonly chart: { readonly name: string; readonly version: string; readonly next: string };
    /** Where the chart comes from. */
    readonly source: string;
    readonly values: ChartValues;
}

/** Those of the stack file, in the order of their names. */
export function plannedExtensions({
    extensions: { smi },
}: Pick<LinkerdStackConfig, "extensions">): readonly PlannedExtension[] {
    return smi === undefined
        ? []
        : [
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

/** What was seen of extensions; a reason, as text, where it could not be read. */
export interface SeenExtensions {
    readonly live: readonly LiveExtension[] | string;
    /** Undefined: there are none, or the stack file does not ask for smi. */
    readonly trafficSplits: LiveTrafficSplits | string | undefined;
}

/** Reasons why the stack must not bring what its file asks for. `acting`: what could not be read is one, too. */
export function extensionFaults(
    planned: readonly PlannedExtension[],
    { live, trafficSplits }: SeenExtensions,
    { stack, acting }: { readonly stack: string; readonly acting: boolean },
): readonly Fault[] {
    const unread = [
        ...(typeof live === "string" ? [[live, "list namespaces and deployments"]] : []),
        ...(typeof trafficSplits === "string"
            ? [[trafficSplits, "get customresourcedefinitions"]]
            : []),
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
        ...(typeof trafficSplits === "object" ? crdFaults(trafficSplits, stack) : []),
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
            next: `take extensions.${name} out of the stack file: it goes on as it is${name === "smi" ? "; helm uninstall or linkerd smi uninstall would delete every TrafficSplit with its CRD" : ""}`,
        },
    ];
}

/** The schemas of the chart linkerd-smi (1.0.x): an API server refuses a CRD that lacks a version in which objects are stored. */
const SERVED = ["v1alpha1", "v1alpha2"];

function crdFaults({ stack: owner, stored }: LiveTrafficSplits, stack: string): readonly Fault[] {
    const subject = "CustomResourceDefinition trafficsplits.split.smi-spec.io";
    const lost = stored.filter((one) => !SERVED.includes(one));
    return [
        ...(owner === undefined || owner === stack
            ? []
            : [
                  {
                      subject,
                      value: owner,
                      rule: `is owned by another stack, not by ${stack}`,
                      next: "take extensions.smi out of this stack's file, or out of the other's, with pulumi up there",
                  },
              ]),
        ...(lost.length > 0
            ? [
                  {
                      subject,
                      value: lost.join(", "),
                      rule: "has TrafficSplits stored in a version that the chart linkerd-smi does not have, so that the API server would refuse its CRD",
                      next: "take extensions.smi out of the stack file: who brought the CRD goes on with it",
                  },
              ]
            : []),
    ];
}

/** What an update makes of extensions of the stack's, beside its own list of changes. */
export function ownExtensionLines(
    planned: readonly PlannedExtension[],
    { trafficSplits }: Pick<SeenExtensions, "trafficSplits">,
): readonly string[] {
    return [
        ...planned.map(
            ({ name, namespace, chart }) =>
                `extension ${name}: chart ${chart.name} ${chart.version}, namespace ${namespace}`,
        ),
        ...(typeof trafficSplits === "string" ? [`TrafficSplits: unknown: ${trafficSplits}`] : []),
        ...(typeof trafficSplits === "object" && trafficSplits.marks.length > 0
            ? [
                  `TrafficSplits: their CRD becomes the stack's first and stays for good; marks of its owner go: ${trafficSplits.marks.join(", ")}`,
              ]
            : []),
    ];
}

/** A chart of an extension, found. */
export interface LocatedExtension extends PlannedExtension {
    readonly located: LocatedChart;
}

/** The first release without the extension linkerd-jaeger. Source: github.com/linkerd/linkerd2/releases/tag/edge-25.10.1 */
export const JAEGER_GONE = "edge-25.10.1";
/** From which on links have to be made anew. Source: linkerd.io/2.11/tasks/upgrade, linkerd.io/2.14/tasks/upgrade */
const RELINKS = ["stable-2.11.0", "stable-2.14.0"];
const RELINK = "then, when both sides are upgraded, for each link: linkerd multicluster link again";

/**
 * Lines for preview about each extension that the stack file does not bring: its version, and what the target means for it.
 * @param live a reason, as text, where they could not be read
 */
export function extensionLines(
    live: readonly LiveExtension[] | string,
    how: {
        /** Namespaces of those that the stack file brings. */
        readonly own: ReadonlySet<string>;
        readonly from: string | undefined;
        readonly to: string;
    },
): readonly string[] {
    if (typeof live === "string") {
        return [`extensions outside the stack: unknown: ${live}`];
    }
    const others = live.filter(({ namespace }) => !how.own.has(namespace));
    if (others.length === 0) {
        return [];
    }
    return [
        `extensions outside the stack: ${others.length}; they are left as they are`,
        ...others
            .map(
                (one) =>
                    `  ${one.name} (namespace ${one.namespace}, ${shownVersions(one)}): ${meaningOf(one, how)}`,
            )
            .sort(),
    ];
}

/** Other programs in it (jaeger, a collector) have versions of their own. */
function versionsOf({ versions }: LiveExtension): readonly string[] {
    const releases = versions.filter((one) => releaseOf(one) !== undefined);
    return releases.length > 0 ? releases : versions;
}

function shownVersions(one: LiveExtension): string {
    return (
        versionsOf(one).join(", ") || (one.workloads === 0 ? "no Deployment" : "version unknown")
    );
}

interface Way {
    readonly from: string | undefined;
    readonly to: string;
}

function meaningOf(one: LiveExtension, { from, to }: Way): string {
    const versions = versionsOf(one);
    const current = versions.length > 0 && versions.every((version) => version === to);
    const upgrade = current ? `is of ${to}` : `upgrade it to ${to} after this update`;
    switch (one.name) {
        case "viz":
            return upgrade;
        case "multicluster": {
            const since = RELINKS.filter((marker) => crosses(marker, { from, to }));
            return since.length > 0 ? `${upgrade}; ${RELINK} (since ${since.join(", ")})` : upgrade;
        }
        case "jaeger":
            return reaches(to, JAEGER_GONE)
                ? `is not released any more (since ${JAEGER_GONE}): move traces to a collector of your own, and uninstall it`
                : upgrade;
        case "smi":
            return "has releases of its own; TrafficSplits are served by it alone since stable-2.12.0: keep its CRD";
        default:
            return `is not known to this program: look whether it goes with ${to}`;
    }
}

/** Where what runs is no release, it may be of before. */
function crosses(marker: string, { from, to }: Way): boolean {
    return from !== undefined && reaches(to, marker) && !reaches(from, marker);
}
