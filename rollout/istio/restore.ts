// A namespace is no longer the stack's: its labels of before come back, and so do the sidecars that they choose.
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../cluster/connection";
import { restoreNamespace } from "../../cluster/istio/labels";
import { toLog } from "../events";
import { milliseconds } from "../../plan/durations";
import { readInput, type WaveInput } from "../input";
import { LeaseHeldError } from "../lease";
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
    const input: WaveInput = {
        target: { mesh: "istio", version: "", namespace, namespaces: [name] },
        cluster,
        scope: { wave, select: [{ namespaces: [name] }], others: {} },
        settings,
        events: false,
        baseline: { at: new Date().toISOString(), metrics: {} },
    };
    const { report } = await inTurn(
        () => runWave(input, connection, toLog(say), stop.signal),
        milliseconds(settings.timeout),
        say,
    );
    say(summaryLine(report));
    if (report.failures.length > 0) {
        failureLines(report, "the lines above").forEach(say);
        process.exitCode = 1;
    }
});

const AGAIN_MS = 5_000;

/**
 * The engine lets namespaces go side by side, and one rollout runs at a time: whoever comes second waits for its turn.
 * @throws LeaseHeldError where one holder keeps the Lease for longer than `patienceMs`
 */
async function inTurn<T>(
    run: () => Promise<T>,
    patienceMs: number,
    say: (line: string) => void,
): Promise<T> {
    let holder: string | undefined;
    let since = 0;
    for (;;) {
        try {
            return await run();
        } catch (error) {
            if (!(error instanceof LeaseHeldError)) {
                throw error;
            }
            if (error.holder !== holder) {
                holder = error.holder;
                since = Date.now();
                say(`another rollout is under way (${holder}): waiting for its end`);
            } else if (Date.now() - since > patienceMs) {
                throw error;
            }
            await sleep(AGAIN_MS);
        }
    }
}
