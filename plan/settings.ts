import { isDeepStrictEqual } from "node:util";
import type { ChartValues } from "../config";
import type { Fault } from "./faults";
import { DERIVED, isMap } from "./values";

/** Charts that have settings of their own. */
export const SECTIONS = ["crds", "controlPlane", "viz"] as const;
export type Section = (typeof SECTIONS)[number];

/** Settings by chart, as they stand under `<section>.values` of a stack file. No key, no certificate. */
export type Settings = Readonly<Record<Section, ChartValues>>;

/** The way to one setting; its parts may hold dots (`nodeSelector`, `kubernetes.io/os`). */
export type SettingPath = readonly string[];

/** Where the old installer keeps what the program derives, besides what a stack file must not set. */
const INSTALLERS = ["cliVersion", "configs", "partials", "stage"];

/**
 * What is left of live values without what the program derives (certificates and keys above all) and without the
 * versions of the installed release, with which an installer fills in images.
 */
export function withoutDerived(
    section: Section,
    values: ChartValues,
    release: string | undefined,
): ChartValues {
    return prune(values, (path, value) => {
        const dotted = path.join(".");
        const derived = [...DERIVED[section], ...INSTALLERS].includes(dotted);
        const secret = typeof value === "string" && value.includes("PRIVATE KEY");
        const version = /version$/i.test(path.at(-1) ?? "") && value === release;
        return derived || secret || (version && release !== undefined);
    });
}

/** The part of `values` that is not in `defaults`, as a chart's values.yaml has them. */
export function difference(values: ChartValues, defaults: ChartValues): ChartValues {
    return prune(values, (path, value) =>
        isMap(value) && Object.keys(value).length > 0
            ? false
            : isDeepStrictEqual(value, valueAt(defaults, path)),
    );
}

/** Every setting with its value; a list is one setting. */
export function settingsOf(values: ChartValues, above: SettingPath = []): [SettingPath, unknown][] {
    return Object.entries(values).flatMap(([key, value]): [SettingPath, unknown][] => {
        const path = [...above, key];
        return isMap(value) && Object.keys(value).length > 0
            ? settingsOf(value, path)
            : [[path, value]];
    });
}

/** What a chart says of its settings. */
export interface ChartDefaults {
    /** Its values.yaml. */
    readonly values: ChartValues;
    /** Text of its templates, those of the charts that it brings included. */
    readonly templates: string;
    /** Its values-ha.yaml; undefined where it has none. */
    readonly highAvailability?: ChartValues | undefined;
}

/**
 * Settings that the chart of before had in its values.yaml and that the target's chart has neither there nor in a template:
 * many that templates use stand in values.yaml as a comment only.
 */
export function unknownSettings(
    values: ChartValues,
    before: Pick<ChartDefaults, "values">,
    target: ChartDefaults,
): SettingPath[] {
    return settingsOf(values)
        .map(([path]) => path)
        .filter((path) => {
            const missing = missingPart(path, target.values);
            return (
                missing !== undefined &&
                missingPart(missing, before.values) === undefined &&
                !isUsed(missing, target.templates)
            );
        });
}

/** Whether a chart has a setting in its values.yaml or uses it in a template. */
export function isKnown(path: SettingPath, { values, templates }: ChartDefaults): boolean {
    const missing = missingPart(path, values);
    const above = path.slice(0, -1).map((_, index) => path.slice(0, index + 1));
    return (
        missing === undefined ||
        isUsed(missing, templates) ||
        above.some((one) => isWrittenWhole(one, templates))
    );
}

/** The way to the first key that is not there; undefined where all are. Below an empty map or nothing, anything is. */
function missingPart(path: SettingPath, values: ChartValues): SettingPath | undefined {
    let level: unknown = values;
    for (const [index, key] of path.entries()) {
        if (!isMap(level) || Object.keys(level).length === 0) {
            return undefined;
        }
        if (!(key in level)) {
            return path.slice(0, index + 1);
        }
        level = level[key];
    }
    return undefined;
}

function isUsed(path: SettingPath, templates: string): boolean {
    const name = `.Values.${path.join(".")}`.replace(/[^\w]/g, "\\$&");
    return new RegExp(`${name}(?![\\w-])`).test(templates);
}

/** Whether a template hands on a map as it is (`toYaml .Values.nodeSelector`): then any key below it counts. */
function isWrittenWhole(path: SettingPath, templates: string): boolean {
    const name = `.Values.${path.join(".")}`.replace(/[^\w]/g, "\\$&");
    return new RegExp(`(toYaml|with|range)\\s+\\$?\\w*${name}\\s*(\\||-?\\}\\})`).test(templates);
}

/** `proxy.logLevel`, `nodeSelector["kubernetes.io/os"]`. */
export function showPath(path: SettingPath): string {
    return path
        .map((part) => (/^[\w-]+$/.test(part) ? `.${part}` : `["${part}"]`))
        .join("")
        .replace(/^\./, "");
}

/** `controlPlane.values.proxy.logLevel: "warn"`, of every setting. */
export function settingLines(settings: Settings): string[] {
    return SECTIONS.flatMap((section) =>
        settingsOf(settings[section]).map(
            ([path, value]) => `${section}.values.${showPath(path)}: ${JSON.stringify(value)}`,
        ),
    );
}

/**
 * Settings that were taken over and that the stack file does not name: without `adopt` they would fall back to the
 * charts' defaults.
 */
export function settingFaults(taken: Settings, own: Settings): readonly Fault[] {
    return SECTIONS.flatMap((section) =>
        settingsOf(taken[section])
            .filter(([path]) => valueAt(own[section], path) === undefined)
            .map(([path, value]) => ({
                subject: `${section}.values.${showPath(path)}`,
                value: JSON.stringify(value),
                rule: "was taken over from the installation that was there; without adopt it would be lost",
                next: `write it into the stack file under ${section}.values (another value, too, is a decision), or: pulumi config set adopt true`,
            })),
    );
}

function valueAt(values: ChartValues, path: SettingPath): unknown {
    return path.reduce<unknown>((level, key) => (isMap(level) ? level[key] : undefined), values);
}

/** Without every value that `drops`; a map that becomes empty goes with its last value. */
function prune(
    values: ChartValues,
    drops: (path: SettingPath, value: unknown) => boolean,
    above: SettingPath = [],
): ChartValues {
    const kept: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(values)) {
        const path = [...above, key];
        if (drops(path, value)) {
            continue;
        }
        if (!isMap(value) || Object.keys(value).length === 0) {
            kept[key] = value;
            continue;
        }
        const inner = prune(value, drops, path);
        if (Object.keys(inner).length > 0) {
            kept[key] = inner;
        }
    }
    return kept;
}

/** Nothing was taken over. */
export const NO_SETTINGS: Settings = { crds: {}, controlPlane: {}, viz: {} };
