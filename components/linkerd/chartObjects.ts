import * as pulumi from "@pulumi/pulumi";
import { DEPENDS_ON } from "../../charts/orderManifests";
import type { LinkerdPlan } from "../../plan/linkerd";
import { TAKE_OVER } from "../crds";
import { injected } from "./certManager";

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
    /** Options beside its own. */
    readonly opts?: pulumi.ResourceOptions;
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
        const { annotations, ofPods, props: others, opts: more } = adjust(type, object);
        return {
            props: {
                ...props,
                ...others,
                metadata: { ...metadata, annotations: { ...own, ...annotations } },
                ...(ofPods ? { spec: withPodAnnotations(spec, ofPods) } : {}),
            },
            opts: more ? pulumi.mergeOptions(opts, more) : opts,
        };
    };
}

/** An object that may be a webhook configuration. */
export interface ServingObject extends ChartObject {
    readonly webhooks?: Parameters<typeof injected>[0];
}

/**
 * What objects of the mesh get in each chart. A webhook configuration is cert-manager's to keep where that issues.
 *
 * Services are not waited for: from 4.29 on the state then sometimes holds the Service of before the update, which shows as a
 * change (seen), and the Deployments behind them are waited for anyway. A gateway's has no address where nothing gives it one.
 */
export function servingAdjustment(
    type: string,
    { webhooks: called = [] }: ServingObject,
    { identity, webhooks }: Pick<LinkerdPlan, "identity" | "webhooks">,
): Adjustment {
    const isWebhook = type.endsWith("WebhookConfiguration");
    const injection =
        isWebhook && identity.issuer === undefined ? injected(called, webhooks.bundles) : undefined;
    return {
        annotations: {
            // cert-manager's injector may hold caBundle, from before or now.
            ...(isWebhook ? TAKE_OVER : {}),
            ...injection?.annotations,
            ...(type === "kubernetes:core/v1:Service" ? { "pulumi.com/skipAwait": "true" } : {}),
        },
        ...(injection ? { props: { webhooks: injection.webhooks } } : {}),
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
