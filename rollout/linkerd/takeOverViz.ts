// A viz that the linkerd CLI installed becomes a Helm release: Helm takes over what carries its marks of ownership.
import { ApiError, KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { listViz, nameOfObject } from "../../cluster/meshObjects";
import { readInput, takeOverInput } from "../input";
import { runProgram } from "../program";

const NAMESPACE = "linkerd-viz";
const RELEASE = "linkerd-viz";

/** As Helm checks them (helm.sh/docs/topics/charts_tips_and_tricks, moving to Helm). */
const MARKS = {
    labels: { "app.kubernetes.io/managed-by": "Helm" },
    annotations: {
        "meta.helm.sh/release-name": RELEASE,
        "meta.helm.sh/release-namespace": NAMESPACE,
    },
};

runProgram(async () => {
    const { cluster } = await readInput(takeOverInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    const releases = await connection.core.listNamespacedSecret({
        namespace: NAMESPACE,
        labelSelector: `owner=helm,name=${RELEASE}`,
    });
    if (releases.items.length === 0) {
        for (const object of await listViz(api)) {
            const { apiVersion, kind, metadata } = object;
            await connection.objects
                .patch(
                    { apiVersion, kind, metadata: { ...metadata, ...MARKS } } as never,
                    undefined,
                    undefined,
                    "mesh-upgrade",
                    undefined,
                    "application/merge-patch+json",
                )
                .catch(unlessGone);
            process.stderr.write(`marked ${nameOfObject(object)} as Helm's\n`);
        }
    }
    api.close();
    process.stdout.write("taken over");
});

function unlessGone(error: unknown): void {
    const status = error instanceof ApiError ? error.status : (error as { code?: number }).code;
    if (status !== 404) {
        throw error;
    }
}
