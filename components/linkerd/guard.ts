import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { LinkerdGuardInput } from "../../rollout/input";
import { programCommand } from "../programCommand";

/**
 * Refuses `pulumi destroy` while pods run the mesh's proxy. It depends on all that they need, so that it is deleted first and
 * its failure keeps the rest; not on the waves, so that it is there also where the first of them failed.
 */
export function declareGuard(input: LinkerdGuardInput, dependsOn: pulumi.Resource[]) {
    return new command.local.Command(
        "linkerd-guard",
        {
            ...programCommand,
            create: "rollout/kept.ts",
            delete: "rollout/linkerd/guard.ts",
            stdin: JSON.stringify(input),
        },
        { dependsOn },
    );
}
