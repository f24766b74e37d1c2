import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Connection } from "../cluster/connection";
import { KubeApi } from "../cluster/api";
import { markUpdating, UPDATING } from "../cluster/health/unfinished";
import { compareDeclared, findMissing } from "../cluster/declared";
import type { ObjectReference } from "../cluster/rawApi";
import { checkFaults, reviewedChecks, type Verdict } from "../plan/checks/verdict";
import { formatFaults } from "../plan/faults";
import { checkLines } from "../report/checks";
import { plain, type DeclaredObject } from "./declared";
import { failure } from "./failure";

/** What is looked at when all resources are there. */
export interface EndOfUpdate {
    /** Of viz. */
    readonly release: k8s.helm.v3.Release | undefined;
    readonly health: () => Promise<readonly Verdict[]>;
    /** Of the control plane; it says until now that an update goes on. */
    readonly namespace: string;
}

/**
 * The program's own check at the end of an update: every object that the stack registered exists as declared,
 * every object of the Helm release exists, and no fatal health check fails. A state file knows what was done, not what is there.
 * Resolves to the number of objects. Fails the update with the command that repairs.
 */
export function checkDeclared(
    connection: Connection,
    declared: readonly DeclaredObject[],
    after: pulumi.Output<unknown>,
    { release, health, namespace }: EndOfUpdate,
): pulumi.Output<number> {
    const names = release?.resourceNames ?? pulumi.output({});
    return pulumi.all([after, names]).apply(async ([, released]) => {
        const own = await Promise.all(declared.map(plain));
        const ofHelm = helmObjects(released ?? {});
        if (!pulumi.runtime.isDryRun()) {
            const faults = [
                ...(await compareDeclared(connection, own)),
                ...(await findMissing(connection, ofHelm)),
                ...(await healthFaults(health)),
            ];
            if (faults.length > 0) {
                throw failure(
                    formatFaults(
                        faults,
                        "the check at the end of the update failed; the cluster is not as declared",
                    ),
                );
            }
            await endUpdate(connection, namespace);
        }
        return own.length + ofHelm.length;
    });
}

async function healthFaults(health: EndOfUpdate["health"]) {
    const verdicts = await health();
    for (const line of checkLines(reviewedChecks(verdicts))) {
        await pulumi.log.info(line);
    }
    return checkFaults(verdicts, "mend it, then: pulumi up --refresh");
}

/** The next update starts from a mesh that is whole. */
async function endUpdate(connection: Connection, namespace: string): Promise<void> {
    const { metadata } = await connection.core.readNamespace({ name: namespace });
    if (metadata?.annotations?.[UPDATING] !== undefined) {
        const api = new KubeApi(connection);
        await markUpdating(api, namespace, null).finally(() => api.close());
    }
}

/** `{"Deployment.apps/apps/v1": ["linkerd-viz/web"]}` as the provider lists a release's objects. */
export function helmObjects(names: Readonly<Record<string, string[]>>): ObjectReference[] {
    return Object.entries(names).flatMap(([type, objects]) => {
        const [kind = "", ...version] = type.split("/");
        return objects.map((object) => {
            const [first = "", second] = object.split("/");
            return {
                apiVersion: version.join("/"),
                kind: kind.split(".")[0] ?? "",
                metadata:
                    second === undefined ? { name: first } : { namespace: first, name: second },
            };
        });
    });
}
