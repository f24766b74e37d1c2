import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { TAKE_OVER } from "./controlPlane";

export interface LinkerdCrdsArgs {
    /** Path of the chart linkerd-crds, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview. */
    readonly values: Readonly<Record<string, unknown>>;
    /** The stack that owns the CRDs, as written into their annotation. */
    readonly stack: string;
}

/**
 * The CRDs of Linkerd, one resource each, established before this component is done. They stay in the cluster
 * when the stack is destroyed: deleting a CRD deletes every object of its kind.
 */
export class LinkerdCrds extends pulumi.ComponentResource {
    constructor(name: string, args: LinkerdCrdsArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:linkerd:LinkerdCrds", name, {}, opts);
        new k8s.helm.v4.Chart(
            name,
            { chart: args.chart, namespace: "linkerd", values: { ...args.values } },
            { parent: this, transforms: [keepCrd(args.stack)] },
        );
        this.registerOutputs({});
    }
}

interface CrdProps {
    metadata?: { annotations?: Record<string, string>; creationTimestamp?: unknown };
    spec?: { names?: Record<string, unknown> };
}

function keepCrd(stack: string): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        if (!type.endsWith(":CustomResourceDefinition")) {
            return undefined;
        }
        const crd = props as CrdProps;
        const { creationTimestamp: _null, ...metadata } = crd.metadata ?? {};
        return {
            props: {
                ...props,
                metadata: {
                    ...metadata,
                    annotations: {
                        ...metadata.annotations,
                        [STACK_ANNOTATION]: stack,
                        ...TAKE_OVER,
                        // The provider does not wait for a CRD by itself.
                        "pulumi.com/waitFor": "condition=Established",
                    },
                },
                spec: { ...crd.spec, names: withoutEmptyLists(crd.spec?.names ?? {}) },
            },
            opts: pulumi.mergeOptions(opts, { retainOnDelete: true }),
        };
    };
}

/** The API server drops `shortNames: []`; declared, it would show as a change for ever. */
function withoutEmptyLists(names: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(names).filter(([, value]) => !Array.isArray(value) || value.length > 0),
    );
}
