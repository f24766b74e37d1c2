import type { LiveIstio, LiveIstiod } from "../../cluster/istio/observe";
import type { IstioConfig } from "../istio/config";
import {
    compareIstio,
    latestIstio,
    parseIstioVersion,
    runningIstio,
    type IstioVersion,
} from "../istio/versions";
import { isFault } from "../versions";
import { ISTIO_NOTICES } from "./istioNotices";
import { crossed, type Notice } from "./notices";
import { joined, RULES, ruled, type Findings } from "./rules";

type Revisions = Pick<IstioConfig, "revisions">;

/** Control planes that run, by what is known of their versions. */
export interface Origins {
    readonly known: readonly IstioVersion[];
    readonly unknown: readonly LiveIstiod[];
}

/** By the tag of the image; where that is a private one, as the stack file says of the revision. */
export function originsOf(istiods: readonly LiveIstiod[], { revisions }: Revisions): Origins {
    const origins = istiods.map((istiod) => ({
        istiod,
        version:
            runningIstio(istiod.version) ??
            revisions.find(({ name }) => name === istiod.revision)?.version,
    }));
    return {
        known: origins.flatMap(({ version }) => version ?? []),
        unknown: origins.flatMap(({ istiod, version }) => (version ? [] : istiod)),
    };
}

/** Before a revision is added. */
export function unknownOrigins({ unknown }: Origins, overrides: ReadonlySet<string>): Findings {
    const rule = RULES.istioOrigin;
    return joined(
        unknown.map(({ revision, name, version }) =>
            ruled(
                rule,
                {
                    subject: `Deployment ${name} (revision ${revision})`,
                    value: version ?? "no tag",
                    rule: rule.text,
                    next: "give its image a tag that begins with the release it is of (1.20.8, 1.20.8-acme)",
                },
                overrides,
            ),
        ),
    );
}

/**
 * The notices between the oldest control plane that runs and the newest of the stack file: they are of concern until the old
 * one has gone, since its sidecars move in between. All up to the newest where one that runs is of no release. None for a
 * first installation.
 */
export function istioNotices(
    { istiods }: Pick<LiveIstio, "istiods">,
    config: Revisions,
): readonly Notice[] {
    const { known, unknown } = originsOf(istiods, config);
    const from = unknown.length > 0 ? "unknown" : known.toSorted(compareIstio)[0]?.text;
    const to = latestIstio(config.revisions.map(({ version }) => version));
    return from !== undefined && to
        ? crossed(ISTIO_NOTICES, from, to.text, order).filter(
              ({ since }) => versionOf(since)?.kind !== "asm" || to.kind === "asm",
          )
        : [];
}

function order(a: string, b: string): number | undefined {
    const [one, other] = [versionOf(a), versionOf(b)];
    return one && other && compareIstio(one, other);
}

function versionOf(text: string): IstioVersion | undefined {
    const version = parseIstioVersion(text, "version");
    return isFault(version) ? undefined : version;
}
