import { groupBy } from "./dataPlane";
import type { BlastRadius, ControlPlaneChange, Stage, WaveRadius } from "./review";

/** Parts of a wave that are named; more are counted. */
const MOST_PARTS = 6;

const minutesText = (minutes: number | null) =>
    minutes === null || minutes === 0 ? "" : `, about ${minutes} min`;

/** What happens to Linkerd, one after the other (components/linkerd/linkerd.ts). */
export function linkerdOrder(
    how: {
        readonly backup: string | undefined;
        readonly crds: string;
        readonly target: string;
        readonly cni: boolean;
        readonly viz: boolean;
        /** Others, each with its chart. Defaults to none. */
        readonly extensions?: readonly (readonly [name: string, chart: string])[];
    },
    radius: BlastRadius,
): Stage[] {
    const { workloads } = radius.controlPlane;
    const of = (namespace: string) =>
        partsOf(workloads.filter((one) => one.namespace === namespace));
    return [
        ...(how.backup === undefined
            ? []
            : [stage("backup", "Backup", `the mesh's objects, to ${how.backup}`)]),
        stage("crds", "CRDs", how.crds),
        ...(how.cni
            ? [stage("extension", "CNI plugin", "ready on every node before the control plane")]
            : []),
        stage("controlPlane", "Control plane", how.target, of("linkerd")),
        ...(how.viz ? [stage("extension", "viz", how.target, of("linkerd-viz"))] : []),
        ...(how.extensions ?? []).map(([name, chart]) => stage("extension", name, chart)),
        ...radius.waves.map(waveStage),
        stage("check", "Check", "every declared object is there, as declared"),
    ];
}

/** What happens to Istio, one after the other (components/istio/istio.ts). */
export function istioOrder(
    how: { readonly base: string | undefined; readonly namespace: string },
    radius: BlastRadius,
): Stage[] {
    const { workloads } = radius.controlPlane;
    const own = workloads.filter(({ namespace }) => namespace === how.namespace);
    const gateways = workloads.filter((one) => !own.includes(one));
    const added = partsOf(own.filter(({ change }) => change !== "goes"));
    const leaving = partsOf(own.filter(({ change }) => change === "goes"));
    return [
        stage("crds", "CRDs and what revisions share", how.base ?? "as rendered"),
        stage(
            "controlPlane",
            "Revisions",
            added.length > 0 ? "side by side with what runs" : "as they are",
            added,
        ),
        ...radius.waves.map(waveStage),
        ...(gateways.length > 0
            ? [stage("gateways", "Gateways", "after the last wave", partsOf(gateways))]
            : []),
        ...(leaving.length > 0
            ? [stage("removal", "Removal", "what nothing uses any more", leaving)]
            : []),
        stage("check", "Check", "every declared object is there, as declared"),
    ];
}

function stage(
    kind: Stage["kind"],
    title: string,
    detail: string,
    parts: Stage["parts"] = [],
): Stage {
    return { kind, title, detail, parts };
}

function partsOf(workloads: readonly ControlPlaneChange[]): Stage["parts"] {
    return workloads.map(({ name, change, pods, from, to }) => ({
        name,
        detail:
            change === "restarts"
                ? `${pods} pods restart`
                : change === "new"
                  ? `new, ${to ?? "unknown"}`
                  : `goes, ${from ?? "unknown"}`,
    }));
}

/** Its parts are namespaces. */
function waveStage({ name, workloads, restarts, minutes, pods }: WaveRadius): Stage {
    const namespaces = [...groupBy(workloads, ({ namespace }) => namespace)].map(
        ([namespace, some]) => ({
            name: namespace,
            detail: `${some.length} workloads, ${some.reduce((sum, one) => sum + one.pods, 0)} pods`,
        }),
    );
    const rest = namespaces.length - MOST_PARTS;
    return stage(
        "wave",
        `Wave ${name}`,
        pods === 0
            ? "has no meshed pods"
            : restarts === 0
              ? "nothing to restart"
              : `${workloads.length} workloads, ${restarts} pods${minutesText(minutes)}`,
        [
            ...namespaces.slice(0, MOST_PARTS),
            ...(rest > 0 ? [{ name: `${rest} namespaces more`, detail: "listed below" }] : []),
        ],
    );
}
