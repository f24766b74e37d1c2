import { Struct } from "google-protobuf/google/protobuf/struct_pb";

/** A value as the engine sends it: secrets and unknown values are marked with the two constants. */
export type Property =
    null | boolean | number | string | Property[] | { readonly [key: string]: Property };
export type Properties = Readonly<Record<string, Property>>;

// Source: pulumi/pulumi sdk/go/common/resource/sig/sig.go and plugin/rpc.go.
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
/** What stands for a string that is not known before the update. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const unknowns = new Set<Property>([
    unknown,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** The message's values; null in an object counts as absent, as in Go plugins. */
export function fromStruct(struct: Struct | undefined): Properties {
    return struct === undefined ? {} : withoutNulls(struct.toJavaScript());
}

/** The message that holds the values. */
export function toStruct(properties: Properties): Struct {
    return Struct.fromJavaScript(properties);
}

function withoutNulls(properties: Properties): Properties {
    const clean = (value: Property): Property =>
        Array.isArray(value) ? value.map(clean) : isMap(value) ? withoutNulls(value) : value;
    const present = Object.entries(properties).filter(([, value]) => value !== null);
    return Object.fromEntries(present.map(([key, value]) => [key, clean(value)]));
}

/** True for an object, also for one that marks a secret. */
export function isMap(value: Property | undefined): value is Properties {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for a value that carries the mark of a secret itself; its parts are not looked at. */
export function isSecret(value: Property | undefined): value is Properties & { value: Property } {
    return isMap(value) && value[signatureKey] === secretSignature;
}

/** True for a value that will be known during the update only; its parts are not looked at. */
export function isUnknown(value: Property | undefined): boolean {
    return isSecret(value) ? isUnknown(value.value) : value !== undefined && unknowns.has(value);
}

/** The value without any mark of a secret, at any depth. */
export function reveal(value: Property): Property {
    if (isSecret(value)) return reveal(value.value);
    if (Array.isArray(value)) return value.map(reveal);
    if (!isMap(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, reveal(item)]));
}

/** Deep equality; a secret equals only a secret. */
export function equal(a: Property | undefined, b: Property | undefined): boolean {
    if (a === undefined || b === undefined) return a === b;
    return compare(a, b, "").length === 0;
}

export interface Difference {
    /** A path as the engine writes it, for example `triggers[0]` or `environment["a.b"]`. */
    readonly path: string;
    readonly kind: "add" | "delete" | "update";
}

/** What differs, down to the leaves; see `ObjectDiff` in pulumi/pulumi. */
export function differences(old: Properties, now: Properties, prefix = ""): Difference[] {
    const path = (key: string): string => joinPath(prefix, key);
    const removed = Object.keys(old).filter((key) => !Object.hasOwn(now, key));
    return [
        ...removed.map((key): Difference => ({ path: path(key), kind: "delete" })),
        ...Object.entries(now).flatMap(([key, value]): Difference[] => {
            const before = Object.hasOwn(old, key) ? old[key] : undefined;
            return before === undefined
                ? [{ path: path(key), kind: "add" }]
                : compare(before, value, path(key));
        }),
    ];
}

function compare(old: Property, now: Property, path: string): Difference[] {
    if (isSecret(old) && isSecret(now)) {
        return compare(old.value, now.value, path).length === 0 ? [] : [{ path, kind: "update" }];
    }
    if (Array.isArray(old) && Array.isArray(now)) return compareLists(old, now, path);
    if (isMap(old) && isMap(now) && !isSecret(old) && !isSecret(now)) {
        return differences(old, now, path);
    }
    return old === now ? [] : [{ path, kind: "update" }];
}

function compareLists(old: Property[], now: Property[], path: string): Difference[] {
    return Array.from({ length: Math.max(old.length, now.length) }).flatMap((_, index) => {
        const item = `${path}[${index}]`;
        const before = old[index];
        const after = now[index];
        if (before === undefined) return [{ path: item, kind: "add" as const }];
        if (after === undefined) return [{ path: item, kind: "delete" as const }];
        return compare(before, after, item);
    });
}

function joinPath(prefix: string, key: string): string {
    if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${prefix}[${JSON.stringify(key)}]`;
    return prefix === "" ? key : `${prefix}.${key}`;
}
