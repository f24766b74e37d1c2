// Records since when the identity service hands out certificates of a new issuer: its pods are new by then (the control
// plane's update waits for them). Pods of the data plane that were made before are stale; see plan/identity.ts.
import { connect, reasonOf } from "../cluster/connection";
import { ISSUED_AT, ISSUER_SECRET, SERVED_SINCE, servedSince } from "../plan/identity";
import { KubeApi } from "../cluster/api";
import { nextSecond } from "./clock";
import { readInput, servedInput } from "./input";

const SECRET = `/api/v1/namespaces/linkerd/secrets/${ISSUER_SECRET}`;

interface Annotated {
    readonly metadata?: {
        readonly annotations?: Readonly<Record<string, string>>;
        readonly creationTimestamp?: string;
    };
}

async function main(): Promise<void> {
    const { cluster } = await readInput(servedInput);
    const api = new KubeApi(await connect(cluster));
    const { metadata } = (await api.send("GET", SECRET)) as Annotated;
    const issuedAt = metadata?.annotations?.[ISSUED_AT];
    if (issuedAt === undefined) {
        process.stdout.write("unchanged");
        return;
    }
    if (servedSince(metadata?.annotations) === undefined) {
        const since = await nextSecond(api);
        await api.mergePatch(SECRET, {
            metadata: { annotations: { [SERVED_SINCE]: `${issuedAt} ${since}` } },
        });
        process.stderr.write(`check: the issuer of ${issuedAt} is served since ${since}\n`);
    }
    process.stdout.write(issuedAt);
}

main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
});
