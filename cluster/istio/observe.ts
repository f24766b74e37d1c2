import * as k8s from "@kubernetes/client-node";
import { runningOf } from "../../plan/istio/injection";
import type { Injection } from "../../plan/istio/target";
import { readRecord, VERSIONS_ANNOTATION } from "../../plan/policy/record";
import { UNKNOWN, type IstioUser, type IstioUsers } from "../../plan/istio/use";
import { KubeApi } from "../api";
import { found, listAll, type Connection } from "../connection";
import { UPDATING } from "../health/unfinished";
import { STACK_ANNOTATION } from "../linkerd";
import {
    imageTagOf,
    injectorsIn,
    listMutating,
    readInjection,
    REVISION_LABEL,
    revisionOf,
    TAG_LABEL,
} from "./injection";
import { isGateway } from "./pods";

/** A running control plane. */
export interface LiveIstiod {
    readonly name: string;
    /** `default`: without a revision name. */
    readonly revision: string;
    /** Tag of its image. */
    readonly version: string | undefined;
    /** Stack that made it; undefined: somebody else. */
    readonly stack: string | undefined;
}

/** A webhook configuration that calls an istiod. */
export interface LiveWebhooks {
    readonly kind: "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration";
    readonly name: string;
    readonly revision: string | undefined;
    readonly stack: string | undefined;
    /** PEM in base64 of the first webhook that has one; undefined: none has. */
    readonly caBundle: string | undefined;
    /** Whether every webhook in it has one. */
    readonly complete: boolean;
    /** Whether it is a tag's. */
    readonly tagged: boolean;
    /** `istio-system/istiod-1-27-1`, once each. */
    readonly services: readonly string[];
}

/** What is installed of Istio; read-only. */
export interface LiveIstio {
    readonly istiods: readonly LiveIstiod[];
    readonly injection: Injection;
    readonly webhooks: readonly LiveWebhooks[];
    /** Of the stack file's gateways, those whose Deployment is there. */
    readonly gateways: readonly {
        readonly namespace: string;
        readonly name: string;
        readonly stack: string | undefined;
    }[];
    readonly crds: readonly {
        readonly name: string;
        /** `1.27.1`, of the chart base that it came with. */
        readonly chartVersion: string | undefined;
        readonly stack: string | undefined;
    }[];
    /** Stack that owns the control planes' namespace. */
    readonly namespaceStack: string | undefined;
    /** Version of the update that began last, as long as it has not ended. */
    readonly updating?: string | undefined;
    readonly namespaceExists: boolean;
    /** Versions that ran in it, as far as they were recorded. */
    readonly ran: readonly string[];
    readonly users: IstioUsers;
    /** `v1.34.4`. */
    readonly serverVersion: string;
    /** Whether who runs this may do everything (`*` on `*`). */
    readonly clusterAdmin: boolean;
}

/** Istiod, and before 1.5 Pilot, which is one of several Deployments. */
const CONTROL_PLANES = "app in (istiod, pilot)";
const PILOT = "istio-pilot";

/** Ambient's proxy of a node: its container is called istio-proxy, yet it is no sidecar of a revision. */
const ZTUNNEL = "ztunnel";
const INJECT_LABEL = "sidecar.istio.io/inject";

/** Groups whose CRDs the chart base brings. */
const CRDS = /\.(networking|security|telemetry|extensions|install)\.istio\.io$/;

export async function observeIstio(
    connection: Connection,
    api: KubeApi,
    namespace: string,
    gateways: readonly { readonly namespace: string; readonly name: string }[],
): Promise<LiveIstio> {
    const { core, apps, kubeconfig } = connection;
    const extensions = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const mutating = listMutating(connection);
    const [own, deployments, injection, webhooks, crds, users, code, review, ...liveGateways] =
        await Promise.all([
            found(core.readNamespace({ name: namespace })),
            listAll((page) =>
                apps.listNamespacedDeployment({
                    ...page,
                    namespace,
                    labelSelector: CONTROL_PLANES,
                }),
            ),
            readInjection(connection, namespace, mutating),
            readWebhooks(connection, mutating),
            listAll((page) => extensions.listCustomResourceDefinition(page)),
            readUsers(connection, api, mutating),
            kubeconfig.makeApiClient(k8s.VersionApi).getCode(),
            kubeconfig.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
                body: { spec: { resourceAttributes: { verb: "*", group: "*", resource: "*" } } },
            }),
            ...gateways.map(({ namespace, name }) =>
                found(apps.readNamespacedDeployment({ namespace, name })),
            ),
        ]);
    return {
        istiods: deployments
            .map((one) => ({
                name: one.metadata?.name ?? "",
                revision: revisionOf(one),
                version: imageTagOf(one),
                stack: stackOf(one),
            }))
            // Both are there while 1.4 goes over to 1.5; who asks for the one without a name means istiod.
            .sort((a, b) => Number(a.name === PILOT) - Number(b.name === PILOT)),
        injection,
        webhooks,
        gateways: liveGateways.flatMap((one) =>
            one
                ? [
                      {
                          namespace: one.metadata?.namespace ?? "",
                          name: one.metadata?.name ?? "",
                          stack: stackOf(one),
                      },
                  ]
                : [],
        ),
        crds: crds
            .filter(({ metadata }) => CRDS.test(metadata?.name ?? ""))
            .map((crd) => ({
                name: crd.metadata?.name ?? "",
                chartVersion: /^base-(.+)$/.exec(
                    crd.metadata?.labels?.["helm.sh/chart"] ?? "",
                )?.[1],
                stack: stackOf(crd),
            })),
        namespaceStack: own && stackOf(own),
        updating: own?.metadata?.annotations?.[UPDATING],
        namespaceExists: own !== undefined,
        ran: readRecord(own?.metadata?.annotations?.[VERSIONS_ANNOTATION]),
        users,
        serverVersion: code.gitVersion,
        clusterAdmin: review.status?.allowed ?? false,
    };
}

