import * as command from "@pulumi/command";
import type { BackupInput } from "../rollout/input";
import { programCommand } from "./programCommand";

/**
 * Writes the mesh's objects to a directory, once for each target and before anything changes: whatever changes depends on
 * it. Where and for whom is no trigger. Its stdout is rollout/backup.ts's result as JSON.
 */
export function declareBackup(
    input: BackupInput,
    triggers: readonly string[],
): command.local.Command {
    return new command.local.Command("backup", {
        ...programCommand,
        create: "rollout/backup.ts",
        stdin: JSON.stringify(input),
        triggers: [...triggers],
    });
}
