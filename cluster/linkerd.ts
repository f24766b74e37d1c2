import * as k8s from "@kubernetes/client-node";
import type { KeyPair } from "../plan/certificates";
import { at } from "../plan/values";
import { ANCHOR_SECRET, ISSUER_SECRET, type LiveIdentity } from "../plan/identity";
import {
    WEBHOOK_CA_SECRET,
    WEBHOOKS,
    webhookSecret,
    type LiveWebhookCertificates,
} from "../plan/webhooks";
import { observeInstallation, type LiveInstallation } from "./adoption";
import { found, listAll, type Connection } from "./connection";
import { readLinkerdConfig } from "./linkerdConfig";

/** Annotation on the mesh's namespaces that names the stack which owns the installation. */
export const STACK_ANNOTATION = "mesh-upgrade/stack";

/** One of the mesh's namespaces. */
export interface LiveNamespace {
    readonly name: string;
    /** Stack that owns what is installed in it; undefined: none. */
    readonly stack: string | undefined;
}

export interface LiveCrd {
    readonly name: string;
    /** `2024.7.5`, of the chart linkerd-crds that it came with. */
    readonly chartVersion: string | undefined;
    /** Whether a chart or the CLI of Linkerd made it. */
    readonly linkerd: boolean;
    /** Stack that made it; undefined: somebody else. */
    readonly stack: string | undefined;
}

/** What is installed of Linkerd; read-only. */
export interface LiveLinkerd {
    readonly namespaces: readonly LiveNamespace[];
    /** Of ConfigMap linkerd-config; undefined: no control plane. */
    readonly linkerdVersion: string | undefined;
    readonly installed: boolean;
    readonly crds: readonly LiveCrd[];
    readonly identity: LiveIdentity;
    readonly webhooks: LiveWebhookCertificates;
    /** Helm's newest record of release linkerd-viz. */
    readonly vizRelease: { readonly revision: number; readonly status: string } | undefined;
    /** Whether a viz that is no Helm release stands there (the linkerd CLI's). */
    readonly vizObjects: boolean;
    /** How what is installed was configured. */
    readonly installation: LiveInstallation;
    /** Git version of the API server: `v1.34.4`. */
    readonly serverVersion: string;
}

/** CRDs of the chart linkerd-crds: Linkerd's own groups, and routes of the Gateway API. */
const CRDS =
    /\.(policy\.linkerd\.io|workload\.linkerd\.io)$|^serviceprofiles\.linkerd\.io$|^(http|grpc)routes\.gateway\.networking\.k8s\.io$/;

/** Whether a CRD, by its name, is of the chart linkerd-crds. */
export function isLinkerdCrd(name: string): boolean {
    return CRDS.test(name);
}

export async function observeLinkerd(connection: Connection): Promise<LiveLinkerd> {
    const { core, kubeconfig } = connection;
    const secret = (namespace: string, name: string) =>
        found(core.readNamespacedSecret({ namespace, name }));
    const extensions = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const [linkerd, viz, config, crds, issuer, anchor, ca, installation, code] = await Promise.all([
        found(core.readNamespace({ name: "linkerd" })),
        found(core.readNamespace({ name: "linkerd-viz" })),
        readLinkerdConfig(core),
        listAll((page) => extensions.listCustomResourceDefinition(page)),
        secret("linkerd", ISSUER_SECRET),
        secret("linkerd", ANCHOR_SECRET),
        secret("linkerd", WEBHOOK_CA_SECRET),
        observeInstallation(connection),
        kubeconfig.makeApiClient(k8s.VersionApi).getCode(),
    ]);
    const leaves = await Promise.all(
        WEBHOOKS.map(async ({ service, namespace }) => {
            const leaf = await secret(namespace, webhookSecret(service));
            return [service, keyPair(leaf)] as const;
        }),
    );
    const anchors = at(config?.values, "identityTrustAnchorsPEM");
    const liveIssuer = issuerOf(issuer, typeof anchors === "string" ? anchors : "");
    const anchorPair = keyPair(anchor);
    const caPair = keyPair(ca);
    return {
        namespaces: [linkerd, viz]
            .filter((one) => one !== undefined)
            .map((one) => ({
                name: one.metadata?.name ?? "",
                stack: one.metadata?.annotations?.[STACK_ANNOTATION],
            })),
        linkerdVersion: config?.version,
        installed: config !== undefined,
        crds: crds
            .filter((crd) => isLinkerdCrd(crd.metadata?.name ?? ""))
            .map((crd) => ({
                name: crd.metadata?.name ?? "",
                ...madeBy(crd),
                stack: crd.metadata?.annotations?.[STACK_ANNOTATION],
            })),
        identity: {
            installed: config !== undefined,
            ...(anchorPair ? { anchor: anchorPair } : {}),
            ...(liveIssuer ? { issuer: liveIssuer } : {}),
        },
        webhooks: {
            ...(caPair ? { ca: caPair } : {}),
            leaves: Object.fromEntries(leaves),
            bundles: installation.bundles,
        },
        vizRelease: installation.release,
        vizObjects: installation.viz.length > 0,
        installation,
        serverVersion: code.gitVersion,
    };
}

function text(secret: k8s.V1Secret | undefined, name: string): string | undefined {
    const value = secret?.data?.[name];
    return value === undefined ? undefined : Buffer.from(value, "base64").toString();
}

function keyPair(secret: k8s.V1Secret | undefined): KeyPair | undefined {
    const certificate = text(secret, "tls.crt");
    const key = text(secret, "tls.key");
    return certificate && key ? { certificate, key } : undefined;
}

/** The CLI's CRDs are of no chart's version that means anything; an annotation names its release. */
function madeBy({ metadata }: k8s.V1CustomResourceDefinition) {
    const chart = /^linkerd-crds-(.+)$/.exec(metadata?.labels?.["helm.sh/chart"] ?? "")?.[1];
    const maker = metadata?.annotations?.["linkerd.io/created-by"];
    const release = /^linkerd\/cli edge-(\S+)$/.exec(maker ?? "")?.[1];
    return {
        chartVersion: release ? `20${release}` : chart,
        linkerd: chart !== undefined || maker?.startsWith("linkerd/") === true,
    };
}

/** The issuer in either scheme. `configured`: the anchors of linkerd-config, which win over the Secret's own. */
function issuerOf(secret: k8s.V1Secret | undefined, configured: string): LiveIdentity["issuer"] {
    const pair = keyPair(secret);
    if (pair) {
        const trustAnchors = configured || (text(secret, "ca.crt") ?? "");
        return { ...pair, scheme: "kubernetes.io/tls", trustAnchors };
    }
    const certificate = text(secret, "crt.pem");
    const key = text(secret, "key.pem");
    return certificate && key
        ? { certificate, key, scheme: "linkerd.io/tls", trustAnchors: configured }
        : undefined;
}
