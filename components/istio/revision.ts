import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import type { KubeObject } from "../../plan/istio/manifests";
import type { GuardInput, ReadyInput } from "../../rollout/istio/input";
import { programCommand } from "../programCommand";

/** Where a control plane's manifests come from: the chart istiod, or objects that were rendered elsewhere. */
export type RevisionSource =
    | { readonly chart: string; readonly values: Readonly<Record<string, unknown>> }
    | { readonly objects: readonly KubeObject[] };

export interface IstioRevisionArgs {
    readonly revision: string;
    readonly source: RevisionSource;
    /** The control planes' namespace. */
    readonly namespace: string;
    readonly cluster: GuardInput["cluster"];
    /** How long nothing may use it before it goes: `30s`. */
    readonly grace: string;
    /** The stack that owns it, as written into an annotation of its objects. */
    readonly stack: string;
}

/**
 * The control plane of one revision, with its own objects only. It goes in this order: `guard` refuses while anything uses
 * it, now and after the grace period; then its objects go; at last a sentinel looks for what was left behind.
 */
export class IstioRevision extends pulumi.ComponentResource {
    /** What chooses the revision depends on it: that goes first, then the guard looks. */
    readonly guard: pulumi.Resource;
    /** Base64 of the CA bundle with which its webhooks are called, as it was when its istiod first served. */
    readonly caBundle: pulumi.Output<string>;

    constructor(name: string, args: IstioRevisionArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:istio:IstioRevision", name, {}, opts);
        const { revision, source, namespace, cluster } = args;
        const stdin = JSON.stringify({
            cluster,
            namespace,
            kind: "revision",
            name: revision,
            grace: args.grace,
        } satisfies GuardInput);
        const sentinel = new command.local.Command(
            `${name}-sentinel`,
            {
                ...programCommand,
                create: "rollout/kept.ts",
                delete: "rollout/istio/sentinel.ts",
                stdin,
            },
            { parent: this },
        );
        const inside = {
            parent: this,
            dependsOn: sentinel,
            transforms: [adjustIstiod(args.stack)],
        };
        const objects =
            "chart" in source
                ? new k8s.helm.v4.Chart(
                      name,
                      { chart: source.chart, namespace, values: { ...source.values } },
                      inside,
                  )
                : new k8s.yaml.v2.ConfigGroup(name, { objs: [...source.objects] }, inside);
        const ready = new command.local.Command(
            `${name}-ready`,
            {
                ...programCommand,
                create: "rollout/istio/ready.ts",
                stdin: JSON.stringify({ cluster, namespace, revision } satisfies ReadyInput),
                triggers: [createHash("sha256").update(JSON.stringify(source)).digest("hex")],
            },
            { parent: this, dependsOn: objects },
        );
        this.guard = new command.local.Command(
            `${name}-guard`,
            {
                ...programCommand,
                create: "rollout/kept.ts",
                delete: "rollout/istio/guard.ts",
                stdin,
            },
            { parent: this, dependsOn: [objects, ready] },
        );
        this.caBundle = ready.stdout;
        this.registerOutputs({});
    }
}

interface Webhooks {
    webhooks?: { failurePolicy?: string }[];
    metadata?: { annotations?: Record<string, string> };
}

/**
 * Istiod turns failurePolicy of the validating webhooks from Ignore to Fail when it serves: that is declared from the
 * beginning, so that nobody fights (until it serves, only objects that name this revision are affected). Services are not
 * waited for, see components/linkerd/controlPlane.ts.
 */
export function adjustIstiod(stack: string): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        const { metadata, webhooks } = props as Webhooks;
        const annotations = {
            ...metadata?.annotations,
            [STACK_ANNOTATION]: stack,
            ...(type === "kubernetes:core/v1:Service" ? { "pulumi.com/skipAwait": "true" } : {}),
        };
        const validating = type.endsWith(":ValidatingWebhookConfiguration");
        return type.startsWith("kubernetes:") && metadata
            ? {
                  props: {
                      ...props,
                      metadata: { ...metadata, annotations },
                      ...(validating
                          ? {
                                webhooks: webhooks?.map((one) => ({
                                    ...one,
                                    failurePolicy: "Fail",
                                })),
                            }
                          : {}),
                  },
                  opts,
              }
            : undefined;
    };
}
