import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEPENDS_ON } from "../../charts/postRender";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { ANCHOR_SECRET, NEXT_ANCHOR_SECRET, type Identity } from "../../plan/identity";
import { WEBHOOK_CA_SECRET, type WebhookCertificates } from "../../plan/webhooks";
import { TAKE_OVER } from "../crds";
import { anchorSecret, issuerSecret, tlsSecret, webhookSecrets } from "./secrets";

export interface LinkerdControlPlaneArgs {
    /** Path of the chart linkerd-control-plane, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview, or the chart shows no objects there. */
    readonly values: Readonly<Record<string, unknown>>;
    readonly identity: Identity;
    readonly webhooks: WebhookCertificates;
    /** The stack that owns the installation, as written into the namespace's annotation. */
    readonly stack: string;
}

/**
 * Linkerd's control plane: its namespace, identity and webhook certificates, and the chart's objects one by one.
 * It is done when its Deployments are available. Namespace and identity stay when the stack is destroyed.
 */
export class LinkerdControlPlane extends pulumi.ComponentResource {
    constructor(
        name: string,
        args: LinkerdControlPlaneArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super("mesh-upgrade:linkerd:LinkerdControlPlane", name, {}, opts);
        const kept = { parent: this, retainOnDelete: true };
        const namespace = new k8s.core.v1.Namespace(
            "linkerd",
            {
                metadata: {
                    name: "linkerd",
                    annotations: {
                        "linkerd.io/inject": "disabled",
                        [STACK_ANNOTATION]: args.stack,
                        ...TAKE_OVER,
                    },
                    labels: {
                        "linkerd.io/is-control-plane": "true",
                        "config.linkerd.io/admission-webhooks": "disabled",
                        "linkerd.io/control-plane-ns": "linkerd",
                        "pod-security.kubernetes.io/enforce": "privileged",
                    },
                },
            },
            kept,
        );
        const keptInside = { ...kept, dependsOn: namespace };
        const inside = { parent: this, dependsOn: namespace };
        const { anchor, nextAnchor } = args.identity;
        const { ca } = args.webhooks;
        const secrets = [
            issuerSecret(args.identity, keptInside),
            // What signed a webhook's certificate that is in use must not go, whatever the stage.
            ...(ca
                ? [
                      tlsSecret(
                          {
                              namespace: "linkerd",
                              name: WEBHOOK_CA_SECRET,
                              pair: ca,
                              annotations: TAKE_OVER,
                          },
                          keptInside,
                      ),
                  ]
                : []),
            ...webhookSecrets("linkerd", args.webhooks, inside),
            ...(anchor ? [anchorSecret(ANCHOR_SECRET, anchor, keptInside)] : []),
            ...(nextAnchor ? [anchorSecret(NEXT_ANCHOR_SECRET, nextAnchor, keptInside)] : []),
        ];
        new k8s.helm.v4.Chart(
            name,
            {
                chart: args.chart,
                namespace: "linkerd",
                values: { ...args.values },
                postRenderer: {
                    command: "node",
                    args: ["--import", "tsx", "charts/postRender.ts"],
                },
            },
            { parent: this, dependsOn: [namespace, ...secrets], transforms: [adjust] },
        );
        this.registerOutputs({});
    }
}

/**
 * Takes the order's annotation away, which has done its work when an object is registered. Services are not waited for:
 * from 4.29 on the state then sometimes holds the Service of before the update, which shows as a change (seen), and the
 * Deployments behind them are waited for anyway.
 */
const adjust: pulumi.ResourceTransform = ({ type, props, opts }) => {
    const metadata = props["metadata"] as { annotations?: Record<string, string> } | undefined;
    const { annotations: all = {}, ...rest } = metadata ?? {};
    const { [DEPENDS_ON]: order, ...others } = all;
    const isService = type === "kubernetes:core/v1:Service";
    if (order === undefined && !isService) {
        return undefined;
    }
    const annotations = { ...others, ...(isService ? { "pulumi.com/skipAwait": "true" } : {}) };
    const kept = Object.keys(annotations).length > 0 ? { annotations } : {};
    return { props: { ...props, metadata: { ...rest, ...kept } }, opts };
};
