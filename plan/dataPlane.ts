import type { Budget } from "../cluster/budgets";
import { isProgressing, type Canary } from "../cluster/canaries";
import { workloadKey, type DataPlane, type MeshedPod, type Workload } from "../cluster/dataPlane";
import { blockedBy } from "./budgets";
import type { Fault } from "./faults";
import type { Meshed } from "./policy/proxyPort";
import { lacksSettings, type SettingsSince } from "./proxySettings";
import { isInWave, type Scope, type Selectable, type WaveSettings } from "./waves";

/** Label that the injector adds to a pod. */
const MESHED = "linkerd.io/control-plane-ns";

/** What a pod of Istio shows that has no sidecar, or is to have none. */
export const NO_SIDECAR = "no sidecar";

/** Which proxy a new pod of the same template would get. */
export interface Target {
    /** For people: `edge-24.7.5`. */
    readonly text: string;
    /** As `proxy` of the pod reads once it is current. */
    readonly of: (pod: MeshedPod) => string;
    /** What else a pod carries that is out of date, whatever its proxy: "trust anchors"; undefined: nothing. */
    readonly outdated?: (pod: MeshedPod) => string | undefined;
}

/** What a proxy of Linkerd carries beside its version. */
export interface ProxyTrust {
    /** Hash of the trust anchors; a pod without the annotation is judged by its version alone. */
    readonly trustRoot?: string | undefined;
    /** Pods made before may have a certificate of the issuer of before; in ms since the epoch. */
    readonly issuerSince?: number | undefined;
    /** Pods made before have other settings. */
    readonly settingsSince?: SettingsSince | undefined;
}

/** Every pod is to get this proxy, with these anchors. */
export function proxyTarget(
    proxy: string,
    { trustRoot, issuerSince = -Infinity, settingsSince }: ProxyTrust = {},
): Target {
    const outdated = (pod: MeshedPod) =>
        trustRoot !== undefined && pod.trustRoot !== undefined && pod.trustRoot !== trustRoot
            ? "trust anchors"
            : pod.createdAt < issuerSince
              ? "issuer"
              : settingsSince && lacksSettings(pod, settingsSince)
                ? "proxy settings"
                : undefined;
    return { text: proxy, of: () => proxy, outdated };
}

export function isStale(pod: MeshedPod, target: Target): boolean {
    return pod.proxy !== target.of(pod) || target.outdated?.(pod) !== undefined;
}

/** What a wave does with one workload. */
export interface WorkloadPlan {
    readonly workload: Workload;
    /**
     * `restart`: new pods from the same template. `wait`: an earlier run restarted it, its pods are still
     * coming. `return`: an earlier restart got stuck half-way and the revision before it runs the target.
     * `evict`: stale pods go a few at a time, because the workload's own strategy does not replace them, or would
     * take down more at a time than a budget ever allows.
     */
    readonly action: "restart" | "wait" | "return" | "evict";
    /** For `evict`: pods that go at a time. */
    readonly atOnce?: number;
    /** For `return`: restartedAt of the revision to go back to; undefined: it has none. */
    readonly restartedAt?: string | undefined;
    /** Proxy versions that its stale pods run now, sorted. */
    readonly from: readonly string[];
    /** What they are to run. */
    readonly to: string;
    /** What is out of date beside the proxy, sorted: `trust anchors`; absent: nothing. */
    readonly outdated?: readonly string[];
    /** Pods that are made anew. */
    readonly pods: number;
    /** What a reader should know: who may undo it, what is waited for. */
    readonly notes: readonly string[];
}

/** Pods whose proxy is stale and stays so, with the reason. */
export interface Unrestartable {
    readonly namespace: string;
    /** `Deployment`, `Job`; `Pod` for a pod without a workload. */
    readonly kind: string;
    readonly name: string;
    readonly proxy: string;
    readonly pods: number;
    readonly reason: string;
}

export interface DataPlanePlan {
    readonly target: string;
    readonly workloads: readonly WorkloadPlan[];
    readonly unrestartable: readonly Unrestartable[];
    /** In which meshed pods are, sorted. */
    readonly namespaces: readonly string[];
    /** Pods of the mesh that have not finished. */
    readonly pods: number;
    /** Of those, pods whose proxy is the target. */
    readonly current: number;
}

