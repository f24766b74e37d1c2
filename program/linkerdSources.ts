import { readRendered, wrapManifests } from "../charts/rendered";
import { locateCharts, readDefaults, type ChartRequest, type LocatedChart } from "../charts/source";
import type { Verification } from "../charts/verify";
import type { KubeApi } from "../cluster/api";
import { keepNewerCrds } from "../cluster/crds";
import type { LiveLinkerd } from "../cluster/linkerd";
import type { LinkerdStackConfig } from "../config";
import { runningCharts } from "../plan/adoption";
import { CNI_CHART } from "../plan/cni";
import { plannedExtensions, type PlannedExtension } from "../plan/extensions";
import { crdVersion, type LinkerdPlan } from "../plan/linkerd";
import { withStacksOwn, write, type Rendered } from "../plan/rendered";
import { repositoryOf, type LinkerdChart, type LinkerdVersion } from "../plan/versions";
import { backupFaults } from "../rollout/backup/faults";

/** Where the manifests of target and live version come from, and whether the backup has a place. */
export async function sourcesOf(
    config: LinkerdStackConfig,
    stack: string,
    live: LiveLinkerd,
    api: KubeApi,
) {
    const crds = crdVersion(config.linkerdVersion, live);
    const repository = config.charts ?? repositoryOf(config.linkerdVersion);
    const [faults, { rendered, faults: unrendered }, charts, extensions, before] =
        await Promise.all([
            backupFaults(config.backup, stack),
            readRendered(config, crds),
            locateCharts(repository, chartsOf(config, crds), process.cwd(), config.verify),
            locateExtensions(plannedExtensions(config), config.verify),
            // Only its defaults are looked at, and the plan tells what it means that it is not to be had.
            locateCharts(repository, runningCharts(config, live)),
        ]);
    // Of extensions only its CRD is looked at.
    const multicluster = extensions.located.filter(({ name }) => name === "multicluster");
    const defaults = await readDefaults([
        ...[...charts.located, ...before.located],
        ...multicluster.map(({ located }) => located),
    ]);
    return {
        ...{ faults: [...faults, ...unrendered], charts, extensions, defaults },
        rendered: await keepNewerCrds(api, rendered, live.crds),
    };
}

/**
 * The charts that the stack's parts come from; those of rendered YAML left out. Without a word of the stack file each comes
 * from the repository of its release's channel: CRDs may be an edge's where the version line went back to stable.
 */
export function chartsOf(
    { linkerdVersion, charts, crds, controlPlane, cni, viz }: LinkerdStackConfig,
    crdsAt: LinkerdVersion,
): readonly ChartRequest[] {
    const of = (name: LinkerdChart, own: string | undefined, release = linkerdVersion) => ({
        name,
        version: release.charts[name],
        source: own ?? charts ?? repositoryOf(release),
    });
    return [
        ...(crds.manifests === undefined ? [of("linkerd-crds", crds.charts, crdsAt)] : []),
        ...(controlPlane.manifests === undefined
            ? [of("linkerd-control-plane", controlPlane.charts)]
            : []),
        of("linkerd-viz", viz.charts),
        ...(cni.enabled ? [of(CNI_CHART, cni.charts)] : []),
    ];
}

/** Rendered YAML as charts, with what the stack makes itself in it. */
export function wrapRendered(
    { clusterUid }: LinkerdStackConfig,
    { crds, controlPlane }: Rendered,
    plan: LinkerdPlan,
): Promise<LocatedChart[]> {
    return Promise.all([
        ...(crds
            ? [
                  wrapManifests(
                      { name: "linkerd-crds", version: plan.crds.charts["linkerd-crds"] },
                      write(crds.documents),
                  ),
              ]
            : []),
        ...(controlPlane
            ? [
                  wrapManifests(
                      {
                          name: "linkerd-control-plane",
                          version: plan.version.charts["linkerd-control-plane"],
                      },
                      withStacksOwn(controlPlane.documents, plan, clusterUid),
                  ),
              ]
            : []),
    ]);
}

/** The charts of the extensions, each with what it is of. */
async function locateExtensions(planned: readonly PlannedExtension[], verify: Verification) {
    const all = await Promise.all(
        planned.map(async (one) => {
            const found = await locateCharts(one.source, [one.chart], process.cwd(), verify);
            return {
                ...found,
                located: found.located.map((chart) => ({ ...one, located: chart })),
            };
        }),
    );
    return {
        located: all.flatMap(({ located }) => located),
        faults: all.flatMap(({ faults }) => faults),
    };
}
