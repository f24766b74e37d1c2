import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Connection } from "../cluster/connection";
import { KubeApi } from "../cluster/api";
import { observeDataPlane } from "../cluster/dataPlane";
import { ensureToolchain } from "../toolchain/index";
import { startCluster, type EmbeddedCluster } from "./cluster";
import { upProgress } from "./demoProgress";
import { createSampleApplication, waitForSample } from "./sampleApplication";
import { createStack, type EmbeddedStack } from "./stack";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
const USAGE = "usage: npm start [-- --keep]   (--keep leaves the cluster and prints how to use it)";

const say = (line: string) => console.log(line);
const started = Date.now();
const step = (title: string) =>
    say(`\n== ${Math.round((Date.now() - started) / 1000)} s: ${title}`);

/** The main job on the embedded cluster: install, edit one line, preview, up. */
async function demo(keep: boolean, signal: AbortSignal): Promise<void> {
    step("programs (from PATH, the cache, the official download or a build)");
    const toolchain = await ensureToolchain({ progress: say, signal });
    let cluster: EmbeddedCluster | undefined;
    try {
        step("cluster");
        cluster = await startCluster({
            name: "demo",
            programs: toolchain.programs,
            keep,
            progress: say,
        });
        // Inside the cluster's directory, which goes with the cluster, however this process ends.
        const directory = join(cluster.directory, "stack");
        const stack = await createStack({
            toolchain,
            cluster,
            directory,
            linkerdVersion: OLD,
            config: {
                rollout: {
                    soak: "3s",
                    waves: [{ name: "canary", select: [{ namespaces: ["batch"] }] }],
                },
            },
        });
        stack.standIns.forEach((name) =>
            say(`${name}: a stand-in plays it (the official one could not be downloaded)`),
        );
        const connection = await connect({ ...cluster, clusterUid: cluster.uid });
        await journey(stack, cluster, connection, signal);
        if (keep) {
            await explain(directory, cluster, stack);
        }
    } finally {
        if (!keep || signal.aborted) {
            step("clean-up");
            await cluster?.stop();
            say("cluster stopped, temporary files removed");
        }
    }
}

async function journey(
    stack: EmbeddedStack,
    cluster: EmbeddedCluster,
    connection: Connection,
    signal: AbortSignal,
): Promise<void> {
    const up = () => pulumi(stack, ["up", "--yes", "--skip-preview"], upProgress(say), signal);
    step(`pulumi up: install ${OLD} (control plane, viz)`);
    await up();

    step("sample application: two namespaces, meshed and not");
    await createSampleApplication(cluster.kubeconfig, cluster.context);
    await waitForSample(cluster.kubeconfig, cluster.context);
    const before = await proxyTable(connection);
    say(`${before.size} workloads run`);

    step(`edit one line of ${stack.file}`);
    await stack.edit("linkerdVersion", NEW);
    say(`- mesh-upgrade:linkerdVersion: ${OLD}\n+ mesh-upgrade:linkerdVersion: ${NEW}`);

    step("pulumi preview: the review of the upgrade");
    await pulumi(stack, ["preview"], (line) => isNoise(line) || say(line), signal);

    step("pulumi up: the upgrade");
    await up();

    step("proxies before and after");
    const after = await proxyTable(connection);
    for (const [workload, from] of before) {
        const to = after.get(workload) ?? "gone";
        say(`${workload.padEnd(40)} ${from.padEnd(14)} ${from === to ? "unchanged" : `-> ${to}`}`);
    }
    const moved = [...before].filter(([name, from]) => after.get(name) !== from).length;
    say(
        `\ndone: Linkerd ${OLD} -> ${NEW}; ${moved} of ${before.size} workloads have a new proxy, ${before.size - moved} are as before (no sidecar, or nothing that restarts them)`,
    );
}

/** Runs Pulumi and shows what `onLine` lets through. @throws with the whole output where it fails. */
async function pulumi(
    stack: EmbeddedStack,
    args: readonly string[],
    onLine: (line: string) => void,
    signal: AbortSignal,
): Promise<void> {
    const result = await stack.run(args, { onLine, signal });
    signal.throwIfAborted();
    if (result.code !== 0) {
        throw new Error(`pulumi ${args[0]} ended with ${result.code}:\n${result.output}`);
    }
}

/** Lines of the engine that say nothing of the upgrade, or that its diagnostics say again. */
function isNoise(line: string): boolean {
    return (
        line.startsWith("@ ") ||
        line.trim() === "" ||
        /^ {4}pulumi:pulumi:Stack |^ (\+\+|--) /.test(line) ||
        /from \$PATH at|resource plugin kubernetes is expected/.test(line)
    );
}

/** Proxy versions by workload, for every pod outside the mesh's own namespaces. */
async function proxyTable(connection: Connection): Promise<Map<string, string>> {
    const { pods } = await observeDataPlane(new KubeApi(connection));
    const meshed = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
    const all = await connection.core.listPodForAllNamespaces();
    const table = new Map<string, Set<string>>();
    for (const { metadata } of all.items) {
        const namespace = metadata?.namespace ?? "";
        if (/^(kube-.*|linkerd.*)$/.test(namespace) || metadata?.deletionTimestamp) {
            continue;
        }
        const pod = meshed.get(`${namespace}/${metadata?.name}`);
        const name = pod?.owner
            ? `${namespace}/${pod.owner.kind}/${pod.owner.name}`
            : `${namespace}/${metadata?.labels?.["app"] ?? metadata?.name}`;
        table.set(name, (table.get(name) ?? new Set()).add(pod?.proxy ?? "no sidecar"));
    }
    return new Map([...table].sort().map(([name, proxies]) => [name, [...proxies].join(" + ")]));
}

/** Leaves a file to source; the passphrase stays in files of mode 0600. */
async function explain(directory: string, cluster: EmbeddedCluster, stack: EmbeddedStack) {
    const { PULUMI_CONFIG_PASSPHRASE: passphrase = "", ...environment } = stack.environment;
    const passphraseFile = join(directory, "passphrase");
    await writeFile(passphraseFile, passphrase, { mode: 0o600 });
    const lines = [
        ...["PATH", "PULUMI_HOME", "PULUMI_BACKEND_URL", "PULUMI_SKIP_UPDATE_CHECK"].map(
            (name) => `export ${name}='${environment[name] ?? ""}'`,
        ),
        `export PULUMI_CONFIG_PASSPHRASE_FILE='${passphraseFile}'`,
        `export KUBECONFIG='${cluster.kubeconfig}'`,
        `cd '${stack.project}'`,
    ];
    const file = join(directory, "use.sh");
    await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });
    step("the cluster stays");
    say(`. ${file}                 # kubectl and pulumi now use it`);
    say(
        `edit ${stack.file}, then: pulumi preview --stack ${stack.name}; pulumi up --stack ${stack.name}`,
    );
    say(`to end it: node --import tsx embedded/stop.ts ${cluster.directory}`);
}

function main(): void {
    const args = process.argv.slice(2);
    const unknown = args.filter((arg) => arg !== "--keep");
    if (unknown.length > 0) {
        console.error(`unknown option ${unknown.join(" ")}\n${USAGE}`);
        process.exit(2);
    }
    const controller = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.on(signal, () => controller.abort(new Error(`interrupted (${signal})`)));
    }
    demo(args.includes("--keep"), controller.signal).then(
        () => process.exit(0),
        (error: Error) => {
            console.error(`npm start failed: ${error.message}`);
            process.exit(1);
        },
    );
}

main();
