// Deletes what the control plane's installers left behind and the stack does not declare.
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { nameOfObject } from "../../cluster/meshObjects";
import { findUndeclared } from "../../cluster/undeclared";
import { pruneInput, readInput } from "../input";
import { runProgram } from "../program";

runProgram(async () => {
    const { cluster, declared } = await readInput(pruneInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    const left = await findUndeclared(api, new Set(declared));
    for (const object of left) {
        const { apiVersion, kind, metadata } = object;
        await connection.objects.delete(
            { apiVersion, kind, metadata },
            undefined,
            undefined,
            undefined,
            undefined,
            "Background",
        );
        process.stderr.write(`deleted ${nameOfObject(object)}\n`);
    }
    api.close();
    process.stdout.write(JSON.stringify(left.map(nameOfObject)));
});
