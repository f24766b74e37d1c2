import { readFile } from "node:fs/promises";

/** One step of the engine, in the order of its event log. */
export interface EngineStep {
    readonly when: "begin" | "end";
    /** `create`, `update`, `replace`, `same`, ... */
    readonly operation: string;
    /** Type token. */
    readonly type: string;
    readonly name: string;
}

interface Entry {
    resourcePreEvent?: { metadata: { op: string; urn: string; type: string } };
    resOutputsEvent?: { metadata: { op: string; urn: string; type: string } };
}

/** Reads what `pulumi up --event-log PATH` wrote. */
export async function readEvents(path: string): Promise<EngineStep[]> {
    const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");
    return lines.flatMap((line) => {
        const entry = JSON.parse(line) as Entry;
        const metadata = (entry.resourcePreEvent ?? entry.resOutputsEvent)?.metadata;
        return metadata
            ? [
                  {
                      when: entry.resourcePreEvent ? ("begin" as const) : ("end" as const),
                      operation: metadata.op,
                      type: metadata.type,
                      name: metadata.urn.split("::").at(-1) ?? "",
                  },
              ]
            : [];
    });
}
