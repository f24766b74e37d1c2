import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import {
    certManagerObjects,
    INJECT_CA_FROM,
    injectCaFrom,
    type CertManagerObject,
} from "../../plan/certManager";
import { ISSUER_SECRET } from "../../plan/identity";
import { WEBHOOKS, type Webhook } from "../../plan/webhooks";
import type { HandOverInput, IssuedInput } from "../../rollout/input";
import { TAKE_OVER } from "../crds";
import { programCommand } from "../programCommand";

/** Tells who issues from now on, and withdraws what was asked of cert-manager where that is the stack itself. */
export function handOver(
    input: HandOverInput,
    opts: pulumi.CustomResourceOptions,
): command.local.Command {
    return new command.local.Command(
        "linkerd-certificates",
        {
            ...programCommand,
            create: "rollout/linkerd/handOver.ts",
            stdin: JSON.stringify(input),
            triggers: [input.to],
        },
        opts,
    );
}

export interface ByCertManagerArgs {
    readonly namespace: Webhook["namespace"];
    readonly trustDomain: string;
    /** PEM that the issuer's certificate has to lead to, and that of the webhooks' CA. */
    readonly trust: { readonly issuer: string; readonly webhooks: string };
    /** What the update brings: each one looks before it touches the control plane. */
    readonly version: string;
    readonly stack: string;
    readonly cluster: IssuedInput["cluster"];
}

/**
 * Asks cert-manager for the certificates of one namespace. Their Secrets are its own: the stack declares none of them, so
 * that a renewal is no change. Returns the gate, which waits until all are issued.
 */
export function certificatesByCertManager(
    { namespace, trustDomain, trust, version, stack, cluster }: ByCertManagerArgs,
    opts: pulumi.CustomResourceOptions,
): command.local.Command {
    const objects = certManagerObjects(namespace, trustDomain);
    const issuers = objects.filter(({ kind }) => kind === "Issuer");
    const certificates = objects.filter(({ kind }) => kind === "Certificate");
    const declare = ({ kind, name, spec }: CertManagerObject, dependsOn: pulumi.Resource[]) =>
        new k8s.apiextensions.CustomResource(
            `${namespace}/${kind}/${name}`,
            {
                apiVersion: "cert-manager.io/v1",
                kind,
                metadata: {
                    namespace,
                    name,
                    annotations: { [STACK_ANNOTATION]: stack, ...TAKE_OVER },
                },
                spec,
            },
            { ...opts, dependsOn },
        );
    const before = [opts.dependsOn ?? []].flat() as pulumi.Resource[];
    const signing = issuers.map((one) => declare(one, before));
    const asked = certificates.map((one) => declare(one, signing));
    return new command.local.Command(
        `${namespace}-certificates-issued`,
        {
            ...programCommand,
            create: "rollout/linkerd/issued.ts",
            stdin: JSON.stringify({
                cluster,
                namespace,
                certificates: certificates.map(({ name, spec }) => ({
                    name,
                    secretName: String(spec["secretName"]),
                    trust: name === ISSUER_SECRET ? trust.issuer : trust.webhooks,
                })),
            } satisfies IssuedInput),
            triggers: [version, JSON.stringify(certificates.map(({ spec }) => spec))],
        },
        { ...opts, dependsOn: asked },
    );
}

interface Called {
    readonly name?: string;
    readonly clientConfig?: { readonly service?: { readonly name?: string } };
}

/**
 * What makes a rendered webhook configuration cert-manager's to keep. The charts' own value injectCaFrom sets the annotation
 * as well, but drops caBundle, so that API servers would trust nobody until the injector has written; and it restarts the
 * pods behind. Here the bundle stays what the stack declares, in the text that the injector writes: both hold it.
 */
export function injected(
    webhooks: readonly Called[],
    bundles: Readonly<Record<string, string>>,
): { annotations: Record<string, string>; webhooks: readonly Called[] } | undefined {
    const [first] = webhooks;
    const service = first?.clientConfig?.service?.name;
    const webhook = WEBHOOKS.find((one) => one.service === service);
    const bundle = bundles[service ?? ""];
    return webhook && bundle !== undefined
        ? {
              annotations: { [INJECT_CA_FROM]: injectCaFrom(webhook) },
              webhooks: webhooks.map((one) => ({
                  ...one,
                  clientConfig: {
                      ...one.clientConfig,
                      caBundle: Buffer.from(bundle).toString("base64"),
                  },
              })),
          }
        : undefined;
}

/** The same annotation on what Helm made of viz, where each release renders the bundle. */
export function injectIntoViz(opts: pulumi.CustomResourceOptions): void {
    const patch = (service: string) => {
        const webhook = WEBHOOKS.find((one) => one.service === service);
        const annotations = webhook ? { [INJECT_CA_FROM]: injectCaFrom(webhook) } : {};
        return { ...annotations, ...TAKE_OVER };
    };
    new k8s.admissionregistration.v1.MutatingWebhookConfigurationPatch(
        "linkerd-viz-tap-injector-inject-ca",
        {
            metadata: {
                name: "linkerd-tap-injector-webhook-config",
                annotations: patch("tap-injector"),
            },
        },
        opts,
    );
    new k8s.apiregistration.v1.APIServicePatch(
        "linkerd-viz-tap-inject-ca",
        { metadata: { name: "v1alpha1.tap.linkerd.io", annotations: patch("tap") } },
        opts,
    );
}
