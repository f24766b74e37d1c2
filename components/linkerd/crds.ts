import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { EstablishedInput } from "../../rollout/input";
import { keepCrd } from "../crds";
import { programCommand } from "../programCommand";

export interface LinkerdCrdsArgs {
    /** Path of the chart linkerd-crds, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview. */
    readonly values: Readonly<Record<string, unknown>>;
    /** Version of the chart, which its CRDs carry in a label. */
    readonly version: string;
    readonly cluster: EstablishedInput["cluster"];
    /** The stack that owns the CRDs, as written into their annotation. */
    readonly stack: string;
}

/**
 * The CRDs of Linkerd, one resource each, established before this component is done. They stay in the cluster
 * when the stack is destroyed: deleting a CRD deletes every object of its kind.
 */
export class LinkerdCrds extends pulumi.ComponentResource {
    /** The chart; its children are all registered when its URN is known. */
    readonly chart: k8s.helm.v4.Chart;

    constructor(name: string, args: LinkerdCrdsArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:linkerd:LinkerdCrds", name, {}, opts);
        this.chart = new k8s.helm.v4.Chart(
            name,
            { chart: args.chart, namespace: "linkerd", values: { ...args.values } },
            { parent: this, transforms: [keepCrd(args.stack)] },
        );
        // The provider does not wait for a CRD. Its annotation pulumi.com/waitFor does, but from 4.29 on the state then
        // sometimes holds the object of before the update, which shows as a change (seen).
        new command.local.Command(
            `${name}-established`,
            {
                ...programCommand,
                create: "rollout/established.ts",
                stdin: JSON.stringify({
                    cluster: args.cluster,
                    chart: `linkerd-crds-${args.version}`,
                } satisfies EstablishedInput),
                triggers: [args.version],
            },
            { parent: this, dependsOn: this.chart },
        );
        this.registerOutputs({});
    }
}
