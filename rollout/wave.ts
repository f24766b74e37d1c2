// One wave, as a command resource runs it: input on stdin, the report on stdout, lines for people on stderr.
import { connect, reasonOf } from "../cluster/connection";
import { RefusedError } from "../plan/faults";
import { toLog, type Emit } from "./events";
import { readInput, waveInput } from "./input";
import { eventFile, keepReport } from "./keep";
import { limitedLog } from "./log";
import { keepHeapSmall } from "./memory";
import { failureLines, reportJson, summaryLine, tableLines } from "./report";
import { refusalText, runWave } from "./runWave";

async function main(): Promise<void> {
    keepHeapSmall();
    const input = await readInput(waveInput);
    const { wave } = input.scope;
    const log = limitedLog((line) => process.stderr.write(`${line}\n`));
    const lines = toLog(log);
    const file = input.events ? await eventFile(wave) : undefined;
    const emit: Emit = (event) => {
        lines(event);
        file?.(event);
    };
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => {
            log(`${signal}: nothing new is begun; what rolls is waited for`, "summary");
            stop.abort();
        });
    }
    try {
        const outcome = await runWave(input, await connect(input.cluster), emit, stop.signal);
        const { report } = outcome;
        const path = await keepReport(outcome);
        tableLines(report).forEach((line) => log(line));
        log(summaryLine(report), "summary");
        if (report.failures.length > 0) {
            failureLines(report, path).forEach((line) => log(line, "summary"));
            process.exitCode = 1;
            return;
        }
        process.stdout.write(reportJson(report));
    } catch (error) {
        if (!(error instanceof RefusedError)) {
            throw error;
        }
        log(refusalText(wave, error), "summary");
        process.exitCode = 1;
    }
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
