// Stand-ins for what other projects add to a cluster: Argo Rollouts' controller, and Flagger's state of a canary.
import { loadAllYaml } from "@kubernetes/client-node";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Mesh } from "./mesh";
import { podTemplate } from "./meshObjects";
import type { MeshPods } from "./meshPods";
import { waitFor } from "./waiting";

const crds = join(import.meta.dirname, "../../fixtures/crds");
const LOOK_MS = 200;

/** Makes the API server serve Rollouts and Canaries. */
export async function createExtensions({ api, create }: Mesh): Promise<void> {
    for (const file of await readdir(crds)) {
        await create(...(loadAllYaml(await readFile(join(crds, file), "utf8")) as object[]));
    }
    for (const path of [
        "/apis/argoproj.io/v1alpha1/rollouts",
        "/apis/flagger.app/v1beta1/canaries",
    ]) {
        await waitFor(path, async () => "items" in (await api.send("GET", path)));
    }
}

export async function createCanary({ api }: Mesh, namespace: string, target: string) {
    await api.send("POST", `/apis/flagger.app/v1beta1/namespaces/${namespace}/canaries`, {
        body: {
            apiVersion: "flagger.app/v1beta1",
            kind: "Canary",
            metadata: { namespace, name: target },
            spec: { targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: target } },
        },
    });
}

export async function setPhase({ api }: Mesh, namespace: string, canary: string, phase: string) {
    const path = `/apis/flagger.app/v1beta1/namespaces/${namespace}/canaries/${canary}/status`;
    await api.mergePatch(path, { status: { phase } });
}

/** A Rollout with the ReplicaSet that Argo's controller would have made for it. */
export async function createRollout(mesh: Mesh, namespace: string, name: string, replicas: number) {
    const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/rollouts`;
    const apiVersion = "argoproj.io/v1alpha1";
    const selector = { matchLabels: { app: name } };
    const rollout = await mesh.api.send("POST", path, {
        body: {
            apiVersion,
            kind: "Rollout",
            metadata: { namespace, name },
            spec: { replicas, selector, template: podTemplate(name) },
        },
    });
    const { uid } = rollout["metadata"] as { uid: string };
    const hash = { "rollouts-pod-template-hash": "6c9fbd5d8" };
    await mesh.create({
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        metadata: {
            namespace,
            name: `${name}-6c9fbd5d8`,
            labels: { app: name, ...hash },
            ownerReferences: [{ apiVersion, kind: "Rollout", name, uid, controller: true }],
        },
        spec: {
            replicas,
            selector: { matchLabels: { app: name, ...hash } },
            template: podTemplate(name, hash),
        },
    });
}

interface Rollout {
    readonly spec: { readonly replicas: number; readonly restartAt?: string };
    readonly status?: { readonly restartedAt?: string; readonly availableReplicas?: number };
}

/**
 * Plays Argo's controller for one Rollout until the signal: counts its ready pods, and where spec.restartAt asks for
 * it deletes the pods that are older, one at a time, and says so in status.restartedAt.
 */
export async function playArgo(
    { api, connection }: Mesh,
    pods: MeshPods,
    namespace: string,
    name: string,
    signal: AbortSignal,
): Promise<void> {
    const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/rollouts/${name}`;
    while (!signal.aborted) {
        const { spec, status = {} } = (await api.send("GET", path)) as unknown as Rollout;
        const { restartAt } = spec;
        const availableReplicas = pods.ready(name);
        if (status.availableReplicas !== availableReplicas) {
            await api.mergePatch(`${path}/status`, { status: { availableReplicas } });
        }
        if (restartAt !== undefined && status.restartedAt !== restartAt) {
            const [old] = pods
                .alive(name)
                .filter(
                    ({ metadata }) =>
                        new Date(metadata?.creationTimestamp ?? 0).getTime() <
                        Date.parse(restartAt),
                );
            if (!old) {
                await api.mergePatch(`${path}/status`, { status: { restartedAt: restartAt } });
            } else if (availableReplicas === spec.replicas) {
                await connection.core.deleteNamespacedPod({
                    namespace,
                    name: old.metadata?.name ?? "",
                });
            }
        }
        await sleep(LOOK_MS);
    }
}
