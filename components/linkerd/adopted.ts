import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { SETTINGS_CONFIG_MAP, settingsKey } from "../../cluster/adoption";
import { SECTIONS, type Settings } from "../../plan/settings";
import type { TakeOverInput } from "../../rollout/input";
import { programCommand } from "../programCommand";

export interface TakeOverArgs {
    readonly settings: Settings;
    readonly cluster: TakeOverInput["cluster"];
}

/**
 * Keeps the settings of the installation that is taken over, before anything of it changes, and then makes its objects the
 * stack's. The settings stay in their ConfigMap as long as the stack file says `adopt`.
 */
export function takeOver(
    { settings, cluster }: TakeOverArgs,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
): pulumi.Resource[] {
    const kept = new k8s.core.v1.ConfigMap(
        SETTINGS_CONFIG_MAP,
        {
            metadata: { namespace: "linkerd", name: SETTINGS_CONFIG_MAP },
            data: Object.fromEntries(
                SECTIONS.map((section) => [settingsKey(section), stringify(settings[section])]),
            ),
        },
        { parent, dependsOn: namespace },
    );
    return [kept, program("linkerd-take-over", "takeOver", { cluster }, parent, [kept])];
}

/** Marks what the linkerd CLI installed of viz as Helm's, which then takes it over. */
export function takeOverViz(
    input: TakeOverInput,
    parent: pulumi.Resource,
    after: pulumi.Resource[],
): pulumi.Resource {
    return program("linkerd-viz-take-over", "takeOverViz", input, parent, after);
}

function program(
    name: string,
    file: string,
    input: TakeOverInput,
    parent: pulumi.Resource,
    dependsOn: pulumi.Resource[],
): pulumi.Resource {
    return new command.local.Command(
        name,
        {
            ...programCommand,
            create: `rollout/linkerd/${file}.ts`,
            stdin: JSON.stringify(input),
        },
        { parent, dependsOn },
    );
}
