import { nameOfObject, type MeshObject } from "../cluster/meshObjects";
import type { TakenOver } from "../cluster/takenOver";

/** Fields of one object that are named; more are counted. */
const MOST_FIELDS = 8;
/** Objects that are listed one by one; more are counted. */
const MOST_OBJECTS = 120;

/** One line for each object that is taken over: who made it, and what becomes of it. */
export function takenOverLines(objects: readonly TakenOver[]): string[] {
    const shown = objects.slice(0, MOST_OBJECTS);
    const rest = objects.length - shown.length;
    return [
        ...(objects.length > 0 ? [`adopt: ${objects.length} objects are taken over`] : []),
        ...shown.map(({ name, managers, changed, dropped }) => {
            const what = [
                ...(changed.length > 0 ? [`differs in ${some(changed)}`] : []),
                ...(dropped.length > 0 ? [`drops ${some(dropped)}`] : []),
            ];
            return `  takes over ${name} (${managers.join(", ")}): ${what.join("; ") || "as it is"}`;
        }),
        ...(rest > 0 ? [`  and ${rest} objects more`] : []),
    ];
}

/** One line for each object of a viz that becomes a Helm release. */
export function markedLines(objects: readonly MeshObject[]): string[] {
    return objects.map(
        (one) =>
            `  takes over ${nameOfObject(one)} (${one.managers.join(", ")}): gets Helm's marks of ownership; Helm then applies what the chart says`,
    );
}

function some(paths: readonly string[]): string {
    const rest = paths.length - MOST_FIELDS;
    return paths.slice(0, MOST_FIELDS).join(", ") + (rest > 0 ? ` and ${rest} fields more` : "");
}

/** Objects with the control plane's label that the stack does not declare: `Secret linkerd/old`. */
export function undeclaredLines(names: readonly string[], prune: boolean): string[] {
    return names.map((name) =>
        prune
            ? `prune: deletes ${name}, which this stack does not declare, once the control plane is healthy`
            : `left alone: ${name} carries the control plane's label, and this stack does not declare it (prune: true deletes it)`,
    );
}
