import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { scopeOf, type Rollout } from "../../plan/waves";
import {
    baseline as baselineSchema,
    type BaselineInput,
    type WaveInput,
} from "../../rollout/input";
import { programCommand } from "../programCommand";

export interface BaselineArgs {
    readonly rollout: Rollout;
    readonly target: WaveInput["target"];
    /** A change of these is another upgrade. */
    readonly triggers: readonly string[];
    readonly cluster: WaveInput["cluster"];
}

/**
 * Records, once for each target and before anything changes, how it was: the control plane's version and the metrics
 * that gates compare with. Its stdout is rollout/input.ts's Baseline as JSON.
 */
export function declareBaseline({ rollout, target, triggers, cluster }: BaselineArgs) {
    const waves = rollout.waves.flatMap(({ name, gates }) =>
        gates.metrics ? [{ scope: scopeOf(rollout.waves, name), metrics: gates.metrics }] : [],
    );
    return new command.local.Command("baseline", {
        ...programCommand,
        create: "rollout/baseline.ts",
        stdin: JSON.stringify({ cluster, target, waves } satisfies BaselineInput),
        triggers: [...triggers],
    });
}

export interface DataPlaneRolloutArgs {
    readonly rollout: Rollout;
    /** What a wave brings, and what decides whether it runs again. */
    readonly target: (wave: string) => WaveTarget;
    /** How to reach the cluster; changing it runs nothing. */
    readonly cluster: WaveInput["cluster"];
    readonly baseline: command.local.Command;
    readonly checks?: WaveInput["checks"];
    /** What has to be in place before the first wave. */
    readonly after: readonly pulumi.Resource[];
    /** Declares what a wave needs beside, after what is before it. */
    readonly prepare?: (
        wave: string,
        after: readonly pulumi.Resource[],
    ) => readonly pulumi.Resource[];
}

export interface WaveTarget {
    readonly target: WaveInput["target"];
    readonly triggers: readonly string[];
}

/**
 * The waves of the data plane, one after the other, each as two commands. `<wave>-begin` prints a fresh id for each
 * target and depends on nothing, so that it runs however early an update fails; `<wave>` asks the control plane, restarts
 * what is stale, verifies it and passes its gates. The id is a trigger of the wave: with one resource alone, an update
 * that fails leaves old triggers in the state, which match again after a revert, and mixed proxies stay behind.
 * Pace, limits and gates are no triggers: changing them runs nothing.
 */
export class DataPlaneRollout extends pulumi.ComponentResource {
    /** The report of each wave as JSON text, by wave; see rollout/report.ts. */
    readonly reports: Readonly<Record<string, pulumi.Output<string>>>;
    /** The last wave. */
    readonly last: pulumi.Resource;

    constructor(name: string, args: DataPlaneRolloutArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:dataPlane:DataPlaneRollout", name, {}, opts);
        const { rollout, cluster, baseline, after, checks } = args;
        const reports: Record<string, pulumi.Output<string>> = {};
        let before: readonly pulumi.Resource[] = after;
        for (const { name: wave, select: _, ...settings } of rollout.waves) {
            const { target, triggers } = args.target(wave);
            const prepared = args.prepare?.(wave, before) ?? [];
            const begin = new command.local.Command(
                `${wave}-begin`,
                {
                    ...programCommand,
                    create: "rollout/begin.ts",
                    triggers: [...triggers],
                },
                { parent: this },
            );
            const scope = scopeOf(rollout.waves, wave);
            const stdin = baseline.stdout.apply((text) =>
                JSON.stringify({
                    target,
                    cluster,
                    scope,
                    settings,
                    events: rollout.events,
                    baseline: baselineSchema.parse(JSON.parse(text)),
                    ...(checks ? { checks } : {}),
                } satisfies WaveInput),
            );
            const restart = new command.local.Command(
                wave,
                {
                    ...programCommand,
                    create: "rollout/wave.ts",
                    stdin,
                    triggers: [
                        ...triggers,
                        begin.stdout,
                        // Who belongs to it; not the other waves' names.
                        JSON.stringify(
                            scope.select.length > 0 ? scope.select : Object.values(scope.others),
                        ),
                    ],
                },
                { parent: this, dependsOn: [begin, ...before, ...prepared] },
            );
            reports[wave] = restart.stdout;
            before = [restart];
        }
        this.reports = reports;
        this.last = before[0] ?? this;
        this.registerOutputs({ reports });
    }
}
