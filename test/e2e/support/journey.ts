import { KubeConfig } from "@kubernetes/client-node";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { KubeApi } from "../../../cluster/api";
import { connect, type Connection } from "../../../cluster/connection";
import { observeDataPlane } from "../../../cluster/dataPlane";
import { startCluster, type EmbeddedCluster } from "../../../embedded/cluster";
import { createSampleApplication, waitForSample } from "../../../embedded/sampleApplication";
import {
    createStack,
    type EmbeddedStack,
    type PulumiResult,
    type PulumiRun,
} from "../../../embedded/stack";
import { ensureToolchain } from "../../../toolchain/index";

export const OLD = "edge-24.5.3";
export const NEW = "edge-24.7.5";

/** A cluster and a stack for one journey, with the steps that journeys share. */
export interface Journey {
    readonly cluster: EmbeddedCluster;
    readonly stack: EmbeddedStack;
    readonly connection: Connection;
    /** Everything that Pulumi printed so far. */
    readonly printed: readonly string[];
    /** `pulumi up`; throws with its output where it fails. */
    up(options?: PulumiRun): Promise<PulumiResult>;
    /** `pulumi up` that must fail. */
    failingUp(options?: PulumiRun): Promise<PulumiResult>;
    preview(...args: string[]): Promise<PulumiResult>;
    /** `pulumi preview --expect-no-changes` holds. */
    expectNoChanges(): Promise<void>;
    /** The user's edit: another version on the version line. */
    editVersion(version: string): Promise<void>;
    createSample(): Promise<void>;
    /** Proxy version by `namespace/workload`, outside viz; "none" for pods without one. */
    proxies(): Promise<Record<string, string>>;
    dispose(): Promise<void>;
}

export async function startJourney(
    name: string,
    options: { linkerdVersion?: string; config?: Readonly<Record<string, unknown>> } = {},
): Promise<Journey> {
    const started = Date.now();
    const toolchain = await ensureToolchain({ progress: (line) => console.log(line) });
    const cluster = await startCluster({ name, programs: toolchain.programs });
    // Inside the cluster's directory, which goes with the cluster, also when this process is killed.
    const directory = join(cluster.directory, "stack");
    const stack = await createStack({
        toolchain,
        cluster,
        directory,
        linkerdVersion: options.linkerdVersion ?? OLD,
        config: { rollout: { timeout: "20s", soak: "0s" }, ...options.config },
    });
    console.log(
        `${name}: cluster and stack in ${Math.round((Date.now() - started) / 1000)} s; stand-ins: ${stack.standIns.join(", ") || "none"}`,
    );
    const connection = await connect({
        kubeconfig: cluster.kubeconfig,
        context: cluster.context,
        clusterUid: cluster.uid,
    });
    const printed: string[] = [];
    const run = async (args: string[], runOptions?: PulumiRun) => {
        const begun = Date.now();
        const result = await stack.run(args, runOptions);
        printed.push(result.output);
        console.log(
            `${name}: pulumi ${args[0]} ended with ${result.code} after ${Math.round((Date.now() - begun) / 1000)} s`,
        );
        return result;
    };
    const succeed = (result: PulumiResult) => {
        expect(result.code, result.output).toBe(0);
        return result;
    };
    return {
        cluster,
        stack,
        connection,
        printed,
        up: async (runOptions) => succeed(await run(["up", "--yes", "--skip-preview"], runOptions)),
        failingUp: async (runOptions) => {
            const result = await run(["up", "--yes", "--skip-preview"], runOptions);
            expect(result.code, result.output).not.toBe(0);
            return result;
        },
        preview: async (...args) => run(["preview", ...args]),
        expectNoChanges: async () => {
            succeed(await run(["preview", "--expect-no-changes", "--diff"]));
        },
        editVersion: async (version) => {
            await stack.edit("linkerdVersion", version);
            expect(await readFile(stack.file, "utf8")).toContain(`linkerdVersion: ${version}`);
        },
        createSample: async () => {
            await createSampleApplication(cluster.kubeconfig, cluster.context);
            await waitForSample(cluster.kubeconfig, cluster.context);
        },
        proxies: () => proxies(connection),
        dispose: async () => {
            await cluster.stop();
        },
    };
}

async function proxies(connection: Connection): Promise<Record<string, string>> {
    const { pods } = await observeDataPlane(new KubeApi(connection));
    const all = await connection.core.listPodForAllNamespaces();
    const result: Record<string, string> = {};
    for (const pod of all.items) {
        const namespace = pod.metadata?.namespace ?? "";
        if (!["shop", "batch"].includes(namespace) || pod.metadata?.deletionTimestamp) {
            continue;
        }
        const meshed = pods.find(
            (one) => one.namespace === namespace && one.name === pod.metadata?.name,
        );
        const name = `${namespace}/${meshed?.owner?.name ?? pod.metadata?.labels?.["app"]}`;
        const proxy = meshed ? (meshed.proxy ?? "unknown") : "none";
        const known = result[name];
        const proxiesOfName = new Set([...(known?.split("+") ?? []), proxy]);
        result[name] = [...proxiesOfName].sort().join("+");
    }
    return Object.fromEntries(Object.entries(result).sort());
}

/** A kubeconfig for the cluster, as text that a test may change. */
export async function kubeconfigOf(cluster: EmbeddedCluster): Promise<KubeConfig> {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromString(await readFile(cluster.kubeconfig, "utf8"));
    return kubeconfig;
}
