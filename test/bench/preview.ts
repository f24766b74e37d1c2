// Preview's own share beside a bare preview of the same charts: `npm run bench -- preview --help`.
import { join } from "node:path";
import { startCluster } from "../../embedded/cluster";
import { createLoad, waitForLoad } from "../../embedded/load";
import { createStack, type EmbeddedStack } from "../../embedded/stack";
import { ensureToolchain } from "../../toolchain/index";
import { countRequests, userKubeconfig } from "../e2e/support/faults";
import { bareStack, runPulumi, type PulumiProject } from "./bareStack";
import { ratio, round } from "./figures";
import { PeakMemory } from "./memory";
import { readOptions } from "./options";
import { session, type Session } from "./session";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
const PER_NAMESPACE = 10;
const PODS_PER_NODE = 200;

const options = readOptions(
    { workloads: "50,500,5000", runs: 3, limit: 120, json: false },
    `Previews the upgrade ${OLD} -> ${NEW} on one embedded cluster that gets more and more meshed Deployments, each time
with this program and with a bare one that declares the same charts and nothing else, in turns.

  npm run bench -- preview [options]

  --workloads LIST    Deployments of one pod, rising; default 50,500,5000
  --runs N            previews of each, of which the median counts; default 3
  --limit MINUTES     of the whole; default 120
  --json              the figures as JSON, in the last line of stdout; null: not measured

Seconds are of the whole \`pulumi preview\`; memory is the peak of all its processes together; requests are those that the
API server served, of both the program and the provider. The bare program has installed nothing: its preview creates what
is there, by the same dry runs.
`,
);

interface Figures {
    readonly seconds: number;
    readonly requests: number;
    readonly peakMemoryMiB: number | undefined;
}

/** A program that is measured, and the user that its requests are counted by. */
interface Contender {
    readonly name: "own" | "bare";
    readonly project: PulumiProject;
}

void session(options.limit, async (run) => {
    const sizes = options.workloads.split(",").map(Number);
    if (sizes.some((one, index) => !Number.isInteger(one) || one <= (sizes[index - 1] ?? 0))) {
        throw new Error(`--workloads ${options.workloads}: must be numbers that rise`);
    }
    const toolchain = await ensureToolchain({ progress: run.say });
    const nodes = Math.max(3, Math.ceil((sizes.at(-1) ?? 0) / PODS_PER_NODE));
    const cluster = await startCluster({
        ...{ name: "bench-preview", programs: toolchain.programs, nodes, large: true },
    });
    run.atEnd(() => cluster.stop());
    run.signal.throwIfAborted();
    const memory = new PeakMemory();
    run.atEnd(() => Promise.resolve(void memory.stop()));
    const { context } = cluster;
    const stack = await createStack({
        ...{ toolchain, cluster, linkerdVersion: OLD },
        directory: join(cluster.directory, "own"),
    });
    run.say(`installs ${OLD}`);
    const own = projectOf(stack);
    await runPulumi(own, ["up", "--yes", "--skip-preview"], memory, run.signal);
    await stack.edit("linkerdVersion", NEW);
    await stack.edit("kubeconfig", await userKubeconfig(cluster, "own"));
    const bare = await bareStack({
        ...{ toolchain, context, memory, signal: run.signal },
        directory: join(cluster.directory, "bare"),
        kubeconfig: await userKubeconfig(cluster, "bare"),
        version: NEW.replace("edge-", "20"),
    });
    const contenders: readonly Contender[] = [
        { name: "own", project: own },
        { name: "bare", project: bare },
    ];
    const results = [];
    for (const [index, workloads] of sizes.entries()) {
        const more = workloads - (sizes[index - 1] ?? 0);
        const load = {
            namespaces: Math.ceil(more / PER_NAMESPACE),
            deploymentsPerNamespace: Math.min(more, PER_NAMESPACE),
            replicas: 1,
            prefix: `load-${index}`,
        };
        const { kubeconfig } = cluster;
        await createLoad(kubeconfig, context, { ...load, progress: run.say });
        const limit = options.limit * 60_000;
        await waitForLoad(kubeconfig, context, { ...load, limit, progress: run.say });
        const figures = await inTurns(contenders, cluster, run);
        results.push({ workloads, ...compared(figures) });
        run.say(`${workloads} workloads: ${JSON.stringify(results.at(-1))}`);
    }
    process.stdout.write(options.json ? `${JSON.stringify({ results })}\n` : tableOf(results));
});

function projectOf({ pulumi, project: folder, name: stack, environment }: EmbeddedStack) {
    return { pulumi, folder, stack, environment };
}

type Cluster = Parameters<typeof countRequests>[0];

/** Medians; the first preview of each, which fills caches, does not count. */
async function inTurns(contenders: readonly Contender[], cluster: Cluster, run: Session) {
    const all = new Map<Contender["name"], Figures[]>();
    for (let turn = 0; turn <= options.runs; turn++) {
        for (const { name, project } of contenders) {
            const memory = new PeakMemory();
            const before = await countRequests(cluster, name);
            const started = performance.now();
            await runPulumi(project, ["preview"], memory, run.signal).finally(() => memory.stop());
            const seconds = (performance.now() - started) / 1000;
            const requests = (await countRequests(cluster, name)) - before;
            const peakMemoryMiB = memory.stop();
            run.say(`${name}: ${round(seconds)} s, ${requests} requests, ${peakMemoryMiB} MiB`);
            const figures = { seconds, requests, peakMemoryMiB };
            all.set(name, [...(all.get(name) ?? []), ...(turn === 0 ? [] : [figures])]);
        }
    }
    return { own: medians(all.get("own") ?? []), bare: medians(all.get("bare") ?? []) };
}

function medians(all: readonly Figures[]): Figures {
    const middle = (values: readonly number[]) =>
        [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const memory = all.map((one) => one.peakMemoryMiB).filter((one) => one !== undefined);
    return {
        seconds: round(middle(all.map((one) => one.seconds)) ?? 0),
        requests: middle(all.map((one) => one.requests)) ?? 0,
        peakMemoryMiB: middle(memory),
    };
}

function compared({ own, bare }: { own: Figures; bare: Figures }) {
    return {
        ownSeconds: own.seconds,
        bareSeconds: bare.seconds,
        secondsRatio: ratio(own.seconds, bare.seconds),
        ownRequests: own.requests,
        bareRequests: bare.requests,
        requestsRatio: ratio(own.requests, bare.requests),
        ownPeakMemoryMiB: own.peakMemoryMiB ?? null,
        barePeakMemoryMiB: bare.peakMemoryMiB ?? null,
        memoryRatio: ratio(own.peakMemoryMiB, bare.peakMemoryMiB),
    };
}

function tableOf(results: readonly ({ workloads: number } & ReturnType<typeof compared>)[]) {
    return results
        .map(
            (one) =>
                `${one.workloads} workloads: ${one.ownSeconds} s, bare ${one.bareSeconds} s (${one.secondsRatio} times); ` +
                `${one.ownRequests} requests, bare ${one.bareRequests} (${one.requestsRatio}); ` +
                `${one.ownPeakMemoryMiB} MiB, bare ${one.barePeakMemoryMiB} MiB (${one.memoryRatio})\n`,
        )
        .join("");
}
