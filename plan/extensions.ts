import type { LiveExtension } from "../cluster/extensions";
import { compareReleases, releaseOf } from "./releases";

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

function reaches(to: string, marker: string): boolean {
    const [target, mark] = [releaseOf(to), releaseOf(marker)];
    return target !== undefined && mark !== undefined && compareReleases(target, mark) >= 0;
}

/** Where what runs is no release, it may be of before. */
function crosses(marker: string, { from, to }: Way): boolean {
    return from !== undefined && reaches(to, marker) && !reaches(from, marker);
}
