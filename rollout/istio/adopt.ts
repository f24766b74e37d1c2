// Objects that somebody else made become the stack's, with every field that their installer set.
import { adopt } from "../../cluster/adopt";
import { connect } from "../../cluster/connection";
import { readInput } from "../input";
import { runProgram } from "../program";
import { adoptInput } from "./input";

runProgram(async () => {
    const { cluster, objects } = await readInput(adoptInput);
    const connection = await connect(cluster);
    for (const { namespace, ...name } of objects) {
        const taken = await adopt(connection, namespace ? { ...name, namespace } : name);
        if (taken) {
            process.stderr.write(`took over ${name.kind} ${name.name}\n`);
        }
    }
    process.stdout.write("taken over");
});
