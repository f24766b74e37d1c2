import type { LiveComponent, LiveInstallation } from "../cluster/adoption";
import type { LiveLinkerd } from "../cluster/linkerd";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
import { valuesLeftOut } from "./gatewayApi";
import { placeOf, sectionsToAsk } from "./movedSettings";
import {
    difference,
    NO_SETTINGS,
    SECTIONS,
    settingFaults,
    settingLines,
    settingsOf,
    showPath,
    unknownSettings,
    withoutDerived,
    type ChartDefaults,
    type Section,
    type SettingPath,
    type Settings,
} from "./settings";
import { at, merge } from "./values";
import {
    isFault,
    latest,
    parseLinkerdVersion,
    repositoryOf,
    versionOfChart,
    type LinkerdChart,
    type LinkerdVersion,
} from "./versions";
import { vizSettings } from "./vizSettings";

/** Annotation of viz's pods, for the post-renderer only: checksums to keep, by Deployment, as JSON. */
export const CHECKSUMS_ANNOTATION = "mesh-upgrade/checksums";

/** What the stack goes on with of an installation, its own or one that it takes over. */
export interface Adoption {
    /** What the stack keeps in its ConfigMap; undefined: it takes nothing over. */
    readonly keep: Settings | undefined;
    /** Values under those of the stack file. */
    readonly base: Settings;
    /** `checksum/config` by Deployment of the control plane, where the target is what runs. */
    readonly checksums: Readonly<Record<string, string>>;
    /** Whether the live Helm release of viz is imported. */
    readonly importViz: boolean;
    /** Whether viz is taken over object by object, into a new Helm release. */
    readonly markViz: boolean;
    /**
     * Whether preview compares what runs of viz with what Helm would make of it: where this update takes it over. An upgrade of
     * a release changes it anyway.
     */
    readonly compareViz: boolean;
    readonly lines: readonly string[];
}

export interface ChartName {
    readonly name: string;
    readonly version: string;
    /** Where it comes from instead of where all charts do. */
    readonly source?: string | undefined;
}

/** By chart: `linkerd-viz 2024.5.3`. */
export type Defaults = ReadonlyMap<string, ChartDefaults>;

export const CHARTS = {
    crds: "linkerd-crds",
    controlPlane: "linkerd-control-plane",
    viz: "linkerd-viz",
} as const satisfies Readonly<Record<Section, LinkerdChart>>;

type AdoptionConfig = Pick<
    LinkerdStackConfig,
    "adopt" | "linkerdVersion" | "charts" | "crds" | "controlPlane" | "viz"
>;

/**
 * Charts of what runs, whose defaults are looked at: they tell what the live settings are where whole values are all that is
 * kept (a control plane of Helm's, a viz of the CLI's), and which settings another target no longer knows.
 */
export function runningCharts(config: AdoptionConfig, live: LiveLinkerd): ChartName[] {
    if (!config.adopt) {
        return runs(live.linkerdVersion, config)
            ? []
            : withSource(config, live, sectionsToAsk(config));
    }
    const { taken, foreign, overrides, release } = live.installation;
    const untold: Readonly<Record<Section, boolean>> = {
        crds: false,
        controlPlane: !taken && foreign && !overrides,
        viz: config.viz.enabled && !release,
    };
    return withSource(
        config,
        live,
        SECTIONS.filter((section) => untold[section] || !runs(live.linkerdVersion, config)),
    );
}

function withSource(
    config: AdoptionConfig,
    live: LiveLinkerd,
    sections: readonly Section[],
): ChartName[] {
    return sections
        .map((section) => {
            const release = runningRelease(section, live);
            const source = config[section].charts ?? config.charts;
            return (
                release && { ...chartOf(section, release), source: source ?? repositoryOf(release) }
            );
        })
        .filter((one) => one !== undefined);
}

export function runningChart(section: Section, live: LiveLinkerd): ChartName | undefined {
    const release = runningRelease(section, live);
    return release && chartOf(section, release);
}

function runningRelease(section: Section, live: LiveLinkerd): LinkerdVersion | undefined {
    const tag = section === "viz" ? vizRelease(live.installation) : live.linkerdVersion;
    const release = parseLinkerdVersion(tag ?? "");
    return isFault(release) ? undefined : release;
}

function chartOf(section: Section, { charts }: LinkerdVersion): ChartName {
    return { name: CHARTS[section], version: charts[CHARTS[section]] };
}

function defaultsOf(chart: ChartName | undefined, defaults: Defaults): ChartDefaults | undefined {
    return chart && defaults.get(`${chart.name} ${chart.version}`);
}

