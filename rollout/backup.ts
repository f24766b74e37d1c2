// How the mesh's objects are before an upgrade, written where the user says. Nothing has changed yet, and nothing does
// where this fails.
import { join } from "node:path";
import { KubeApi } from "../cluster/api";
import { readMeshObjects } from "../cluster/backup";
import { connect } from "../cluster/connection";
import { readLinkerdConfig } from "../cluster/linkerdConfig";
import {
    backupName,
    countKinds,
    inOrder,
    stackFolder,
    toYaml,
    type BackupManifest,
    type BackupObject,
} from "../plan/backup";
import { encrypt } from "./backup/age";
import { expandHome, writeBackup } from "./backup/directory";
import { backupInput, readInput, type BackupInput } from "./input";
import { runProgram } from "./program";

/** What the command prints; `null`: there was nothing to back up. */
export type BackupResult =
    | (Pick<BackupManifest, "from" | "at" | "objects"> & {
          readonly path: string;
          readonly secrets: number | "left out";
      })
    | { readonly path: null };

runProgram(async () => {
    const input = await readInput(backupInput);
    const result = await backUp(input).catch((error: Error) => {
        throw new Error(
            `no backup was made, so nothing was changed: ${error.message}. Next: mend that (backup.directory, permissions), then: pulumi up`,
        );
    });
    process.stdout.write(JSON.stringify(result));
});

async function backUp(input: BackupInput): Promise<BackupResult> {
    const connection = await connect(input.cluster);
    const { objects, secrets } = await readMeshObjects(new KubeApi(connection));
    const config = await readLinkerdConfig(connection.core);
    if (objects.length + secrets.length === 0) {
        process.stderr.write("backup: nothing to back up: this is the first installation\n");
        return { path: null };
    }
    const from = config?.version ?? "none";
    const now = new Date();
    const counts = {
        from,
        at: now.toISOString(),
        objects: countKinds(objects),
    };
    const { stack, to, recipient, cluster } = input;
    const path = await writeBackup(
        join(expandHome(input.directory), stackFolder(stack)),
        backupName(from, now),
        {
            objects: toYaml(inOrder(objects)),
            secrets: recipient === undefined ? undefined : await sealed(recipient, secrets),
        },
        {
            format: "mesh-upgrade-backup/1",
            stack,
            to,
            clusterUid: cluster.clusterUid,
            ...counts,
            ...(recipient === undefined ? {} : { secrets: secrets.length }),
        },
    );
    process.stderr.write(
        `backup: ${objects.length} objects of ${from} are in ${path}; ${
            recipient === undefined
                ? `${secrets.length} Secrets were left out`
                : `${secrets.length} Secrets are encrypted`
        }\n`,
    );
    return { path, ...counts, secrets: recipient === undefined ? "left out" : secrets.length };
}

function sealed(recipient: string, secrets: readonly BackupObject[]): Promise<Uint8Array> {
    return encrypt(recipient, toYaml(inOrder(secrets)));
}
