import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { EXTENSION_LABEL } from "../../cluster/extensions";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import type { LocatedExtension } from "../../plan/extensions";
import type { TakeOverInput } from "../../rollout/input";
import { keepCrd, TAKE_OVER } from "../crds";
import { programCommand } from "../programCommand";

interface Surroundings {
    readonly cluster: TakeOverInput["cluster"];
    /** The stack that owns them, as written into annotations. */
    readonly stack: string;
    /** Label of a namespace with its Pod Security level. */
    readonly podSecurity: Readonly<Record<string, string>>;
}

/** Declares the extensions of the stack file; they follow the control plane. What a hand-over needs is done before all else. */
export function declareExtensions(
    extensions: readonly LocatedExtension[],
    around: Surroundings,
    {
        provider,
        begun,
        controlPlane,
    }: {
        readonly provider: pulumi.ProviderResource;
        readonly begun: pulumi.Resource;
        readonly controlPlane: pulumi.Resource;
    },
): readonly LinkerdExtension[] {
    return extensions.map((extension) => {
        const first = extension.name === "smi" ? [ownTrafficSplits(around.cluster, begun)] : [];
        return new LinkerdExtension(
            extension.namespace,
            { ...around, extension },
            { provider, dependsOn: [controlPlane, ...first] },
        );
    });
}

/** Nobody else may find the CRD as their own to delete, and with it every TrafficSplit. */
function ownTrafficSplits(cluster: Surroundings["cluster"], begun: pulumi.Resource) {
    return new command.local.Command(
        "linkerd-smi-crd",
        {
            ...programCommand,
            create: "rollout/linkerd/ownTrafficSplits.ts",
            stdin: JSON.stringify({ cluster } satisfies TakeOverInput),
        },
        { dependsOn: begun },
    );
}

interface LinkerdExtensionArgs extends Surroundings {
    readonly extension: LocatedExtension;
}

/** An extension: its namespace and the objects of its chart, one by one. Namespace and CRDs stay when it goes. */
class LinkerdExtension extends pulumi.ComponentResource {
    constructor(
        name: string,
        { extension, stack, podSecurity }: LinkerdExtensionArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super("mesh-upgrade:linkerd:LinkerdExtension", name, {}, opts);
        // The chart's Job labels the namespace; it is a hook, and hooks do not run here.
        const namespace = new k8s.core.v1.Namespace(
            name,
            {
                metadata: {
                    name: extension.namespace,
                    annotations: { [STACK_ANNOTATION]: stack, ...TAKE_OVER },
                    labels: { [EXTENSION_LABEL]: extension.name, ...podSecurity },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        new k8s.helm.v4.Chart(
            name,
            {
                chart: extension.located.path,
                namespace: extension.namespace,
                values: { ...extension.values },
            },
            { parent: this, dependsOn: namespace, transforms: [keepCrd(stack)] },
        );
        this.registerOutputs({});
    }
}
