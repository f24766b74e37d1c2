import type { Fault } from "./faults";
import { compareReleases, reaches, releaseOf, type LinkerdRelease } from "./releases";

/** Charts that are released together, by name. */
export const LINKERD_CHARTS = [
    "linkerd-crds",
    "linkerd-control-plane",
    "linkerd2-cni",
    "linkerd-viz",
    "linkerd-multicluster",
    "linkerd-jaeger",
] as const;
export type LinkerdChart = (typeof LINKERD_CHARTS)[number];

/** A release of Linkerd that the version line may name, and the charts that belong to it. */
export interface LinkerdVersion extends LinkerdRelease {
    /** Version of each chart: `2024.7.5` of all of edge-24.7.5; linkerd-crds 1.8.0 and linkerd-viz 30.12.11 of stable-2.14.10. */
    readonly charts: Readonly<Record<LinkerdChart, string>>;
}

/**
 * From edge-24.3.1 on `edge-YY.M.N` is released as chart version `20YY.M.N`; before, chart versions were
 * counted on their own. Source: the release tags of linkerd2 and its Helm repository.
 */
const FIRST_EDGE = "edge-24.3.1";

/**
 * The charts of stable-2.14.0 to stable-2.14.10, in the order of LINKERD_CHARTS; the open-source stable channel ends there.
 * Source: each chart's Chart.yaml at the tag.
 */
const STABLE_CHARTS = [
    ["1.8.0", "1.15.0", "30.11.0", "30.11.0", "30.10.0", "30.11.0"],
    ["1.8.0", "1.16.2", "30.12.1", "30.12.2", "30.11.2", "30.12.2"],
    ["1.8.0", "1.16.3", "30.12.1", "30.12.3", "30.11.3", "30.12.3"],
    ["1.8.0", "1.16.4", "30.12.1", "30.12.4", "30.11.4", "30.12.4"],
    ["1.8.0", "1.16.5", "30.12.1", "30.12.5", "30.11.5", "30.12.5"],
    ["1.8.0", "1.16.6", "30.12.1", "30.12.6", "30.11.6", "30.12.6"],
    ["1.8.0", "1.16.7", "30.12.1", "30.12.7", "30.11.7", "30.12.7"],
    ["1.8.0", "1.16.8", "30.12.1", "30.12.8", "30.11.8", "30.12.8"],
    ["1.8.0", "1.16.9", "30.12.1", "30.12.9", "30.11.9", "30.12.9"],
    ["1.8.0", "1.16.10", "30.12.2", "30.12.10", "30.11.10", "30.12.10"],
    ["1.8.0", "1.16.11", "30.12.2", "30.12.11", "30.11.11", "30.12.11"],
] as const;

/** What the version line may name, as text for users. */
export const SUPPORTED =
    "edge-YY.M.N (year, month 1-12, number) from edge-24.3.1 on, or stable-2.14.N up to stable-2.14.10";

/** `edge-24.7.5` or `stable-2.14.10` -> the release and its charts; a fault where the text is no release of those. */
export function parseLinkerdVersion(
    text: string,
    subject = "linkerdVersion",
): LinkerdVersion | Fault {
    const release = releaseOf(text);
    const charts = release && chartsOf(release);
    return charts
        ? { ...release, charts }
        : {
              subject,
              value: text,
              rule: `a Linkerd version reads ${SUPPORTED}, without leading zeros`,
              next: "pulumi config set linkerdVersion edge-24.7.5 (or another of these releases)",
          };
}

function chartsOf(release: LinkerdRelease): LinkerdVersion["charts"] | undefined {
    const { channel, tag, numbers } = release;
    if (channel === "edge") {
        return reaches(tag, FIRST_EDGE) ? named(() => `20${numbers.join(".")}`) : undefined;
    }
    const stable = release.minor === 14 ? STABLE_CHARTS[numbers[2]] : undefined;
    return stable && named((index) => stable[index] ?? "");
}

function named(versionAt: (index: number) => string): LinkerdVersion["charts"] {
    const entries = LINKERD_CHARTS.map((name, index) => [name, versionAt(index)] as const);
    return Object.fromEntries(entries) as Record<LinkerdChart, string>;
}

/**
 * The release that a chart belongs to: linkerd-crds 2024.7.5 -> edge-24.7.5; undefined for any other text. Of releases with
 * the same chart the first: linkerd-crds 1.8.0 -> stable-2.14.0.
 */
export function versionOfChart(chart: LinkerdChart, version: string): LinkerdVersion | undefined {
    const stable = STABLE_CHARTS.findIndex((one) => one[LINKERD_CHARTS.indexOf(chart)] === version);
    const tag = stable >= 0 ? `stable-2.14.${stable}` : `edge-${version.slice(2)}`;
    const found = parseLinkerdVersion(tag);
    return !isFault(found) && found.charts[chart] === version ? found : undefined;
}

/** The Helm repository of a release's channel, where its charts are (linkerd.io/2/tasks/install-helm). */
export function repositoryOf({ channel }: LinkerdRelease): string {
    return `https://helm.linkerd.io/${channel}`;
}

/** The later of the releases; undefined for none. */
export function latest(versions: readonly LinkerdVersion[]): LinkerdVersion | undefined {
    return versions.reduce<LinkerdVersion | undefined>(
        (best, version) => (best && compareReleases(best, version) >= 0 ? best : version),
        undefined,
    );
}

export function isFault<T extends object>(value: T | Fault): value is Fault {
    return "rule" in value && "subject" in value;
}
