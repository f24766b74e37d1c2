// The control plane that somebody else installed becomes the stack's, with every field that its installer set.
import { adopt } from "../../cluster/adopt";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { CHART_KINDS, listLabelled, nameOfObject } from "../../cluster/meshObjects";
import { readInput, takeOverInput } from "../input";
import { runProgram } from "../program";

/** The one object of the chart that carries no label (edge-24.5.3 to edge-26.8.3). */
const UNLABELLED = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { namespace: "linkerd", name: "ext-namespace-metadata-linkerd-config" },
};

/** The CLI's own memory; nothing of the stack's. */
const CLI_ONLY = "linkerd-config-overrides";

runProgram(async () => {
    const { cluster } = await readInput(takeOverInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    const labelled = await listLabelled(api, CHART_KINDS, "linkerd.io/control-plane-ns=linkerd");
    const own = labelled.filter(
        ({ metadata }) =>
            (metadata.namespace ?? "linkerd") === "linkerd" && metadata.name !== CLI_ONLY,
    );
    for (const object of [...own, UNLABELLED]) {
        const { apiVersion, kind, metadata } = object;
        if (await adopt(connection, { apiVersion, kind, ...metadata })) {
            process.stderr.write(`took over ${nameOfObject(object)}\n`);
        }
    }
    api.close();
    process.stdout.write("taken over");
});
