import type { V1Pod } from "@kubernetes/client-node";
import type { PatchStep } from "./admission";

/** The workload that a pod belongs to: of a Deployment's pod the Deployment. */
export function workloadOf(pod: V1Pod): { kind: string; name: string } | undefined {
    const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller === true);
    if (owner === undefined) return undefined;
    const hash = pod.metadata?.labels?.["pod-template-hash"];
    if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
        return { kind: "Deployment", name: owner.name.slice(0, -hash.length - 1) };
    }
    return { kind: owner.kind, name: owner.name };
}

/** Adds entries to a map that may be absent. */
export function merge(
    path: string,
    present: Record<string, string> | undefined,
    wanted: Record<string, string>,
): PatchStep[] {
    if (present === undefined) return [{ op: "add", path, value: wanted }];
    return Object.entries(wanted).map(([key, value]) => ({
        op: "add",
        path: `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
        value,
    }));
}

/** Adds items to the end of a list that may be absent. */
export function append<T>(
    path: string,
    present: readonly T[] | undefined,
    wanted: T[],
): PatchStep[] {
    if (present === undefined) return [{ op: "add", path, value: wanted }];
    return wanted.map((value) => ({ op: "add", path: `${path}/-`, value }));
}

/** Adds items to the front of a list that may be absent, in their order. */
export function prepend<T>(
    path: string,
    present: readonly T[] | undefined,
    wanted: T[],
): PatchStep[] {
    if (present === undefined) return [{ op: "add", path, value: wanted }];
    return wanted.map((value, index) => ({ op: "add", path: `${path}/${index}`, value }));
}
