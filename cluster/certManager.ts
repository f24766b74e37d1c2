import * as k8s from "@kubernetes/client-node";
import {
    CERT_MANAGER,
    CERT_MANAGER_CRDS,
    CERT_MANAGER_PARTS,
    type LiveCertificate,
    type LiveCertManager,
} from "../plan/certManager";
import { ISSUER_SECRET } from "../plan/identity";
import { webhookSecret, type Webhook } from "../plan/webhooks";
import { found, listAll, type Connection } from "./connection";
import { STACK_ANNOTATION } from "./linkerd";

const PART = "app.kubernetes.io/component";
const API = { group: "cert-manager.io", version: "v1", plural: "certificates" };

type Secret = k8s.V1Secret | undefined;

/**
 * `crds`: names of all of the cluster; `secrets`: those of issuer and webhooks, as far as they exist; `webhooks`: those that
 * concern the stack.
 */
export async function observeCertManager(
    connection: Connection,
    crds: readonly string[],
    secrets: readonly Secret[],
    webhooks: readonly Webhook[],
): Promise<LiveCertManager> {
    const served = Object.values(CERT_MANAGER_CRDS).filter((name) => crds.includes(name));
    const names = (all: readonly Secret[]) =>
        all.map((one) => `${one?.metadata?.namespace}/${one?.metadata?.name}`);
    const [certificates, available] =
        served.length === 0
            ? [[], []]
            : await Promise.all([
                  served.includes(CERT_MANAGER_CRDS.Certificate)
                      ? listMeshCertificates(connection, webhooks)
                      : [],
                  availableParts(connection),
              ]);
    return {
        crds: served,
        available,
        certificates,
        wrote: names(secrets.filter(isWrittenByCertManager)),
        owned: names(
            secrets.filter((one) =>
                one?.metadata?.ownerReferences?.some(({ kind }) => kind === "Certificate"),
            ),
        ),
    };
}

/** Whether the certificate in the Secret is cert-manager's: nobody else wrote that field after it. */
export function isWrittenByCertManager(secret: Secret): boolean {
    return (
        secret?.metadata?.managedFields?.some(({ manager, fieldsV1 }) => {
            const fields = fieldsV1 as { "f:data"?: Readonly<Record<string, unknown>> } | undefined;
            return (
                manager?.startsWith(CERT_MANAGER) === true &&
                fields?.["f:data"]?.["f:tls.crt"] !== undefined
            );
        }) ?? false
    );
}

/** Certificates that write Secrets of the mesh: of the issuer, and of these webhooks. */
export async function listMeshCertificates(
    { kubeconfig }: Pick<Connection, "kubeconfig">,
    webhooks: readonly Webhook[],
): Promise<LiveCertificate[]> {
    const secrets = [
        `linkerd/${ISSUER_SECRET}`,
        ...webhooks.map(({ namespace, service }) => `${namespace}/${webhookSecret(service)}`),
    ];
    const custom = kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    const lists = await Promise.all(
        [...new Set(webhooks.map(({ namespace }) => namespace))].map((namespace) =>
            found<unknown>(custom.listNamespacedCustomObject({ ...API, namespace })),
        ),
    );
    return lists
        .flatMap((list) => (list as CertificateList | undefined)?.items ?? [])
        .map(({ metadata, spec }) => ({
            namespace: metadata.namespace,
            name: metadata.name,
            secretName: spec.secretName,
            stack: metadata.annotations?.[STACK_ANNOTATION],
        }))
        .filter(({ namespace, secretName }) => secrets.includes(`${namespace}/${secretName}`));
}

interface CertificateList {
    readonly items: readonly {
        readonly metadata: {
            readonly name: string;
            readonly namespace: string;
            readonly annotations?: Readonly<Record<string, string>>;
        };
        readonly spec: { readonly secretName: string };
    }[];
}

async function availableParts({ apps }: Connection): Promise<LiveCertManager["available"]> {
    const deployments = await listAll((page) =>
        apps.listDeploymentForAllNamespaces({
            ...page,
            labelSelector: `${PART} in (${CERT_MANAGER_PARTS.join(",")})`,
        }),
    );
    return CERT_MANAGER_PARTS.filter((part) =>
        deployments.some(
            ({ metadata, status }) =>
                metadata?.labels?.[PART] === part &&
                isOfCertManager(metadata) &&
                (status?.availableReplicas ?? 0) > 0,
        ),
    );
}

/** Helm's chart and the published manifests name Deployments so, as does OpenShift's operator. */
function isOfCertManager({ name = "", labels = {} }: k8s.V1ObjectMeta): boolean {
    return (
        labels["app.kubernetes.io/instance"] === CERT_MANAGER ||
        name.startsWith(CERT_MANAGER) ||
        name.includes(`-${CERT_MANAGER}`)
    );
}
