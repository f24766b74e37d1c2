import type { LinkerdStackConfig } from "../../config";
import type { LiveLinkerd } from "../../cluster/linkerd";
import type { MeshedPod } from "../../cluster/dataPlane";
import { isAlive } from "../dataPlane";
import type { Fault } from "../faults";
import type { NoticeResult, PathVerdict } from "../review";
import { compareReleases, releaseOf } from "../releases";
import type { Settings } from "../settings";
import { merge } from "../values";
import { LINKERD_NOTICES } from "./linkerdNotices";
import { countsText, linkerdPath } from "./linkerdPath";
import { crossed, noticeFaults, noticeResults, type Evidence, type Notice } from "./notices";
import { recordText } from "./record";
import { NOTHING, verdictOf } from "./rules";

/** What is decided about the way to the target. */
export interface Policy {
    readonly path: PathVerdict;
    readonly notices: readonly NoticeResult[];
    readonly faults: readonly Fault[];
    /** Versions as they are, and what is overridden; notices have lines of their own. */
    readonly lines: readonly string[];
    /** Versions that ran here, the target included, as text for the record. */
    readonly ran: string;
}

type Config = Pick<
    LinkerdStackConfig,
    "linkerdVersion" | "policy" | "crds" | "controlPlane" | "viz" | "extensions"
>;

/** What decides beside the stack file and what is installed. */
export interface PolicyCircumstances {
    /** Undefined: they could not be read. */
    readonly pods: readonly MeshedPod[] | undefined;
    /** Image tags of the running control plane; a reason where they could not be read. */
    readonly images: readonly string[] | string;
    readonly evidence: ReadonlyMap<string, Evidence>;
    /** Of the plan; undefined: it is refused, and the values are those that could be read. */
    readonly values?: Settings | undefined;
    readonly acting: boolean;
}

/**
 * The notices between what runs and the target, all up to the target where what runs is no release; none for a first
 * installation.
 */
export function linkerdNotices(
    { installed, linkerdVersion = "unknown" }: Pick<LiveLinkerd, "installed" | "linkerdVersion">,
    to: string,
): readonly Notice[] {
    return installed ? crossed(LINKERD_NOTICES, linkerdVersion, to, order) : [];
}

function order(a: string, b: string): number | undefined {
    const [one, other] = [releaseOf(a), releaseOf(b)];
    return one && other && compareReleases(one, other);
}

export function linkerdPolicy(
    config: Config,
    live: LiveLinkerd,
    { pods, images, evidence, values, acting }: PolicyCircumstances,
): Policy {
    const to = config.linkerdVersion.tag;
    const recorded = live.namespaces.find(({ name }) => name === "linkerd")?.ran ?? [];
    const ran = recordText([...recorded, live.linkerdVersion, to]);
    if (!live.installed) {
        const path = verdictOf("linkerd", [to], NOTHING);
        return { path, notices: [], faults: [], lines: [], ran };
    }
    const proxies = proxyCounts(pods ?? []);
    const way = linkerdPath({
        from: live.linkerdVersion,
        to,
        ran: recorded,
        proxies,
        overrides: config.policy.override,
    });
    const notices = noticeResults(linkerdNotices(live, to), {
        evidence,
        values: {
            ...(values ?? valuesInUse(config, live)),
            extensions: { smi: config.extensions.smi !== undefined },
        },
        acknowledge: config.policy.acknowledge,
        acting,
    });
    return {
        path: way.verdict,
        notices,
        faults: [...way.faults, ...noticeFaults(notices)],
        lines: [
            versionsLine(live.linkerdVersion, images, pods && proxies),
            ...way.warnings.map((text) => `warning: ${text}`),
        ],
        ran,
    };
}

function versionsLine(
    config: string | undefined,
    images: readonly string[] | string,
    proxies: ReadonlyMap<string, number> | undefined,
): string {
    const running =
        typeof images === "string" ? `unknown: ${images}` : images.join(", ") || "none runs";
    const counts = proxies === undefined ? "unknown" : countsText(proxies) || "none";
    return `control plane: ${config ?? "unknown"} (linkerd-config), images ${running}; proxies: ${counts}`;
}

function proxyCounts(pods: readonly MeshedPod[]): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { proxy = "unknown" } of pods.filter(isAlive)) {
        counts.set(proxy, (counts.get(proxy) ?? 0) + 1);
    }
    return counts;
}

/** Those of the stack file, over what was taken over or would be. */
function valuesInUse(config: Config, { installation }: LiveLinkerd) {
    const { taken, overrides } = installation;
    return {
        crds: merge(taken?.crds ?? {}, config.crds.values),
        controlPlane: merge(taken?.controlPlane ?? overrides ?? {}, config.controlPlane.values),
        viz: merge(taken?.viz ?? {}, config.viz.values),
    };
}