/** What else decides about a workload: the canaries, and the budgets that are to be respected. */
export type Surroundings = Pick<DataPlane, "canaries" | "budgets">;

/** Why the update that takes a mesh over as it runs leaves stale workloads alone. */
export const STALE_BEFORE =
    "stale before the take-over, which restarts nothing; it restarts with the next change of the version, or by: npm run rollout -- --help";

/**
 * Which workloads run a proxy other than `target` has for them, and what can be done about each.
 * @param hold why nothing is done about any of them; undefined: something is
 */
export function planDataPlane(
    dataPlane: DataPlane,
    target: Target,
    scope?: Scope,
    hold?: string,
): DataPlanePlan {
    const workloads: WorkloadPlan[] = [];
    const unrestartable: Unrestartable[] = [];
    const namespaces = new Set<string>();
    const all: MeshedPod[] = [];
    let current = 0;
    for (const { selectable, workload, alive } of grouped(dataPlane, target)) {
        if (scope && !isInWave(scope, selectable, dataPlane.namespaceLabels)) {
            continue;
        }
        const { namespace, kind, name } = selectable;
        const stale = alive.filter((pod) => isStale(pod, target));
        namespaces.add(namespace);
        all.push(...alive);
        current += alive.length - stale.length;
        const plan = workload && planWorkload(workload, alive, target, dataPlane);
        if (plan && hold === undefined) {
            workloads.push(plan);
            continue;
        }
        const reason = whyNot(workload, alive, target) ?? hold;
        if (reason !== undefined && stale.length > 0) {
            const proxy = proxiesOf(stale).join(", ");
            unrestartable.push({ namespace, kind, name, proxy, pods: stale.length, reason });
        }
    }
    return {
        target: textOf(all, target),
        workloads: workloads.sort((a, b) => nameOf(a.workload).localeCompare(nameOf(b.workload))),
        unrestartable: unrestartable.sort((a, b) => nameOf(a).localeCompare(nameOf(b))),
        namespaces: [...namespaces].sort(),
        pods: all.length,
        current,
    };
}

/** The data plane without its budgets, where they are not to be respected. */
export function withBudgets(
    dataPlane: DataPlane,
    { disruptionBudgets }: Pick<WaveSettings, "disruptionBudgets">,
): DataPlane {
    return disruptionBudgets === "respect" ? dataPlane : { ...dataPlane, budgets: [] };
}

/** What is to be done about one workload; undefined where nothing is stale, or nothing can be done. */
export function planWorkload(
    workload: Workload,
    pods: readonly MeshedPod[],
    target: Target,
    { canaries, budgets }: Surroundings,
): WorkloadPlan | undefined {
    const alive = pods.filter(isAlive);
    const stale = alive.filter((pod) => isStale(pod, target));
    if (stale.length === 0 || whyNot(workload, alive, target) !== undefined) {
        return undefined;
    }
    const action = actionFor(workload, stale, alive, budgets);
    const outdated = outdatedOf(stale, target);
    return {
        workload,
        ...action,
        from: proxiesOf(stale),
        to: textOf(stale, target),
        ...(outdated.length > 0 ? { outdated } : {}),
        pods:
            action.action === "restart" ? Math.max(workload.replicas, stale.length) : stale.length,
        notes: notesOn(workload, action, canaries),
    };
}

/** The workloads and lone pods that waves select from. */
export function selectables(dataPlane: DataPlane): Selectable[] {
    return grouped(dataPlane).map(({ selectable }) => selectable);
}

/** Labels of the mesh's pods, once for each workload: NetworkPolicies select by them. */
export function meshedLabels(dataPlane: DataPlane): Meshed[] {
    return grouped(dataPlane).map(({ selectable, workload }) => ({
        namespace: selectable.namespace,
        labels: { ...(workload?.podLabels ?? selectable.labels), [MESHED]: "linkerd" },
    }));
}

/** Pods of a wave that have not finished and are not on their way out. */
export function podsInWave(dataPlane: DataPlane, target: Target, scope: Scope): MeshedPod[] {
    return grouped(dataPlane, target)
        .filter(({ selectable }) => isInWave(scope, selectable, dataPlane.namespaceLabels))
        .flatMap(({ alive }) => alive);
}

