import type { LiveIstio } from "../../cluster/istio/observe";
import { isFault } from "../versions";
import type { IstioConfig } from "./config";
import { foreignDefault } from "./foreign";
import type { KubeObject, Manifests } from "./manifests";
import type { IstioRevision } from "./names";
import { DEFAULT } from "./section";
import { latestIstio, parseIstioVersion, type IstioVersion } from "./versions";

/** `moved`: it goes over to the newest revision, when that serves and before the control plane without a name goes. */
export interface PlannedService {
    readonly object: KubeObject;
    readonly moved: boolean;
}

/** CRDs move forward only, and serve the newest istiod that is there. */
export function baseVersion(revisions: readonly IstioRevision[], live: LiveIstio): IstioVersion {
    const versions = [
        ...revisions.map(({ version }) => version),
        ...crdVersions(live),
        ...live.istiods
            .map(({ version }) => parseIstioVersion(version ?? "", "istiod"))
            .filter((one): one is IstioVersion => !isFault(one) && one.kind === "istio"),
    ];
    return latestIstio(versions) as IstioVersion;
}

/** Of the charts that the live CRDs came with, as far as they tell. */
export function crdVersions({ crds }: LiveIstio): IstioVersion[] {
    return crds
        .map(({ chartVersion }) => parseIstioVersion(chartVersion ?? "", "base"))
        .filter((one): one is IstioVersion => !isFault(one));
}

/**
 * CRDs and shared objects of the newest rendered revision. Where the stack has no revision left, everybody went back to a
 * foreign one: then what that one shares comes back, but CRDs move forward only.
 */
export function sharedObjects(
    { revisions, foreign }: IstioConfig,
    newest: IstioRevision | undefined,
    manifests: Manifests,
): readonly KubeObject[] {
    const split = manifests.get(newest?.name ?? "");
    if (split || revisions.length > 0) {
        return [...(split?.crds ?? []), ...(split?.shared ?? [])];
    }
    // Its Service stays as it is: with fewer labels in the selector it would take the pods of revisions that still go.
    return foreign
        .filter(({ remove }) => !remove)
        .flatMap(({ revision }) => manifests.get(revision)?.shared ?? [])
        .filter((one) => !isService(one));
}

/** What the chart base brings too; CRDs of both would be declared twice. */
export function isOfBase({ kind, metadata }: KubeObject): boolean {
    return (
        kind === "CustomResourceDefinition" ||
        (kind === "ServiceAccount" && metadata.name === "istio-reader-service-account")
    );
}

export function isService({ kind, metadata }: KubeObject): boolean {
    return kind === "Service" && metadata.name === "istiod";
}

/**
 * The default validator of ASM 1.6 calls Service istiod, whose selector in the manifests matches no revisioned pod: it is for
 * the control plane without a name, as long as there is one that stays.
 */
export function plannedService(
    object: KubeObject | undefined,
    revision: string,
    config: IstioConfig,
    live: LiveIstio,
): PlannedService | undefined {
    if (!object) {
        return undefined;
    }
    const goes = foreignDefault(config)?.remove === true;
    if (!goes && live.istiods.some((one) => one.revision === DEFAULT)) {
        return { object, moved: false };
    }
    const selector = { app: "istiod", "istio.io/rev": revision };
    return {
        object: { ...object, spec: { ...(object["spec"] as object), selector } },
        moved: true,
    };
}