export function planAdoption(
    config: AdoptionConfig,
    live: LiveLinkerd,
    stack: string,
    defaults: Defaults,
): Adoption | readonly Fault[] {
    const { installation } = live;
    const own = {
        crds: config.crds.values,
        controlPlane: config.controlPlane.values,
        viz: config.viz.values,
    };
    if (!config.adopt && installation.taken) {
        const faults = settingFaults(withoutViz(installation.taken, config), own);
        if (faults.length > 0) {
            return faults;
        }
    }
    const keep = config.adopt ? settingsToTake(config, live, stack, defaults) : undefined;
    if (Array.isArray(keep)) {
        return keep as readonly Fault[];
    }
    const taken = withoutViz((keep as Settings | undefined) ?? NO_SETTINGS, config);
    const kept = keptAsTheyAre(config, live);
    const base = Object.fromEntries(
        SECTIONS.map((section) => [section, merge(taken[section], kept[section])]),
    ) as unknown as Settings;
    const markViz =
        config.adopt &&
        config.viz.enabled &&
        installation.release === undefined &&
        installation.viz.length > 0;
    return {
        keep: keep as Settings | undefined,
        base,
        checksums: runs(live.linkerdVersion, config) ? checksumsOf(installation.controlPlane) : {},
        importViz: config.adopt && config.viz.enabled && installation.release !== undefined,
        markViz,
        compareViz:
            config.adopt &&
            isVizForeign(config, live, stack) &&
            (markViz || runs(vizRelease(installation), config)),
        lines: linesOf(config, live, taken, defaults),
    };
}

function withoutViz(settings: Settings, { viz }: AdoptionConfig): Settings {
    return viz.enabled ? settings : { ...settings, viz: {} };
}

function isVizForeign({ viz }: AdoptionConfig, { namespaces }: LiveLinkerd, stack: string) {
    const owner = namespaces.find(({ name }) => name === "linkerd-viz")?.stack;
    return viz.enabled && owner !== stack;
}

/** Settings that were taken over before, else those that are live. */
function settingsToTake(
    config: AdoptionConfig,
    live: LiveLinkerd,
    stack: string,
    defaults: Defaults,
): Settings | readonly Fault[] {
    const { installation } = live;
    const before = installation.taken;
    const vizIsForeign = isVizForeign(config, live, stack);
    const viz = before?.viz ?? (vizIsForeign ? liveViz(live, defaults) : {});
    if (before) {
        const empty = settingsOf(before.viz).length === 0;
        return { ...before, viz: empty && vizIsForeign ? liveViz(live, defaults) : before.viz };
    }
    if (!installation.foreign) {
        return { ...NO_SETTINGS, viz };
    }
    const controlPlane = liveControlPlane(live, defaults);
    return "subject" in controlPlane
        ? [controlPlane as unknown as Fault]
        : { crds: liveCrds(live), controlPlane, viz };
}

function liveControlPlane(live: LiveLinkerd, defaults: Defaults): ChartValues | Fault {
    const { overrides, values, heartbeatSchedule } = live.installation;
    const schedule = heartbeatSchedule ? { heartbeatSchedule } : {};
    if (overrides) {
        return merge(schedule, overrides);
    }
    const chart = runningChart("controlPlane", live);
    const before = defaultsOf(chart, defaults);
    if (!before) {
        return {
            subject: "ConfigMap linkerd/linkerd-config",
            value: live.linkerdVersion ?? "no linkerdVersion",
            rule: "tells the settings of the control plane only next to the defaults of its chart, and that chart is not to be had",
            next: `put ${chart ? `${chart.name}-${chart.version}` : "the chart of the release that runs"} into charts`,
        };
    }
    const own = withoutDerived("controlPlane", values, live.linkerdVersion);
    return merge(schedule, difference(own, before.values));
}

/** An installation without routes of the Gateway API that its chart has was asked to leave them out. */
function liveCrds(live: LiveLinkerd): ChartValues {
    const own = live.crds.filter((crd) => crd.linkerd);
    const versions = own.map((crd) => versionOfChart(CHARTS.crds, crd.chartVersion ?? ""));
    const release = latest(versions.filter((one) => one !== undefined))?.tag ?? live.linkerdVersion;
    const names = own.map(({ name }) => name);
    return own.length > 0 ? valuesLeftOut(names, release) : {};
}

function liveViz(live: LiveLinkerd, defaults: Defaults): ChartValues {
    const { installation } = live;
    const { release } = installation;
    if (release) {
        const { podAnnotations, ...config } = release.config as { podAnnotations?: ChartValues };
        const { [CHECKSUMS_ANNOTATION]: _ours, ...annotations } = podAnnotations ?? {};
        const kept = Object.keys(annotations).length > 0 ? { podAnnotations: annotations } : {};
        return withoutDerived("viz", { ...config, ...kept }, live.linkerdVersion);
    }
    const chart = defaultsOf(runningChart("viz", live), defaults);
    return installation.viz.length > 0
        ? vizSettings(installation, vizRelease(installation), chart?.values)
        : {};
}

