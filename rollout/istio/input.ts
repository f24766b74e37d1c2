import { z } from "zod";
import { waveSettings } from "../../plan/waves";
import { cluster } from "../input";

const place = {
    cluster,
    /** The control planes' namespace. */
    namespace: z.string(),
};

/** What the gate behind an istiod reads on stdin. */
export const readyInput = z.strictObject({ ...place, revision: z.string() });

export type ReadyInput = z.infer<typeof readyInput>;

/** What the commands that label a namespace read on stdin. */
export const labelsInput = z.strictObject({
    ...place,
    /** The namespace that is labelled. */
    name: z.string(),
    /** Revision or tag; `default` for istio-injection=enabled. */
    choice: z.string(),
    /** How its workloads restart when its labels of before are put back. */
    settings: waveSettings,
});

export type LabelsInput = z.infer<typeof labelsInput>;

/** What a guard reads on stdin when what it guards is to be deleted. */
export const guardInput = z.strictObject({
    ...place,
    kind: z.enum(["revision", "tag"]),
    name: z.string(),
    /** How long nothing may use it: `30s`. */
    grace: z.string(),
});

export type GuardInput = z.infer<typeof guardInput>;

/** What a command that takes objects over reads on stdin. */
export const adoptInput = z.strictObject({
    ...place,
    objects: z.array(
        z.strictObject({
            apiVersion: z.string(),
            kind: z.string(),
            name: z.string(),
            namespace: z.string().optional(),
        }),
    ),
});

export type AdoptInput = z.infer<typeof adoptInput>;

/** What removes a revision that the stack did not make reads on stdin. */
export const removeInput = z.strictObject({
    ...place,
    revision: z.string(),
});

export type RemoveInput = z.infer<typeof removeInput>;
