import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { VERSIONS_ANNOTATION } from "../../plan/policy/record";
import type { KubeObject } from "../../plan/istio/manifests";
import { keepCrd, TAKE_OVER } from "../crds";
import { renderedBy } from "../adopted";

export interface IstioBaseArgs {
    /** Path of the chart base; undefined where every revision comes from rendered manifests. */
    readonly chart: string | undefined;
    /** Values of the chart. All must be known in preview. */
    readonly values: Readonly<Record<string, unknown>>;
    /** CRDs and what revisions share, of rendered manifests. */
    readonly objects: readonly KubeObject[];
    readonly namespace: string;
    /** Take over shared objects that somebody else made. */
    readonly adopt: boolean;
    readonly stack: string;
    /** Versions that ran in the namespace, for the record. */
    readonly ran: string;
}

/**
 * What all revisions share: the control planes' namespace, the CRDs, accounts. It stays when the stack is destroyed. The
 * default validator is not among it: it belongs to the default revision.
 */
export class IstioBase extends pulumi.ComponentResource {
    constructor(name: string, args: IstioBaseArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:istio:IstioBase", name, {}, opts);
        const { chart, values, objects, namespace, adopt, stack, ran } = args;
        const own = new k8s.core.v1.Namespace(
            namespace,
            {
                metadata: {
                    name: namespace,
                    annotations: {
                        [STACK_ANNOTATION]: stack,
                        [VERSIONS_ANNOTATION]: ran,
                        ...TAKE_OVER,
                    },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        const inside = {
            parent: this,
            dependsOn: own,
            transforms: [keepCrd(stack), keepShared(adopt ? TAKE_OVER : {})],
        };
        if (chart !== undefined) {
            new k8s.helm.v4.Chart(
                name,
                // The default validator would be repointed here before the new istiod serves.
                { chart, namespace, values: { ...values, defaultRevision: "" } },
                inside,
            );
        }
        if (objects.length > 0) {
            new k8s.yaml.v2.ConfigGroup(
                `${name}-manifests`,
                { objs: [...objects] },
                {
                    ...inside,
                    transforms: [keepCrd(stack), keepShared(renderedBy(adopt))],
                },
            );
        }
        this.registerOutputs({});
    }
}

interface Shared {
    metadata?: { annotations?: Record<string, string> };
    webhooks?: { failurePolicy?: string }[];
}

/** Shared objects stay, also those that a foreign revision made and uses. */
function keepShared(taken: Readonly<Record<string, string>>): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        const { metadata, webhooks } = props as Shared;
        if (!type.startsWith("kubernetes:") || !metadata || type.endsWith("Definition")) {
            return undefined;
        }
        const annotations = {
            ...metadata.annotations,
            ...taken,
            ...(type === "kubernetes:core/v1:Service" ? { "pulumi.com/skipAwait": "true" } : {}),
        };
        return {
            props: {
                ...props,
                metadata: {
                    ...metadata,
                    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
                },
                ...(type.endsWith(":ValidatingWebhookConfiguration")
                    ? // What istiod makes of it, see components/istio/revision.ts.
                      { webhooks: webhooks?.map((one) => ({ ...one, failurePolicy: "Fail" })) }
                    : {}),
            },
            opts: pulumi.mergeOptions(opts, { retainOnDelete: true }),
        };
    };
}
