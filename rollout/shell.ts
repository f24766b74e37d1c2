import { ClusterError, reasonOf } from "../cluster/connection";
import { formatFaults, RefusedError, type Fault } from "../plan/faults";

/** Runs a program that is called from a shell: its result is the exit code, an error is told in words. */
export function runShell(main: () => Promise<number>): void {
    main().then(
        (code) => (process.exitCode = code),
        (error: unknown) => {
            const text =
                error instanceof RefusedError
                    ? error.message
                    : error instanceof ClusterError
                      ? formatFaults([fromShell(error)])
                      : reasonOf(error);
            process.stderr.write(`${text}\n`);
            process.exitCode = 1;
        },
    );
}

/** What a stack's config says for Pulumi is an option here. */
function fromShell({ subject, rule, value, next }: ClusterError): Fault {
    const here: Readonly<Record<string, string>> = {
        context: "--context NAME; kubectl config get-contexts -o name",
        kubeconfig: "--kubeconfig FILE, or set KUBECONFIG",
        clusterUid: "--context NAME of that cluster, or its --cluster-uid UID",
    };
    return {
        subject,
        value,
        rule,
        next: (next.includes("pulumi config set") ? here[subject] : undefined) ?? next,
    };
}
