// The gate behind cert-manager's certificates: waits until it has issued each of them, by the authority that the mesh and the
// API servers trust. Nothing of the control plane changes before.
import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, found, type Connection } from "../../cluster/connection";
import { isWrittenByCertManager } from "../../cluster/certManager";
import { keyPairProblem, leadsTo, readBundle } from "../../plan/certificates";
import { issuedInput, readInput, type IssuedInput } from "../input";
import { runProgram } from "../program";

/** It signs with a CA within seconds; after a failure it tries again after a while. */
const LIMIT_MS = 120_000;
const LOOK_MS = 500;

type Asked = IssuedInput["certificates"][number];

interface Certificate {
    readonly metadata: { readonly generation?: number };
    readonly status?: {
        readonly conditions?: readonly {
            readonly type: string;
            readonly status: string;
            readonly message?: string;
            readonly observedGeneration?: number;
        }[];
    };
}

runProgram(async () => {
    const { cluster, namespace, certificates } = await readInput(issuedInput);
    const connection = await connect(cluster);
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
        const problems = await Promise.all(
            certificates.map((one) => problemOf(connection, namespace, one)),
        );
        const waiting = problems.filter((one) => one !== undefined);
        if (waiting.length === 0) {
            const names = certificates.map(({ name }) => name);
            process.stderr.write(`check: cert-manager has issued ${names.join(", ")}\n`);
            process.stdout.write(JSON.stringify(names));
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(
                `cert-manager has not issued after ${LIMIT_MS / 1000} s, and the control plane was not touched: ${waiting.join("; ")}. Next: kubectl -n ${namespace} describe certificate,issuer; then: pulumi up --refresh`,
            );
        }
        await sleep(LOOK_MS);
    }
});

async function problemOf(
    { core, kubeconfig }: Connection,
    namespace: string,
    { name, secretName, trust }: Asked,
): Promise<string | undefined> {
    const custom = kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    const certificate = (await found<unknown>(
        custom.getNamespacedCustomObject({
            group: "cert-manager.io",
            version: "v1",
            plural: "certificates",
            namespace,
            name,
        }),
    )) as Certificate | undefined;
    if (certificate === undefined) {
        return `Certificate ${name} is gone`;
    }
    const ready = certificate.status?.conditions?.find(({ type }) => type === "Ready");
    if (
        ready?.status !== "True" ||
        (ready.observedGeneration ?? 0) < (certificate.metadata.generation ?? 0)
    ) {
        return `Certificate ${name} is not ready (${ready?.message ?? "cert-manager says nothing yet"})`;
    }
    const secret = await found(core.readNamespacedSecret({ namespace, name: secretName }));
    const text = (key: string) => Buffer.from(secret?.data?.[key] ?? "", "base64").toString();
    const pair = { certificate: text("tls.crt"), key: text("tls.key") };
    if (!isWrittenByCertManager(secret)) {
        return `Secret ${secretName} is not written by cert-manager`;
    }
    const problem = keyPairProblem(pair, new Date());
    if (problem !== undefined) {
        return `Secret ${secretName} ${problem}`;
    }
    const [issued, ...intermediates] = readBundle(pair.certificate);
    return issued && leadsTo(issued, intermediates, readBundle(trust))
        ? undefined
        : `Secret ${secretName} is not signed by ${readBundle(trust)[0]?.subject}`;
}
