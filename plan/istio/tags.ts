import type { LiveIstio } from "../../cluster/istio/observe";
import type { Wave } from "../waves";
import type { IstioConfig } from "./config";
import { foreignDefault } from "./foreign";
import { DEFAULT } from "./section";

export interface PlannedTag {
    readonly tag: string;
    readonly revision: string;
    /** The wave before which it moves, the first with a namespace that chooses it; undefined: before all of them. */
    readonly wave: string | undefined;
}

export function plannedTags(
    config: IstioConfig,
    assigned: ReadonlyMap<string, string>,
    waves: readonly Wave[],
): PlannedTag[] {
    const { tags, defaultRevision } = config;
    const early = defaultRevision !== undefined && foreignDefault(config) === undefined;
    const all = [...tags, ...(early ? [[DEFAULT, defaultRevision] as const] : [])];
    return all.map(([tag, revision]) => ({
        tag,
        revision,
        wave: firstWave(tag, assigned, config, waves),
    }));
}

/** Those that take the place of a foreign control plane, after it has gone. */
export function lateTags(config: IstioConfig): Omit<PlannedTag, "wave">[] {
    const { defaultRevision: revision } = config;
    return revision !== undefined && foreignDefault(config)?.remove === true
        ? [{ tag: DEFAULT, revision }]
        : [];
}

function firstWave(
    choice: string,
    assigned: ReadonlyMap<string, string>,
    { target }: IstioConfig,
    waves: readonly Wave[],
): string | undefined {
    const used = new Set(
        [...target].filter(([, one]) => one.choice === choice).map(([name]) => assigned.get(name)),
    );
    return waves.find(({ name }) => used.has(name))?.name;
}

export function tagLines(config: IstioConfig, { injection }: LiveIstio): string[] {
    const { tags, defaultRevision } = config;
    const before = new Map(
        injection.injectors.flatMap(({ tag, revision }) =>
            tag === undefined ? [] : [[tag, revision] as const],
        ),
    );
    const stays = foreignDefault(config)?.remove === false;
    const after = new Map([
        ...tags,
        ...(defaultRevision === undefined || stays ? [] : [[DEFAULT, defaultRevision] as const]),
    ]);
    const lines = [...after].map(([tag, revision]) => {
        const from = before.get(tag);
        return from === revision
            ? `tag ${tag}: ${revision}`
            : `tag ${tag}: ${from ?? "none"} -> ${revision}`;
    });
    const others = [...before].filter(([tag]) => !after.has(tag));
    return [
        ...lines,
        ...others.map(([tag, revision]) => `tag ${tag}: ${revision} -> not in the stack file`),
    ];
}

export const DEFAULT_VALIDATOR = "istiod-default-validator";

/** Without a default revision nobody checks objects that name none. */
export function validatorLines(config: IstioConfig, live: LiveIstio, stack: string): string[] {
    const goes =
        config.defaultRevision === undefined &&
        live.webhooks.some((one) => one.name === DEFAULT_VALIDATOR && one.stack === stack);
    return goes
        ? [
              "warning: the default validator goes: Istio's objects without a revision's label are then written unchecked; istio.defaultRevision keeps it",
          ]
        : [];
}
