import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import type { WebhookCertificates } from "../../plan/webhooks";
import { TAKE_OVER } from "../crds";
import { webhookSecrets } from "./secrets";

export interface LinkerdVizArgs {
    /** Path of the chart linkerd-viz, relative to the project. */
    readonly chart: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly webhooks: WebhookCertificates;
    /** The stack that owns the installation, as written into the namespace's annotation. */
    readonly stack: string;
}

/** The viz extension: its namespace, the certificates of tap, and the Helm release, waited for. */
export class LinkerdViz extends pulumi.ComponentResource {
    /** The Helm release; its objects are Helm's, not the stack's. */
    readonly release: k8s.helm.v3.Release;

    constructor(name: string, args: LinkerdVizArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:linkerd:LinkerdViz", name, {}, opts);
        const namespace = new k8s.core.v1.Namespace(
            "linkerd-viz",
            {
                metadata: {
                    name: "linkerd-viz",
                    annotations: { [STACK_ANNOTATION]: args.stack, ...TAKE_OVER },
                    labels: {
                        "linkerd.io/extension": "viz",
                        "pod-security.kubernetes.io/enforce": "privileged",
                    },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        const secrets = webhookSecrets("linkerd-viz", args.webhooks, {
            parent: this,
            dependsOn: namespace,
        });
        this.release = new k8s.helm.v3.Release(
            name,
            {
                name: "linkerd-viz",
                namespace: "linkerd-viz",
                chart: args.chart,
                values: { ...args.values },
            },
            { parent: this, dependsOn: [namespace, ...secrets] },
        );
        this.registerOutputs({});
    }
}