/** All configurations that call an istiod or carry a revision's label. */
export async function readWebhooks(
    connection: Connection,
    mutating = listMutating(connection),
): Promise<LiveWebhooks[]> {
    const admission = connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const [configurations, validating] = await Promise.all([
        mutating,
        listAll((page) => admission.listValidatingWebhookConfiguration(page)),
    ]);
    return [
        ...configurations.map((one) => webhooksOf("MutatingWebhookConfiguration", one)),
        ...validating.map((one) => webhooksOf("ValidatingWebhookConfiguration", one)),
    ].filter(
        (one) => one.revision !== undefined || one.services.some((s) => /\/istiod(-|$)/.test(s)),
    );
}

function webhooksOf(
    kind: LiveWebhooks["kind"],
    one: k8s.V1MutatingWebhookConfiguration | k8s.V1ValidatingWebhookConfiguration,
): LiveWebhooks {
    const configs = (one.webhooks ?? []).map(({ clientConfig }) => clientConfig);
    const services = configs.flatMap(({ service }) =>
        service ? [`${service.namespace}/${service.name}`] : [],
    );
    return {
        kind,
        name: one.metadata?.name ?? "",
        revision: one.metadata?.labels?.[REVISION_LABEL],
        stack: stackOf(one),
        caBundle: configs.map(({ caBundle }) => caBundle).find((bundle) => bundle) ?? undefined,
        complete: configs.every(({ caBundle }) => caBundle),
        tagged: one.metadata?.labels?.[TAG_LABEL] !== undefined,
        services: [...new Set(services)],
    };
}

/** Everything that can be bound to a revision; finished pods are not. */
export async function readUsers(
    connection: Connection,
    api: KubeApi,
    mutating = listMutating(connection),
): Promise<IstioUsers> {
    const [namespaces, configurations, { items: pods }] = await Promise.all([
        listAll((page) => connection.core.listNamespace(page)),
        mutating,
        api.list("/api/v1/pods", (pod) => userOf(pod as unknown as k8s.V1Pod), {}),
    ]);
    return {
        namespaces: new Map(
            namespaces.map(({ metadata }) => [metadata?.name ?? "", metadata?.labels ?? {}]),
        ),
        injectors: configurations.flatMap(injectorsIn),
        pods,
    };
}

function userOf(pod: k8s.V1Pod): IstioUser | undefined {
    const { metadata, spec, status } = pod;
    const labels = metadata?.labels ?? {};
    const running =
        labels["app"] === ZTUNNEL
            ? undefined
            : runningOf({
                  labels,
                  annotations: metadata?.annotations ?? {},
                  containers: imagesOf(spec?.containers),
                  initContainers: imagesOf(spec?.initContainers),
              });
    const finished = status?.phase === "Succeeded" || status?.phase === "Failed";
    const asked = labels[REVISION_LABEL];
    const asksDefault = asked === undefined && labels[INJECT_LABEL] === "true";
    const unbound = running === undefined && asked === undefined && !asksDefault;
    if (labels["app"] === "istiod" || finished || unbound) {
        return undefined;
    }
    return {
        namespace: metadata?.namespace ?? "",
        name: metadata?.name ?? "",
        running: running && (running.revision ?? UNKNOWN),
        asked,
        asksDefault,
        gateway: isGateway(pod),
    };
}

function imagesOf(containers: readonly { name: string; image?: string }[] | undefined) {
    return (containers ?? []).map(({ name, image = "" }) => ({ name, image }));
}

function stackOf({ metadata }: { metadata?: k8s.V1ObjectMeta }): string | undefined {
    return metadata?.annotations?.[STACK_ANNOTATION];
}
