// How it is before the upgrade: the control plane's version and each wave's metrics. With the Prometheus of viz this is the
// last chance to see them: its upgrade empties it.
import { KubeApi } from "../cluster/api";
import { connect, reasonOf } from "../cluster/connection";
import { observeDataPlane } from "../cluster/dataPlane";
import { planDataPlane } from "../plan/dataPlane";
import { metricsGateOf } from "./gates/gates";
import { recordMetrics } from "./gates/metrics";
import { baselineInput, readInput, type Baseline } from "./input";
import { meshOf } from "./mesh";
import { recordKey } from "./runWave";

async function main(): Promise<void> {
    const input = await readInput(baselineInput);
    const connection = await connect(input.cluster);
    const mesh = meshOf(input.target);
    const api = new KubeApi(connection);
    const dataPlane = await observeDataPlane(api, mesh.pods).finally(() => api.close());
    const from = await mesh.running(connection, dataPlane);
    const metrics: Baseline["metrics"] = {};
    if (from !== undefined) {
        const target = await mesh.target(connection);
        for (const { scope, metrics: settings } of input.waves) {
            const { namespaces } = planDataPlane(dataPlane, target, scope);
            if (settings && namespaces.length > 0) {
                const gate = metricsGateOf(settings, mesh.rules);
                const recorded = await recordMetrics(connection, gate, namespaces);
                metrics[recordKey(scope)] = recorded;
                for (const [rule, value] of Object.entries(recorded.values)) {
                    process.stderr.write(`wave ${scope.wave}: ${rule} is ${value}\n`);
                }
                for (const [rule, problem] of Object.entries(recorded.problems)) {
                    process.stderr.write(`wave ${scope.wave}: ${rule} is unknown: ${problem}\n`);
                }
            }
        }
    }
    const baseline: Baseline = {
        ...(from === undefined ? {} : { from }),
        ...((await mesh.takesOver(connection)) ? { takesOver: true } : {}),
        at: new Date().toISOString(),
        metrics,
    };
    process.stdout.write(JSON.stringify(baseline));
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
