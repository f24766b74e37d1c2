// The rollout against the guides' kubectl loop: `npm run bench -- rollout --help`.
import { kubectlLoop, kubectlVersion, rolloutProgram, type Contender } from "./contenders";
import { Field } from "./field";
import { keysOf, ratio, round, tableOf } from "./figures";
import { measure, type Figures } from "./measure";
import { PeakMemory } from "./memory";
import { readOptions } from "./options";
import { session } from "./session";

const NAMESPACES_AT_ONCE = 8;

const options = readOptions(
    {
        namespaces: 30,
        deployments: 10,
        replicas: 3,
        "ready-after": "5s",
        pace: 100,
        skip: "",
        kubectl: "kubectl",
        limit: 60,
        json: false,
    },
    `Restarts the pods of all Deployments, all stale, on one embedded cluster in four ways, one after the other:
the guides' kubectl loop, the same with ${NAMESPACES_AT_ONCE} namespaces at once, the rollout program without and with a pace.

  npm run bench -- rollout [options]

  --namespaces N      default 30
  --deployments N     in each namespace; default 10
  --replicas N        pods of each; default 3
  --ready-after TIME  from scheduled to Ready; default 5s
  --pace N            pods per minute of the paced rollout; default 100
  --skip WAYS         any of loop,parallel,rollout,paced
  --kubectl PROGRAM   default kubectl, of PATH. That of the Google Cloud SDK is a dispatcher, which asks for the
                      server's version each time: name the one that it calls for a fair count of requests
  --limit MINUTES     of the whole; default 60
  --json              the figures as JSON, in the last line of stdout; null: not measured
`,
);

interface Way {
    readonly id: string;
    readonly key: string;
    readonly title: string;
    readonly contender: Contender;
}

const ways: readonly Way[] = [
    {
        id: "loop",
        key: "kubectlLoop",
        title: "kubectl loop",
        contender: kubectlLoop(options.kubectl, 1),
    },
    {
        id: "parallel",
        key: "kubectlParallel",
        title: `kubectl loop, ${NAMESPACES_AT_ONCE} namespaces at once`,
        contender: kubectlLoop(options.kubectl, NAMESPACES_AT_ONCE),
    },
    {
        id: "rollout",
        key: "rollout",
        title: "rollout, no pace limit",
        contender: rolloutProgram("unlimited", "10m"),
    },
    {
        id: "paced",
        key: "rolloutPaced",
        title: `rollout, ${options.pace} pods per minute`,
        contender: rolloutProgram(options.pace, "10m"),
    },
];

void session(options.limit, async (run) => {
    const skipped = options.skip.split(",");
    const chosen = ways.filter(({ id }) => !skipped.includes(id));
    const workloads = options.namespaces * options.deployments;
    const pods = workloads * options.replicas;
    const field = await Field.open(run, pods);
    let kubectl: string | null = null;
    if (chosen.some(({ key }) => key.startsWith("kubectl"))) {
        const memory = new PeakMemory();
        const where = { folder: await field.folder(), memory, signal: run.signal };
        kubectl = await kubectlVersion(options.kubectl, where).finally(() => memory.stop());
    }
    await field.addLoad(
        {
            namespaces: options.namespaces,
            deploymentsPerNamespace: options.deployments,
            replicas: options.replicas,
            readyAfter: options["ready-after"],
        },
        options.limit * 60_000,
    );
    const figures = new Map<string, Figures>();
    for (const { id, contender } of chosen) {
        figures.set(id, await measure(id, contender, field, run));
    }
    const { loop, rollout, paced } = Object.fromEntries(figures);
    const planned = (pods / options.pace) * 60;
    const speedup = ratio(loop?.seconds, rollout?.seconds);
    const requestsRatio = ratio(rollout?.requests, loop?.requests);
    const pacedDeviationPercent = paced ? round(((paced.seconds - planned) / planned) * 100) : null;
    if (options.json) {
        const result = {
            workloads,
            pods,
            readyAfter: options["ready-after"],
            podsPerMinute: options.pace,
            kubectl,
            ...keysOf(ways.map(({ id, key }) => [key, figures.get(id)])),
            speedup,
            requestsRatio,
            pacedDeviationPercent,
        };
        process.stdout.write(`${JSON.stringify(result)}\n`);
        return;
    }
    process.stdout.write(
        `${workloads} Deployments, ${pods} pods, Ready ${options["ready-after"]} after they are scheduled; kubectl ${kubectl ?? "not run"}\n` +
            tableOf(ways.map(({ id, title }) => [title, figures.get(id)])) +
            `the rollout against the kubectl loop: ${speedup ?? "?"} times as fast, ` +
            `${requestsRatio ?? "?"} of its requests\n` +
            `the paced rollout: ${pacedDeviationPercent ?? "?"} % off the ${Math.round(planned)} s of its pace\n`,
    );
});
