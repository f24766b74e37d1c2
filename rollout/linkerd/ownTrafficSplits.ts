// The CRD of TrafficSplits becomes the stack's before anything else changes: nobody else finds it as something to delete.
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { ownTrafficSplits, TRAFFIC_SPLITS } from "../../cluster/trafficSplits";
import { readInput, takeOverInput } from "../input";
import { runProgram } from "../program";

runProgram(async () => {
    const { cluster } = await readInput(takeOverInput);
    const api = new KubeApi(await connect(cluster));
    const found = await ownTrafficSplits(api).finally(() => api.close());
    if (found) {
        process.stderr.write(`CRD ${TRAFFIC_SPLITS} has no other owner any more; it stays\n`);
    }
    process.stdout.write("owned");
});
