import { isDeepStrictEqual } from "node:util";
import type { Fault } from "../plan/faults";
import type { Connection } from "./connection";
import { RawApi, RawApiError, type ObjectReference, type RawObject } from "./rawApi";

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
    const api = new RawApi(connection);
    return faultsOf(objects, async (object) => {
        const names = await differingFields(api, object);
        // Fields by name only: values may be secret.
        return names.length > 0 ? `differs from what the stack declares (${names.join(", ")})` : "";
    });
}

/**
 * Top-level fields of the live object that applying would change; the API server itself judges what is equal.
 * @throws ApiError (404: the object is missing)
 */
export async function differingFields(api: RawApi, object: ObjectReference): Promise<string[]> {
    const live = comparable(await api.read(object));
    const applied = comparable(await api.dryRunApply(object));
    return Object.keys({ ...live, ...applied }).filter(
        (name) => !isDeepStrictEqual(live[name], applied[name]),
    );
}

/** Returns a fault for each object that does not exist. */
export async function findMissing(
    connection: Connection,
    objects: readonly ObjectReference[],
): Promise<readonly Fault[]> {
    const api = new RawApi(connection);
    return faultsOf(objects, async (object) => {
        await api.read(object);
        return "";
    });
}

/** What an apply changes in any case, and what controllers write, is left out. */
function comparable(object: RawObject): Record<string, unknown> {
    const { status, metadata, ...rest } = object;
    const { managedFields, resourceVersion, generation, ...kept } = metadata as RawObject;
    void [status, managedFields, resourceVersion, generation];
    return { ...rest, metadata: kept };
}

async function faultsOf(
    objects: readonly ObjectReference[],
    problemOf: (object: ObjectReference) => Promise<string>,
): Promise<readonly Fault[]> {
    const rules = await forEachObject(objects, (object) =>
        problemOf(object).catch((error: Error) =>
            error instanceof RawApiError && error.status === 404
                ? "is missing in the cluster"
                : `cannot be compared: ${error.message}`,
        ),
    );
    return objects.flatMap((object, index) => {
        const rule = rules[index] ?? "";
        return rule === "" ? [] : [fault(object, rule)];
    });
}

/** Results in the order of the objects; a few requests are under way at the same time. */
export async function forEachObject<O, T>(
    objects: readonly O[],
    work: (object: O) => Promise<T>,
): Promise<T[]> {
    const results: T[] = [];
    const queue = [...objects.entries()];
    const worker = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
            const [index, object] = next;
            results[index] = await work(object);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return results;
}

function fault({ kind, metadata }: ObjectReference, rule: string): Fault {
    const place = metadata.namespace ? `${metadata.namespace}/` : "";
    return { subject: `${kind} ${place}${metadata.name}`, rule, next: "pulumi up --refresh" };
}
