import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { WaveInput } from "../../rollout/input";

export interface DataPlaneRolloutArgs {
    /** Name of the wave; its two resources are `<wave>-begin` and `<wave>`. */
    readonly wave: string;
    /** What decides whether the wave runs again: the version that new pods get. */
    readonly target: WaveInput["target"];
    /** How to reach the cluster and how long to wait; changing it runs nothing. */
    readonly cluster: WaveInput["cluster"];
    readonly timeoutSeconds: number;
}

/**
 * One wave of the data plane: `<wave>-begin` checks that the control plane serves the target and prints a fresh
 * id; `<wave>` restarts what is stale and verifies it. Two resources, because one alone keeps its old triggers
 * in the state when it fails: after a revert they would match again and mixed proxies would stay behind.
 */
export class DataPlaneRollout extends pulumi.ComponentResource {
    /** The wave's report as JSON text; see rollout/report.ts. */
    readonly report: pulumi.Output<string>;

    constructor(name: string, args: DataPlaneRolloutArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:dataPlane:DataPlaneRollout", name, {}, opts);
        const { wave, target, cluster, timeoutSeconds } = args;
        const stdin = JSON.stringify({ wave, target, cluster, timeoutSeconds } satisfies WaveInput);
        const shared = {
            // No shell: nothing to quote, and a signal reaches the program itself.
            interpreter: ["node", "--import", "tsx"],
            // A change that is no trigger must not run a wave again.
            update: "rollout/replay.ts",
            // stdout is the result; what people read comes on stderr.
            logging: command.types.enums.local.Logging.Stderr,
            stdin,
        };
        const begin = new command.local.Command(
            `${wave}-begin`,
            { ...shared, create: "rollout/begin.ts", triggers: [target.version, target.proxy] },
            { parent: this },
        );
        const restart = new command.local.Command(
            wave,
            {
                ...shared,
                create: "rollout/wave.ts",
                triggers: [target.version, target.proxy, begin.stdout],
            },
            { parent: this, dependsOn: begin },
        );
        this.report = restart.stdout;
        this.registerOutputs({ report: this.report });
    }
}
