// What thousands of workloads cost the rollout: `npm run bench -- rollout-large --help`.
import { rolloutProgram } from "./contenders";
import { Field } from "./field";
import { keysOf, round, tableOf } from "./figures";
import { measure } from "./measure";
import { readOptions } from "./options";
import { session } from "./session";

const DEPLOYMENTS = 10;

const options = readOptions(
    { workloads: 5_000, small: 1_000, replicas: 3, limit: 60, json: false },
    `Restarts the pods of thousands of Deployments by the rollout program without a pace limit, twice: first of some,
then of all. Its requests should grow with the pods.

  npm run bench -- rollout-large [options]

  --workloads N    of the second run, ${DEPLOYMENTS} in a namespace; default 5000
  --small N        of the first run; default 1000
  --replicas N     pods of each; default 3
  --limit MINUTES  of the whole; default 60
  --json           the figures as JSON, in the last line of stdout; null: not measured
`,
);

void session(options.limit, async (run) => {
    const { workloads, small, replicas } = options;
    const field = await Field.open(run, workloads * replicas);
    const contender = rolloutProgram("unlimited", "30m");
    const add = (prefix: string, count: number) =>
        field.addLoad(
            {
                prefix,
                namespaces: Math.ceil(count / DEPLOYMENTS),
                deploymentsPerNamespace: DEPLOYMENTS,
                replicas,
            },
            options.limit * 60_000,
        );
    await add("some", small);
    const some = await measure("small", contender, field, run);
    await add("more", workloads - small);
    const all = await measure("rollout", contender, field, run);
    const perPod = {
        small: round(some.requests / (small * replicas)),
        all: round(all.requests / (workloads * replicas)),
    };
    if (options.json) {
        const result = {
            workloads,
            pods: workloads * replicas,
            smallWorkloads: small,
            smallPods: small * replicas,
            ...keysOf([
                ["rollout", all],
                ["small", some],
            ]),
            requestsPerPod: perPod.all,
            smallRequestsPerPod: perPod.small,
        };
        process.stdout.write(`${JSON.stringify(result)}\n`);
        return;
    }
    process.stdout.write(
        tableOf([
            [`${small} workloads, ${small * replicas} pods`, some],
            [`${workloads} workloads, ${workloads * replicas} pods`, all],
        ]) + `requests per pod: ${perPod.small} and ${perPod.all}\n`,
    );
});