interface Group {
    /** The workload; else the pod itself, or what made it. */
    readonly selectable: Selectable;
    readonly workload: Workload | undefined;
    /** At least one. */
    readonly alive: readonly MeshedPod[];
}

/** Without a target those outside the mesh are among them. */
function grouped(dataPlane: DataPlane, target?: Target): Group[] {
    const known = new Map(dataPlane.workloads.map((one) => [keyOf(one), one]));
    const pods = dataPlane.pods.filter(
        (pod) =>
            isAlive(pod) &&
            (pod.proxy !== NO_SIDECAR || target === undefined || isStale(pod, target)),
    );
    return [...groupBy(pods, workloadKey)].flatMap(([key, alive]) => {
        const [first] = alive;
        const workload = known.get(key);
        return first ? [{ selectable: workload ?? behind(first), workload, alive }] : [];
    });
}

/** What stands behind a pod by name; the pod itself where it is a bare one. */
export function behind({ namespace, owner, name, labels }: MeshedPod): Selectable {
    return { namespace, labels, kind: owner?.kind ?? "Pod", name: owner?.name ?? name };
}

/** `shop/Deployment/web`: namespace first, so that lists read by namespace. */
export function nameOf(one: Pick<Selectable, "namespace" | "kind" | "name">): string {
    return `${one.namespace}/${one.kind}/${one.name}`;
}

/** `Deployment/shop/web`, as workloadKey makes it of a pod. */
export function keyOf(one: Pick<Selectable, "namespace" | "kind" | "name">): string {
    return `${one.kind}/${one.namespace}/${one.name}`;
}

/** The canary of Flagger that has to come to rest before this workload is restarted. */
export function progressingCanary(
    { namespace, kind, name }: Workload,
    canaries: readonly Canary[],
): Canary | undefined {
    return canaries.find(
        (one) =>
            one.namespace === namespace &&
            one.target.kind === kind &&
            [one.target.name, `${one.target.name}-primary`].includes(name) &&
            isProgressing(one),
    );
}

const EVICTED = "its stale pods are evicted,";

function whyEvicted({ strategy, partition }: Workload): string {
    if (strategy === "OnDelete" || partition > 0) {
        return `its update strategy (${partition > 0 ? `partition ${partition}` : strategy}) does not replace them`;
    }
    return "its own strategy takes down more than its PodDisruptionBudget ever allows";
}

function notesOn(
    workload: Workload,
    { action, atOnce }: Pick<WorkloadPlan, "action" | "atOnce">,
    canaries: readonly Canary[],
): string[] {
    const { namespace, kind, name, manager } = workload;
    const canary = canaries.find(
        (one) =>
            one.namespace === namespace && one.target.kind === kind && one.target.name === name,
    );
    const primary = canaries.find(
        (one) =>
            one.namespace === namespace &&
            one.target.kind === kind &&
            `${one.target.name}-primary` === name,
    );
    const progressing = progressingCanary(workload, canaries);
    return [
        ...(manager !== undefined && ["restart", "return"].includes(action)
            ? [`managed by ${manager}, which may take restartedAt off again: one more restart`]
            : []),
        ...(action === "evict"
            ? [`${EVICTED} ${atOnce ?? 1} at a time: ${whyEvicted(workload)}`]
            : []),
        ...(canary
            ? [`target of Flagger's Canary ${canary.name}: a restart begins an analysis`]
            : []),
        ...(primary ? [`the primary of Flagger's Canary ${primary.name}`] : []),
        ...(progressing
            ? [`waits for Canary ${progressing.name}, which is ${progressing.phase}`]
            : []),
    ];
}

/** Pods that count: those that have finished, or are on their way out, do not. */
export function isAlive(pod: MeshedPod): boolean {
    return pod.phase !== "Succeeded" && pod.phase !== "Failed" && !pod.terminating;
}

function outdatedOf(pods: readonly MeshedPod[], target: Target): string[] {
    const all = pods.map((pod) => target.outdated?.(pod)).filter((one) => one !== undefined);
    return [...new Set(all)].sort();
}

function proxiesOf(pods: readonly MeshedPod[]): string[] {
    return [...new Set(pods.map((pod) => pod.proxy ?? "unknown"))].sort();
}

