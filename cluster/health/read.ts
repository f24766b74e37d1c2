import { ApiError, type KubeApi, type RawObject } from "../api";
import { found } from "../connection";
import type { Read } from "../../plan/checks/result";

/** What was read, or why the API server did not show it. @throws ConnectionError: then nothing can be known. */
export async function attempt<T>(read: Promise<T>): Promise<Read<T>> {
    try {
        return { value: await read };
    } catch (error) {
        if (error instanceof ApiError) {
            return { unknown: error.message };
        }
        throw error;
    }
}

/** Every item of a collection, as `keep` slims it; undefined drops one. */
export function listOf<T>(
    api: KubeApi,
    path: string,
    keep: (item: never) => T | undefined,
    query: Readonly<Record<string, string>> = {},
): Promise<Read<readonly T[]>> {
    const slim = keep as (item: RawObject) => T | undefined;
    return attempt(api.list(path, slim, query).then(({ items }) => items));
}

/** One object; undefined where there is none. */
export function objectAt<T>(api: KubeApi, path: string): Promise<Read<T | undefined>> {
    return attempt(found(api.send("GET", path)) as Promise<T | undefined>);
}

/** The same with another value; what is unknown stays so. */
export function mapRead<T, U>(read: Read<T>, change: (value: T) => U): Read<U> {
    return "unknown" in read ? read : { value: change(read.value) };
}
