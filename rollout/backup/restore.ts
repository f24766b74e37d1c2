import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../cluster/connection";
import { differingFields, forEachObject } from "../../cluster/declared";
import { RawApi, RawApiError, type RawObject } from "../../cluster/rawApi";
import {
    crdLeftAlone,
    helmReleaseOf,
    nameOfObject,
    stageOf,
    type BackupObject,
} from "../../plan/backup";

/** Field manager of a restore while it works. */
const MANAGER = "mesh-upgrade-restore";
/** Annotation that names the backup from which an object was restored last. */
export const RESTORED_ANNOTATION = "mesh-upgrade/restored-from";

/** Names are accepted and paths served within a second or two. */
const SERVED_MS = 60_000;
const LOOK_MS = 250;

/** What a restore does with one object. */
export interface RestoreStep {
    readonly object: BackupObject;
    readonly action: "create" | "change" | "unchanged" | "left alone";
    /** Fields that change, or why it is left alone. */
    readonly detail: string;
}

/** What a restore would do; changes nothing. */
export async function planRestore(
    connection: Connection,
    objects: readonly BackupObject[],
): Promise<RestoreStep[]> {
    const api = new RawApi(connection);
    const released = await helmReleases(connection, objects);
    return forEachObject(objects, async (object): Promise<RestoreStep> => {
        const release = helmReleaseOf(object);
        if (release !== undefined && released.has(placeOf(object, release))) {
            const detail = "Helm has records of this release, and goes on from the newest";
            return { object, action: "left alone", detail };
        }
        try {
            const reason =
                object.kind === "CustomResourceDefinition"
                    ? crdLeftAlone(await api.read(object), object)
                    : undefined;
            if (reason !== undefined) {
                return {
                    object,
                    action: "left alone",
                    detail: `CRDs move forward only: ${reason}`,
                };
            }
            const fields = await differingFields(api, object);
            return fields.length > 0
                ? { object, action: "change", detail: fields.join(", ") }
                : { object, action: "unchanged", detail: "" };
        } catch (error) {
            // A kind whose CRD is not there is no other case: it comes with the CRD.
            if (error instanceof RawApiError && error.status === 404) {
                return { object, action: "create", detail: "" };
            }
            // A webhook that does not answer refuses a dry run, too. It may answer once what it needs is restored.
            const detail = `cannot be compared: ${(error as Error).message}`;
            return { object, action: "change", detail };
        }
    });
}

/** Releases of the backup, as `namespace/name`, of which the cluster has a record. */
async function helmReleases(
    { core }: Connection,
    objects: readonly BackupObject[],
): Promise<ReadonlySet<string>> {
    const wanted = new Map(
        objects.flatMap((object) => {
            const name = helmReleaseOf(object);
            const namespace = object.metadata.namespace ?? "";
            return name === undefined ? [] : [[placeOf(object, name), { namespace, name }]];
        }),
    );
    const found = await Promise.all(
        [...wanted].map(async ([place, { namespace, name }]) => {
            const labelSelector = `owner=helm,name=${name}`;
            const { items } = await core.listNamespacedSecret({ namespace, labelSelector });
            return items.length > 0 ? [place] : [];
        }),
    );
    return new Set(found.flat());
}

function placeOf({ metadata }: BackupObject, name: string): string {
    return `${metadata.namespace ?? ""}/${name}`;
}

/** A step that could not be done. */
export interface RestoreFailure {
    readonly object: BackupObject;
    readonly reason: string;
}

/**
 * Does the steps, stage by stage. What fails is tried once more at the end, when what it may have needed is there.
 * `backup` is the name that the objects carry afterwards.
 */
