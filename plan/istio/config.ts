import type { Fault } from "../faults";
import { gatewaysOf, targetsOf, type IstioGateway, type NamedWave, type Target } from "./choices";
import { Names, type ForeignRevision, type IstioRevision } from "./names";
import type { IstioSection } from "./section";

/** The section with every name resolved; plain data but for `revisionOf`. */
export interface IstioConfig {
    readonly namespace: string;
    readonly base: IstioSection["base"];
    readonly revisions: readonly IstioRevision[];
    readonly foreign: readonly ForeignRevision[];
    /** Tag -> revision; without `default`. */
    readonly tags: ReadonlyMap<string, string>;
    readonly defaultRevision: string | undefined;
    /** By namespace, those of the waves among them. */
    readonly target: ReadonlyMap<string, Target>;
    readonly gateways: readonly IstioGateway[];
    readonly guard: IstioSection["guard"];
    /** What a tag, a revision or `default` stands for; undefined for any other text. */
    readonly revisionOf: (choice: string) => string | undefined;
}

/**
 * Resolves the section against the waves of `rollout` and gathers every fault that goes across keys. The config lacks what
 * has a fault; it is of use only without any.
 */
export function resolveIstio(
    section: IstioSection,
    waves: readonly NamedWave[],
): { readonly config: IstioConfig; readonly faults: readonly Fault[] } {
    const faults: Fault[] = [];
    const names = new Names(section, faults);
    const target = targetsOf(section, waves, names, faults);
    const config: IstioConfig = {
        namespace: section.namespace,
        base: section.base,
        revisions: names.revisions,
        foreign: names.foreign,
        tags: names.tags,
        defaultRevision: section.defaultRevision,
        target,
        gateways: gatewaysOf(section, names, target, faults),
        guard: section.guard,
        revisionOf: (choice) => names.resolve(choice)?.revision,
    };
    return { config, faults };
}
