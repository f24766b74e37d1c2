import { connect, reasonOf } from "../cluster/connection";
import { checkControlPlane } from "../cluster/controlPlane";
import { formatFaults } from "../plan/faults";
import { readInput, waveInput } from "./input";

/** Before a wave: refuses where the control plane does not serve the target. */
async function main(): Promise<void> {
    const input = await readInput(waveInput);
    const connection = await connect(input.cluster);
    const checks = await checkControlPlane(connection, input.target);
    checks.passed.forEach((line) => process.stderr.write(`check: ${line}\n`));
    if (checks.faults.length > 0) {
        const heading = `mesh-upgrade refused; no workload of wave ${input.wave} was restarted`;
        process.stderr.write(`${formatFaults(checks.faults, heading)}\n`);
        process.exitCode = 1;
        return;
    }
    process.stdout.write(JSON.stringify(checks.passed));
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
