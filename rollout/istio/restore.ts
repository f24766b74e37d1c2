// A namespace is no longer the stack's: its labels of before come back, and so do the sidecars that they choose.
import { connect } from "../../cluster/connection";
import { restoreNamespace } from "../../cluster/istio/labels";
import { toLog } from "../events";
import { readInput } from "../input";
import { failureLines, summaryLine } from "../report";
import { runWave } from "../runWave";
import { runProgram } from "../program";
import { labelsInput } from "./input";

runProgram(async () => {
    const { cluster, namespace, name, settings } = await readInput(labelsInput);
    const say = (line: string) => void process.stderr.write(`${line}\n`);
    const connection = await connect(cluster);
    const change = await restoreNamespace(connection, name);
    say(change.text);
    if (!change.exists) {
        return;
    }
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => stop.abort());
    }
    const wave = `namespace-${name}`;
    const { report } = await runWave(
        {
            target: { mesh: "istio", version: "", namespace, namespaces: [name] },
            cluster,
            scope: { wave, select: [{ namespaces: [name] }], others: {} },
            settings,
            events: false,
            baseline: { at: new Date().toISOString(), metrics: {} },
        },
        connection,
        toLog(say),
        stop.signal,
    );
    say(summaryLine(report));
    if (report.failures.length > 0) {
        failureLines(report, "the lines above").forEach(say);
        process.exitCode = 1;
    }
});
