// Removes a control plane that the stack did not make: its own objects only, when nothing uses it. That nothing has used it
// for a while is asked before (rollout/istio/guard.ts).
import { ApiException } from "@kubernetes/client-node";
import { imageTagOf, revisionOf } from "../../cluster/istio/injection";
import { readWebhooks } from "../../cluster/istio/observe";
import { connect, type Connection } from "../../cluster/connection";
import { ownNames, unreferred, type ObjectName } from "../../plan/istio/manifests";
import { parseIstioVersion } from "../../plan/istio/versions";
import { isFault } from "../../plan/versions";
import { readInput } from "../input";
import { runProgram } from "../program";
import { removeInput } from "./input";
import { refuseLeftovers } from "./leftovers";
import { refuseWhileUsed } from "./unused";

const ADMISSION = "admissionregistration.k8s.io/v1";

runProgram(async () => {
    const { cluster, namespace, revision } = await readInput(removeInput);
    const connection = await connect(cluster);
    const { items } = await connection.apps.listNamespacedDeployment({
        namespace,
        labelSelector: "app=istiod",
    });
    const istiod = items.find((one) => revisionOf(one) === revision);
    if (istiod) {
        await refuseWhileUsed(connection, "revision", revision, 0);
        const version = parseIstioVersion(imageTagOf(istiod) ?? "", revision);
        await removeOwn(
            connection,
            revision,
            namespace,
            isFault(version) ? undefined : version.minor,
        );
    } else {
        process.stderr.write(`revision ${revision} is gone already\n`);
    }
    await refuseLeftovers(connection, namespace);
    process.stdout.write(revision);
});

async function removeOwn(
    connection: Connection,
    revision: string,
    namespace: string,
    minor: string | undefined,
): Promise<void> {
    const live = await readWebhooks(connection);
    const webhooks = live.map(({ kind, name, services }) => ({
        kind,
        name,
        services: services.map((one) => {
            const [place = "", service = ""] = one.split("/");
            return { namespace: place, name: service };
        }),
    }));
    // Another's tag would have been a use; what is left is the tag `default` that istioctl makes of it.
    const tags = live
        .filter((one) => one.tagged && one.revision === revision)
        .map(({ kind, name }) => ({ apiVersion: ADMISSION, kind, name }));
    const own = [...ownNames(revision, namespace, minor), ...tags];
    const names = [...unreferred(own, webhooks)].sort((a, b) => turnOf(a) - turnOf(b));
    let removed = 0;
    for (const name of names) {
        removed += (await remove(connection, name)) ? 1 : 0;
    }
    process.stderr.write(`revision ${revision}: ${removed} objects removed\n`);
}

/** Webhooks first: they must not call what is gone. The Deployment last: by it a removal that broke off is found again. */
function turnOf({ kind }: ObjectName): number {
    return kind.endsWith("WebhookConfiguration") ? 0 : kind === "Deployment" ? 2 : 1;
}

async function remove(
    { objects }: Connection,
    { apiVersion, kind, name, namespace }: ObjectName,
): Promise<boolean> {
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
    try {
        await objects.delete({ apiVersion, kind, metadata });
        process.stderr.write(`deleted ${kind} ${namespace ? `${namespace}/` : ""}${name}\n`);
        return true;
    } catch (error) {
        // Not every release has each of them, nor does every cluster have each kind.
        if (error instanceof ApiException && error.code === 404) {
            return false;
        }
        if (error instanceof Error && /Unrecognized API version and kind/.test(error.message)) {
            return false;
        }
        throw error;
    }
}
