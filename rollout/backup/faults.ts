import { join } from "node:path";
import type { BackupConfig } from "../../config";
import { stackFolder } from "../../plan/backup";
import type { Fault } from "../../plan/faults";
import { recipientProblem } from "./age";
import { directoryProblem, expandHome } from "./directory";

/** Reasons why no backup could be written as the config says, found before anything changes. */
export async function backupFaults(
    config: BackupConfig | undefined,
    stack: string,
): Promise<readonly Fault[]> {
    if (!config) {
        return [];
    }
    const { directory, recipient } = config;
    const place = await directoryProblem(join(expandHome(directory), stackFolder(stack)));
    const text = recipient === undefined ? undefined : await recipientProblem(recipient);
    return [
        ...(place === undefined
            ? []
            : [
                  {
                      subject: "backup.directory",
                      value: directory,
                      rule: place,
                      next: "name a directory that can be written (it is made where it does not exist)",
                  },
              ]),
        ...(text === undefined
            ? []
            : [
                  {
                      subject: "backup.recipient",
                      // A secret key pasted here must not show.
                      ...(/^age1/.test(recipient ?? "") ? { value: recipient } : {}),
                      rule: text,
                      next: "age-keygen -o KEY.txt, keep that file safe, and set backup.recipient to the public key that it prints",
                  },
              ]),
    ];
}
