import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { EXTERNAL_PROMETHEUS } from "../../cluster/health/linkerd";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import { externalPrometheus } from "../../plan/vizBackends";
import { WEBHOOK_CA_SECRET, type WebhookCertificates } from "../../plan/webhooks";
import type { TakeOverInput } from "../../rollout/input";
import { TAKE_OVER } from "../crds";
import { takeOverViz } from "./adopted";
import { certificatesByCertManager, injectIntoViz } from "./certManager";
import { tlsSecret, webhookSecrets } from "./secrets";

export interface LinkerdVizArgs {
    /** Path of the chart linkerd-viz, relative to the project. */
    readonly chart: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly webhooks: WebhookCertificates;
    /** Who makes the certificates of tap and its injector. */
    readonly issuedBy: "stack" | "cert-manager";
    readonly trustDomain: string;
    /** `edge-24.7.5`. */
    readonly version: string;
    /** Whether what is there is taken over, whoever made it. */
    readonly adopt: boolean;
    /** Whether the live Helm release goes on: with `adopt`, where there is one. */
    readonly importRelease: boolean;
    readonly cluster: TakeOverInput["cluster"];
    /** Label of the namespace with its Pod Security level. */
    readonly podSecurity: Readonly<Record<string, string>>;
    /** The stack that owns the installation, as written into the namespace's annotation. */
    readonly stack: string;
}

/**
 * Helm deletes what a release no longer has, were it the stack's by then; but not what says so. And Helm, or who ran it, goes
 * on holding fields of what it made.
 */
const KEEP = { ...TAKE_OVER, "helm.sh/resource-policy": "keep" };

/** The viz extension: its namespace, the certificates of tap, and the Helm release, waited for. */
export class LinkerdViz extends pulumi.ComponentResource {
    /** The Helm release; its objects are Helm's, not the stack's. */
    readonly release: k8s.helm.v3.Release;

    constructor(name: string, args: LinkerdVizArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:linkerd:LinkerdViz", name, {}, opts);
        const prometheus = externalPrometheus(args.values);
        const namespace = new k8s.core.v1.Namespace(
            "linkerd-viz",
            {
                metadata: {
                    name: "linkerd-viz",
                    annotations: {
                        [STACK_ANNOTATION]: args.stack,
                        // The chart's own Job writes it at the first installation only (namespace-metadata.yaml).
                        ...(prometheus === undefined ? {} : { [EXTERNAL_PROMETHEUS]: prometheus }),
                        ...TAKE_OVER,
                    },
                    labels: {
                        "linkerd.io/extension": "viz",
                        ...args.podSecurity,
                    },
                },
            },
            { parent: this, retainOnDelete: true },
        );
        const takenOver = args.adopt
            ? [takeOverViz({ cluster: args.cluster }, this, [namespace])]
            : [];
        const before = [namespace, ...takenOver];
        const inside = { parent: this, dependsOn: before };
        const byCertManager = args.issuedBy === "cert-manager";
        const secrets = byCertManager
            ? [
                  // An Issuer signs with a Secret beside it.
                  tlsSecret(
                      {
                          namespace: "linkerd-viz",
                          name: WEBHOOK_CA_SECRET,
                          pair: args.webhooks.ca,
                          annotations: TAKE_OVER,
                      },
                      inside,
                  ),
              ]
            : webhookSecrets("linkerd-viz", args.webhooks, KEEP, {
                  ...inside,
                  retainOnDelete: true,
              });
        const { certificate } = args.webhooks.ca;
        const issued = byCertManager
            ? [
                  certificatesByCertManager(
                      {
                          ...args,
                          namespace: "linkerd-viz",
                          trust: { issuer: certificate, webhooks: certificate },
                      },
                      { parent: this, dependsOn: secrets },
                  ),
              ]
            : [];
        this.release = new k8s.helm.v3.Release(
            name,
            {
                name: "linkerd-viz",
                namespace: "linkerd-viz",
                chart: args.chart,
                values: { ...args.values },
                postrender: "./charts/vizPostRender.ts",
            },
            {
                parent: this,
                dependsOn: [...before, ...secrets, ...issued],
                ...(args.importRelease ? { import: "linkerd-viz/linkerd-viz" } : {}),
            },
        );
        if (byCertManager) {
            injectIntoViz({ parent: this, dependsOn: this.release });
        }
        this.registerOutputs({});
    }
}
