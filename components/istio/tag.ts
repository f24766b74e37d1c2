import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../../cluster/linkerd";
import type { GuardInput } from "../../rollout/istio/input";
import { TAKE_OVER } from "../crds";
import { programCommand } from "../programCommand";
import { tagWebhooks, validationWebhook, type Served } from "./webhooks";

export interface IstioRevisionTagArgs extends Served {
    /** `default` serves istio-injection=enabled. */
    readonly tag: string;
    readonly cluster: GuardInput["cluster"];
    readonly stack: string;
}

/**
 * A revision tag: a name that namespaces and pods choose, and that moves from revision to revision. Label, Service and CA
 * bundle move in one write, so that its webhooks never call with a blank or a foreign bundle. It goes only when nothing
 * chooses it.
 */
export class IstioRevisionTag extends pulumi.ComponentResource {
    constructor(name: string, args: IstioRevisionTagArgs, opts?: pulumi.ComponentResourceOptions) {
        super("mesh-upgrade:istio:IstioRevisionTag", name, {}, opts);
        const { tag, revision, namespace, cluster, stack } = args;
        const webhooks = new k8s.admissionregistration.v1.MutatingWebhookConfiguration(
            name,
            {
                metadata: {
                    name: `istio-revision-tag-${tag}`,
                    labels: {
                        "istio.io/tag": tag,
                        "istio.io/rev": revision,
                        app: "sidecar-injector",
                    },
                    annotations: { [STACK_ANNOTATION]: stack, ...TAKE_OVER },
                },
                webhooks: tagWebhooks(tag, args) as never,
            },
            { parent: this },
        );
        new command.local.Command(
            `${name}-guard`,
            {
                ...programCommand,
                create: "rollout/kept.ts",
                delete: "rollout/istio/guard.ts",
                stdin: JSON.stringify({
                    cluster,
                    namespace,
                    kind: "tag",
                    name: tag,
                    grace: "0s",
                } satisfies GuardInput),
            },
            { parent: this, dependsOn: webhooks },
        );
        this.registerOutputs({});
    }
}

/** The webhook that checks writes of Istio's objects; it is repointed before an old istiod goes. */
export function defaultValidator(
    served: Served & { readonly stack: string },
    opts: pulumi.CustomResourceOptions,
): pulumi.Resource {
    return new k8s.admissionregistration.v1.ValidatingWebhookConfiguration(
        "istiod-default-validator",
        {
            metadata: {
                name: "istiod-default-validator",
                labels: { app: "istiod", istio: "istiod", "istio.io/rev": served.revision },
                annotations: { [STACK_ANNOTATION]: served.stack, ...TAKE_OVER },
            },
            webhooks: [validationWebhook(served)] as never,
        },
        opts,
    );
}
