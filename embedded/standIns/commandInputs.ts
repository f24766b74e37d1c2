import { isMap, isUnknown, reveal, type Properties, type Property } from "./properties";

/** The version of the official provider whose behaviour the stand-in copies. */
export const commandVersion = "1.2.1";
export const commandType = "command:local:Command";

/** The inputs of `command:local:Command` that the stand-in knows, in the clear. */
export interface CommandInputs {
    readonly create?: string;
    readonly update?: string;
    readonly delete?: string;
    /** Program and first arguments; the command follows as the last one. Default: /bin/sh -c. */
    readonly interpreter?: readonly string[];
    readonly stdin?: string;
    /** Goes over the environment of the provider's process. */
    readonly environment?: Readonly<Record<string, string>>;
    /** Relative to the project's folder, which is the default. */
    readonly dir?: string;
    readonly triggers?: readonly Property[];
    /** "stdout", "stderr", "stdoutAndStderr" (the default) or "none". */
    readonly logging?: string;
    /** Defaults to true. */
    readonly addPreviousOutputInEnv?: boolean;
}

interface Kind {
    readonly text: string;
    readonly accepts: (value: Property) => boolean;
}

const isString = (value: Property): boolean => typeof value === "string";
// What is not known yet is checked by the update, when it is.
const each = (values: Property[]): boolean => values.every((v) => isUnknown(v) || isString(v));
const string: Kind = { text: "a string", accepts: isString };
const kinds: Readonly<Record<keyof CommandInputs, Kind>> = {
    create: string,
    update: string,
    delete: string,
    interpreter: {
        text: "a list of strings",
        accepts: (value) => Array.isArray(value) && each(value),
    },
    stdin: string,
    environment: {
        text: "a map of strings",
        accepts: (value) => isMap(value) && each(Object.values(value)),
    },
    dir: string,
    triggers: { text: "a list", accepts: Array.isArray },
    logging: string,
    addPreviousOutputInEnv: { text: "a boolean", accepts: (value) => typeof value === "boolean" },
};

/** The names of the inputs that the stand-in knows. */
export const inputNames = Object.keys(kinds) as readonly (keyof CommandInputs)[];

export interface Failure {
    readonly property: string;
    readonly reason: string;
}

/** Every reason to refuse the inputs: those not supported, by name, and those of a wrong type. */
export function checkInputs(inputs: Properties): Failure[] {
    return Object.entries(withoutInternal(inputs)).flatMap(([property, value]) => {
        const kind = (kinds as Readonly<Record<string, Kind>>)[property];
        if (kind === undefined) {
            const reason =
                `stand-in for the command provider: input '${property}' is not supported; ` +
                `install the official one ("pulumi plugin install resource command ` +
                `${commandVersion}") or use only: ${inputNames.join(", ")}`;
            return [{ property, reason }];
        }
        if (isUnknown(value) || kind.accepts(reveal(value))) return [];
        return [{ property, reason: `'${property}' must be ${kind.text}` }];
    });
}

/** Without what the engine adds for itself. */
export function withoutInternal(inputs: Properties): Properties {
    const own = Object.entries(inputs).filter(
        ([key]) => key !== "version" && !key.startsWith("__"),
    );
    return Object.fromEntries(own);
}

/** The inputs, in the clear, out of checked inputs or out of a state that holds outputs as well. */
export function readInputs(properties: Properties): CommandInputs {
    const known = inputNames.flatMap((name) => {
        const value = properties[name];
        return value === undefined ? [] : [[name, reveal(value)] as const];
    });
    // checkInputs saw these values before they came here or into the state.
    return Object.fromEntries(known);
}
