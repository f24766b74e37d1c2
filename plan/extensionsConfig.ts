import * as semver from "semver";
import { z } from "zod";

const values = z.record(z.string(), z.unknown()).default({});

/** The Helm repository of linkerd-smi. */
export const SMI_REPOSITORY = "https://linkerd.github.io/linkerd-smi";

/** An extension whose chart is released with the mesh, and goes with its version line. */
const withTheMesh = z
    .strictObject({
        /** Where its chart comes from. Defaults to `charts` of the stack file. */
        charts: z.string().min(1).optional(),
        values,
    })
    .optional();

/** Section `extensions` of the stack file: extensions that go with the mesh. */
export const extensionsSection = z.strictObject({
    jaeger: withTheMesh,
    multicluster: withTheMesh,
    smi: z
        .strictObject({
            version: z
                .string()
                .refine(
                    (text) => semver.valid(text) === text,
                    "must be the version of the chart linkerd-smi, such as 1.0.4: it has versions of its own",
                ),
            /** Helm repository (https://...) or directory, as `charts` of the stack file. */
            charts: z.string().min(1).default(SMI_REPOSITORY),
            values,
        })
        .optional(),
});

export type ExtensionsConfig = Readonly<z.infer<typeof extensionsSection>>;
