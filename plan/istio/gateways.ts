import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import type { IstioGateway } from "./choices";
import type { IstioConfig } from "./config";
import type { KubeObject, Manifests, ObjectName, SplitManifests } from "./manifests";
import type { PlannedSource } from "./revisions";
import { DEFAULT } from "./section";

/** A gateway, and what it is made of. */
export interface PlannedGateway extends IstioGateway {
    readonly source: PlannedSource;
}

export function plannedGateways({ gateways }: IstioConfig, manifests: Manifests): PlannedGateway[] {
    return gateways.map((one) => {
        const split = manifests.get(one.revision);
        return {
            ...one,
            source: split
                ? { objects: gatewayObjects(one.name, split) }
                : { version: one.version.text, values: one.values },
        };
    });
}

/** Of one gateway: the manifests may hold several. */
function gatewayObjects(name: string, { gateways }: SplitManifests): KubeObject[] {
    return gateways.filter(
        ({ metadata }) => metadata.name === name || metadata.name.startsWith(`${name}-`),
    );
}

/** What the chart gateway makes of a gateway; a name that is not there is passed over. */
export function chartGatewayNames({ name, namespace }: IstioGateway): ObjectName[] {
    const rbac = "rbac.authorization.k8s.io/v1";
    return [
        { apiVersion: "apps/v1", kind: "Deployment", namespace, name },
        { apiVersion: "v1", kind: "Service", namespace, name },
        { apiVersion: "v1", kind: "ServiceAccount", namespace, name },
        { apiVersion: rbac, kind: "Role", namespace, name },
        { apiVersion: rbac, kind: "RoleBinding", namespace, name },
        { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", namespace, name },
        { apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespace, name },
    ];
}

/** Gateways come last: what they lack is told before anything changes. */
export function gatewayFaults(config: IstioConfig, live: LiveIstio, stack: string): Fault[] {
    const { users } = live;
    const missing = config.gateways
        .filter((one) => one.namespace !== config.namespace && !users.namespaces.has(one.namespace))
        .map((one) => ({
            subject: `istio.gateways ${one.name}: namespace`,
            value: one.namespace,
            rule: "the cluster has no such namespace",
            next: `kubectl create namespace ${one.namespace}`,
        }));
    const foreign = live.gateways
        .filter((one) => one.stack !== stack && !config.base.adopt)
        .map((one) => ({
            subject: `istio.gateways ${one.name}`,
            value: `Deployment ${one.namespace}/${one.name}`,
            rule: "is in the cluster and was not made by this stack",
            next: "set istio.base.adopt: true to take it over, or give the gateway another name",
        }));
    return [
        ...missing,
        ...foreign,
        ...config.gateways.flatMap((one) => gatewayLabelFaults(one, config, users)),
    ];
}

/** A namespace that the stack does not list goes before its pods too (istio/istio#42654). */
function gatewayLabelFaults(
    { name, namespace, choice, revision }: IstioGateway,
    { target, tags, defaultRevision }: IstioConfig,
    { namespaces }: LiveIstio["users"],
): Fault[] {
    const { "istio-injection": injection, "istio.io/rev": named } = namespaces.get(namespace) ?? {};
    const label = injection === undefined ? named : injection === "enabled" ? DEFAULT : injection;
    const served =
        label === DEFAULT ? (defaultRevision ?? DEFAULT) : (tags.get(label ?? "") ?? label);
    return target.has(namespace) || label === undefined || served === revision
        ? []
        : [
              {
                  subject: `istio.gateways ${name}: revision`,
                  value: choice,
                  rule: `namespace ${namespace} has the label ${injection === undefined ? `istio.io/rev=${named}` : `istio-injection=${injection}`}, which goes before what its pods choose`,
                  next: `kubectl label namespace ${namespace} istio-injection- istio.io/rev-, or map it in istio.namespaces to the same revision`,
              },
          ];
}

/** A gateway of rendered manifests is not brought up beside the old one. */
export function gatewayLines(
    { gateways }: IstioConfig,
    live: LiveIstio,
    manifests: Manifests,
): string[] {
    return gateways.map(({ name, namespace, revision }) => {
        const now = live.users.pods.find(
            (pod) => pod.namespace === namespace && pod.name.startsWith(`${name}-`),
        )?.running;
        const moves = now !== undefined && now !== revision && manifests.has(revision);
        return `gateway ${namespace}/${name}: ${moves ? `${now} -> ` : ""}${revision}, in place${moves ? ", after the sidecars: plan downtime for it" : ""}`;
    });
}
