// The rollout program from a shell: `npm run rollout -- --help`.
import { KubeApi } from "../cluster/api";
import { connect, readClusterUid, type Connection } from "../cluster/connection";
import { observeDataPlane } from "../cluster/dataPlane";
import { readLinkerdConfig, readTrustRoots } from "../cluster/linkerdConfig";
import { trustRootHash } from "../plan/certificates";
import { planDataPlane, withBudgets } from "../plan/dataPlane";
import { RefusedError } from "../plan/faults";
import { proxyTagOf } from "../plan/given";
import { scopeOf } from "../plan/waves";
import { waveRadius } from "../plan/blastRadius";
import { waveLines } from "../report/blastRadius";
import { toLog, type Emit, type RolloutEvent } from "./events";
import type { RolloutTarget, WaveInput } from "./input";
import { eventLine, keepReport } from "./keep";
import { keepHeapSmall } from "./memory";
import { meshOf } from "./mesh";
import { HELP, readOptions, SELECTED, type Options } from "./options";
import { failureLines, summaryLine, tableLines } from "./report";
import { refusalText, runWave } from "./runWave";
import { runShell } from "./shell";

const INTERRUPTED = 130;
const AGAIN = "mend what is named, then run the same again: it goes on where it stopped";

async function main(): Promise<number> {
    keepHeapSmall();
    const options = await readOptions(process.argv.slice(2));
    if (!options) {
        process.stdout.write(HELP);
        return 0;
    }
    const { kubeconfig, context } = options;
    const address = { context, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
    const clusterUid = options.clusterUid ?? (await readClusterUid(address));
    const cluster = { ...address, clusterUid };
    const connection = await connect(cluster);
    const target = await targetOf(options, connection.core);
    if (options.plan) {
        await showPlan(options, target, connection);
        return 0;
    }
    const say = (line: string) => void process.stderr.write(`${line}\n`);
    const lines = toLog(say);
    const rolling = new Set<string>();
    let selected = 0;
    const emit: Emit = (event) => {
        follow(event, rolling);
        selected = event.type === "wave" ? event.pods : selected;
        lines(event);
        if (options.json) {
            process.stdout.write(eventLine(event));
        }
    };
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.on(signal, () => {
            say(
                `${signal}: nothing new is begun; ${rolling.size} workloads roll on${rolling.size > 0 ? `: ${[...rolling].join(", ")}` : ""}`,
            );
            if (stop.signal.aborted) {
                process.exit(INTERRUPTED);
            }
            say("waiting for them; Ctrl-C again leaves them to the cluster");
            stop.abort();
        });
    }
    const { rollout, only, json } = options;
    const baseline = { at: new Date().toISOString(), metrics: {} };
    for (const { name: wave, select: _, ...settings } of rollout.waves) {
        if (only.length > 0 && !only.includes(wave)) {
            continue;
        }
        const scope = scopeOf(rollout.waves, wave);
        const input: WaveInput = { target, cluster, scope, settings, events: false, baseline };
        try {
            const outcome = await runWave(input, connection, emit, stop.signal);
            const { report } = outcome;
            const path = await keepReport(outcome);
            tableLines(report).forEach(say);
            say(summaryLine(report));
            if (json) {
                process.stdout.write(eventLine({ type: "report", ...report }));
            }
            if (report.failures.length > 0) {
                failureLines(report, path, AGAIN).forEach(say);
                return stop.signal.aborted ? INTERRUPTED : 1;
            }
            if (selected === 0 && wave === SELECTED) {
                say("--namespace, --workload: select no meshed pod; nothing was restarted");
                return 1;
            }
        } catch (error) {
            if (!(error instanceof RefusedError)) {
                throw error;
            }
            say(refusalText(wave, error));
            return 1;
        }
    }
    return 0;
}

/** What new pods get: as asked for, else what the control plane says. */
async function targetOf(
    { version, proxy, istio }: Options,
    core: Connection["core"],
): Promise<RolloutTarget> {
    if (istio) {
        const { namespace, namespaces } = istio;
        return { mesh: "istio", version: "", namespace, namespaces: [...namespaces] };
    }
    const config = await readLinkerdConfig(core);
    const live = config?.version;
    if (live === undefined) {
        throw new RefusedError([
            {
                subject: "ConfigMap linkerd/linkerd-config",
                value: "missing",
                rule: "there must be a control plane, whose injector gives new pods their proxy",
                next: "pulumi up",
            },
        ]);
    }
    const trustRoots = await readTrustRoots(core);
    return {
        mesh: "linkerd",
        version: version ?? live,
        proxy: proxy ?? proxyTagOf(config?.values, version ?? live),
        ...(trustRoots === undefined ? {} : { trustRoot: trustRootHash(trustRoots) }),
    };
}

async function showPlan(
    { rollout, only }: Options,
    to: RolloutTarget,
    connection: Connection,
): Promise<void> {
    const mesh = meshOf(to);
    const api = new KubeApi(connection);
    const dataPlane = await observeDataPlane(api, mesh.pods).finally(() => api.close());
    const target = await mesh.target(connection);
    for (const wave of rollout.waves) {
        if (only.length === 0 || only.includes(wave.name)) {
            const plan = planDataPlane(
                withBudgets(dataPlane, wave),
                target,
                scopeOf(rollout.waves, wave.name),
            );
            waveLines(waveRadius(wave, plan, dataPlane)).forEach((line) =>
                process.stdout.write(`${line}\n`),
            );
        }
    }
}

function follow(event: RolloutEvent, rolling: Set<string>): void {
    if (event.type === "workload" && event.state === "started") {
        rolling.add(event.workload);
    } else if (event.type === "workload" && ["done", "gone", "failed"].includes(event.state)) {
        rolling.delete(event.workload);
    }
}

runShell(main);
