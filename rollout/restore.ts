// Brings back what a backup holds, from a shell: `npm run restore -- --help`.
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { connect, readClusterUid } from "../cluster/connection";
import { fromYaml, nameOfObject, type BackupObject } from "../plan/backup";
import { RefusedError } from "../plan/faults";
import { decrypt } from "./backup/age";
import { expandHome, readBackup, type StoredBackup } from "./backup/directory";
import { readRestoreOptions, RESTORE_HELP } from "./backup/options";
import { countSteps, planRestore, restore, stepLines } from "./backup/restore";
import { limitedLog } from "./log";
import { runShell } from "./shell";

async function main(): Promise<number> {
    const options = readRestoreOptions(process.argv.slice(2));
    if (!options) {
        process.stdout.write(RESTORE_HELP);
        return 0;
    }
    const say = (line: string) => void process.stdout.write(`${line}\n`);
    const directory = expandHome(options.directory);
    const backup = await refusing("DIRECTORY", directory, readBackup(directory));
    const { manifest } = backup;
    const objects = await readObjects(backup, options.identity);

    const { context, kubeconfig } = options;
    const address = { context, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
    const live = await readClusterUid(address);
    const wanted = options.clusterUid ?? manifest.clusterUid;
    if (live !== wanted) {
        throw new RefusedError([
            {
                subject: "--context",
                value: context,
                rule: `leads to cluster ${live}, ${options.clusterUid === undefined ? "the backup is of" : "--cluster-uid is"} ${wanted}`,
                next: `--context NAME of that cluster, or --cluster-uid ${live} to restore into this one all the same`,
            },
        ]);
    }
    const connection = await connect({ ...address, clusterUid: live });
    say(
        `backup of ${manifest.from}, ${manifest.at}, stack ${manifest.stack}, cluster ${manifest.clusterUid}`,
    );
    const steps = await planRestore(connection, objects);
    stepLines(steps).forEach(say);
    say(`${countSteps(steps)}; ${secretsLine(backup, options.identity)}`);
    if (!options.yes) {
        say("nothing was changed. Next: the same with --yes");
        return 0;
    }
    const log = limitedLog((line) => void process.stderr.write(`${line}\n`));
    const failures = await restore(connection, steps, basename(resolve(directory)), (done, all) =>
        log(`restored ${done} of ${all}`, "progress"),
    );
    for (const { object, reason } of failures) {
        say(`failed     ${nameOfObject(object)}: ${reason}`);
    }
    say(
        failures.length > 0
            ? `${failures.length} objects were not restored. Next: mend what is named, then the same again`
            : `restored. Next: set linkerdVersion to ${manifest.from}, then: pulumi up --refresh`,
    );
    return failures.length > 0 ? 1 : 0;
}

/** Objects in the order in which they are restored; Secrets only with an identity. */
async function readObjects(
    backup: StoredBackup,
    identity: string | undefined,
): Promise<BackupObject[]> {
    const objects = fromYaml(backup.objects);
    if (identity === undefined) {
        return objects;
    }
    const path = expandHome(identity);
    const { secrets } = backup;
    const text = await refusing(
        "--identity",
        path,
        secrets === undefined
            ? Promise.reject(new Error("is given, but this backup holds no Secrets"))
            : readFile(path, "utf8").then((keys) => decrypt(keys, secrets)),
    );
    return [...objects, ...fromYaml(text)];
}

function secretsLine({ manifest }: StoredBackup, identity: string | undefined): string {
    if (manifest.secrets === undefined) {
        return "the backup holds no Secrets";
    }
    return identity === undefined
        ? `${manifest.secrets} Secrets are left as they are (--identity FILE restores them)`
        : `${manifest.secrets} of them are Secrets`;
}

async function refusing<T>(subject: string, value: string, work: Promise<T>): Promise<T> {
    try {
        return await work;
    } catch (error) {
        throw new RefusedError([
            { subject, value, rule: (error as Error).message, next: "npm run restore -- --help" },
        ]);
    }
}

runShell(main);
