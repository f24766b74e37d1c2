import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { programCommand } from "../programCommand";
import type { WaveInput } from "../../rollout/input";

export interface DataPlaneRolloutArgs {
    /** Name of the wave; its resources are `<wave>-begin`, `<wave>-checks` and `<wave>`. */
    readonly wave: string;
    /** What decides whether the wave runs again: the version that new pods get. */
    readonly target: WaveInput["target"];
    /** How to reach the cluster and how long to wait; changing it runs nothing. */
    readonly cluster: WaveInput["cluster"];
    readonly timeoutSeconds: number;
    /** What has to be in place before the wave's checks. */
    readonly after: readonly pulumi.Resource[];
}

/**
 * One wave of the data plane, as three commands. `<wave>-begin` prints a fresh id for each target and depends on
 * nothing, so that it runs however early an update fails; `<wave>-checks` refuses where the control plane does not
 * serve the target; `<wave>` restarts what is stale and verifies it. The id is a trigger of both: with one resource
 * alone, an update that fails leaves old triggers in the state, which match again after a revert, and mixed proxies
 * stay behind.
 */
export class DataPlaneRollout extends pulumi.ComponentResource {
    /** The wave's report as JSON text; see rollout/report.ts. */
    readonly report: pulumi.Output<string>;

    constructor(name: string, args: DataPlaneRolloutArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:dataPlane:DataPlaneRollout", name, {}, opts);
        const { wave, target, cluster, timeoutSeconds, after } = args;
        const stdin = JSON.stringify({ wave, target, cluster, timeoutSeconds } satisfies WaveInput);
        const triggers = [target.version, target.proxy];
        const begin = new command.local.Command(
            `${wave}-begin`,
            { ...programCommand, create: "rollout/begin.ts", triggers },
            { parent: this },
        );
        const checks = new command.local.Command(
            `${wave}-checks`,
            {
                ...programCommand,
                stdin,
                create: "rollout/checks.ts",
                triggers: [...triggers, begin.stdout],
            },
            { parent: this, dependsOn: [begin, ...after] },
        );
        const restart = new command.local.Command(
            wave,
            {
                ...programCommand,
                stdin,
                create: "rollout/wave.ts",
                triggers: [...triggers, begin.stdout],
            },
            { parent: this, dependsOn: checks },
        );
        this.report = restart.stdout;
        this.registerOutputs({ report: this.report });
    }
}
