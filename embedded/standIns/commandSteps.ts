import { randomBytes } from "node:crypto";
import { checkInputs, inputNames, readInputs, withoutInternal } from "./commandInputs";
import type { CommandInputs, Failure } from "./commandInputs";
import { runCommand, type CommandOutputs } from "./commandRunner";
import { differences, equal, isUnknown, reveal, unknown } from "./properties";
import type { Difference, Properties } from "./properties";

/** How a step reaches the outside. */
export interface StepContext {
    readonly log: (line: string) => void;
    /** Aborts when the engine cancels or the step takes longer than its custom timeout. */
    readonly signal: AbortSignal;
}

export interface PropertyChange extends Difference {
    readonly replaces: boolean;
}

/** The inputs to store, and every reason to refuse them. */
export function check(inputs: Properties): { inputs: Properties; failures: Failure[] } {
    return { inputs: withoutInternal(inputs), failures: checkInputs(inputs) };
}

/**
 * What changed between two sets of inputs. Only `triggers` as a whole replaces; that a changed
 * element does so as well is the Node SDK's doing (`replaceOnChanges: ["triggers[*]"]`).
 */
export function diff(
    old: { inputs: Properties; state: Properties },
    inputs: Properties,
    ignored: readonly string[],
): PropertyChange[] {
    const kept = ignored.flatMap((name) => {
        const value = old.state[name];
        return value === undefined ? [] : [[name, value] as const];
    });
    const now = withoutInternal({ ...inputs, ...Object.fromEntries(kept) });
    return differences(old.inputs, now).map((difference) => ({
        ...difference,
        replaces: difference.path === "triggers",
    }));
}

/** Runs `create`; a preview runs nothing and knows no output. */
export async function create(
    name: string,
    properties: Properties,
    context: StepContext | "preview",
): Promise<{ id: string; state: Properties }> {
    const id = `${name}${randomBytes(4).toString("hex")}`;
    if (context === "preview") {
        return { id, state: { ...properties, stdout: unknown, stderr: unknown } };
    }
    const inputs = readInputs(properties);
    const outputs = await run(inputs.create, inputs, { stdout: "", stderr: "" }, context);
    return { id, state: { ...properties, ...outputs } };
}

/** Runs `update`, or `create` without one; without either the outputs stay. */
export async function update(
    old: Properties,
    properties: Properties,
    context: StepContext | "preview",
): Promise<Properties> {
    const previous = outputsOf(old);
    if (context === "preview") {
        const outputs = changed(old, properties) ? { stdout: unknown, stderr: unknown } : previous;
        return { ...properties, ...outputs };
    }
    const inputs = readInputs(properties);
    return {
        ...properties,
        ...(await run(inputs.update ?? inputs.create, inputs, previous, context)),
    };
}

/** Runs `delete` with the inputs and outputs of the state. */
export async function remove(old: Properties, context: StepContext): Promise<void> {
    const inputs = readInputs(old);
    await run(inputs.delete, inputs, outputsOf(old), context);
}

async function run(
    command: string | undefined,
    inputs: CommandInputs,
    previous: CommandOutputs,
    context: StepContext,
): Promise<CommandOutputs> {
    if (command === undefined) return previous;
    return runCommand({ command, inputs, previous, ...context });
}

function outputsOf(state: Properties): CommandOutputs {
    const output = (name: string): string => {
        const value = reveal(state[name] ?? "");
        return typeof value === "string" ? value : "";
    };
    return { stdout: output("stdout"), stderr: output("stderr") };
}

/**
 * Whether a preview has to take the outputs as unknown. An input that is new and known does not
 * count: that is how pulumi-go-provider's `markComputed` decides (infer/resource.go, v1.3.0).
 */
function changed(old: Properties, inputs: Properties): boolean {
    return inputNames.some((name) => {
        const before = old[name];
        return isUnknown(inputs[name]) || (before !== undefined && !equal(before, inputs[name]));
    });
}
