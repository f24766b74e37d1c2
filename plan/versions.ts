import * as semver from "semver";
import type { Fault } from "./faults";

/** A Linkerd edge release and the charts that belong to it. */
export interface LinkerdVersion {
    /** As users write it and as images are tagged: `edge-24.7.5`. */
    readonly tag: string;
    /** Version of each of its charts: `2024.7.5`. */
    readonly chartVersion: string;
}

/**
 * From edge-24.3.1 on `edge-YY.M.N` is released as chart version `20YY.M.N`; before, chart versions were
 * counted on their own. Source: the release tags of linkerd2 and its Helm repository.
 */
const FIRST = "2024.3.1";

const RULE =
    "a Linkerd version reads edge-YY.M.N (year, month 1-12, number), from edge-24.3.1 on, without leading zeros";

/** `edge-24.7.5` -> tag and chart version; a fault where the text is no such version. */
export function parseLinkerdVersion(
    text: string,
    subject = "linkerdVersion",
): LinkerdVersion | Fault {
    const match = /^edge-([1-9]\d)\.([1-9]|1[0-2])\.([1-9]\d*)$/.exec(text);
    const chartVersion = match && `20${match[1]}.${match[2]}.${match[3]}`;
    if (!chartVersion || !semver.valid(chartVersion) || semver.lt(chartVersion, FIRST)) {
        return {
            subject,
            value: text,
            rule: RULE,
            next: "pulumi config set linkerdVersion edge-24.7.5 (or another edge release)",
        };
    }
    return { tag: text, chartVersion };
}

/** The release that a chart version belongs to: `2024.7.5` -> `edge-24.7.5`; undefined for any other text. */
export function versionOfChart(chartVersion: string): LinkerdVersion | undefined {
    const tag = chartVersion.startsWith("20") ? `edge-${chartVersion.slice(2)}` : "";
    const version = parseLinkerdVersion(tag);
    return isFault(version) ? undefined : version;
}

/** Negative, zero or positive, as releases follow one another. */
export function compareVersions(a: LinkerdVersion, b: LinkerdVersion): number {
    return semver.compare(a.chartVersion, b.chartVersion);
}

/** The later of the releases; undefined for none. */
export function latest(versions: readonly LinkerdVersion[]): LinkerdVersion | undefined {
    return versions.reduce<LinkerdVersion | undefined>(
        (best, version) => (best && compareVersions(best, version) >= 0 ? best : version),
        undefined,
    );
}

export function isFault<T extends object>(value: T | Fault): value is Fault {
    return "rule" in value && "subject" in value;
}
