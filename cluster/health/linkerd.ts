import type {
    V1APIService,
    V1Deployment,
    V1Namespace,
    V1Node,
    V1Pod,
    V1ReplicaSet,
    V1Service,
} from "@kubernetes/client-node";
import { addressWithin, networksOf } from "../../plan/checks/networks";
import type { HealthNode, HealthWebhooks, LinkerdHealth } from "../../plan/checks/observation";
import { at } from "../../plan/values";
import type { KubeApi } from "../api";
import type { LiveLinkerd } from "../linkerd";
import { readAccess } from "./access";
import { readCni } from "./cni";
import { healthPod, healthService } from "./pods";
import { attempt, listOf, mapRead, objectAt } from "./read";

const LINKERD = "/namespaces/linkerd";
const EXTENSION = "linkerd.io/extension";
/** Annotation of namespace linkerd-viz, whose Prometheus is then the user's; its value is the URL. */
export const EXTERNAL_PROMETHEUS = "viz.linkerd.io/external-prometheus";

/** What has to be known beside what is installed. */
export interface HealthQuestion {
    readonly expected: LinkerdHealth["expected"];
    /** Whether the stack file has viz; an adopted mesh may have one all the same. */
    readonly viz: boolean;
    /** The stack, where it installs Linkerd anew. */
    readonly install: { readonly stack: string } | undefined;
    /** Pods made later may still start. Default: a minute ago. */
    readonly since?: Date;
}

/** What upstream's checks give a proxy by asking again and again. */
const START_MS = 60_000;

/**
 * Reads, beside what is installed, what the checks look at: about fifteen requests, and one more for each 500 pods, Services or
 * nodes. What the API server does not show is unknown, with its reason.
 */
export async function observeHealth(
    api: KubeApi,
    live: LiveLinkerd,
    { expected, viz, install, since }: HealthQuestion,
): Promise<LinkerdHealth> {
    const { values } = live.installation;
    const networks = networksOf(values);
    const around = {
        within: networks === undefined ? () => true : addressWithin(networks),
        trustRoots: live.identity.issuer?.trustAnchors,
    };
    const hasViz = viz && install === undefined;
    const usesCni = at(values, "cniEnabled") === true;
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const admission = "/apis/admissionregistration.k8s.io/v1";
    const [
        pods,
        services,
        nodes,
        replicaFailures,
        available,
        clusterRoles,
        clusterRoleBindings,
        serviceAccounts,
        mutating,
        validating,
        extensions,
        cni,
        tap,
        prometheusConfig,
        access,
    ] = await Promise.all([
        listOf(api, "/api/v1/pods", (pod: V1Pod) => healthPod(pod, around)),
        listOf(api, "/api/v1/services", (one: V1Service) => healthService(one, around)),
        listOf(api, "/api/v1/nodes", nodeOf),
        listOf(api, `/apis/apps/v1${LINKERD}/replicasets`, failuresOf),
        listOf(api, `/apis/apps/v1${LINKERD}/deployments`, availableOf),
        listOf(api, `${rbac}/clusterroles`, ofLinkerd),
        listOf(api, `${rbac}/clusterrolebindings`, ofLinkerd),
        listOf(api, `/api/v1${LINKERD}/serviceaccounts`, nameOf),
        listOf(api, `${admission}/mutatingwebhookconfigurations`, webhooksOf),
        listOf(api, `${admission}/validatingwebhookconfigurations`, webhooksOf),
        listOf(api, "/api/v1/namespaces", extensionOf, { labelSelector: EXTENSION }),
        usesCni ? readCni(api) : undefined,
        hasViz ? readTap(api) : undefined,
        hasViz
            ? objectAt(api, "/api/v1/namespaces/linkerd-viz/configmaps/prometheus-config")
            : undefined,
        install === undefined ? undefined : attempt(readAccess(api)),
    ]);
    const now = new Date();
    return {
        now,
        since: since ?? new Date(now.getTime() - START_MS),
        live: { ...live, values },
        expected,
        viz: hasViz,
        install,
        pods,
        services,
        nodes,
        replicaFailures: mapRead(replicaFailures, (all) => all.flat()),
        available: mapRead(available, Object.fromEntries),
        clusterRoles,
        clusterRoleBindings,
        serviceAccounts,
        mutating,
        validating,
        extensions,
        cni,
        tap,
        prometheusConfig:
            prometheusConfig && mapRead(prometheusConfig, (found) => found !== undefined),
        access,
    };
}

interface Named {
    readonly metadata?: { readonly name?: string };
}

const nameOf = ({ metadata }: Named) => metadata?.name ?? "";

/** A cluster has hundreds of roles. */
function ofLinkerd(one: Named): string | undefined {
    const name = nameOf(one);
    return name.startsWith("linkerd-") ? name : undefined;
}

function nodeOf({ metadata, spec, status }: V1Node): HealthNode {
    const ready = status?.conditions?.find((one) => one.type === "Ready" && one.status === "True");
    return {
        name: metadata?.name ?? "",
        podCidr: spec?.podCIDR,
        runtime: status?.nodeInfo?.containerRuntimeVersion ?? "",
        heartbeat: ready?.lastHeartbeatTime && new Date(ready.lastHeartbeatTime).getTime(),
        labels: metadata?.labels ?? {},
        cordoned: spec?.unschedulable === true,
        taints: (spec?.taints ?? [])
            .filter(({ effect }) => effect !== "PreferNoSchedule")
            .map(({ key, value, effect }) => ({ key, value, effect })),
    };
}

function failuresOf({ metadata, status }: V1ReplicaSet): string[] {
    return (status?.conditions ?? [])
        .filter((one) => one.type === "ReplicaFailure" && one.status === "True")
        .map(({ reason, message }) => `${metadata?.name} (${reason}: ${message})`);
}

function availableOf({ metadata, status }: V1Deployment): [string, number] {
    return [metadata?.name ?? "", status?.availableReplicas ?? 0];
}

interface WebhookConfiguration extends Named {
    readonly webhooks?: readonly {
        readonly clientConfig?: {
            readonly service?: { readonly namespace?: string; readonly name?: string };
        };
    }[];
}

function webhooksOf(one: WebhookConfiguration): HealthWebhooks | undefined {
    const name = nameOf(one);
    const services = (one.webhooks ?? []).flatMap(({ clientConfig }) =>
        clientConfig?.service
            ? [`${clientConfig.service.namespace}/${clientConfig.service.name}`]
            : [],
    );
    return name.startsWith("linkerd-") ? { name, services: [...new Set(services)] } : undefined;
}

function extensionOf({ metadata }: V1Namespace) {
    return {
        name: metadata?.name ?? "",
        extension: metadata?.labels?.[EXTENSION] ?? "",
        externalPrometheus: metadata?.annotations?.[EXTERNAL_PROMETHEUS] !== undefined,
    };
}

/** Why the aggregated API of tap is not available. */
async function readTap(api: KubeApi): Promise<LinkerdHealth["tap"]> {
    const path = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io";
    return mapRead(await objectAt<V1APIService>(api, path), (found) => {
        const condition = found?.status?.conditions?.find(({ type }) => type === "Available");
        return condition?.status === "True"
            ? undefined
            : found === undefined
              ? "APIService v1alpha1.tap.linkerd.io is missing"
              : `APIService v1alpha1.tap.linkerd.io: ${condition?.reason ?? "not available"}: ${condition?.message ?? ""}`;
    });
}
