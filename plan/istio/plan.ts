import type { LiveIstio } from "../../cluster/istio/observe";
import { recordText } from "../policy/record";
import type { Wave, WaveSettings } from "../waves";
import {
    baseVersion,
    isOfBase,
    isService,
    plannedService,
    sharedObjects,
    type PlannedService,
} from "./base";
import type { IstioConfig } from "./config";
import { findingsOf, type IstioFindings } from "./findings";
import { plannedGateways, type PlannedGateway } from "./gateways";
import type { KubeObject, Manifests, ObjectName } from "./manifests";
import { adoptedNames } from "./ownership";
import {
    latestOf,
    newer,
    plannedRevisions,
    versionText,
    type PlannedRevision,
    type PlannedSource,
} from "./revisions";
import { lateTags, plannedTags, type PlannedTag } from "./tags";
import type { Planned } from "./target";
import { assignWaves, restOf, waveOf, type IstioWave } from "./waves";

/** What an update will do, decided. */
export interface IstioPlan extends IstioFindings {
    /** Version of the chart base; undefined where every revision comes from rendered manifests. */
    readonly base: string | undefined;
    /** CRDs and shared objects of rendered manifests, but for Service istiod. */
    readonly shared: readonly KubeObject[];
    /** Service istiod of rendered manifests, which the shared validator calls. */
    readonly service: PlannedService | undefined;
    /** What somebody else may have made that becomes the stack's, fields that a later release drops included. */
    readonly adopted: readonly ObjectName[];
    readonly revisions: readonly PlannedRevision[];
    readonly tags: readonly PlannedTag[];
    /** Those that take the place of a foreign control plane, after it has gone. */
    readonly lateTags: readonly Omit<PlannedTag, "wave">[];
    readonly namespaces: string[];
    readonly waves: readonly IstioWave[];
    readonly wave: (name: string) => IstioWave;
    /** How workloads restart whose namespace leaves the stack. */
    readonly settings: WaveSettings;
    readonly gateways: readonly PlannedGateway[];
    /** The newest version that a namespace chooses. */
    readonly newest: string;
    /** What each namespace will choose. */
    readonly planned: ReadonlyMap<string, Planned>;
    /** Versions that ran here, those of the stack file included, for the record. */
    readonly ran: string;
}

export function planIstio(
    config: IstioConfig,
    waves: readonly Wave[],
    live: LiveIstio,
    stack: string,
    manifests: Manifests,
    overrides: ReadonlySet<string> = new Set(),
): IstioPlan {
    const assigned = assignWaves(config, waves);
    const planned = waves.map(({ name }) => waveOf(name, assigned, config, live));
    const empty: IstioWave = { name: "", namespaces: [], version: "", trigger: "" };
    const fromCharts = config.revisions.filter((one) => one.manifests === undefined);
    const rendered = config.revisions.filter((one) => one.manifests !== undefined);
    const newest = latestOf(rendered);
    const base = fromCharts.length === 0 ? undefined : baseVersion(fromCharts, live).text;
    const shared = sharedObjects(config, newest, manifests).filter(
        (one) => base === undefined || !isOfBase(one),
    );
    const gateways = plannedGateways(config, manifests);
    const { name: _name, select: _select, ...settings } = restOf(waves);
    return {
        base,
        shared: shared.filter((one) => !isService(one)),
        service: newest && plannedService(shared.find(isService), newest.name, config, live),
        adopted: adoptedNames(shared, gateways),
        revisions: plannedRevisions(config, manifests),
        tags: plannedTags(config, assigned, waves),
        lateTags: lateTags(config),
        namespaces: [...config.target.keys()].sort(),
        waves: planned,
        wave: (name) => planned.find((one) => one.name === name) ?? { ...empty, name },
        settings: { ...settings, gates: { pause: false } },
        gateways,
        planned: new Map(
            [...config.target].map(([namespace, { revision }]) => [
                namespace,
                { revision, version: versionText(revision, config, live) },
            ]),
        ),
        newest: planned
            .map((one) => one.version)
            .reduce((best, one) => (newer(one, best) ? one : best), ""),
        ran: recordText([
            ...live.ran,
            ...live.istiods.map(({ version }) => version),
            ...config.revisions.map(({ version }) => version.text),
        ]),
        ...findingsOf(config, waves, live, stack, manifests, overrides),
    };
}

/** The charts that a plan needs. */
export function chartsOf({ base, revisions, gateways }: IstioPlan) {
    const named = (name: string, source: PlannedSource) =>
        "version" in source ? [{ name, version: source.version }] : [];
    const all = [
        ...(base === undefined ? [] : [{ name: "base", version: base }]),
        ...revisions.flatMap(({ source }) => named("istiod", source)),
        ...gateways.flatMap(({ source }) => named("gateway", source)),
    ];
    return [...new Map(all.map((one) => [`${one.name} ${one.version}`, one])).values()];
}
