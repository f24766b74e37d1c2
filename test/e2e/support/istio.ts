import * as k8s from "@kubernetes/client-node";
import { KubeApi } from "../../../cluster/api";
import { observeDataPlane } from "../../../cluster/dataPlane";
import { istioPods } from "../../../cluster/istio/pods";
import { startJourney, type Journey } from "./journey";
import { workload } from "./meshObjects";
import { waitFor } from "./waiting";

export const OLD = "1.26.4";
export const NEW = "1.27.1";
export const OLD_REVISION = "1-26-4";
export const NEW_REVISION = "1-27-1";
export const OLD_PROXY = `${OLD} (${OLD_REVISION})`;
export const NEW_PROXY = `${NEW} (${NEW_REVISION})`;

/** A journey of a stack that upgrades Istio. */
export interface IstioJourney extends Journey {
    /** The user's edit of section `istio`: these keys differ. */
    edit(keys: Readonly<Record<string, unknown>>): Promise<void>;
    /** Sidecar by `namespace/workload`, both where there are two. */
    sidecars(): Promise<Record<string, string>>;
    labels(namespace: string): Promise<Record<string, string>>;
    /** Names of all webhook configurations. */
    webhooks(): Promise<string[]>;
}

/** Namespaces with one Deployment of two pods each, `web`. */
export async function startIstioJourney(
    name: string,
    namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>,
    istio: Readonly<Record<string, unknown>>,
    config: Readonly<Record<string, unknown>> = {},
): Promise<IstioJourney> {
    const journey = await startJourney(name, {
        config: { linkerdVersion: undefined, istio, ...config },
    });
    const { connection } = journey;
    let section = istio;
    for (const [namespace, labels] of Object.entries(namespaces)) {
        await connection.core.createNamespace({ body: { metadata: { name: namespace, labels } } });
    }
    const names = Object.keys(namespaces);
    return {
        ...journey,
        edit: async (keys) => {
            section = { ...section, ...keys };
            await journey.stack.edit("istio", section);
        },
        sidecars: async () => {
            const { pods } = await observeDataPlane(
                new KubeApi(connection),
                istioPods(new Set(names)),
            );
            const found: Record<string, Set<string>> = {};
            for (const pod of pods.filter((one) => one.owner && !one.terminating)) {
                const key = `${pod.namespace}/${pod.owner?.name}`;
                found[key] = (found[key] ?? new Set()).add(pod.proxy ?? "unknown");
            }
            return Object.fromEntries(
                Object.entries(found).map(([key, all]) => [key, [...all].sort().join(" + ")]),
            );
        },
        labels: async (namespace) => {
            const found = await connection.core.readNamespace({ name: namespace });
            const { "kubernetes.io/metadata.name": _, ...labels } = found.metadata?.labels ?? {};
            return labels;
        },
        webhooks: async () => {
            const api = connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
            const [mutating, validating] = await Promise.all([
                api.listMutatingWebhookConfiguration(),
                api.listValidatingWebhookConfiguration(),
            ]);
            return [...mutating.items, ...validating.items]
                .map((one) => one.metadata?.name ?? "")
                .sort();
        },
    };
}

/** Deployment `web` of two pods in each namespace, ready. */
export async function createWorkloads(
    journey: IstioJourney,
    namespaces: readonly string[],
): Promise<void> {
    const { connection } = journey;
    const api = new KubeApi(connection);
    for (const namespace of namespaces) {
        const body = workload({
            kind: "Deployment",
            namespace,
            name: "web",
            spec: { replicas: 2 },
        });
        await api.send("POST", `/apis/apps/v1/namespaces/${namespace}/deployments`, { body });
    }
    api.close();
    await waitFor("workloads", async () => {
        const found = await journey.sidecars();
        const { items } = await connection.apps.listDeploymentForAllNamespaces();
        return (
            namespaces.every((one) => `${one}/web` in found) &&
            items.every(({ spec, status }) => (status?.readyReplicas ?? 0) >= (spec?.replicas ?? 1))
        );
    });
}
