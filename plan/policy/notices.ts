import type { Fault } from "../faults";
import type { NoticeResult } from "../review";
import { isMap, at } from "../values";
import { ISTIO_NOTICES } from "./istioNotices";
import { LINKERD_NOTICES } from "./linkerdNotices";

/** What the cluster, or the stack file, is asked to find out whether a notice applies. */
export type Check =
    | {
          readonly of:
              | "trafficSplits"
              | "serverAuthorizations"
              | "shutdownJobs"
              | "networkPolicies"
              | "gatewayApi"
              | "prometheus"
              | "envoyFilters";
      }
    /** PodMonitors, and ConfigMaps with scrape configurations, that name one of these ports. */
    | { readonly of: "scrapedPorts"; readonly ports: readonly string[] }
    /** Namespaces and pods with one of these annotations; the namespaces of an extension as well. */
    | {
          readonly of: "annotations";
          readonly names: readonly string[];
          readonly extension?: string;
      }
    /** A namespace with the label linkerd.io/extension, of anybody but the stack that asks. */
    | { readonly of: "extension"; readonly name: string }
    | { readonly of: "deployment"; readonly namespace: string; readonly name: string }
    /** Dotted paths below the sections `crds`, `controlPlane` and `viz` of the stack file. */
    | { readonly of: "values"; readonly paths: readonly string[] };

/** What a release changes for its users, and what they do about it. */
export interface Notice {
    readonly id: string;
    /** The first release with the change: `edge-24.6.2`, `1.27.0`; EVERY for one that comes with each. */
    readonly since: string;
    readonly title: string;
    readonly action: string;
    readonly source: string;
    /** `everybody`: it applies to all; `by hand`: only the user can tell. */
    readonly check: Check | "everybody" | "by hand";
    /** Whether something is lost where it applies, so that the user has to decide first. */
    readonly decision: boolean;
    /** Path of a value that averts it where it is true. */
    readonly unless?: string;
}

export const EVERY = "every release";

/** Ids that `policy.acknowledge` may name. */
export const NOTICE_IDS: readonly string[] = [...LINKERD_NOTICES, ...ISTIO_NOTICES].map(
    ({ id }) => id,
);

/** What a check found in the cluster, or why it could not look. */
export type Evidence = { readonly found: readonly string[] } | { readonly unknown: string };

export interface NoticeCircumstances {
    /** By id. */
    readonly evidence: ReadonlyMap<string, Evidence>;
    /** Values in use, by section. */
    readonly values: Readonly<Record<string, unknown>>;
    readonly acknowledge: ReadonlySet<string>;
    /** Whether something will be changed: then what could not be read counts as found. */
    readonly acting: boolean;
}

/**
 * Those of the releases after `from` up to `to`; `order` compares two versions, undefined where it cannot. A `from` that cannot
 * be compared may be of before them all.
 */
export function crossed(
    notices: readonly Notice[],
    from: string,
    to: string,
    order: (a: string, b: string) => number | undefined,
): readonly Notice[] {
    const up = (order(to, from) ?? 1) > 0;
    return notices.filter(({ since }) =>
        since === EVERY
            ? from !== to
            : up && (order(since, from) ?? 1) > 0 && (order(to, since) ?? -1) >= 0,
    );
}

export function noticeResults(
    notices: readonly Notice[],
    circumstances: NoticeCircumstances,
): readonly NoticeResult[] {
    return notices.map((notice) => {
        const { check, decision, unless: _unless, ...told } = notice;
        const evidence = evidenceOf(notice, circumstances);
        const unread = evidence.unread === true && circumstances.acting;
        return {
            ...told,
            applies: evidence.applies,
            evidence: evidence.lines,
            blocking: decision && (evidence.applies === "yes" || unread),
            acknowledged: circumstances.acknowledge.has(notice.id),
        };
    });
}

interface Finding {
    readonly applies: NoticeResult["applies"];
    readonly lines: readonly string[];
    /** Whether the cluster did not let it be read. */
    readonly unread?: boolean;
}

function evidenceOf(
    { id, check, unless }: Notice,
    { evidence, values }: NoticeCircumstances,
): Finding {
    if (unless !== undefined && at(values, unless) === true) {
        return { applies: "no", lines: [] };
    }
    if (check === "everybody") {
        return { applies: "yes", lines: [] };
    }
    if (check === "by hand") {
        return { applies: "unknown", lines: ["only you can tell"] };
    }
    if (check.of === "values") {
        return found(check.paths.filter((path) => isInUse(at(values, path))).map(valueLine));
    }
    const seen = evidence.get(id) ?? { unknown: "it was not looked at" };
    return "unknown" in seen
        ? { applies: "unknown", lines: [seen.unknown], unread: true }
        : found(seen.found);
}

function found(lines: readonly string[]): Finding {
    return { applies: lines.length > 0 ? "yes" : "no", lines };
}

/** `controlPlane.proxy.cores` -> `controlPlane.values.proxy.cores`, as it stands in the stack file. */
function valueLine(path: string): string {
    const [section = "", ...rest] = path.split(".");
    return [section, "values", ...rest].join(".");
}

/** A null takes a value of before away. */
function isInUse(value: unknown): boolean {
    return isMap(value)
        ? Object.values(value).some(isInUse)
        : value !== undefined && value !== null;
}

/** A fault for each notice that needs a decision which the stack file does not have. */
export function noticeFaults(results: readonly NoticeResult[]): readonly Fault[] {
    return results
        .filter(({ blocking, acknowledged }) => blocking && !acknowledged)
        .map(({ id, since, title, action, applies, evidence }) => ({
            subject: `notice ${id}`,
            value: shortList(evidence),
            rule:
                applies === "yes"
                    ? `${title} (since ${since})`
                    : `${title} (since ${since}); whether that is of concern here could not be read`,
            next: `${action}; to go on with what it means, add ${id} to policy.acknowledge`,
        }));
}

const MOST = 5;

/** The first few, and how many more. */
export function shortList(all: readonly string[]): string {
    const more = all.length - MOST;
    return `${all.slice(0, MOST).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
