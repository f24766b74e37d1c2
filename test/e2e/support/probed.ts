import { expect } from "vitest";
import type { IstioJourney } from "./istio";
import { kubeconfigOf } from "./journey";
import { PodProber } from "./podProber";

/** More than the 20 that are wanted: some come late where two cores carry everything. */
const PER_SECOND = 25;

/**
 * An update, with pods created in every namespace all the while: nobody is refused, and each gets exactly one sidecar.
 * @param known `REVISION VERSION` that it may be of
 */
export async function probed(
    journey: IstioJourney,
    { namespaces: names, known }: { namespaces: readonly string[]; known: readonly string[] },
    edit: () => Promise<void>,
): Promise<string> {
    await edit();
    const kubeconfig = await kubeconfigOf(journey.cluster);
    const prober = new PodProber({ kubeconfig, namespaces: names, perSecond: PER_SECOND });
    prober.start();
    let output: string;
    try {
        ({ output } = await journey.up());
    } finally {
        await prober.stop();
    }
    const { refusals, namespaces, perSecond } = prober.results;
    const each = perSecond / Object.keys(namespaces).length;
    console.log(`${each.toFixed(1)} pods a second in each namespace`);
    expect(refusals).toEqual([]);
    for (const [namespace, { created, without, several, sightings }] of Object.entries(
        namespaces,
    )) {
        expect(created, namespace).toBeGreaterThan(50);
        expect([without, several], namespace).toEqual([0, 0]);
        for (const { revision, tag } of sightings) {
            // Pods from before 1.6 do not tell their revision.
            expect(known).toContain(`${revision ?? "default"} ${tag}`);
        }
    }
    return output;
}
