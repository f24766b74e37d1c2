import { parseArgs } from "node:util";
import { z } from "zod";

const count = z.coerce.number().int().min(1, "must be 1 or more");

/** Options of a benchmark by their defaults: a number takes a count, a text a text, false nothing. */
type Defaults = Readonly<Record<string, number | string | boolean>>;

/**
 * Reads options such as `--ready-after 5s`. Prints `help` and ends the process where it is asked for, or where an
 * option is wrong.
 */
export function readOptions<T extends Defaults>(
    defaults: T,
    help: string,
): { [key in keyof T]: T[key] extends number ? number : T[key] extends string ? string : boolean } {
    try {
        const { values } = parseArgs({
            options: Object.fromEntries([
                ...Object.entries(defaults).map(([name, value]) => [
                    name,
                    { type: typeof value === "boolean" ? "boolean" : "string" } as const,
                ]),
                ["help", { type: "boolean" } as const],
            ]) as Record<string, { type: "boolean" | "string" }>,
        });
        if (values["help"]) {
            process.stdout.write(help);
            process.exit();
        }
        const read = ([name, usual]: [string, number | string | boolean]) => {
            const value = values[name] ?? usual;
            const result = count.safeParse(value);
            if (typeof usual === "number" && !result.success) {
                throw new Error(`--${name} ${value}: ${result.error.issues[0]?.message}`);
            }
            return [name, typeof usual === "number" ? result.data : value];
        };
        return Object.fromEntries(Object.entries(defaults).map(read)) as ReturnType<
            typeof readOptions<T>
        >;
    } catch (error) {
        process.stderr.write(`${(error as Error).message}\n\n${help}`);
        process.exit(1);
    }
}
