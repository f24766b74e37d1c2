import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { CREATED_BY, EXTENSION_LABEL } from "../../cluster/extensions";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { LINKS, type LiveLinks } from "../../cluster/links";
import type { LocatedExtension } from "../../plan/extensions";
import type { LinkerdPlan } from "../../plan/linkerd";
import { extensionValues } from "../../plan/values";
import { WEBHOOK_CA_SECRET } from "../../plan/webhooks";
import type { TakeOverInput } from "../../rollout/input";
import { keepCrd, TAKE_OVER } from "../crds";
import { programCommand } from "../programCommand";
import { certificatesByCertManager } from "./certManager";
import { adjustObjects, servingAdjustment, type ServingObject } from "./chartObjects";
import { ORDERED } from "./controlPlane";
import { tlsSecret, webhookSecrets } from "./secrets";

interface Surroundings {
    readonly cluster: TakeOverInput["cluster"];
    /** The stack that owns them, as written into annotations. */
    readonly stack: string;
    readonly plan: LinkerdPlan;
    /** The CRD of Links, where it is of a later release. */
    readonly keptLinks: LiveLinks | undefined;
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
        { extension, stack, cluster, plan, keptLinks }: LinkerdExtensionArgs,
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
                    labels: {
                        [EXTENSION_LABEL]: extension.name,
                        ...plan.podSecurity[extension.namespace],
                    },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        const certificates =
            extension.name === "jaeger"
                ? injectorCertificates({ stack, cluster, plan }, this, namespace)
                : [];
        new k8s.helm.v4.Chart(
            name,
            {
                chart: extension.located.path,
                namespace: extension.namespace,
                values: { ...extensionValues(extension, plan) },
                postRenderer: ORDERED,
            },
            {
                parent: this,
                dependsOn: [namespace, ...certificates],
                transforms: [adjust(plan, keptLinks), keepCrd(stack)],
            },
        );
        this.registerOutputs({});
    }
}

/** The certificate that jaeger's injector serves, which the chart would make anew at each render. */
function injectorCertificates(
    { stack, cluster, plan }: Pick<Surroundings, "stack" | "cluster" | "plan">,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
): pulumi.Resource[] {
    const inside = { parent, dependsOn: namespace };
    if (plan.identity.issuer !== undefined) {
        return webhookSecrets("linkerd-jaeger", plan.webhooks, TAKE_OVER, {
            ...inside,
            retainOnDelete: true,
        });
    }
    const { ca: pair } = plan.webhooks;
    // An Issuer signs with a Secret beside it.
    const ca = tlsSecret(
        {
            ...{ namespace: "linkerd-jaeger", name: WEBHOOK_CA_SECRET, pair },
            annotations: TAKE_OVER,
        },
        inside,
    );
    const issued = certificatesByCertManager(
        {
            ...{ namespace: "linkerd-jaeger", trustDomain: plan.trustDomain, stack, cluster },
            version: plan.version.tag,
            trust: { issuer: pair.certificate, webhooks: pair.certificate },
        },
        { parent, dependsOn: ca },
    );
    return [ca, issued];
}

/** Versions of Linkerd's own kinds that charts have had or may have. */
const POLICY = /^kubernetes:policy\.linkerd\.io\/[^:]+:(\w+)$/;
const POLICY_VERSIONS = ["v1alpha1", "v1beta1", "v1beta2", "v1beta3", "v1"];

/**
 * A Server in another version of its API is the same object: as another resource it would be made first and then deleted. A CRD of
 * Links that a later release made stays as it is, and says so.
 */
function adjust(plan: LinkerdPlan, kept: LiveLinks | undefined): pulumi.ResourceTransform {
    return adjustObjects<ServingObject>((type, object) => {
        if (
            kept?.createdBy !== undefined &&
            type.endsWith(":CustomResourceDefinition") &&
            object.metadata?.name === LINKS
        ) {
            return { annotations: { [CREATED_BY]: kept.createdBy }, props: { spec: kept.spec } };
        }
        const kind = POLICY.exec(type)?.[1];
        const aliases = POLICY_VERSIONS.map((version) => ({
            type: `kubernetes:policy.linkerd.io/${version}:${kind}`,
        }));
        return { ...servingAdjustment(type, object, plan), ...(kind ? { opts: { aliases } } : {}) };
    });
}
