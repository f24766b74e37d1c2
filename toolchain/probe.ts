import { setTimeout as sleep } from "node:timers/promises";
import { type ChildResult, run } from "./children";
import type { Limits } from "./limits";
import { fileKind } from "./native";
import type { Platform, ProgramSpec } from "./spec";

export interface ProbeOptions {
    readonly environment: NodeJS.ProcessEnv;
    readonly limits: Limits;
    readonly platform: Platform;
    readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the program once, bounded, and returns its version without "v" ("unknown" for plugins).
 * Throws when the file is not this program, is made for another machine, or does not run.
 */
export async function probe(
    path: string,
    spec: ProgramSpec,
    options: ProbeOptions,
): Promise<string> {
    const kind = await fileKind(path, options.platform);
    if (kind === "foreign") {
        const { os, arch } = options.platform;
        throw new Error(`is an executable for another machine, not for ${os}/${arch}`);
    }
    // A plugin's answer proves nothing, so the file itself has to.
    if (spec.probe.kind === "plugin" && kind !== "native") {
        throw new Error("is a wrapper, not the program itself");
    }
    const parameters = spec.probe.kind === "plugin" ? ["--version"] : spec.probe.arguments;
    const result = await start(path, parameters, options);
    if (result.timedOut) {
        throw new Error(`did not answer within ${options.limits.probe / 1000} s`);
    }
    if (spec.probe.kind === "plugin") {
        // An unknown flag ends with 2; from 126 on the program did not run or has crashed.
        if (result.code === null || result.code >= 126) {
            throw new Error(`does not run: ${ending(result)}`);
        }
        return "unknown";
    }
    if (result.code !== 0) {
        throw new Error(`does not run: ${ending(result)}`);
    }
    const version = spec.probe.pattern.exec(result.output)?.[1];
    if (version === undefined) {
        throw new Error(`does not tell a version of ${spec.name}: ${firstLine(result.output)}`);
    }
    return version;
}

async function start(
    path: string,
    parameters: readonly string[],
    options: ProbeOptions,
): Promise<ChildResult> {
    for (let attempt = 0; ; attempt++) {
        try {
            return await run(path, parameters, {
                environment: { ...options.environment, PULUMI_SKIP_UPDATE_CHECK: "true" },
                timeout: options.limits.probe,
                signal: options.signal,
            });
        } catch (error) {
            // A child that is just being forked elsewhere still holds the file open for writing.
            if ((error as NodeJS.ErrnoException).code !== "ETXTBSY" || attempt === 20) {
                throw error;
            }
            await sleep(50);
        }
    }
}

function ending({ code, signal, output }: ChildResult): string {
    return `ended with ${signal ?? `code ${code}`}: ${firstLine(output)}`;
}

function firstLine(output: string): string {
    return JSON.stringify(output.trim().split("\n", 1)[0]?.slice(0, 120) ?? "");
}
