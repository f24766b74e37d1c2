import { text } from "node:stream/consumers";
import { z } from "zod";

const cluster = z.strictObject({
    kubeconfig: z.string().optional(),
    context: z.string(),
    clusterUid: z.string(),
});

/** What the gate behind the CRDs reads on stdin. */
export const establishedInput = z.strictObject({
    cluster,
    /** Label `helm.sh/chart` of the CRDs: `linkerd-crds-2024.7.5`. */
    chart: z.string(),
});

export type EstablishedInput = z.infer<typeof establishedInput>;

/** What a wave's commands read on stdin: JSON, without credentials. */
export const waveInput = z.strictObject({
    /** Name of the wave. */
    wave: z.string(),
    target: z.strictObject({
        /** `edge-24.7.5`, of the control plane. */
        version: z.string(),
        /** Image tag of the proxy that new pods must get. */
        proxy: z.string(),
    }),
    cluster,
    /** How long a workload may go without progress. */
    timeoutSeconds: z.number().positive(),
});

export type WaveInput = z.infer<typeof waveInput>;

/** Reads the whole of stdin. @throws Error that names what is wrong with it. */
export async function readInput<T>(schema: z.ZodType<T>): Promise<T> {
    return schema.parse(JSON.parse(await text(process.stdin)));
}
