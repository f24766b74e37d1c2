import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEPENDS_ON } from "../../charts/postRender";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { ANCHOR_SECRET, NEXT_ANCHOR_SECRET, type Identity } from "../../plan/identity";
import { WEBHOOK_CA_SECRET, type WebhookCertificates } from "../../plan/webhooks";
import type { Adoption } from "../../plan/adoption";
import type { TakeOverInput } from "../../rollout/input";
import { renderedBy } from "../adopted";
import { TAKE_OVER } from "../crds";
import { takeOver } from "./adopted";
import { anchorSecret, issuerSecret, tlsSecret, webhookSecrets } from "./secrets";

export interface LinkerdControlPlaneArgs {
    /** Path of the chart linkerd-control-plane, relative to the project. */
    readonly chart: string;
    /** Values of the chart. All must be known in preview, or the chart shows no objects there. */
    readonly values: Readonly<Record<string, unknown>>;
    readonly identity: Identity;
    readonly webhooks: WebhookCertificates;
    /** Whether what is there is taken over, whoever made it. */
    readonly adopt: boolean;
    readonly adoption: Pick<Adoption, "keep" | "checksums">;
    readonly cluster: TakeOverInput["cluster"];
    /** Label of the namespace with its Pod Security level. */
    readonly podSecurity: Readonly<Record<string, string>>;
    /** The stack that owns the installation, as written into the namespace's annotation. */
    readonly stack: string;
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
        const inside = { parent: this, dependsOn: before };
        // Others hold fields of these Secrets: the installer of an adopted one, the stack of before a destroy.
        const annotations = { ...renderedBy(args.adopt), ...TAKE_OVER };
        const { anchor, nextAnchor } = args.identity;
        const secrets = [
            issuerSecret(args.identity, annotations, keptInside),
            // What signed a webhook's certificate that is in use must not go, whatever the stage.
            tlsSecret(
                {
                    namespace: "linkerd",
                    name: WEBHOOK_CA_SECRET,
                    pair: args.webhooks.ca,
                    annotations,
                },
                keptInside,
            ),
            ...webhookSecrets("linkerd", args.webhooks, annotations, inside),
            ...(anchor ? [anchorSecret(ANCHOR_SECRET, anchor, annotations, keptInside)] : []),
            ...(nextAnchor
                ? [anchorSecret(NEXT_ANCHOR_SECRET, nextAnchor, annotations, keptInside)]
                : []),
        ];
        this.chart = new k8s.helm.v4.Chart(
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
            { parent: this, dependsOn: [...before, ...secrets], transforms: [adjust(args)] },
        );
        this.registerOutputs({});
    }
}

interface RenderedProps {
    readonly metadata?: { readonly name?: string; readonly annotations?: Record<string, string> };
    readonly spec?: {
        readonly template?: {
            readonly metadata?: { readonly annotations?: Record<string, string> };
        };
    };
}

/**
 * Takes the order's annotation away, which has done its work when an object is registered. Services are not waited for:
 * from 4.29 on the state then sometimes holds the Service of before the update, which shows as a change (seen), and the
 * Deployments behind them are waited for anyway.
 */
function adjust({
    adopt,
    adoption,
}: Pick<LinkerdControlPlaneArgs, "adopt" | "adoption">): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        if (!type.startsWith("kubernetes:") || type.startsWith("kubernetes:helm")) {
            return undefined;
        }
        const { metadata, spec } = props as RenderedProps;
        const { [DEPENDS_ON]: _order, ...others } = metadata?.annotations ?? {};
        const annotations = {
            ...others,
            ...renderedBy(adopt),
            ...(type === "kubernetes:core/v1:Service" ? { "pulumi.com/skipAwait": "true" } : {}),
        };
        const checksum = adoption.checksums[metadata?.name ?? ""];
        const pinned =
            type.endsWith(":Deployment") && checksum !== undefined
                ? { spec: withChecksum(spec, checksum) }
                : {};
        return { props: { ...props, metadata: { ...metadata, annotations }, ...pinned }, opts };
    };
}

/**
 * The checksum that runs: it covers webhook configurations and roles, which pods do not read, and of another installer's
 * chart the certificates as well, so that a new one would restart pods for nothing.
 */
function withChecksum(spec: RenderedProps["spec"], checksum: string): RenderedProps["spec"] {
    const { template } = spec ?? {};
    const annotations = template?.metadata?.annotations;
    return annotations?.["checksum/config"] === undefined
        ? spec
        : {
              ...spec,
              template: {
                  ...template,
                  metadata: {
                      ...template?.metadata,
                      annotations: { ...annotations, "checksum/config": checksum },
                  },
              },
          };
}
