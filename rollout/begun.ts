// Writes that an update begins, once for each target, before anything else changes; the check at the end takes it away.
import { KubeApi } from "../cluster/api";
import { connect, reasonOf } from "../cluster/connection";
import { markUpdating } from "../cluster/health/unfinished";
import { begunInput, readInput } from "./input";

async function main(): Promise<void> {
    const { cluster, namespace, version } = await readInput(begunInput);
    const api = new KubeApi(await connect(cluster));
    await markUpdating(api, namespace, version).finally(() => api.close());
    process.stdout.write(version);
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
