import type { BackupConfig } from "../config";
import { stackFolder } from "../plan/backup";

/** What preview says of the backup. Whether one is due is the engine's to say, by its list of changes. */
export function backupLines(
    config: BackupConfig | undefined,
    stack: string,
    live: string | undefined,
): string[] {
    if (!config) {
        return [];
    }
    const { directory, recipient } = config;
    const place = `${directory.replace(/\/+$/, "")}/${stackFolder(stack)}/${live ?? "none"}-TIME`;
    const secrets =
        recipient === undefined
            ? "Secrets are left out (backup.recipient is not set)"
            : `Secrets are encrypted for ${recipient}`;
    return [
        `backup: where command backup is in the list, ${live === undefined ? "what is there of the mesh" : `the mesh's objects of ${live}`} go to ${place} before anything changes; ${secrets}`,
    ];
}
