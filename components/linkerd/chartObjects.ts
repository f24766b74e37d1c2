import type * as pulumi from "@pulumi/pulumi";
import { DEPENDS_ON } from "../../charts/orderManifests";

type Annotations = Readonly<Record<string, string>>;

/** An object that a chart renders, as far as it is adjusted. */
export interface ChartObject {
    readonly metadata?: { readonly name?: string; readonly annotations?: Annotations };
    readonly spec?: {
        readonly template?: { readonly metadata?: { readonly annotations?: Annotations } };
    };
}

/** What an object gets beside what its chart says. */
export interface Adjustment {
    /** Annotations of its own. */
    readonly annotations?: Annotations;
    /** Annotations of its pod template. */
    readonly ofPods?: Annotations;
    /** Properties in place of its own. */
    readonly props?: Readonly<Record<string, unknown>>;
}

/** Adjusts each object of a chart, and takes the order's annotation away, which has done its work when it is registered. */
export function adjustObjects<T extends ChartObject>(
    adjust: (type: string, object: T) => Adjustment,
): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        if (!type.startsWith("kubernetes:") || type.startsWith("kubernetes:helm")) {
            return undefined;
        }
        const object = props as T;
        const { metadata, spec } = object;
        const { [DEPENDS_ON]: _order, ...own } = metadata?.annotations ?? {};
        const { annotations, ofPods, props: others } = adjust(type, object);
        return {
            props: {
                ...props,
                ...others,
                metadata: { ...metadata, annotations: { ...own, ...annotations } },
                ...(ofPods ? { spec: withPodAnnotations(spec, ofPods) } : {}),
            },
            opts,
        };
    };
}

function withPodAnnotations(spec: ChartObject["spec"], added: Annotations): ChartObject["spec"] {
    const { template } = spec ?? {};
    const annotations = { ...template?.metadata?.annotations, ...added };
    return {
        ...spec,
        template: { ...template, metadata: { ...template?.metadata, annotations } },
    };
}
