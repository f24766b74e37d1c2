// Binds a namespace to a revision, a tag or the default revision: the old label goes and the new one comes in one change.
import { connect } from "../../cluster/connection";
import { bindNamespace } from "../../cluster/istio/labels";
import { readInput } from "../input";
import { runProgram } from "../program";
import { labelsInput } from "./input";

runProgram(async () => {
    const { cluster, name, choice } = await readInput(labelsInput);
    const changed = await bindNamespace(await connect(cluster), name, choice);
    process.stderr.write(`${changed ?? `namespace ${name}: unchanged`}\n`);
    process.stdout.write(choice);
});
