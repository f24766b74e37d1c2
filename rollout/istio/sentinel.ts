// After a revision is gone: no webhook may call a Service that went with it, and Istio's objects must be writable.
import { connect } from "../../cluster/connection";
import { readInput } from "../input";
import { runProgram } from "../program";
import { guardInput } from "./input";
import { refuseLeftovers } from "./leftovers";

runProgram(async () => {
    const { cluster, namespace } = await readInput(guardInput);
    await refuseLeftovers(await connect(cluster), namespace);
});
