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
        const live = comparable(await api.read(object));
        const applied = comparable(await api.dryRunApply(object));
        const names = Object.keys({ ...live, ...applied }).filter(
            (name) => !isDeepStrictEqual(live[name], applied[name]),
        );
        // Fields by name only: values may be secret.
        return names.length > 0 ? `differs from what the stack declares (${names.join(", ")})` : "";
    });
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
    const faults: (Fault | undefined)[] = [];
    const queue = [...objects.entries()];
    const worker = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
            const [index, object] = next;
            const rule = await problemOf(object).catch((error: Error) =>
                error instanceof RawApiError && error.status === 404
                    ? "is missing in the cluster"
                    : `cannot be compared: ${error.message}`,
            );
            faults[index] = rule === "" ? undefined : fault(object, rule);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return faults.filter((one) => one !== undefined);
}

function fault({ kind, metadata }: ObjectReference, rule: string): Fault {
    const place = metadata.namespace ? `${metadata.namespace}/` : "";
    return { subject: `${kind} ${place}${metadata.name}`, rule, next: "pulumi up --refresh" };
}
