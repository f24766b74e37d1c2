import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import {
    ANCHOR_SECRET,
    NEXT_ANCHOR_SECRET,
    type Identity,
    type IdentityByCertManager,
} from "../../plan/identity";
import { VERSIONS_ANNOTATION } from "../../plan/policy/record";
import { WEBHOOK_CA_SECRET, type WebhookCertificates } from "../../plan/webhooks";
import type { Adoption } from "../../plan/adoption";
import type { TakeOverInput } from "../../rollout/input";
import { renderedBy } from "../adopted";
import { TAKE_OVER } from "../crds";
import { takeOver } from "./adopted";
import { adjustObjects, servingAdjustment, type ServingObject } from "./chartObjects";
import { certificatesByCertManager, handOver } from "./certManager";
import { anchorSecret, issuerSecret, tlsSecret, webhookSecrets } from "./secrets";

export interface LinkerdControlPlaneArgs {
    /** Path of the chart linkerd-control-plane, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview, or the chart shows no objects there. */
    readonly values: Readonly<Record<string, unknown>>;
    readonly identity: Identity | IdentityByCertManager;
    readonly trustDomain: string;
    /** `edge-24.7.5`. */
    readonly version: string;
    readonly webhooks: WebhookCertificates;
    /** Whether what is there is taken over, whoever made it. */
    readonly adopt: boolean;
    readonly adoption: Pick<Adoption, "keep" | "checksums">;
    readonly cluster: TakeOverInput["cluster"];
    /** Label of the namespace with its Pod Security level. */
    readonly podSecurity: Readonly<Record<string, string>>;
    /** Whether the stack brings the extension jaeger. */
    readonly jaeger: boolean;
    /** The stack that owns the installation, as written into the namespace's annotation. */
    readonly stack: string;
    /** Versions that ran here, this one included, as written into another. */
    readonly ran: string;
}

/**
 * Linkerd's control plane: its namespace, identity and webhook certificates, and the chart's objects one by one.
 * It is done when its Deployments are available. Namespace and identity stay when the stack is destroyed.
 */
export class LinkerdControlPlane extends pulumi.ComponentResource {
    /** The chart; its children are all registered when its URN is known. */
    readonly chart: k8s.helm.v4.Chart;

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
                        [VERSIONS_ANNOTATION]: args.ran,
                        ...TAKE_OVER,
                    },
                    labels: {
                        "linkerd.io/is-control-plane": "true",
                        "config.linkerd.io/admission-webhooks": "disabled",
                        "linkerd.io/control-plane-ns": "linkerd",
                        ...args.podSecurity,
                    },
                },
            },
            kept,
        );
        const takenOver = args.adoption.keep
            ? takeOver({ settings: args.adoption.keep, cluster: args.cluster }, this, namespace)
            : [];
        const before = [namespace, ...takenOver];
        const keptInside = { ...kept, dependsOn: before };
        // Others hold fields of these Secrets: the installer of an adopted one, the stack of before a destroy.
        const annotations = { ...renderedBy(args.adopt), ...TAKE_OVER };
        const { identity, webhooks } = args;
        const { anchor, nextAnchor } = identity;
        const byCertManager = identity.issuer === undefined;
        const handedOver = handOver(
            {
                cluster: args.cluster,
                to: byCertManager ? "cert-manager" : "stack",
                stack: args.stack,
                ...(args.jaeger ? { jaeger: true } : {}),
            },
            { parent: this, dependsOn: before },
        );
        const own = { ...kept, dependsOn: handedOver };
        const secrets = [
            ...(byCertManager
                ? []
                : [
                      issuerSecret(identity, annotations, own),
                      // They stay when the source changes: cert-manager goes on with them.
                      ...webhookSecrets("linkerd", webhooks, annotations, own),
                  ]),
            // What signed a webhook's certificate that is in use must not go, whatever the stage.
            tlsSecret(
                {
                    namespace: "linkerd",
                    name: WEBHOOK_CA_SECRET,
                    pair: webhooks.ca,
                    annotations,
                },
                keptInside,
            ),
            ...(anchor ? [anchorSecret(ANCHOR_SECRET, anchor, annotations, keptInside)] : []),
            ...(nextAnchor
                ? [anchorSecret(NEXT_ANCHOR_SECRET, nextAnchor, annotations, keptInside)]
                : []),
        ];
        const issued = byCertManager
            ? [
                  certificatesByCertManager(
                      {
                          ...args,
                          namespace: "linkerd",
                          trust: {
                              issuer: identity.trustAnchors,
                              webhooks: webhooks.ca.certificate,
                          },
                      },
                      { parent: this, dependsOn: [handedOver, ...secrets] },
                  ),
              ]
            : [];
        this.chart = new k8s.helm.v4.Chart(
            name,
            {
                chart: args.chart,
                namespace: "linkerd",
                values: { ...args.values },
                postRenderer: ORDERED,
            },
            {
                parent: this,
                dependsOn: [...before, handedOver, ...secrets, ...issued],
                transforms: [adjust(args)],
            },
        );
        this.registerOutputs({});
    }
}

/** Helm's post-renderer: ConfigMaps come before the pods that read them. */
export const ORDERED = { command: "node", args: ["bin/run.cjs", "charts/postRender.ts"] };

function adjust({ adopt, adoption, ...plan }: LinkerdControlPlaneArgs): pulumi.ResourceTransform {
    return adjustObjects<ServingObject>((type, object) => {
        const { metadata, spec } = object;
        const serving = servingAdjustment(type, object, plan);
        // The checksum that runs: it covers webhook configurations and roles, which pods do not read, and of another
        // installer's chart the certificates as well, so that a new one would restart pods for nothing.
        const checksum = adoption.checksums[metadata?.name ?? ""];
        const rendered = spec?.template?.metadata?.annotations?.["checksum/config"];
        const pinned =
            type.endsWith(":Deployment") && checksum !== undefined && rendered !== undefined;
        return {
            ...serving,
            annotations: { ...renderedBy(adopt), ...serving.annotations },
            ...(pinned ? { ofPods: { "checksum/config": checksum } } : {}),
        };
    });
}
