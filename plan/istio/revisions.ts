import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import { isFault } from "../versions";
import type { IstioConfig } from "./config";
import type { KubeObject, Manifests } from "./manifests";
import type { IstioRevision } from "./names";
import { usesOfRevision } from "./use";
import { compareIstio, latestIstio, parseIstioVersion } from "./versions";

/** A chart by version, with its values, or objects rendered elsewhere. */
export type PlannedSource =
    | { readonly version: string; readonly values: Readonly<Record<string, unknown>> }
    | { readonly objects: readonly KubeObject[] };

/** A control plane, and what it is made of. */
export interface PlannedRevision {
    readonly name: string;
    readonly source: PlannedSource;
}

export function plannedRevisions(
    { revisions, namespace }: IstioConfig,
    manifests: Manifests,
): PlannedRevision[] {
    return revisions.map((one) => ({
        name: one.name,
        source:
            one.manifests === undefined
                ? { version: one.version.text, values: revisionValues(one, namespace) }
                : { objects: manifests.get(one.name)?.own ?? [] },
    }));
}

/** Values of the chart istiod; what decides whose objects it makes is not the user's. */
function revisionValues({ name, values }: IstioRevision, namespace: string) {
    const global = (values["global"] ?? {}) as Record<string, unknown>;
    return {
        ...values,
        revision: name,
        revisionTags: [],
        global: { ...global, istioNamespace: namespace },
    };
}

export function versionText(revision: string, config: IstioConfig, live: LiveIstio): string {
    return (
        config.revisions.find(({ name }) => name === revision)?.version.text ??
        config.foreign.find((one) => one.revision === revision)?.version?.text ??
        live.istiods.find((one) => one.revision === revision)?.version ??
        ""
    );
}

export function newer(a: string, b: string): boolean {
    const [one, other] = [parseIstioVersion(a, "a"), parseIstioVersion(b, "b")];
    return !isFault(one) && (isFault(other) || compareIstio(one, other) > 0);
}

export function latestOf(revisions: readonly IstioRevision[]): IstioRevision | undefined {
    const latest = latestIstio(revisions.map(({ version }) => version));
    return revisions.find(({ version }) => version === latest);
}

/** A revision whose version is edited is upgraded in place, under its running proxies. */
export function inPlaceFaults({ revisions }: IstioConfig, live: LiveIstio): Fault[] {
    return revisions.flatMap(({ name, version }) => {
        const found = live.istiods.find(({ revision }) => revision === name);
        const from = parseIstioVersion(found?.version ?? "", name);
        return found && !isFault(from) && from.minor !== version.minor
            ? [
                  {
                      subject: `istio.revisions ${name}`,
                      value: `${from.text} -> ${version.text}`,
                      rule: "another minor under the same name would change the control plane under its proxies",
                      next: "add a revision of its own for the new version, and keep the old one until nothing uses it",
                  },
              ]
            : [];
    });
}

const OURS = ["revision", "revisionTags", "defaultRevision"];

export function valueFaults({ revisions, base }: IstioConfig): Fault[] {
    const sections = [
        ...revisions.map(({ name, values }) => ({
            key: `istio.revisions ${name}: values`,
            values,
        })),
        { key: "istio.base.values", values: base.values },
    ];
    return sections.flatMap(({ key, values }) =>
        OURS.filter((one) => one in values).map((one) => ({
            subject: `${key}.${one}`,
            value: JSON.stringify(values[one]),
            rule: "is set by the program, from the name of the revision, tags and defaultRevision",
            next: "remove it",
        })),
    );
}

export function revisionLines(config: IstioConfig, live: LiveIstio, stack: string): string[] {
    const { revisions, foreign } = config;
    const named = new Set([
        ...revisions.map(({ name }) => name),
        ...foreign.map((f) => f.revision),
    ]);
    return [
        ...revisions.map(({ name, version }) => {
            const found = live.istiods.find(({ revision }) => revision === name);
            const change = !found
                ? "new"
                : found.version === version.text
                  ? "unchanged"
                  : `in place from ${found.version}`;
            return `istio revision ${name}: ${version.text} (${change})`;
        }),
        ...foreign.flatMap(({ revision, remove }) => {
            const found = live.istiods.find((one) => one.revision === revision);
            return found
                ? [
                      `istio revision ${revision}: ${found.version}, not made by this stack (${remove ? "goes at the end, if nothing uses it" : "stays"})`,
                  ]
                : [];
        }),
        ...live.istiods
            .filter(({ revision }) => !named.has(revision))
            .map(({ revision, version, stack: owner }) =>
                owner === stack
                    ? `istio revision ${revision}: ${version} goes, if nothing uses it then; used now by: ${usesText(revision, live)}`
                    : `istio revision ${revision}: ${version} was not made by this stack and is not in istio.foreign: it is left alone`,
            ),
    ];
}

function usesText(revision: string, { users }: LiveIstio): string {
    return usesOfRevision(revision, users).join("; ") || "nothing";
}
