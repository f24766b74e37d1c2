import type { LiveLinkerd } from "../cluster/linkerd";
import type { LinkerdStackConfig } from "../config";
import type { Defaults } from "./adoption";
import type { HealthNode, LinkerdHealth } from "./checks/observation";
import type { Fault } from "./faults";
import type { LinkerdPlan } from "./linkerd";
import type { Settings } from "./settings";
import { at, isMap } from "./values";

/** Charts with a values-ha.yaml, by section. */
const CHARTS = { controlPlane: "linkerd-control-plane", viz: "linkerd-viz" } as const;
type Section = keyof typeof CHARTS;

/** Nobody's control plane may wait for Linkerd's webhooks once they refuse what they cannot see. */
export const EXEMPT_NAMESPACE = {
    name: "kube-system",
    label: { "config.linkerd.io/admission-webhooks": "disabled" },
};

type HighAvailabilityConfig = Pick<
    LinkerdStackConfig,
    "highAvailability" | "linkerdVersion" | "controlPlane" | "viz"
>;

/**
 * What the charts' own values-ha.yaml say; the stack file's values go over them. Nothing without `highAvailability`. A
 * control plane of rendered YAML has its values in it.
 * @returns a fault for each chart that has no such file, and for YAML that was rendered without it; a chart that could not
 * be located is somebody else's fault
 */
export function highAvailabilityValues(
    config: HighAvailabilityConfig,
    defaults: Defaults,
): { readonly values: Settings; readonly faults: readonly Fault[] } {
    const { manifests, values } = config.controlPlane;
    const sections: Section[] = [
        ...(manifests === undefined ? (["controlPlane"] as const) : []),
        ...(config.viz.enabled ? (["viz"] as const) : []),
    ];
    const of = (section: Section) =>
        config.highAvailability && sections.includes(section)
            ? defaults.get(`${CHARTS[section]} ${config.linkerdVersion.charts[CHARTS[section]]}`)
            : undefined;
    const plain =
        config.highAvailability &&
        manifests !== undefined &&
        at(values, "highAvailability") !== true;
    const faults = sections
        .filter((section) => of(section) && !of(section)?.highAvailability)
        .map((section) => ({
            subject: "highAvailability",
            value: "true",
            rule: `chart ${CHARTS[section]} ${config.linkerdVersion.charts[CHARTS[section]]} has no values-ha.yaml, which says what it means`,
            next: `use the published chart, or set highAvailability: false and write the values under ${section}.values`,
        }));
    return {
        values: {
            crds: {},
            controlPlane: of("controlPlane")?.highAvailability ?? {},
            viz: of("viz")?.highAvailability ?? {},
        },
        faults: [
            ...(plain
                ? [
                      {
                          subject: "highAvailability",
                          value: "true",
                          rule: `${manifests} was rendered without the charts' values for it`,
                          next: "render it with them (linkerd install --ha, helm template --values values-ha.yaml), or set highAvailability: false",
                      },
                  ]
                : []),
            ...faults,
        ],
    };
}

type Looked = Pick<LinkerdHealth, "nodes" | "available">;

/**
 * Why replicas on different nodes could not run, or webhooks that refuse would refuse every pod. The way back is asked
 * nothing, nor is what is so already. Reads that were refused are the health checks' to name.
 */
export function highAvailabilityFaults(
    { values, change }: Pick<LinkerdPlan, "values" | "change">,
    live: Pick<LiveLinkerd, "installation" | "installed">,
    { nodes, available }: Looked,
    viz: boolean,
): Fault[] {
    const { values: before } = live.installation;
    const controlPlaneIsSpread =
        at(before, "enablePodAntiAffinity") === true &&
        at(before, "controllerReplicas") === at(values.controlPlane, "controllerReplicas");
    const spreads: (readonly [Section, Spread | undefined])[] = [
        ...(change === "none" && controlPlaneIsSpread
            ? []
            : [["controlPlane", spreadOfControlPlane(values)] as const]),
        ...(!viz || (change === "none" && vizIsSpread(values, live.installation.viz))
            ? []
            : [["viz", spreadOfViz(values)] as const]),
    ];
    return [
        ...(change !== "revert" && "value" in nodes
            ? spreads.flatMap(([section, spread]) =>
                  nodeFaults(section, spread, values, nodes.value),
              )
            : []),
        ...(live.installed && change !== "revert"
            ? injectorFaults(values.controlPlane, before, available)
            : []),
    ];
}

/** How many nodes a section's pods need, and how many replicas that is for. */
interface Spread {
    readonly replicas: number;
    readonly nodes: number;
    /** The setting that says how many. */
    readonly key: string;
}

function spreadOfControlPlane({ controlPlane }: Settings): Spread | undefined {
    if (at(controlPlane, "enablePodAntiAffinity") !== true) {
        return undefined;
    }
    const replicas = numberOf(at(controlPlane, "controllerReplicas")) ?? 1;
    const strategy = at(controlPlane, "deploymentStrategy.rollingUpdate");
    const taken = share(at(strategy, "maxUnavailable") ?? "25%", replicas, Math.floor);
    const surge = share(at(strategy, "maxSurge") ?? "25%", replicas, Math.ceil);
    // A rollout goes on either by taking a pod down first, or beside it, on one more node.
    const nodes = taken >= 1 ? replicas : replicas + Math.min(1, surge);
    return { replicas, nodes, key: "controllerReplicas" };
}

