// Settings of the stack file that the target's chart does not know. Helm hands them on without a word, and they do nothing.
import type { ChartName, Defaults } from "./adoption";
import type { ChartValues, LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
import type { LinkerdPlan } from "./linkerd";
import {
    SECTIONS,
    isKnown,
    settingsOf,
    showPath,
    type ChartDefaults,
    type Section,
    type SettingPath,
} from "./settings";
import { at } from "./values";

/** A setting that went from one release to a later one. Source: the charts' values.yaml at their tags, and their templates. */
interface Move {
    readonly section: Section;
    /** In older charts. */
    readonly from: string;
    /** In newer ones; undefined: nothing takes its place. */
    readonly to?: string;
    /** What counts instead, where nothing takes its place. */
    readonly instead?: string;
}

const MOVES: readonly Move[] = [
    // edge-25.3.1; the name of before still counts in the charts of after.
    { section: "crds", from: "enableHttpRoutes", to: "installGatewayAPI" },
    // edge-25.3.3; deprecated, and counts still.
    { section: "controlPlane", from: "proxy.cores", to: "proxy.runtime.workers.minimum" },
    // edge-25.10.1
    {
        section: "controlPlane",
        from: "controlPlaneTracing",
        to: "controller.tracing.enabled",
    },
    {
        section: "controlPlane",
        from: "controlPlaneTracingNamespace",
        to: "controller.tracing.collector.endpoint",
    },
    // edge-24.6.4
    {
        section: "controlPlane",
        from: "proxyInit.resources",
        instead: "proxy.resources count for proxy-init",
    },
    // edge-25.8.3
    {
        section: "controlPlane",
        from: "policyController.image",
        instead: "the policy controller comes with controllerImage",
    },
    // edge-25.11.3
    {
        section: "controlPlane",
        from: "proxyInit.image",
        instead: "proxy-init comes with proxy.image",
    },
];

/** What a setting is called in other releases, or what counts instead, as the end of a sentence; empty where nobody knows. */
export function placeOf(section: Section, path: SettingPath): string {
    const found = moveOf(section, path);
    return found === undefined
        ? ""
        : found.to === undefined
          ? `; ${found.instead}`
          : `; it is ${section}.values.${found.to} in other releases`;
}

interface Place {
    /** undefined: nothing takes its place. */
    readonly to?: string | undefined;
    readonly instead?: string | undefined;
}

/** Its other name, in newer charts or in older ones. */
function moveOf(section: Section, path: SettingPath): Place | undefined {
    const dotted = path.join(".");
    const isAt = (place: string | undefined) =>
        place !== undefined && (dotted === place || dotted.startsWith(`${place}.`));
    const own = MOVES.filter((one) => one.section === section);
    const forward = own.find(({ from }) => isAt(from));
    const backward = own.find(({ to }) => isAt(to));
    return forward ?? (backward && { to: backward.from });
}

type MovedConfig = Pick<LinkerdStackConfig, "crds" | "controlPlane" | "viz">;

/** Charts by section; `before` is undefined where nothing is installed, or the same. */
export type ChartsOfWay = Readonly<
    Record<Section, { readonly before: ChartName | undefined; readonly target: ChartName }>
>;

/**
 * Settings of the stack file that the target's chart does not know. Where the chart has another name for one, and that is not
 * set either, an install or upgrade is refused: an edit saves the setting. All else is told; the way back is not held up.
 */
export function unknownToTarget(
    config: MovedConfig,
    charts: ChartsOfWay,
    defaults: Defaults,
    change: LinkerdPlan["change"],
): { readonly faults: readonly Fault[]; readonly lines: readonly string[] } {
    const refuses = change === "install" || change === "upgrade";
    const faults: Fault[] = [];
    const lines: string[] = [];
    for (const section of sectionsToAsk(config)) {
        const { values } = config[section];
        const { before, target } = charts[section];
        const chart = `chart ${target.name} ${target.version}`;
        const known = defaultsOf(target, defaults);
        if (!known) {
            continue;
        }
        const unknown = settingsOf(values).filter(
            ([one]) => !isKnown(one, known) && !READ_BY_OTHERS.includes(one.join(".")),
        );
        for (const [path, value] of unknown) {
            const subject = `${section}.values.${showPath(path)}`;
            const to = moveOf(section, path)?.to;
            const hasPlace = to !== undefined && isKnown(to.split("."), known);
            if (refuses && hasPlace && at(values, to) === undefined) {
                faults.push({
                    subject,
                    value: JSON.stringify(value),
                    rule: `is not known to ${chart} and would do nothing; there it is ${section}.values.${to}`,
                    next: `set ${section}.values.${to} (its form may be another); ${showPath(path)} may stay beside it for the way back`,
                });
                continue;
            }
            const place = placeOf(section, path) || candidates(path, before, known, defaults);
            lines.push(`setting ${subject} is not known to ${chart}: without effect there${place}`);
        }
    }
    return { faults, lines };
}

/** Not for templates: linkerd check reads it in linkerd-config. */
const READ_BY_OTHERS = ["highAvailability"];

/** Sections with settings of the stack file; what is rendered elsewhere has none here. */
export function sectionsToAsk(config: MovedConfig): Section[] {
    return SECTIONS.filter(
        (section) =>
            settingsOf(config[section].values).length > 0 &&
            !("manifests" in config[section] && config[section].manifests !== undefined) &&
            (section !== "viz" || config.viz.enabled),
    );
}

/** Settings of the same last name that the target's values.yaml has and that of before has not. */
function candidates(
    path: SettingPath,
    before: ChartName | undefined,
    target: ChartDefaults,
    defaults: Defaults,
): string {
    const old = before && defaultsOf(before, defaults);
    if (!old || !isKnown(path, { values: old.values, templates: "" })) {
        return "";
    }
    const had = new Set(namesIn(old.values));
    const found = namesIn(target.values).filter(
        (name) => !had.has(name) && name.split(".").at(-1) === path.at(-1),
    );
    return found.length > 0 ? `; new there: ${found.join(", ")}` : "; the chart of before had it";
}

function namesIn(values: ChartValues): string[] {
    return settingsOf(values).map(([path]) => path.join("."));
}

function defaultsOf(chart: ChartName, defaults: Defaults): ChartDefaults | undefined {
    return defaults.get(`${chart.name} ${chart.version}`);
}