/** Why stale pods of a workload are left as they are; undefined where none are, or something can be done. */
export function heldBack(
    workload: Workload,
    pods: readonly MeshedPod[],
    target: Target,
): string | undefined {
    const alive = pods.filter(isAlive);
    return alive.some((pod) => isStale(pod, target)) ? whyNot(workload, alive, target) : undefined;
}

function whyNot(
    workload: Workload | undefined,
    alive: readonly MeshedPod[],
    target: Target,
): string | undefined {
    const stale = alive.filter((pod) => isStale(pod, target));
    const owner = alive[0]?.owner;
    if (!workload) {
        switch (owner?.kind) {
            case undefined:
                return "a bare pod: nothing makes it anew when it is deleted";
            case "Job":
                return "a Job: its pod keeps its proxy until it has finished";
            default:
                return `pods of a ${owner?.kind} are not restarted`;
        }
    }
    if (workload.manuallyInjected) {
        return "manually injected: the proxy stands in the workload's own template (run linkerd inject, or istioctl kube-inject, again)";
    }
    // Pods of an older template go anyway; what they were pinned to says nothing about those that follow.
    const pinned = stale.find((one) => one.currentRevision && one.pin !== undefined);
    if (pinned && pinned.pin !== target.of(pinned) && outdatedOf(stale, target).length === 0) {
        return `pinned by config.linkerd.io/proxy-version: ${pinned.pin}`;
    }
    if (workload.strategy === "OnDelete" && stale.some((pod) => pod.templateChanged)) {
        return "update strategy OnDelete, and its template has a change that its pods do not have: they would get that as well; delete them to accept it";
    }
    if (workload.paused) {
        return `its rollout is paused${workload.kind === "Deployment" ? ": kubectl rollout resume" : ""}`;
    }
    return undefined;
}

function actionFor(
    workload: Workload,
    stale: readonly MeshedPod[],
    all: readonly MeshedPod[],
    budgets: readonly Budget[],
): Pick<WorkloadPlan, "action" | "atOnce" | "restartedAt"> {
    if (workload.strategy === "OnDelete" || workload.partition > 0) {
        return { action: "evict", atOnce: 1 };
    }
    const currentStale = stale.filter((pod) => pod.currentRevision);
    if (currentStale.length === 0) {
        return { action: "wait" };
    }
    // A restart that never got ready leaves the revision before it running. Where that one is just what is
    // wanted, going back needs no new pod, which could not get ready either.
    const now = workload.revisions.find((revision) => revision.current);
    const running = all.filter((pod) => !pod.currentRevision);
    const before = workload.revisions.find(
        (revision) =>
            !revision.current &&
            revision.fingerprint === now?.fingerprint &&
            running.some((pod) => pod.ready && pod.restartedAt === revision.restartedAt),
    );
    if (before && running.every((pod) => !stale.includes(pod))) {
        return { action: "return", restartedAt: before.restartedAt };
    }
    const blocked = workload.kind === "Rollout" ? undefined : blockedBy(workload, budgets);
    // Evicted pods come back from the same template, as many at a time as the budget allows.
    return blocked?.forever && blocked.most > 0 && workload.kind !== "DaemonSet"
        ? { action: "evict", atOnce: blocked.most }
        : { action: "restart" };
}

export function groupBy<T>(items: readonly T[], by: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
        const group = groups.get(by(item)) ?? [];
        group.push(item);
        groups.set(by(item), group);
    }
    return groups;
}

/** What these pods are to run, in words. */
export function textOf(pods: readonly MeshedPod[], target: Target): string {
    return [...new Set(pods.map(target.of))].sort().join(", ") || target.text;
}

/** A fault for each workload that was restarted, or should have been, and still runs another proxy. */
export function verifyDataPlane(plan: DataPlanePlan): readonly Fault[] {
    return plan.workloads.map(({ workload, from, to, pods, outdated = [] }) => ({
        subject: nameOf(workload),
        value: from.join(", "),
        rule:
            outdated.length > 0
                ? `${pods} pod(s) still carry the old ${outdated.join(" and ")}`
                : `${pods} pod(s) still run this proxy, not ${to}`,
        next: "see that the injector's pods are ready, then: pulumi up",
    }));
}
