import type { DataPlane } from "../cluster/dataPlane";
import type { LiveLinkerd } from "../cluster/linkerd";
import type { LinkerdStackConfig } from "../config";
import { blastRadius } from "./blastRadius";
import type { HealthCni } from "./checks/observation";
import type { Read } from "./checks/result";
import { reviewedChecks, type Verdict } from "./checks/verdict";
import { linkerdControlPlane } from "./controlPlaneRadius";
import { isAlive, proxyTarget } from "./dataPlane";
import { plannedExtensions, type SeenExtensions } from "./extensions";
import type { Fault } from "./faults";
import { proxyTagOf } from "./given";
import { changeOf, crdVersion, targetOf, type LinkerdPlan } from "./linkerd";
import { linkerdOrder } from "./order";
import { linkerdPermissions, type Asked, type PresentLinkerd } from "./permissions";
import type { NoticeResult, PathVerdict, Permissions, Review, Versions } from "./review";

/** What was found about a planned update. */
export interface Found {
    readonly config: LinkerdStackConfig;
    readonly stack: string;
    readonly live: LiveLinkerd;
    /** undefined: it is refused. */
    readonly plan: LinkerdPlan | undefined;
    /** A reason, as text, where it could not be read. */
    readonly dataPlane: DataPlane | string;
    readonly refusals: readonly Fault[];
    readonly path: PathVerdict;
    readonly notices: readonly NoticeResult[];
    readonly verdicts: readonly Verdict[];
    /** Undefined: it is not used. */
    readonly cni: Read<HealthCni> | undefined;
    readonly extensions: SeenExtensions;
}

/** A review that lacks the access review, and what that has to ask. */
export interface Draft {
    readonly review: Omit<Review, "permissions">;
    readonly asked: readonly Asked[];
}

export function withPermissions({ review }: Draft, permissions: Permissions): Review {
    return { ...review, permissions };
}

/** The review of an update of Linkerd; one that is refused is reviewed as far as it is known. */
export function linkerdReview(found: Found): Draft {
    const { config, stack, live, plan, dataPlane } = found;
    const version = config.linkerdVersion;
    const change = plan?.change ?? changeOf(version, live);
    const planned = plan ?? {
        ...{ change, version, crds: crdVersion(version, live), takesOver: false },
        trustRoot: "",
        identity: { lines: [] },
        proxySettings: { lines: [] },
    };
    const unchanged =
        change === "none" &&
        planned.identity.lines.length === 0 &&
        planned.proxySettings.lines.length === 0;
    const viz = config.viz.enabled;
    const extensions = plannedExtensions(config);
    const radius = blastRadius({
        dataPlane,
        waves: config.rollout.waves,
        target: plan
            ? targetOf(plan)
            : proxyTarget(proxyTagOf(config.controlPlane.values, version.tag)),
        waiting: planned.takesOver ? "held" : unchanged ? "unchanged" : "none",
        controlPlane: linkerdControlPlane(planned, live, viz),
    });
    return {
        review: {
            format: "mesh-upgrade-review/1",
            mesh: "linkerd",
            stack,
            context: config.context,
            refusals: found.refusals,
            versions: {
                change,
                target: [version.tag],
                controlPlane: live.installed
                    ? [{ name: "linkerd", version: live.linkerdVersion ?? null }]
                    : [],
                crds: planned.crds.tag,
                proxies: proxiesOf(dataPlane),
            },
            path: found.path,
            notices: found.notices,
            checks: reviewedChecks(found.verdicts),
            certificates: [
                ...(plan?.certificates ?? []),
                ...(plan?.renewedCertificates ?? []),
                ...(plan?.leavingCertificates ?? []),
            ],
            blastRadius: radius,
            order: linkerdOrder(
                {
                    backup: config.backup?.directory,
                    crds: `to ${planned.crds.tag}`,
                    target: `${live.linkerdVersion ?? "not installed"} -> ${version.tag}`,
                    cni: config.cni.enabled,
                    viz,
                    extensions: extensions.map(
                        ({ name, chart }) => [name, `${chart.name} ${chart.version}`] as const,
                    ),
                },
                radius,
            ),
        },
        asked: linkerdPermissions(
            {
                ...{ change: !unchanged, viz, extensions, present: presentOf(found) },
                certManager: config.identity.source === "cert-manager",
                highAvailability: config.highAvailability,
                cni: config.cni.enabled,
            },
            radius,
        ),
    };
}

/** What could not be read may be missing. */
function presentOf({ live, stack, cni, extensions }: Found): PresentLinkerd {
    const { namespaces, installed, installation } = live;
    const seen = typeof extensions.live === "string" ? [] : extensions.live;
    return {
        namespaces: [...namespaces.map(({ name }) => name), ...seen.map((one) => one.namespace)],
        controlPlane: installed,
        viz: installation.viz.length > 0 || installation.release !== undefined,
        cni: cni !== undefined && "value" in cni && cni.value.owners.includes(stack),
        extensions: seen.filter(({ workloads }) => workloads > 0).map((one) => one.namespace),
        extensionCrds: [
            ...(typeof extensions.trafficSplits === "object" ? (["smi"] as const) : []),
            ...(typeof extensions.links === "object" ? (["multicluster"] as const) : []),
        ],
    };
}

/** How many pods run which proxy, by version. */
export function proxiesOf(dataPlane: DataPlane | string): Versions["proxies"] {
    const counts = new Map<string, number>();
    for (const pod of typeof dataPlane === "string" ? [] : dataPlane.pods.filter(isAlive)) {
        const version = pod.proxy ?? "unknown";
        counts.set(version, (counts.get(version) ?? 0) + 1);
    }
    return [...counts]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([version, pods]) => ({ version, pods }));
}
