import type { KubernetesObject } from "@kubernetes/client-node";

/** A Canary of Flagger: it copies its target's template to `<target>-primary`, which serves. */
export interface Canary {
    readonly namespace: string;
    readonly name: string;
    readonly target: { readonly kind: string; readonly name: string };
    /** `Initialized`, `Progressing`, `Succeeded` ... */
    readonly phase: string;
    /** Changes with each step of an analysis. */
    readonly step: string;
}

export type CanaryObject = KubernetesObject & {
    readonly spec?: { readonly targetRef?: { readonly kind?: string; readonly name?: string } };
    readonly status?: {
        readonly phase?: string;
        readonly canaryWeight?: number;
        readonly iterations?: number;
    };
};

export function canaryRecord({ metadata, spec, status }: CanaryObject): Canary {
    return {
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        target: { kind: spec?.targetRef?.kind ?? "", name: spec?.targetRef?.name ?? "" },
        phase: status?.phase ?? "Initializing",
        step: `${status?.canaryWeight ?? 0}/${status?.iterations ?? 0}`,
    };
}

/** Phases in which nothing moves (docs.flagger.app, usage/how-it-works, canary status). */
const SETTLED = new Set(["Initialized", "Succeeded", "Failed", "Waiting", "Terminated"]);

export function isProgressing(canary: Canary): boolean {
    return !SETTLED.has(canary.phase);
}
