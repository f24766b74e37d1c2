// The gate behind the CNI plugin: waits until its pod of the declared template is ready on every node that is ready itself.
import { setTimeout as sleep } from "node:timers/promises";
import type { V1ControllerRevision, V1DaemonSet } from "@kubernetes/client-node";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readPluginPods } from "../../cluster/health/cni";
import { listOf } from "../../cluster/health/read";
import { readLinkerdConfig } from "../../cluster/linkerdConfig";
import type { Read } from "../../plan/checks/result";
import { CNI_NAMESPACE, onNodes, onNodesText } from "../../plan/cni";
import { compareReleases, releaseOf } from "../../plan/releases";
import { cniReadyInput, readInput } from "../input";
import { runProgram } from "../program";

/** Without any progress; a node at a time is replaced. */
const LIMIT_MS = 180_000;
/** Nodes are listed each time. */
const LOOK_MS = 2_000;
const APPS = `/apis/apps/v1/namespaces/${CNI_NAMESPACE}`;

runProgram(async () => {
    const { cluster, version } = await readInput(cniReadyInput);
    const connection = await connect(cluster);
    const goesBack = isOlder(version, (await readLinkerdConfig(connection.core))?.version);
    const api = new KubeApi(connection);
    try {
        await waitFor(() => look(api, goesBack));
    } finally {
        api.close();
    }
});

/** The control plane's version that is declared, and the one that runs. */
function isOlder(version: string, live: string | undefined): boolean {
    const [target, running] = [releaseOf(version), releaseOf(live)];
    return target !== undefined && running !== undefined && compareReleases(target, running) < 0;
}

interface Progress {
    readonly done: boolean;
    readonly text: string;
    /** What else may hold it up. */
    readonly hint?: string;
}

async function waitFor(progress: () => Promise<Progress>): Promise<void> {
    let last = "";
    let deadline = Date.now() + LIMIT_MS;
    for (;;) {
        const { done, text, hint } = await progress();
        if (text !== last) {
            process.stderr.write(`${text}\n`);
            last = text;
            deadline = Date.now() + LIMIT_MS;
        }
        if (done) {
            process.stdout.write(text);
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(
                `${text}, and no progress for ${LIMIT_MS / 1000} s; the control plane was not touched. Next: kubectl -n ${CNI_NAMESPACE} get pods -o wide, mend it${hint ?? ""}, then: pulumi up`,
            );
        }
        await sleep(LOOK_MS);
    }
}

async function look(api: KubeApi, goesBack: boolean): Promise<Progress> {
    const set = (await api.send("GET", `${APPS}/daemonsets/linkerd-cni`)) as V1DaemonSet;
    const revisions = known(
        await listOf(api, `${APPS}/controllerrevisions`, (one: V1ControllerRevision) => one, {
            labelSelector: "k8s-app=linkerd-cni",
        }),
    );
    const [newest] = [...revisions].sort((a, b) => b.revision - a.revision);
    const hash = newest?.metadata?.labels?.["controller-revision-hash"] ?? "";
    const pods = known(await readPluginPods(api, set));
    const seen = set.status?.observedGeneration === set.metadata?.generation;
    const updated = onNodes(pods, hash);
    const { ready, desired, down } = onNodes(pods);
    // A DaemonSet replaces no further pod while as many as it may are not ready (updateStrategy), and a node that is down keeps
    // its own so. The way back does not wait for it: where the pod of before is ready, pods start.
    const stalled = goesBack && down.length > 0 && ready >= desired;
    return {
        done: seen && (updated.ready >= updated.desired || stalled),
        text: onNodesText(updated),
        ...(down.length > 0
            ? { hint: `, or delete nodes that do not come back (${down.join(", ")})` }
            : {}),
    };
}

function known<T>(read: Read<T>): T {
    if ("unknown" in read) {
        throw new Error(read.unknown);
    }
    return read.value;
}
