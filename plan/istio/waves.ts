import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import { REST, type Wave } from "../waves";
import type { IstioConfig } from "./config";
import { newer, versionText } from "./revisions";

/** What a wave moves: the namespaces that choose anew in it. */
export interface IstioWave {
    readonly name: string;
    readonly namespaces: readonly string[];
    /** The newest version that one of them chooses. */
    readonly version: string;
    /** What they choose, with the versions behind it, as text: another choice is another run. */
    readonly trigger: string;
}

/** The wave of each namespace: the one whose select names it, else the rest. */
export function assignWaves(
    { target }: IstioConfig,
    waves: readonly Wave[],
): ReadonlyMap<string, string> {
    return new Map(
        [...target.keys()]
            .sort()
            .map((namespace) => [
                namespace,
                waves.find(({ select }) =>
                    select.some((one) => one.namespaces?.includes(namespace)),
                )?.name ?? REST,
            ]),
    );
}

export function waveOf(
    name: string,
    assigned: ReadonlyMap<string, string>,
    config: IstioConfig,
    live: LiveIstio,
): IstioWave {
    const namespaces = [...assigned].filter(([, wave]) => wave === name).map(([one]) => one);
    const choices = namespaces.map((namespace) => {
        const target = config.target.get(namespace);
        const revision = target?.revision ?? "";
        return [namespace, target?.choice ?? "", revision, versionText(revision, config, live)];
    });
    return {
        name,
        namespaces,
        version: choices
            .map(([, , , version = ""]) => version)
            .reduce((best, one) => (newer(one, best) ? one : best), ""),
        trigger: JSON.stringify(choices),
    };
}

export function restOf(waves: readonly Wave[]): Wave {
    const last = waves.find(({ name }) => name === REST);
    if (!last) {
        throw new Error("the rollout has no last wave");
    }
    return last;
}

/** Labels move a namespace as a whole, so a wave takes whole namespaces, by name. */
export function waveFaults(waves: readonly Wave[]): Fault[] {
    return waves
        .filter(({ select }) =>
            select.some(
                (one) =>
                    one.namespaces === undefined ||
                    one.workloads !== undefined ||
                    one.workloadLabels !== undefined ||
                    one.namespaceLabels !== undefined,
            ),
        )
        .map(({ name }) => ({
            subject: `rollout.waves ${name}: select`,
            rule: "must name namespaces and nothing else: with Istio a namespace moves as a whole, by its label",
            next: `select: [{ namespaces: [...] }]`,
        }));
}

export function sharedNamespaceFaults(waves: readonly Wave[]): Fault[] {
    const claims = waves.map(({ name, select }) => ({
        name,
        namespaces: new Set(select.flatMap((one) => one.namespaces ?? [])),
    }));
    return [...new Set(claims.flatMap((one) => [...one.namespaces]))].flatMap((namespace) => {
        const by = claims.filter((one) => one.namespaces.has(namespace)).map(({ name }) => name);
        return by.length > 1
            ? [
                  {
                      subject: "rollout.waves",
                      value: namespace,
                      rule: `the namespace is in the select of ${by.join(" and ")}`,
                      next: "leave it in one of them",
                  },
              ]
            : [];
    });
}

/** viz is Linkerd's: its Prometheus knows nothing of Istio's sidecars. */
export function gateFaults(waves: readonly Wave[]): Fault[] {
    return waves
        .filter(({ gates }) => gates.metrics?.prometheus === "viz")
        .map(({ name }) => ({
            subject: `rollout.waves ${name}: gates.metrics.prometheus`,
            value: "viz",
            rule: "is the Prometheus of linkerd-viz; Istio's sidecars are scraped by another",
            next: "set the URL of the Prometheus that scrapes them (https://...)",
        }));
}
