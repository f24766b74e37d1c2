import type { LiveComponent, LiveInstallation } from "../cluster/adoption";
import type { LiveLinkerd } from "../cluster/linkerd";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
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
    withoutSettings,
    type Section,
    type Settings,
} from "./settings";
import { at, merge } from "./values";
import { isFault, parseLinkerdVersion } from "./versions";
import { vizSettings } from "./vizSettings";

/** Annotation of viz's pods, for the post-renderer only: checksums to keep, by Deployment, as JSON. */
export const CHECKSUMS_ANNOTATION = "mesh-upgrade/checksums";

/** What the stack goes on with of an installation, its own or one that it takes over. */
export interface Adoption {
    /** What the stack keeps in its ConfigMap; undefined: it takes nothing over. */
    readonly keep: Settings | undefined;
    /** Values under those of the stack file, as far as the target's charts know them. */
    readonly base: Settings;
    /** `checksum/config` by Deployment of the control plane, where the target is what runs. */
    readonly checksums: Readonly<Record<string, string>>;
    /** Whether the live Helm release of viz is imported. */
    readonly importViz: boolean;
    /** Whether viz is taken over object by object, into a new Helm release. */
    readonly markViz: boolean;
    readonly lines: readonly string[];
}

interface ChartName {
    readonly name: string;
    readonly version: string;
}

/** Default values by chart: `linkerd-viz 2024.5.3`. */
export type Defaults = ReadonlyMap<string, ChartValues>;

const CHARTS: Readonly<Record<Section, string>> = {
    crds: "linkerd-crds",
    controlPlane: "linkerd-control-plane",
    viz: "linkerd-viz",
};

type AdoptionConfig = Pick<
    LinkerdStackConfig,
    "adopt" | "linkerdVersion" | "crds" | "controlPlane" | "viz"
>;

/**
 * The chart whose defaults tell what the live settings are: of a control plane that Helm installed, which keeps whole
 * values only. None where nothing is asked of it.
 */
export function settingsChart(config: AdoptionConfig, live: LiveLinkerd): ChartName[] {
    const { taken, foreign, overrides } = live.installation;
    if (!config.adopt || taken || !foreign || overrides) {
        return [];
    }
    const version = parseLinkerdVersion(live.linkerdVersion ?? "");
    return isFault(version) ? [] : [{ name: CHARTS.controlPlane, version: version.chartVersion }];
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
    const unknown = unknownOf(taken, config, defaults);
    const kept = keptAsTheyAre(config, live);
    const base = Object.fromEntries(
        SECTIONS.map((section) => [
            section,
            merge(withoutSettings(taken[section], unknown[section]), kept[section]),
        ]),
    ) as unknown as Settings;
    return {
        keep: keep as Settings | undefined,
        base,
        checksums: runs(live.linkerdVersion, config) ? checksumsOf(installation.controlPlane) : {},
        importViz: config.adopt && config.viz.enabled && installation.release !== undefined,
        markViz:
            config.adopt &&
            config.viz.enabled &&
            installation.release === undefined &&
            installation.viz.length > 0,
        lines: linesOf(config, live, taken, unknown),
    };
}

function withoutViz(settings: Settings, { viz }: AdoptionConfig): Settings {
    return viz.enabled ? settings : { ...settings, viz: {} };
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
    const vizIsForeign =
        config.viz.enabled &&
        live.namespaces.find(({ name }) => name === "linkerd-viz")?.stack !== stack;
    const viz = before?.viz ?? (vizIsForeign ? liveViz(installation, live) : {});
    if (before) {
        const empty = settingsOf(before.viz).length === 0;
        return { ...before, viz: empty && vizIsForeign ? liveViz(installation, live) : before.viz };
    }
    if (!installation.foreign) {
        return { ...NO_SETTINGS, viz };
    }
    const controlPlane = liveControlPlane(config, live, defaults);
    return "subject" in controlPlane
        ? [controlPlane as unknown as Fault]
        : { crds: liveCrds(live), controlPlane, viz };
}

function liveControlPlane(
    config: AdoptionConfig,
    live: LiveLinkerd,
    defaults: Defaults,
): ChartValues | Fault {
    const { overrides, values, heartbeatSchedule } = live.installation;
    const schedule = heartbeatSchedule ? { heartbeatSchedule } : {};
    if (overrides) {
        return merge(schedule, overrides);
    }
    const [chart] = settingsChart(config, live);
    const before = chart && defaults.get(`${chart.name} ${chart.version}`);
    if (!before) {
        return {
            subject: "ConfigMap linkerd/linkerd-config",
            value: live.linkerdVersion ?? "no linkerdVersion",
            rule: "tells the settings of the control plane only next to the defaults of its chart, and that chart is not to be had",
            next: `put ${chart ? `${chart.name}-${chart.version}` : "the chart of the release that runs"} into charts`,
        };
    }
    const own = withoutDerived("controlPlane", values, live.linkerdVersion);
    return merge(schedule, difference(own, before));
}

/** An installation without the routes of the Gateway API was asked to leave them out. */
function liveCrds(live: LiveLinkerd): ChartValues {
    const own = live.crds.filter((crd) => crd.linkerd);
    const routes = own.some(({ name }) => name.endsWith(".gateway.networking.k8s.io"));
    return own.length > 0 && !routes ? { enableHttpRoutes: false } : {};
}

function liveViz(installation: LiveInstallation, live: LiveLinkerd): ChartValues {
    const { release } = installation;
    if (release) {
        const { podAnnotations, ...config } = release.config as { podAnnotations?: ChartValues };
        const { [CHECKSUMS_ANNOTATION]: _ours, ...annotations } = podAnnotations ?? {};
        const kept = Object.keys(annotations).length > 0 ? { podAnnotations: annotations } : {};
        return withoutDerived("viz", { ...config, ...kept }, live.linkerdVersion);
    }
    return installation.viz.length > 0 ? vizSettings(installation, vizRelease(installation)) : {};
}

/** The release that viz is of, `edge-24.5.3`, as far as it can be known. */
function vizRelease({ release, viz }: LiveInstallation): string | undefined {
    return release
        ? release.chartVersion.replace(/^20/, "edge-")
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

type Unknown = Readonly<Record<Section, readonly (readonly string[])[]>>;

function unknownOf(taken: Settings, config: AdoptionConfig, defaults: Defaults): Unknown {
    return Object.fromEntries(
        SECTIONS.map((section) => {
            const chart = defaults.get(`${CHARTS[section]} ${config.linkerdVersion.chartVersion}`);
            return [section, chart ? unknownSettings(taken[section], chart) : []];
        }),
    ) as unknown as Unknown;
}

function linesOf(
    { adopt, linkerdVersion, viz }: AdoptionConfig,
    live: LiveLinkerd,
    taken: Settings,
    unknown: Unknown,
): string[] {
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
        ...SECTIONS.flatMap((section) =>
            unknown[section].map(
                (path) =>
                    `setting ${section}.values.${showPath(path)} is not known to chart ${CHARTS[section]} ${linkerdVersion.chartVersion}: left out while this version is the target`,
            ),
        ),
    ];
}
