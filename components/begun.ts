import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { BegunInput } from "../rollout/input";
import { programCommand } from "./programCommand";

/**
 * Marks the mesh as being updated, once for each target, after everything that may refuse and before anything else changes.
 * The next update so knows whether this one ended (cluster/health/unfinished.ts).
 */
export function declareBegun(
    input: BegunInput,
    triggers: readonly string[],
    dependsOn: pulumi.Resource[],
) {
    return new command.local.Command(
        "begun",
        {
            ...programCommand,
            create: "rollout/begun.ts",
            stdin: JSON.stringify(input),
            triggers: [...triggers],
        },
        { dependsOn },
    );
}
