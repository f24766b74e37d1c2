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
        ...shown.map(
            (one) => `  takes over ${one.name} (${one.managers.join(", ")}): ${changes(one)}`,
        ),
        ...(rest > 0 ? [`  and ${rest} objects more`] : []),
    ];
}

function changes({ changed, dropped }: Pick<TakenOver, "changed" | "dropped">): string {
    const what = [
        ...(changed.length > 0 ? [`differs in ${some(changed)}`] : []),
        ...(dropped.length > 0 ? [`drops ${some(dropped)}`] : []),
        ...([...changed, ...dropped].some((path) => path.startsWith("spec.template."))
            ? ["its pods restart"]
            : []),
    ];
    return what.join("; ") || "as it is";
}

/** Helm's own marks, which it sets itself. */
const HELMS = /"(app\.kubernetes\.io\/managed-by|meta\.helm\.sh\/[^"]+)"/;

/**
 * One line for each object of viz that Helm would change or add, next to what runs.
 * @param created `ClusterRole linkerd-linkerd-viz-web-check`
 */
export function vizLines(objects: readonly TakenOver[], created: readonly string[]): string[] {
    const others = (paths: readonly string[]) => paths.filter((path) => !HELMS.test(path));
    const differing = objects
        .map((one) => ({ ...one, changed: others(one.changed), dropped: others(one.dropped) }))
        .filter(({ changed, dropped }) => changed.length + dropped.length > 0);
    const lines = [
        ...differing.map((one) => `  Helm changes ${one.name}: ${changes(one)}`),
        ...created.map((name) => `  Helm adds ${name}`),
    ];
    return lines.length > 0
        ? ["adopt: viz would not stay as it is; what viz.values should say else:", ...lines]
        : ["adopt: Helm changes nothing of viz"];
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
