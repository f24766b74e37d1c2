import type * as k8s from "@kubernetes/client-node";

/** A PodDisruptionBudget. */
export interface Budget {
    readonly namespace: string;
    readonly name: string;
    /** Pods that may go down now. */
    readonly allowed: number;
    readonly healthy: number;
    readonly desired: number;
    readonly expected: number;
    /** Whether it covers pods with these labels. */
    readonly covers: (labels: Readonly<Record<string, string>>) => boolean;
}

export function budgetRecord(one: k8s.V1PodDisruptionBudget): Budget {
    const { status, spec, metadata } = one;
    return {
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        allowed: status?.disruptionsAllowed ?? 0,
        healthy: status?.currentHealthy ?? 0,
        desired: status?.desiredHealthy ?? 0,
        expected: status?.expectedPods ?? 0,
        covers: (labels) => matches(spec?.selector, labels),
    };
}

/** An empty selector covers every pod, none covers no pod (policy/v1). */
function matches(
    selector: k8s.V1LabelSelector | undefined,
    labels: Readonly<Record<string, string>>,
): boolean {
    return (
        selector !== undefined &&
        Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
        (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
            const value = labels[key];
            switch (operator) {
                case "In":
                    return value !== undefined && values.includes(value);
                case "NotIn":
                    return value === undefined || !values.includes(value);
                case "Exists":
                    return value !== undefined;
                case "DoesNotExist":
                    return value === undefined;
                default:
                    return false;
            }
        })
    );
}
