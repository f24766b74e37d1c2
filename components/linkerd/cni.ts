import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { CNI_NAMESPACE, CONFIG_HASH } from "../../plan/cni";
import { POD_SECURITY } from "../../plan/podSecurity";
import type { CniReadyInput } from "../../rollout/input";
import { TAKE_OVER } from "../crds";
import { programCommand } from "../programCommand";
import { adjustObjects } from "./chartObjects";
import { ORDERED } from "./controlPlane";

export interface LinkerdCniArgs {
    /** Path of the chart linkerd2-cni, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview. */
    readonly values: Readonly<Record<string, unknown>>;
    /** Of the control plane that follows: `edge-24.7.5`. */
    readonly version: string;
    readonly cluster: CniReadyInput["cluster"];
    /** The stack that owns it, as written into the namespace's annotation. */
    readonly stack: string;
}

/** Linkerd's CNI plugin. It is done when its pod of this version is ready on every node that is ready. The namespace stays after a destroy. */
export class LinkerdCni extends pulumi.ComponentResource {
    constructor(name: string, args: LinkerdCniArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:linkerd:LinkerdCni", name, {}, opts);
        const namespace = new k8s.core.v1.Namespace(
            CNI_NAMESPACE,
            {
                metadata: {
                    name: CNI_NAMESPACE,
                    annotations: {
                        "linkerd.io/inject": "disabled",
                        [STACK_ANNOTATION]: args.stack,
                        ...TAKE_OVER,
                    },
                    labels: {
                        "linkerd.io/cni-resource": "true",
                        "config.linkerd.io/admission-webhooks": "disabled",
                        // It writes into directories of the node.
                        [POD_SECURITY]: "privileged",
                    },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        const { chart: path, values } = args;
        const chart = new k8s.helm.v4.Chart(
            name,
            { chart: path, namespace: CNI_NAMESPACE, values: { ...values }, postRenderer: ORDERED },
            { parent: this, dependsOn: namespace, transforms: [adjust(args)] },
        );
        new command.local.Command(
            `${name}-ready`,
            {
                ...programCommand,
                create: "rollout/linkerd/cniReady.ts",
                stdin: JSON.stringify({
                    cluster: args.cluster,
                    version: args.version,
                } satisfies CniReadyInput),
                triggers: [hashOf({ path, values })],
            },
            { parent: this, dependsOn: chart },
        );
        this.registerOutputs({});
    }
}

function hashOf(value: unknown): string {
    return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/**
 * The plugin reads its ConfigMap when its pod starts, and its chart has no checksum of it there: values that change would reach
 * no node. It is waited for by the gate, node by node, and not by the provider, for all of them in ten minutes. The DaemonSet
 * says whose it is: the namespace outlives it.
 */
function adjust({ stack, values }: LinkerdCniArgs): pulumi.ResourceTransform {
    return adjustObjects((type) =>
        type.endsWith(":DaemonSet")
            ? {
                  annotations: { [STACK_ANNOTATION]: stack, "pulumi.com/skipAwait": "true" },
                  ofPods: { [CONFIG_HASH]: hashOf(values) },
              }
            : {},
    );
}