/** The release that viz is of, `edge-24.5.3`, as far as it can be known. */
function vizRelease({ release, viz }: LiveInstallation): string | undefined {
    return release
        ? versionOfChart("linkerd-viz", release.chartVersion)?.tag
        : viz.map(({ createdBy }) => createdBy?.split(" ").at(-1)).find(Boolean);
}

/** Whether what runs is of the version line's release. */
function runs(release: string | undefined, { linkerdVersion }: AdoptionConfig): boolean {
    return release === linkerdVersion.tag;
}

/**
 * Values without which an unchanged version would restart pods: who made an object, and the checksums of templates that
 * held another installer's certificates.
 */
function keptAsTheyAre(config: AdoptionConfig, live: LiveLinkerd): Settings {
    const { values, viz, release } = live.installation;
    const madeBy = values["cliVersion"];
    const vizMadeBy = viz
        .map(({ createdBy }) => createdBy)
        .find((one) => one?.startsWith("linkerd/cli "));
    const sameViz = config.viz.enabled && runs(vizRelease(live.installation), config);
    const kept = release && at(release.config["podAnnotations"], CHECKSUMS_ANNOTATION);
    const certificatesMove =
        config.adopt && viz.length > 0 && at(release?.config, "tap.externalSecret") !== true;
    const checksums = kept ?? (certificatesMove ? JSON.stringify(checksumsOf(viz)) : undefined);
    return {
        crds: {},
        controlPlane: runs(live.linkerdVersion, config) && madeBy ? { cliVersion: madeBy } : {},
        viz: sameViz
            ? {
                  ...(vizMadeBy ? { cliVersion: vizMadeBy } : {}),
                  ...(checksums ? { podAnnotations: { [CHECKSUMS_ANNOTATION]: checksums } } : {}),
              }
            : {},
    };
}

function checksumsOf(components: readonly LiveComponent[]): Record<string, string> {
    return Object.fromEntries(
        components
            .filter((one) => one.checksum !== undefined)
            .map((one): [string, string] => [one.name, one.checksum ?? ""])
            .sort(([a], [b]) => a.localeCompare(b)),
    );
}

/** A line for each setting that the target no longer knows; it is handed on all the same. */
function unknownLines(
    section: Section,
    taken: Settings,
    { config, live, defaults }: { config: AdoptionConfig; live: LiveLinkerd; defaults: Defaults },
): string[] {
    const running = runningChart(section, live);
    const name = CHARTS[section];
    const version = config.linkerdVersion.charts[name];
    const target = defaultsOf({ name, version }, defaults);
    if (
        !target ||
        !running ||
        running.version === version ||
        settingsOf(taken[section]).length === 0
    ) {
        return [];
    }
    const before = defaultsOf(running, defaults);
    return before
        ? unknownSettings(taken[section], before, target).map(
              (path: SettingPath) =>
                  `setting ${section}.values.${showPath(path)} is not known to chart ${name} ${version}: handed on, without effect there${placeOf(section, path)}`,
          )
        : [
              `${section}.values: whether chart ${name} ${version} knows every setting that was taken over was not checked: chart ${name} ${running.version}, which runs, is not to be had`,
          ];
}

function linesOf(
    config: AdoptionConfig,
    live: LiveLinkerd,
    taken: Settings,
    defaults: Defaults,
): string[] {
    const { adopt, viz } = config;
    if (!adopt) {
        return [];
    }
    const lines = settingLines(taken);
    const { release, foreign, taken: before } = live.installation;
    return [
        ...(foreign && !before
            ? [
                  `adopt: takes over the control plane ${live.linkerdVersion ?? ""} (${live.installation.overrides ? "installed by the linkerd CLI" : "installed by Helm"})`,
              ]
            : []),
        ...(viz.enabled && live.installation.viz.length > 0
            ? [
                  release
                      ? `adopt: viz goes on as Helm release linkerd-viz/linkerd-viz, now at revision ${release.revision}`
                      : "adopt: viz becomes Helm release linkerd-viz/linkerd-viz; its objects are kept",
              ]
            : []),
        ...(lines.length > 0
            ? [
                  "adopt: settings taken over, under those of the stack file; to go on without adopt, write them there:",
                  ...lines.map((line) => `  ${line}`),
              ]
            : []),
        ...SECTIONS.flatMap((section) => unknownLines(section, taken, { config, live, defaults })),
    ];
}
