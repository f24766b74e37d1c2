import * as command from "@pulumi/command";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { KubeObject, ObjectName } from "../../plan/istio/manifests";
import type { AdoptInput } from "../../rollout/istio/input";
import { renderedBy } from "../adopted";
import { programCommand } from "../programCommand";

/** Objects that somebody else made become the stack's, before it declares them. */
export function adoption(
    place: Pick<AdoptInput, "cluster" | "namespace">,
    objects: readonly ObjectName[],
    after: pulumi.Resource,
): pulumi.Resource {
    const stdin = JSON.stringify({ ...place, objects: [...objects] } satisfies AdoptInput);
    return new command.local.Command(
        "adopt",
        {
            ...programCommand,
            create: "rollout/istio/adopt.ts",
            update: "rollout/istio/adopt.ts",
            stdin,
        },
        { dependsOn: after },
    );
}

/** Service istiod, which outlives the revisions that it serves. */
export function sharedService(
    { metadata, spec }: KubeObject,
    opts: pulumi.CustomResourceOptions,
): pulumi.Resource {
    const annotations = {
        ...(metadata["annotations"] as object),
        ...renderedBy(true),
        // Nobody waits for endpoints, see components/linkerd/controlPlane.ts.
        "pulumi.com/skipAwait": "true",
    };
    return new k8s.core.v1.Service(
        "istiod",
        {
            metadata: { ...metadata, annotations },
            spec: spec as k8s.types.input.core.v1.ServiceSpec,
        },
        { ...opts, retainOnDelete: true },
    );
}
