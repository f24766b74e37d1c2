import type { Fault } from "../faults";
import type { PathVerdict } from "../review";

/** A rule about the way from one version to another. */
export interface PathRule {
    readonly id: string;
    readonly mesh: "linkerd" | "istio" | "both";
    readonly text: string;
    readonly source: string;
    /** Whether `policy.override` may name it. */
    readonly overridable: boolean;
}

const ASM = "supported upgrade paths of Anthos Service Mesh on premises, 1.4 to 1.14";

/** Every rule. docs/policy.md lists them for the user. */
export const RULES = {
    linkerdOrigin: {
        id: "linkerd-known-origin",
        mesh: "linkerd",
        text: "the version that runs must be a release, or nothing can be said about the way from it",
        source: "linkerd.io/releases",
        overridable: true,
    },
    linkerdOneMinor: {
        id: "linkerd-one-minor",
        mesh: "linkerd",
        text: "Linkerd goes up one minor at a time; an edge is of the minor whose marker it includes",
        source: "linkerd.io/2/tasks/upgrade; linkerd.io/releases (release markers)",
        overridable: true,
    },
    linkerdOneChart: {
        id: "linkerd-one-chart",
        mesh: "linkerd",
        text: "up to 2.11 control plane and CRDs are one chart, which this program cannot take apart",
        source: "linkerd.io/2.12/tasks/upgrade (notice for stable-2.12.0)",
        overridable: false,
    },
    linkerdSkew: {
        id: "linkerd-skew",
        mesh: "linkerd",
        text: "the control plane may lead its proxies by one minor",
        source: "linkerd.io/2/tasks/upgrade",
        overridable: true,
    },
    linkerdKubernetes: {
        id: "linkerd-kubernetes",
        mesh: "linkerd",
        text: "a release runs on the Kubernetes versions that its charts ask for, which Helm checks as well",
        source: "kubeVersion of each Chart.yaml",
        overridable: false,
    },
    downgrade: {
        id: "no-downgrade",
        mesh: "both",
        text: "an older version is taken only where this mesh ran it before",
        source: "linkerd.io/2/tasks/upgrade and istio.io/latest/docs/setup/upgrade describe the way up only",
        overridable: true,
    },
    kubernetes: {
        id: "kubernetes-range",
        mesh: "istio",
        text: "a release of Istio runs on the Kubernetes minors that it was tested with",
        source: "istio.io/latest/docs/releases/supported-releases; minimum: istioctl x precheck",
        overridable: true,
    },
    istioOrigin: {
        id: "istio-known-origin",
        mesh: "istio",
        text: "what runs must be of a release of Istio, or nothing can be said about the way from it",
        source: "istio.io/latest/docs/releases/supported-releases",
        overridable: true,
    },
    asmOneMinor: {
        id: "asm-one-minor",
        mesh: "istio",
        text: "Anthos Service Mesh on premises goes one minor at a time",
        source: ASM,
        overridable: true,
    },
    asm1614: {
        id: "asm-1.6.14-origin",
        mesh: "istio",
        text: "Anthos Service Mesh 1.6.14 is reached from 1.5.4 or newer, or from 1.6.4 or newer",
        source: "Anthos Service Mesh 1.6, upgrade guide on premises",
        overridable: true,
    },
    istioTwoMinors: {
        id: "istio-two-minors",
        mesh: "istio",
        text: "a jump between revisions spans at most two minors",
        source: "istio.io/latest/docs/setup/upgrade/canary",
        overridable: true,
    },
} as const satisfies Readonly<Record<string, PathRule>>;

/** Ids that `policy.override` may name. */
export const OVERRIDABLE: readonly string[] = Object.values(RULES)
    .filter(({ overridable }) => overridable)
    .map(({ id }) => id);

/** What a check found: reasons to stop, lines for the preview, and which rules are broken, overridden or not. */
export interface Findings {
    readonly faults: readonly Fault[];
    readonly warnings: readonly string[];
    /** Ids. */
    readonly broken: readonly string[];
}

export const NOTHING: Findings = { faults: [], warnings: [], broken: [] };

export function joined(findings: readonly Findings[]): Findings {
    return {
        faults: findings.flatMap(({ faults }) => faults),
        warnings: findings.flatMap(({ warnings }) => warnings),
        broken: [...new Set(findings.flatMap(({ broken }) => broken))],
    };
}

/** The fault with the rule's id and the way around it; the same as a warning where the id is overridden. */
export function ruled(rule: PathRule, fault: Fault, overrides: ReadonlySet<string>): Findings {
    const { id, overridable } = rule;
    const value = fault.value === undefined ? "" : ` = ${fault.value}`;
    return overridable && overrides.has(id)
        ? {
              faults: [],
              warnings: [`${fault.subject}${value}: ${fault.rule} (overridden: ${id})`],
              broken: [id],
          }
        : {
              faults: [
                  {
                      ...fault,
                      rule: `${fault.rule} (rule ${id})`,
                      next: overridable
                          ? `${fault.next}; to go on regardless, add ${id} to policy.override`
                          : fault.next,
                  },
              ],
              warnings: [],
              broken: [id],
          };
}

/** What is found of the way, its steps the live versions and the target in their order. */
export function verdictOf(
    mesh: "linkerd" | "istio",
    steps: readonly string[],
    { broken, faults }: Pick<Findings, "broken" | "faults">,
): PathVerdict {
    return {
        verdict: faults.length > 0 ? "refused" : broken.length > 0 ? "overridden" : "allowed",
        steps,
        rules: Object.values(RULES)
            .filter((one) => one.mesh === mesh || one.mesh === "both")
            .map(({ id, text, source }) => ({ id, text, source, broken: broken.includes(id) })),
    };
}
