import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../../cluster/api";
import type { Connection } from "../../cluster/connection";
import { readUsers } from "../../cluster/istio/observe";
import { usesOfRevision, usesOfTag } from "../../plan/istio/use";

/** Looks twice, `graceMs` apart. @throws Error that names what uses the revision or tag; nothing is changed. */
export async function refuseWhileUsed(
    connection: Connection,
    kind: "revision" | "tag",
    name: string,
    graceMs: number,
): Promise<void> {
    const api = new KubeApi(connection);
    try {
        await look(connection, api, kind, name);
        if (graceMs > 0) {
            process.stderr.write(
                `nothing uses ${kind} ${name}; looking again in ${graceMs / 1000} s\n`,
            );
            await sleep(graceMs);
            await look(connection, api, kind, name);
        }
        process.stderr.write(`nothing uses ${kind} ${name}: it may go\n`);
    } finally {
        api.close();
    }
}

async function look(
    connection: Connection,
    api: KubeApi,
    kind: "revision" | "tag",
    name: string,
): Promise<void> {
    const users = await readUsers(connection, api);
    const uses = kind === "revision" ? usesOfRevision(name, users) : usesOfTag(name, users);
    if (uses.length > 0) {
        throw new Error(
            `${kind} ${name} stays, and all of it: it is in use by ${uses.join("; ")}. Next: put it back into the stack file, move these to another revision (labels or tag, then a restart), pulumi up; remove it in an update of its own`,
        );
    }
}
