import { z } from "zod";

/** How the review of an update is shown. */
export interface ReportConfig {
    /** Path of a HTML file, relative to the project; undefined: none is written. */
    readonly html?: string | undefined;
    /** Path of a JSON file, relative to the project; undefined: none is written. */
    readonly json?: string | undefined;
    /** Whether preview lists 40 workloads of each wave, or all of them with all that is known. Defaults to short. */
    readonly workloads: "short" | "all";
    /** What becomes of an update without permissions that it needs. Defaults to refuse. */
    readonly permissions: "refuse" | "tell";
}

/** Below the project, so that a review never overwrites anything else. */
const fileOf = (ending: string) =>
    z
        .string()
        .refine(
            (path) =>
                path.endsWith(ending) &&
                !/^([/\\~]|[a-z]:)/i.test(path) &&
                !path.split(/[/\\]/).includes(".."),
            `must be a path inside the project that ends in ${ending}`,
        )
        .optional();

/** Section `report` of the stack file. */
export const reportSection = z.strictObject({
    html: fileOf(".html"),
    json: fileOf(".json"),
    workloads: z.enum(["short", "all"]).default("short"),
    permissions: z.enum(["refuse", "tell"]).default("refuse"),
});
