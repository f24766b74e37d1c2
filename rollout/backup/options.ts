import { parseArgs } from "node:util";
import { RefusedError, type Fault } from "../../plan/faults";

/** What the restore program is asked to do from a shell. */
export interface RestoreOptions {
    readonly kubeconfig: string | undefined;
    readonly context: string;
    /** uid of namespace kube-system; undefined: that of the backup. */
    readonly clusterUid: string | undefined;
    /** The backup. */
    readonly directory: string;
    /** File with the age identity; undefined: Secrets are not restored. */
    readonly identity: string | undefined;
    readonly yes: boolean;
}

const SEE = "npm run restore -- --help";

export const RESTORE_HELP = `Brings back what a backup holds: creates what is gone, sets what differs, deletes nothing.

  npm run restore -- --context NAME [options] DIRECTORY

DIRECTORY is one backup, as output backup of the stack names it: BACKUPS/STACK/edge-24.5.3-20261121T144005Z

  --context NAME        context of the kubeconfig; required
  --kubeconfig FILE     default KUBECONFIG, else ~/.kube/config
  --cluster-uid UID     restore into this cluster although the backup is of another one (uid of namespace kube-system)
  --identity FILE       age identity that decrypts the Secrets; without it they are left as they are
  --yes                 do it; without it only what would be done is shown
  --help

CRDs come first and never go backwards, webhook configurations come last. Afterwards set linkerdVersion to the backup's
version, then: pulumi up --refresh. Ends with 0 when everything is as in the backup or was left alone for the reason given,
with 1 otherwise; it may be repeated.
`;

/** Undefined: help was asked for. @throws RefusedError that names each option at fault. */
export function readRestoreOptions(args: readonly string[]): RestoreOptions | undefined {
    const { values, positionals } = parsed(args);
    if (values.help) {
        return undefined;
    }
    const { context, kubeconfig, identity, yes = false } = values;
    const [directory, ...more] = positionals;
    const faults: Fault[] = [];
    if (!context) {
        faults.push({
            subject: "--context",
            rule: "must name a context of the kubeconfig",
            next: "kubectl config get-contexts -o name",
        });
    }
    if (directory === undefined || more.length > 0) {
        faults.push({
            subject: "DIRECTORY",
            ...(more.length > 0 ? { value: positionals.join(" ") } : {}),
            rule: "must be one backup",
            next: "pulumi stack output backup names the last one",
        });
    }
    if (!context || directory === undefined || faults.length > 0) {
        throw new RefusedError(faults);
    }
    return { kubeconfig, context, clusterUid: values["cluster-uid"], directory, identity, yes };
}

function parsed(args: readonly string[]) {
    const string = { type: "string" } as const;
    const boolean = { type: "boolean" } as const;
    try {
        return parseArgs({
            args: [...args],
            allowPositionals: true,
            options: {
                context: string,
                kubeconfig: string,
                "cluster-uid": string,
                identity: string,
                yes: boolean,
                help: boolean,
            },
        });
    } catch (error) {
        throw new RefusedError([{ subject: "options", rule: (error as Error).message, next: SEE }]);
    }
}
