import * as k8s from "@kubernetes/client-node";
import { isDeepStrictEqual } from "node:util";
import type { Fault } from "../plan/faults";
import { reasonOf, statusOf, type Connection } from "./connection";

/** An object of which apiVersion, kind, name and namespace are known. */
export interface ObjectReference {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Requests that are under way at the same time. */
const AT_ONCE = 8;

/**
 * Compares each declared object with the cluster: it must exist, and applying it once more, as a dry run, must
 * change nothing. So the API server itself judges what is equal (defaults, quantities, empty lists).
 * Returns a fault per object that is missing or differs.
 */
export async function compareDeclared(
    connection: Connection,
    objects: readonly ObjectReference[],
): Promise<readonly Fault[]> {
    return (await mapAtOnce(objects, (object) => compareOne(connection, object))).filter(
        (fault) => fault !== undefined,
    );
}

/** Returns a fault for each object that does not exist. */
export async function findMissing(
    connection: Connection,
    objects: readonly ObjectReference[],
): Promise<readonly Fault[]> {
    const faults = await mapAtOnce(objects, async (object) => {
        try {
            await connection.objects.read(object as never);
            return undefined;
        } catch (error) {
            return failure(object, error);
        }
    });
    return faults.filter((fault) => fault !== undefined);
}

async function compareOne(
    connection: Connection,
    declared: ObjectReference,
): Promise<Fault | undefined> {
    try {
        const live = await connection.objects.read(declared as never);
        const applied = await connection.objects.patch(
            declared as unknown as k8s.KubernetesObject,
            undefined,
            "All",
            "mesh-upgrade",
            true,
            k8s.PatchStrategy.ServerSideApply,
        );
        return isDeepStrictEqual(comparable(live), comparable(applied))
            ? undefined
            : fault(declared, `differs from what the stack declares (${difference(live, applied)})`);
    } catch (error) {
        return failure(declared, error);
    }
}

/** What an apply changes in any case is left out. */
function comparable(object: k8s.KubernetesObject): unknown {
    const { metadata, ...rest } = object as k8s.KubernetesObject & { status?: unknown };
    const { managedFields, resourceVersion, generation, ...kept } = metadata ?? {};
    void [managedFields, resourceVersion, generation];
    return JSON.parse(JSON.stringify({ ...rest, status: undefined, metadata: kept }));
}

/** The top-level fields that differ, by name: values may be secret. */
function difference(live: k8s.KubernetesObject, applied: k8s.KubernetesObject): string {
    const [a, b] = [comparable(live), comparable(applied)] as Record<string, unknown>[];
    return Object.keys({ ...a, ...b })
        .filter((name) => !isDeepStrictEqual(a?.[name], b?.[name]))
        .join(", ");
}

function failure(object: ObjectReference, error: unknown): Fault {
    return fault(
        object,
        statusOf(error) === 404 ? "is missing in the cluster" : `cannot be read: ${reasonOf(error)}`,
    );
}

function fault({ kind, metadata }: ObjectReference, rule: string): Fault {
    const place = metadata.namespace ? `${metadata.namespace}/` : "";
    return { subject: `${kind} ${place}${metadata.name}`, rule, next: "pulumi up --refresh" };
}

async function mapAtOnce<T, R>(items: readonly T[], each: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    const queue = [...items.entries()];
    const worker = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
            results[next[0]] = await each(next[1]);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return results;
}
