import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { KubeObject } from "../../plan/istio/manifests";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { renderedBy } from "../adopted";

export interface IstioGatewayArgs {
    readonly name: string;
    readonly namespace: string;
    /** Revision or tag, as its pods name it. */
    readonly choice: string;
    /** What the choice resolves to: its pods are made anew when that changes. */
    readonly revision: string;
    readonly source:
        | { readonly chart: string; readonly values: Readonly<Record<string, unknown>> }
        | { readonly objects: readonly KubeObject[] };
    /** What somebody else made of it becomes the stack's, and outlives the stack. */
    readonly adopt: boolean;
    readonly stack: string;
}

/** Tells a gateway's pods apart that name a tag: without it a tag that moves would leave them as they are. */
const RESOLVED = "mesh-upgrade/istio-revision";

/** A gateway, in place: its Deployment rolls when its revision changes. Stage of its own, after the data plane. */
export class IstioGateway extends pulumi.ComponentResource {
    constructor(name: string, args: IstioGatewayArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:istio:IstioGateway", name, {}, opts);
        const { source, namespace, choice, revision, adopt, stack } = args;
        const transforms = [
            adjustGateway({ [STACK_ANNOTATION]: stack, ...renderedBy(adopt) }, adopt),
        ];
        if ("chart" in source) {
            const annotations = (source.values["podAnnotations"] ?? {}) as Record<string, string>;
            const values = {
                ...source.values,
                name: args.name,
                podAnnotations: { ...annotations, [RESOLVED]: revision },
                // The default revision is chosen by no label.
                ...(choice === "default" ? {} : { revision: choice }),
            };
            new k8s.helm.v4.Chart(
                // Another namespace may have a gateway of this name: an URN does not hold the parent's name.
                name,
                { name: args.name, chart: source.chart, namespace, values },
                { parent: this, transforms },
            );
        } else {
            new k8s.yaml.v2.ConfigGroup(
                name,
                { objs: [...source.objects] },
                { parent: this, transforms },
            );
        }
        this.registerOutputs({});
    }
}

/**
 * Services are not waited for (a LoadBalancer may take minutes, or for ever where there is none). What was taken over
 * outlives the stack.
 */
function adjustGateway(
    marks: Readonly<Record<string, string>>,
    keep: boolean,
): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        const metadata = props["metadata"] as { annotations?: Record<string, string> } | undefined;
        const isService = type === "kubernetes:core/v1:Service";
        if (!type.startsWith("kubernetes:") || !metadata) {
            return undefined;
        }
        const annotations = {
            ...metadata.annotations,
            ...marks,
            ...(isService ? { "pulumi.com/skipAwait": "true" } : {}),
        };
        return {
            props: { ...props, metadata: { ...metadata, annotations } },
            opts: keep ? pulumi.mergeOptions(opts, { retainOnDelete: true }) : opts,
        };
    };
}
