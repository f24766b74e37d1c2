import { appendFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import type { Emit } from "./events";
import type { WaveOutcome } from "./runWave";

const DIRECTORY = ".rollout";

/** A failed command leaves no output in the state, so the whole report goes to a file, pod by pod. */
export async function keepReport({ report, pods }: WaveOutcome): Promise<string> {
    await mkdir(DIRECTORY, { recursive: true });
    const path = `${DIRECTORY}/${report.wave}.json`;
    await writeFile(path, `${JSON.stringify({ ...report, verdicts: pods }, undefined, 4)}\n`);
    return path;
}

/** Writes each event, with its time, as a line of `.rollout/<wave>.events.jsonl`, which begins anew. */
export async function eventFile(wave: string): Promise<Emit> {
    await mkdir(DIRECTORY, { recursive: true });
    const path = `${DIRECTORY}/${wave}.events.jsonl`;
    await rm(path, { force: true });
    return (event) => appendFileSync(path, eventLine(event));
}

/** One event as a line of JSON, with its time. */
export function eventLine(event: object): string {
    return `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`;
}
