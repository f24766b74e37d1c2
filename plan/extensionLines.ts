import { releaseOfMaker, type LiveExtension } from "../cluster/extensions";
import {
    crosses,
    JAEGER_GONE,
    keptLinks,
    leaves,
    type PlannedExtension,
    type SeenExtensions,
    type Way,
} from "./extensions";
import { reaches, releaseOf } from "./releases";

/** What an update makes of extensions of the stack's, beside its own list of changes. */
export function ownExtensionLines(
    planned: readonly PlannedExtension[],
    seen: SeenExtensions,
    way: Way,
): readonly string[] {
    const { trafficSplits, links } = seen;
    const kept = keptLinks(seen, way.to);
    return [
        ...planned.map(
            ({ name, namespace, chart }) =>
                `extension ${name}: chart ${chart.name} ${chart.version}, namespace ${namespace}`,
        ),
        ...(typeof links === "string" ? [`Links: unknown: ${links}`] : []),
        ...(kept
            ? [
                  `Links: their CRD stays at ${releaseOfMaker(kept.createdBy)}: it moves forward only (linkerdVersion is ${way.to})`,
              ]
            : []),
        ...(planned.some(({ name }) => name === "multicluster") ? mirrorLines(seen, way) : []),
        ...(typeof trafficSplits === "string" ? [`TrafficSplits: unknown: ${trafficSplits}`] : []),
        ...(typeof trafficSplits === "object" && trafficSplits.marks.length > 0
            ? [
                  `TrafficSplits: their CRD becomes the stack's first and stays for good; marks of its owner go: ${trafficSplits.marks.join(", ")}`,
              ]
            : []),
    ];
}

/** They are of no chart: each has its link's release, of the CLI that made it. */
function mirrorLines({ live }: SeenExtensions, way: Way): readonly string[] {
    const mirrors = (typeof live === "string" ? [] : live)
        .flatMap((one) => one.mirrors)
        .filter(({ version }) => version !== way.to)
        .map(({ name, version }) => `${name} (${version ?? "version unknown"})`);
    const since = relinksOf(way);
    return mirrors.length === 0
        ? []
        : [
              `Links: ${mirrors.join(", ")} stay as they are, with a new proxy: ${relink(way.to, "extensions.multicluster.values.controllers")}${since.length > 0 ? ` (since ${since.join(", ")} they need it)` : ""}`,
          ];
}

/** How links are made anew with a release; `controllers`: where its mirrors are listed. */
function relink(to: string, controllers: string): string {
    return `when both sides are upgraded, for each link: ${
        reaches(to, LINK_GEN)
            ? `linkerd multicluster link-gen, its cluster into ${controllers}, and delete the mirror of before`
            : "linkerd multicluster link again"
    }`;
}

function relinksOf(way: Way): readonly string[] {
    return RELINKS.filter((marker) => crosses(marker, way));
}

/** From which on links have to be made anew. Source: linkerd.io/2.11/tasks/upgrade, linkerd.io/2.14/tasks/upgrade */
const RELINKS = ["stable-2.11.0", "stable-2.14.0"];
/**
 * From which on the chart brings mirrors (value `controllers`, Deployments `controller-<cluster>`), and link is deprecated for link-gen, which
 * makes Link and Secret alone. Source: multicluster/cmd/link.go, link-gen.go of linkerd2, edge-25.3.4
 */
const LINK_GEN = "edge-25.3.4";

/** What outlives an extension of the stack's. */
const STAYS: Readonly<Record<string, string>> = {
    viz: "its namespace, the certificates of tap and its injector",
    jaeger: "its namespace, the certificate of its injector",
    multicluster:
        "its namespace, the CRD of Links, each Link with its Secret, service mirrors that linkerd multicluster link made",
    smi: "its namespace, the CRD of TrafficSplits with each TrafficSplit, what its adaptor wrote into ServiceProfiles",
};

/**
 * Lines for preview about each extension that the stack file does not bring: what goes of the stack's own; of others the version,
 * and what the target means for it.
 * @param live a reason, as text, where they could not be read
 */
export function extensionLines(
    live: readonly LiveExtension[] | string,
    how: Way & {
        readonly stack: string;
        /** Namespaces of those that the stack file brings. */
        readonly own: ReadonlySet<string>;
    },
): readonly string[] {
    if (typeof live === "string") {
        return [`extensions outside the stack: unknown: ${live}`];
    }
    const isLeft = ({ stack, workloads }: LiveExtension) => stack !== undefined && workloads === 0;
    const rest = live.filter((one) => !how.own.has(one.namespace) && !isLeft(one));
    const isLeaving = (one: LiveExtension) => leaves(one, how.stack);
    return [
        ...listed(
            "that leave the stack",
            "what it made of them is deleted with this update",
            rest.filter(isLeaving),
            ({ name }) => `stays: ${STAYS[name] ?? "its namespace"}`,
        ),
        ...listed(
            "outside the stack",
            "they are left as they are",
            rest.filter((one) => !isLeaving(one)),
            (one) => meaningOf(one, how),
        ),
    ];
}

function listed(
    which: string,
    fate: string,
    all: readonly LiveExtension[],
    meaning: (one: LiveExtension) => string,
): readonly string[] {
    return all.length === 0
        ? []
        : [
              `extensions ${which}: ${all.length}; ${fate}`,
              ...all
                  .map(
                      (one) =>
                          `  ${one.name} (namespace ${one.namespace}, ${shownVersions(one)}): ${meaning(one)}`,
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

function meaningOf(one: LiveExtension, { from, to }: Way): string {
    const versions = versionsOf(one);
    const current = versions.length > 0 && versions.every((version) => version === to);
    const upgrade = current ? `is of ${to}` : `upgrade it to ${to} after this update`;
    switch (one.name) {
        case "viz":
            return upgrade;
        case "multicluster": {
            const since = relinksOf({ from, to });
            return since.length > 0
                ? `${upgrade}; then, ${relink(to, "value controllers of its chart")} (since ${since.join(", ")})`
                : upgrade;
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
