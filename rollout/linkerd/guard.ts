// Before the control plane is deleted: no pod outside its own namespaces may run its proxy.
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { observeDataPlane } from "../../cluster/dataPlane";
import { inUseText, meshedUsers, remainsText } from "../../plan/uninstall";
import { linkerdGuardInput, readInput } from "../input";
import { runProgram } from "../program";

runProgram(async () => {
    const { cluster, own } = await readInput(linkerdGuardInput);
    const api = new KubeApi(await connect(cluster));
    const { pods } = await observeDataPlane(api).finally(() => api.close());
    const users = meshedUsers(pods, own);
    if (users.length > 0) {
        throw new Error(inUseText(users));
    }
    process.stderr.write(`${remainsText(own)}\n`);
});