export async function restore(
    connection: Connection,
    steps: readonly RestoreStep[],
    backup: string,
    progress: (done: number, all: number) => void,
): Promise<readonly RestoreFailure[]> {
    const api = new RawApi(connection);
    const due = steps.filter(({ action }) => action === "create" || action === "change");
    const stages = [...new Set(due.map(({ object }) => stageOf(object.kind)))].sort(
        (a, b) => a - b,
    );
    let done = 0;
    const applyAll = async (objects: readonly BackupObject[]) => {
        const failures = await forEachObject(objects, async (object) => {
            try {
                await applyOnce(api, object, backup);
                done += 1;
                progress(done, due.length);
                return [];
            } catch (error) {
                return [{ object, reason: (error as Error).message }];
            }
        });
        return failures.flat();
    };
    const failed: RestoreFailure[] = [];
    for (const stage of stages) {
        const objects = due
            .map(({ object }) => object)
            .filter(({ kind }) => stageOf(kind) === stage);
        failed.push(...(await applyAll(objects)));
        await served(api, objects);
    }
    return failed.length > 0 ? applyAll(failed.map(({ object }) => object)) : [];
}

/**
 * Applies an object and gives its fields up again. A restore is no owner: whoever declares the object (the stack, Helm)
 * would meet a conflict at every field that it changes later, and a field that it drops would stay. One annotation stays
 * the restore's, because an object that nobody manages is taken to be all somebody else's at the next apply.
 */
async function applyOnce(api: RawApi, object: BackupObject, backup: string): Promise<void> {
    const { metadata } = object;
    const annotations = {
        ...(metadata["annotations"] as object | undefined),
        [RESTORED_ANNOTATION]: backup,
    };
    const marked: BackupObject = { ...object, metadata: { ...metadata, annotations } };
    let live = await api.apply(marked, MANAGER);
    for (;;) {
        const { resourceVersion, managedFields } = live["metadata"] as LiveMetadata;
        const own = {
            "f:metadata": { "f:annotations": { [`f:${RESTORED_ANNOTATION}`]: {} } },
        };
        const fields = managedFields.map((entry) =>
            entry["manager"] === MANAGER && entry["operation"] === "Apply"
                ? { ...entry, fieldsV1: own }
                : entry,
        );
        try {
            await api.mergePatch(object, { metadata: { resourceVersion, managedFields: fields } });
            return;
        } catch (error) {
            // A controller was faster: look again.
            if (!(error instanceof RawApiError && error.status === 409)) {
                throw error;
            }
            live = await api.read(object);
        }
    }
}

interface LiveMetadata {
    readonly resourceVersion: string;
    readonly managedFields: readonly RawObject[];
}

/** Waits until the kinds of restored CRDs are served; those that are not fail by themselves later. */
async function served(api: RawApi, objects: readonly BackupObject[]): Promise<void> {
    const deadline = Date.now() + SERVED_MS;
    for (const crd of objects.filter(({ kind }) => kind === "CustomResourceDefinition")) {
        const { group, names, versions } = crd["spec"] as {
            readonly group: string;
            readonly names: { readonly kind: string };
            readonly versions: readonly { readonly name: string; readonly served: boolean }[];
        };
        for (const { name } of versions.filter((one) => one.served)) {
            while (!(await api.serves(`${group}/${name}`, names.kind)) && Date.now() < deadline) {
                await sleep(LOOK_MS);
            }
        }
    }
}

/** `create     ConfigMap linkerd/linkerd-config`, for each step that is not "unchanged". */
export function stepLines(steps: readonly RestoreStep[]): string[] {
    return steps
        .filter(({ action }) => action !== "unchanged")
        .map(({ object, action, detail }) =>
            `${action.padEnd(10)} ${nameOfObject(object)}${detail === "" ? "" : ` (${detail})`}`.trim(),
        );
}

/** `12 to create, 3 to change, 70 unchanged, 2 left alone`. */
export function countSteps(steps: readonly RestoreStep[]): string {
    const count = (wanted: RestoreStep["action"]) =>
        steps.filter(({ action }) => action === wanted).length;
    return `${count("create")} to create, ${count("change")} to change, ${count("unchanged")} unchanged, ${count("left alone")} left alone`;
}
