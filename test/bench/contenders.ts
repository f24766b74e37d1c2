import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { runProgram } from "./children";
import type { PeakMemory } from "./memory";

/** With what a contender works. */
export interface Ground {
    readonly kubeconfig: string;
    readonly context: string;
    /** Workloads by namespace: all are Deployments. */
    readonly deployments: ReadonlyMap<string, readonly string[]>;
    /** Empty; home and working folder of the contender. */
    readonly folder: string;
    readonly memory: PeakMemory;
    readonly signal: AbortSignal;
}

/** A way to restart the whole load; resolves when each workload has completed. */
export type Contender = (ground: Ground) => Promise<void>;

/**
 * The way of the guides: for each namespace `kubectl rollout restart`, then `kubectl rollout status` for each workload;
 * `atOnce` namespaces side by side.
 */
export function kubectlLoop(program: string, atOnce: number): Contender {
    return async (ground) => {
        const kubectl = (...args: string[]) =>
            runProgram({
                command: program,
                args: ["--kubeconfig", ground.kubeconfig, "--context", ground.context, ...args],
                environment: { KUBECACHEDIR: join(ground.folder, "cache") },
                ...ground,
            });
        const namespaces = ground.deployments.entries();
        const worker = async () => {
            for (const [namespace, names] of namespaces) {
                await kubectl("rollout", "restart", "deployment", "-n", namespace);
                for (const name of names) {
                    await kubectl("rollout", "status", `deployment/${name}`, "-n", namespace);
                }
            }
        };
        await Promise.all(Array.from({ length: atOnce }, worker));
    };
}

/** Version of a kubectl: `v1.34.1`. @throws where there is none. */
export async function kubectlVersion(
    program: string,
    where: Pick<Ground, "folder" | "memory" | "signal">,
): Promise<string> {
    try {
        const args = ["version", "--client", "-o", "json"];
        const stdout = await runProgram({ command: program, args, environment: {}, ...where });
        return kubectlAnswer.parse(JSON.parse(stdout)).clientVersion.gitVersion;
    } catch (error) {
        throw new Error(`${program}, which this is measured against, cannot be used`, {
            cause: error,
        });
    }
}

const kubectlAnswer = z.object({ clientVersion: z.object({ gitVersion: z.string() }) });

const project = join(import.meta.dirname, "../..");

/** The project's own rollout program, alone in a shell. */
export function rolloutProgram(pace: number | "unlimited", timeout: string): Contender {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const how = ["--pace", String(pace), "--at-once", "unlimited", "--soak", "0s"];
    return async (ground) => {
        await runProgram({
            command: process.execPath,
            args: [
                ...[
                    "--max-semi-space-size=2",
                    "--optimize-for-size",
                    "--import",
                    tsx,
                    join(project, "rollout", "main.ts"),
                ],
                ...["--kubeconfig", ground.kubeconfig, "--context", ground.context],
                ...[...how, "--timeout", timeout],
            ],
            environment: {},
            ...ground,
        });
    };
}
