import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Connection } from "../cluster/connection";
import { compareDeclared, findMissing } from "../cluster/declared";
import type { ObjectReference } from "../cluster/rawApi";
import { formatFaults } from "../plan/faults";
import { plain, type DeclaredObject } from "./declared";
import { failure } from "./failure";

/**
 * The program's own check at the end of an update: every object that the stack registered exists as declared,
 * and every object of the Helm release exists. A state file knows what was done, not what is there.
 * Resolves to the number of objects. Fails the update with the command that repairs.
 */
export function checkDeclared(
    connection: Connection,
    declared: readonly DeclaredObject[],
    after: pulumi.Output<unknown>,
    release: k8s.helm.v3.Release | undefined,
): pulumi.Output<number> {
    const names = release?.resourceNames ?? pulumi.output({});
    return pulumi.all([after, names]).apply(async ([, released]) => {
        const own = await Promise.all(declared.map(plain));
        const ofHelm = helmObjects(released ?? {});
        if (!pulumi.runtime.isDryRun()) {
            const faults = [
                ...(await compareDeclared(connection, own)),
                ...(await findMissing(connection, ofHelm)),
            ];
            if (faults.length > 0) {
                throw failure(
                    formatFaults(
                        faults,
                        "the check at the end of the update failed; the cluster is not as declared",
                    ),
                );
            }
        }
        return own.length + ofHelm.length;
    });
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
