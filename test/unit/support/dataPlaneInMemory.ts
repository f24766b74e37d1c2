import { ApiError, type KubeApi } from "../../../cluster/api";
import type { Budget } from "../../../cluster/budgets";
import type { Canary } from "../../../cluster/canaries";
import type { Workload } from "../../../cluster/dataPlane";
import type { LiveDataPlane, WorkloadView } from "../../../cluster/liveDataPlane";
import { keyOf, planWorkload, proxyTarget, type WorkloadPlan } from "../../../plan/dataPlane";
import { pathOf } from "../../../rollout/roll";
import { ALONE, podOf, workloadOf } from "./meshedPods";

export const OLD = "edge-24.5.3";
export const NEW = "edge-24.7.5";

type Used = Pick<
    LiveDataPlane,
    "view" | "onChange" | "onBudgetChange" | "isOutOfTouch" | "budgets" | "canaries"
>;

/**
 * Deployments whose pods are new a while after a restart, all of them at once, and the few members of LiveDataPlane and
 * KubeApi that a schedule uses. It proves the order of things only: not what controllers do in between, not that watches
 * tell it, not that a budget's numbers follow. The journeys do (test/e2e).
 */
export class DataPlaneInMemory {
    readonly budgets = new Map<string, Budget>();
    readonly canaries = new Map<string, Canary>();
    /** Most workloads that rolled at the same time. */
    peak = 0;
    private rolling = 0;
    private readonly views = new Map<string, WorkloadView>();
    private readonly takes = new Map<string, number | ApiError>();
    private readonly listeners = new Map<string, () => void>();
    private readonly budgetListeners = new Set<() => void>();

    /** A Deployment of namespace shop with `replicas` stale pods. `takes`: ms of a restart, or its refusal. */
    add(fields: Partial<Workload> & { readonly name: string }, takes: number | ApiError = 1_000) {
        const workload = workloadOf({ replicas: 1, podLabels: { app: fields.name }, ...fields });
        this.put(workload, OLD);
        this.takes.set(pathOf(workload), takes);
        const plan = planWorkload(workload, this.podsOf(workload, OLD), proxyTarget(NEW), ALONE);
        if (!plan) {
            throw new Error(`nothing to do for ${workload.name}`);
        }
        return plan;
    }

    /** An earlier run restarted it; its pods come after `takes` ms. */
    restarted({ workload }: WorkloadPlan, takes: number): void {
        this.roll(workload, takes);
    }

    /** Somebody else did it. */
    finish({ workload }: Pick<WorkloadPlan, "workload">): void {
        const { replicas: wanted } = workload;
        const status = {
            ...workload.status,
            done: true,
            updated: wanted,
            available: wanted,
            wanted,
        };
        this.put({ ...workload, generation: 2, status }, NEW);
    }

    remove({ workload }: WorkloadPlan): void {
        this.views.delete(keyOf(workload));
        this.listeners.get(keyOf(workload))?.();
    }

    pause({ workload }: WorkloadPlan): void {
        this.put({ ...workload, paused: true }, OLD);
    }

    tellBudgets(): void {
        this.budgetListeners.forEach((listener) => listener());
    }

    get live(): LiveDataPlane {
        const { budgets, canaries } = this;
        const live: Used = {
            budgets,
            canaries,
            view: (key) => this.views.get(key),
            onChange: (key, listener) => {
                this.listeners.set(key, listener);
                return () => this.listeners.delete(key);
            },
            onBudgetChange: (listener) => {
                this.budgetListeners.add(listener);
                return () => this.budgetListeners.delete(listener);
            },
            isOutOfTouch: () => false,
        };
        return live as LiveDataPlane;
    }

    get api(): KubeApi {
        const api: Pick<KubeApi, "mergePatch" | "list"> = {
            mergePatch: (path) => this.restart(path),
            list: () => Promise.resolve({ items: [], resourceVersion: "" }),
        };
        return api as KubeApi;
    }

    private restart(path: string) {
        const takes = this.takes.get(path);
        const view = [...this.views.values()].find(({ workload }) => pathOf(workload) === path);
        if (takes instanceof ApiError || takes === undefined || !view) {
            return Promise.reject(takes instanceof ApiError ? takes : new ApiError(404, path));
        }
        this.roll(view.workload, takes);
        return Promise.resolve({ metadata: { generation: 2 } });
    }

    private roll(workload: Workload, takes: number): void {
        const status = { ...workload.status, done: false, updated: 0 };
        this.put({ ...workload, generation: 2, status }, OLD, false);
        this.peak = Math.max(this.peak, ++this.rolling);
        if (Number.isFinite(takes)) {
            setTimeout(() => {
                this.rolling--;
                this.finish({ workload });
            }, takes);
        }
    }

    private put(workload: Workload, proxy: string, currentRevision = true): void {
        const pods = this.podsOf(workload, proxy).map((pod) => ({ ...pod, currentRevision }));
        this.views.set(keyOf(workload), { workload, pods });
        this.listeners.get(keyOf(workload))?.();
    }

    private podsOf({ kind, name, replicas }: Workload, proxy: string) {
        return Array.from({ length: replicas }, (_, index) =>
            podOf({ name: `${name}-${index}`, owner: { kind, name }, proxy }),
        );
    }
}
