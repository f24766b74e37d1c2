import { isDeepStrictEqual } from "node:util";
import { isMap } from "../plan/values";
import { ADOPTED_MANAGER, isInstaller } from "./adopt";
import type { Connection } from "./connection";
import { nameOfObject } from "./meshObjects";
import { RawApi, RawApiError, type ObjectReference, type RawObject } from "./rawApi";

/** Requests that are under way at the same time. */
const AT_ONCE = 8;

/** An object that somebody else made and that the stack declares. */
export interface TakenOver {
    /** `Deployment linkerd/linkerd-identity`. */
    readonly name: string;
    /** Field managers that set it: `kubectl-client-side-apply`. */
    readonly managers: readonly string[];
    /** Fields whose declared value differs from the live one: `spec.replicas`. No values: they may be secret. */
    readonly changed: readonly string[];
    /** Fields that an installer set and that go, since nothing declares them. */
    readonly dropped: readonly string[];
}

type Fields = { readonly [key: string]: Fields };

/** An entry of managedFields. */
export interface Managed {
    readonly manager?: string;
    readonly operation?: string;
    readonly subresource?: string;
    readonly fieldsV1?: Fields;
}

interface Managing {
    readonly annotations?: Readonly<Record<string, string>>;
}

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Which of the declared objects somebody else made, and in what they differ. The API server says itself what applying the
 * declared object would make of the live one (a dry run).
 */
export async function findTakenOver(
    connection: Connection,
    declared: readonly ObjectReference[],
): Promise<readonly TakenOver[]> {
    const api = new RawApi(connection);
    const found: (TakenOver | undefined)[] = [];
    const queue = [...declared.entries()];
    const worker = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
            const [index, object] = next;
            found[index] = await takenOver(api, object);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return found.filter((one) => one !== undefined);
}

async function takenOver(api: RawApi, object: ObjectReference): Promise<TakenOver | undefined> {
    const live = await api.read(object).catch((error: unknown) => {
        if (error instanceof RawApiError && error.status === 404) {
            return undefined;
        }
        throw error;
    });
    const managed = ((live?.["metadata"] as RawObject | undefined)?.["managedFields"] ??
        []) as readonly Managed[];
    const makers = managed.filter((one) => one.subresource === undefined);
    const managers = [...new Set(makers.map(({ manager = "unknown" }) => manager))].sort();
    if (!live || managers.some(isOurs)) {
        return undefined;
    }
    const applied = await api.dryRunApply(object);
    const told = (live["metadata"] as Managing).annotations?.[LAST_APPLIED];
    return {
        name: nameOfObject(object),
        managers,
        changed: shown(differences(comparable(live), comparable(applied))),
        dropped: shown(droppedFields(makers, told, object)),
    };
}

/**
 * What installers set and the declared object lacks. Others keep what is theirs: what collides is a difference.
 * @param told what kubectl was told, as JSON: what managedFields say of an update holds the server's defaults as well,
 * which come back
 */
export function droppedFields(
    makers: readonly Managed[],
    told: string | undefined,
    declared: unknown,
): string[] {
    return makers
        .filter(({ manager }) => isInstaller(manager))
        .flatMap(({ operation, fieldsV1 = {} }) =>
            told !== undefined && operation === "Update"
                ? absent(JSON.parse(told), declared)
                : undeclared(fieldsV1, declared),
        );
}

function isOurs(manager: string): boolean {
    return manager === ADOPTED_MANAGER || manager.startsWith("pulumi-kubernetes");
}

/** What every apply changes, what controllers write, and the marks of the tools themselves. */
function comparable(object: RawObject): RawObject {
    const { status, metadata, ...rest } = object;
    const { managedFields, resourceVersion, generation, ...kept } = metadata as RawObject;
    void [status, managedFields, resourceVersion, generation];
    return { ...rest, metadata: kept };
}

const MARKS = /^metadata\.annotations(\["(pulumi\.com|kubectl\.kubernetes\.io)\/[^"]+"\])?$/;

function shown(paths: readonly string[]): string[] {
    return [...new Set(paths)].filter((path) => !MARKS.test(path)).sort();
}

/** Paths at which two values differ; of a list that has another length, the list's own. */
export function differences(before: unknown, after: unknown, path = ""): string[] {
    if (isDeepStrictEqual(before, after)) {
        return [];
    }
    if (isMap(before) && isMap(after)) {
        const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
        return [...keys].flatMap((key) => differences(before[key], after[key], below(path, key)));
    }
    if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
        return before.flatMap((one, index) =>
            differences(one, after[index] as unknown, `${path}[${index}]`),
        );
    }
    // A map that comes or goes is told by what is in it.
    const whole = before ?? after;
    return isMap(whole) && (before === undefined || after === undefined)
        ? Object.keys(whole).map((key) => below(path, key))
        : [path];
}

/** Fields of `before` that the declared object lacks; lists of another length are a difference, not told here. */
export function absent(before: unknown, declared: unknown, path = ""): string[] {
    if (isMap(before) && isMap(declared)) {
        return Object.entries(before)
            .filter(([, value]) => value !== null)
            .flatMap(([key, value]) =>
                declared[key] === undefined
                    ? [below(path, key)]
                    : absent(value, declared[key], below(path, key)),
            );
    }
    return Array.isArray(before) && Array.isArray(declared) && before.length === declared.length
        ? before.flatMap((one, index) => absent(one, declared[index], `${path}[${index}]`))
        : [];
}

/**
 * Fields of a managedFields entry that the declared object lacks
 * (kubernetes.io/docs/reference/using-api/server-side-apply): `f:name` is a key of a map, `k:{...}` an element of a list.
 */
export function undeclared(fields: Fields, declared: unknown, path = ""): string[] {
    return Object.entries(fields).flatMap(([key, inner]) => {
        if (key.startsWith("f:")) {
            const name = key.slice(2);
            const value = isMap(declared) ? declared[name] : undefined;
            return value === undefined || value === null
                ? [below(path, name)]
                : undeclared(inner, value, below(path, name));
        }
        if (key.startsWith("k:") && Array.isArray(declared)) {
            const wanted = JSON.parse(key.slice(2)) as Record<string, unknown>;
            const at = declared.findIndex(
                (one) =>
                    isMap(one) &&
                    Object.entries(wanted).every(([name, value]) => (one[name] ?? value) === value),
            );
            return at < 0
                ? [`${path}[${Object.values(wanted).join(",")}]`]
                : undeclared(inner, declared[at], `${path}[${at}]`);
        }
        return [];
    });
}

function below(path: string, key: string): string {
    const part = /^[\w-]+$/.test(key) ? `.${key}` : `["${key}"]`;
    return path === "" ? key : `${path}${part}`;
}