/** Parts of viz with replicas of their own, by the key of each in the chart's values; each with its Deployment. */
const VIZ_PARTS = {
    tap: "tap",
    tapInjector: "tap-injector",
    metricsAPI: "metrics-api",
    dashboard: "web",
} as const;

function replicasOfViz({ viz }: Settings, part: string): number {
    return numberOf(at(viz, `${part}.replicas`)) ?? 1;
}

/** Whether viz runs with these replicas on different nodes already. */
function vizIsSpread(values: Settings, live: LiveLinkerd["installation"]["viz"]): boolean {
    return Object.entries(VIZ_PARTS).every(([part, name]) => {
        const found = live.find((one) => one.name === name);
        const { podAntiAffinity } = found?.pod?.spec?.affinity ?? {};
        return (
            found?.replicas === replicasOfViz(values, part) &&
            podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined
        );
    });
}

/** viz' tap and its injector take one pod down first; its other Deployments surge by one. */
function spreadOfViz(values: Settings): Spread | undefined {
    if (at(values.viz, "enablePodAntiAffinity") !== true) {
        return undefined;
    }
    const spreads = Object.keys(VIZ_PARTS).map((part) => {
        const replicas = replicasOfViz(values, part);
        const surges = part === "metricsAPI" || part === "dashboard";
        const taken = surges ? Math.floor(replicas / 4) : 1;
        return { replicas, nodes: taken >= 1 ? replicas : replicas + 1, key: `${part}.replicas` };
    });
    return spreads.sort((a, b) => b.nodes - a.nodes)[0];
}

function numberOf(value: unknown): number | undefined {
    return typeof value === "number" ? value : undefined;
}

/** A number, or a share of the replicas: `25%`. */
function share(value: unknown, of: number, round: (value: number) => number): number {
    return typeof value === "string" && value.endsWith("%")
        ? round((Number.parseFloat(value) / 100) * of)
        : Number(value);
}

function nodeFaults(
    section: Section,
    spread: Spread | undefined,
    values: Settings,
    nodes: readonly HealthNode[],
): Fault[] {
    if (!spread) {
        return [];
    }
    const reasons = nodes.map((node) => ({ node, reason: whyNot(node, values[section]) }));
    const free = reasons.filter(({ reason }) => reason === undefined);
    if (free.length >= spread.nodes) {
        return [];
    }
    const others = reasons.flatMap(({ node, reason }) =>
        reason === undefined ? [] : [`${node.name} is ${reason}`],
    );
    return [
        {
            subject: `${section}.values.${spread.key}`,
            value: String(spread.replicas),
            rule: `needs ${spread.nodes} nodes, each for one pod (enablePodAntiAffinity), and ${free.length} of ${nodes.length} take them${others.length > 0 ? `: ${others.slice(0, 5).join(", ")}` : ""}`,
            next: `add or uncordon nodes (kubectl get nodes), or set ${section}.values.${spread.key} to what the nodes can take`,
        },
    ];
}

/** Why the scheduler gives a node none of the pods; undefined: nothing is known that would keep them off. */
function whyNot({ cordoned, labels, taints }: HealthNode, values: unknown): string | undefined {
    const selector = at(values, "nodeSelector");
    const wanted = isMap(selector) ? selector : { "kubernetes.io/os": "linux" };
    const missing = Object.entries(wanted).find(([key, value]) => labels[key] !== value);
    const tolerations = at(values, "tolerations");
    const tolerated = Array.isArray(tolerations) ? (tolerations as Toleration[]) : [];
    const taint = taints.find((one) => !tolerated.some((by) => tolerates(by, one)));
    return cordoned
        ? "cordoned"
        : missing
          ? `without label ${missing[0]}=${String(missing[1])}`
          : taint && `tainted ${taint.key}:${taint.effect}`;
}

interface Toleration {
    readonly key?: string;
    readonly operator?: string;
    readonly value?: string;
    readonly effect?: string;
}

function tolerates(by: Toleration, taint: HealthNode["taints"][number]): boolean {
    return (
        (by.effect === undefined || by.effect === taint.effect) &&
        (by.key === undefined ? by.operator === "Exists" : by.key === taint.key) &&
        (by.operator === "Exists" || (by.value ?? "") === (taint.value ?? ""))
    );
}

const INJECTOR = "linkerd-proxy-injector";

/** An injector that does not serve harms nobody as long as its webhook is ignored. */
function injectorFaults(
    values: unknown,
    before: unknown,
    available: Looked["available"],
): readonly Fault[] {
    const turns =
        at(values, "webhookFailurePolicy") === "Fail" &&
        at(before, "webhookFailurePolicy") !== "Fail";
    if (!turns || !("value" in available) || (available.value[INJECTOR] ?? 0) > 0) {
        return [];
    }
    return [
        {
            subject: "controlPlane.values.webhookFailurePolicy",
            value: "Fail",
            rule: `Deployment linkerd/${INJECTOR} has no available pod: with this policy no pod could be created in the cluster until it has`,
            next: `kubectl -n linkerd describe deployment ${INJECTOR}, mend it, then: pulumi up`,
        },
    ];
}
