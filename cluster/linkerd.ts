import * as k8s from "@kubernetes/client-node";
import type { KeyPair } from "../plan/certificates";
import {
    ANCHOR_NAME,
    ANCHOR_REPLACES,
    ANCHOR_SECRET,
    ISSUED_AT,
    ISSUER_NAME,
    ISSUER_SECRET,
    NEXT_ANCHOR_SECRET,
    servedSince,
    type LiveIdentity,
    type LiveIssuer,
    type NamedPair,
} from "../plan/identity";
import { POD_SECURITY } from "../plan/podSecurity";
import { readRecord, VERSIONS_ANNOTATION } from "../plan/policy/record";
import { at } from "../plan/values";
import { isFault, parseLinkerdVersion } from "../plan/versions";
import {
    WEBHOOK_CA_SECRET,
    webhookSecret,
    webhooksOf,
    type LiveWebhookCertificates,
} from "../plan/webhooks";
import type { LiveCertManager } from "../plan/certManager";
import { observeInstallation, type LiveInstallation } from "./adoption";
import { isWrittenByCertManager, observeCertManager } from "./certManager";
import { found, listAll, type Connection } from "./connection";
import { UPDATING } from "./health/unfinished";
import { readLinkerdConfig, readTrustRoots, type LinkerdConfig } from "./linkerdConfig";
import { readWebhookBundles } from "./webhookBundles";

/** Annotation on the mesh's namespaces that names the stack which owns the installation. */
export const STACK_ANNOTATION = "mesh-upgrade/stack";

/** One of the mesh's namespaces. */
export interface LiveNamespace {
    readonly name: string;
    /** Stack that owns what is installed in it; undefined: none. */
    readonly stack: string | undefined;
    /** Versions that ran in it, as far as they were recorded. */
    readonly ran?: readonly string[];
    /** Pod Security level that is enforced in it; absent: the cluster's default. */
    readonly podSecurity?: string;
    /** Version of the update that began last, as long as it has not ended; see cluster/health/unfinished.ts. */
    readonly updating?: string;
}

export interface LiveCrd {
    readonly name: string;
    /** `2024.7.5` or `1.8.0`, of the chart linkerd-crds that it came with. */
    readonly chartVersion: string | undefined;
    /** Whether a chart or the CLI of Linkerd made it. */
    readonly linkerd: boolean;
    /** Stack that made it; undefined: somebody else. */
    readonly stack: string | undefined;
    /** Names of its versions. */
    readonly versions?: readonly string[];
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
    readonly certManager: LiveCertManager;
    /** How what is installed was configured. */
    readonly installation: LiveInstallation;
    /** Git version of the API server: `v1.34.4`. */
    readonly serverVersion: string;
}

/** CRDs of the chart linkerd-crds: Linkerd's own groups, and routes of the Gateway API. */
const CRDS =
    /\.(policy\.linkerd\.io|workload\.linkerd\.io)$|^serviceprofiles\.linkerd\.io$|^(http|grpc|tcp|tls)routes\.gateway\.networking\.k8s\.io$/;

/** Whether a CRD, by its name, is of the chart linkerd-crds. */
export function isLinkerdCrd(name: string): boolean {
    return CRDS.test(name);
}

/** `asked`: extensions of the stack file, whose webhooks are looked at, too. Defaults to none. */
export async function observeLinkerd(
    connection: Connection,
    asked: Parameters<typeof webhooksOf>[0] = {},
): Promise<LiveLinkerd> {
    const { core, kubeconfig } = connection;
    const secret = (namespace: string, name: string) =>
        found(core.readNamespacedSecret({ namespace, name }));
    const extensions = kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    const config = await readLinkerdConfig(core);
    const webhooks = webhooksOf(asked);
    const [
        linkerd,
        viz,
        cni,
        crds,
        issuer,
        anchor,
        nextAnchor,
        trustRoots,
        bundles,
        ca,
        installation,
        code,
    ] = await Promise.all([
        found(core.readNamespace({ name: "linkerd" })),
        found(core.readNamespace({ name: "linkerd-viz" })),
        found(core.readNamespace({ name: "linkerd-cni" })),
        listAll((page) => extensions.listCustomResourceDefinition(page)),
        secret("linkerd", ISSUER_SECRET),
        secret("linkerd", ANCHOR_SECRET),
        secret("linkerd", NEXT_ANCHOR_SECRET),
        readTrustRoots(core),
        readWebhookBundles(connection, webhooks),
        secret("linkerd", WEBHOOK_CA_SECRET),
        observeInstallation(connection, config),
        kubeconfig.makeApiClient(k8s.VersionApi).getCode(),
    ]);
    const leaves = await Promise.all(
        webhooks.map(async ({ service, namespace }) => {
            const leaf = await secret(namespace, webhookSecret(service));
            return { service, leaf };
        }),
    );
    const certManager = await observeCertManager(
        connection,
        crds.map((crd) => crd.metadata?.name ?? ""),
        [issuer, ...leaves.map(({ leaf }) => leaf)],
        webhooks,
    );
    const liveIssuer = issuerOf(issuer, trustRoots, config);
    const anchorPair = namedPair(anchor);
    const nextPair = namedPair(nextAnchor);
    const caPair = keyPair(ca);
    return {
        namespaces: [linkerd, viz, cni].filter((one) => one !== undefined).map(liveNamespace),
        linkerdVersion: config?.version,
        installed: config !== undefined,
        crds: crds
            .filter((crd) => isLinkerdCrd(crd.metadata?.name ?? ""))
            .map((crd) => ({
                name: crd.metadata?.name ?? "",
                ...madeBy(crd),
                stack: crd.metadata?.annotations?.[STACK_ANNOTATION],
                versions: crd.spec.versions.map(({ name }) => name),
            })),
        identity: {
            installed: config !== undefined,
            ...(anchorPair ? { anchor: anchorPair } : {}),
            ...(nextPair ? { nextAnchor: nextPair } : {}),
            ...(liveIssuer ? { issuer: liveIssuer } : {}),
        },
        webhooks: {
            ...(caPair ? { ca: caPair } : {}),
            leaves: Object.fromEntries(leaves.map(({ service, leaf }) => [service, keyPair(leaf)])),
            bundles,
        },
        certManager,
        installation,
        serverVersion: code.gitVersion,
    };
}

function liveNamespace({ metadata }: k8s.V1Namespace): LiveNamespace {
    const podSecurity = metadata?.labels?.[POD_SECURITY];
    const updating = metadata?.annotations?.[UPDATING];
    return {
        name: metadata?.name ?? "",
        stack: metadata?.annotations?.[STACK_ANNOTATION],
        ran: readRecord(metadata?.annotations?.[VERSIONS_ANNOTATION]),
        ...(updating === undefined ? {} : { updating }),
        ...(podSecurity === undefined ? {} : { podSecurity }),
    };
}

function namedPair(secret: k8s.V1Secret | undefined): NamedPair | undefined {
    const pair = keyPair(secret);
    const { annotations } = secret?.metadata ?? {};
    const replaces = annotations?.[ANCHOR_REPLACES]?.split(",");
    return pair && { ...pair, name: annotations?.[ANCHOR_NAME], ...(replaces ? { replaces } : {}) };
}

/**
 * The issuer in either scheme. Its anchors are those that new proxies get: of ConfigMap linkerd-identity-trust-roots, which
 * the injector reads; where that is gone, of the Secret. The text is that of linkerd-config where they are the same: the
 * control plane's own pods are annotated with a hash of it, and would restart for another final line break. Where
 * linkerd-config is gone, it is that of the Secret, else as this stack writes it.
 */
function issuerOf(
    secret: k8s.V1Secret | undefined,
    trustRoots: string | undefined,
    config: LinkerdConfig | undefined,
): LiveIssuer | undefined {
    const own = keyPair(secret);
    const certificate = text(secret, "crt.pem");
    const key = text(secret, "key.pem");
    const pair = own ?? (certificate && key ? { certificate, key } : undefined);
    if (!pair) {
        return undefined;
    }
    const ca = text(secret, "ca.crt");
    const configured = at(config?.values, "identityTrustAnchorsPEM");
    const bundle = trustRoots ?? ca ?? "";
    const written = typeof configured === "string" ? configured : (ca ?? `${bundle.trim()}\n`);
    const trustAnchors = bundle === "" || written.trim() === bundle.trim() ? written : bundle;
    const { annotations } = secret?.metadata ?? {};
    const name = annotations?.[ISSUER_NAME];
    const issuedAt = annotations?.[ISSUED_AT];
    const since = servedSince(annotations);
    return {
        ...pair,
        scheme: own ? "kubernetes.io/tls" : "linkerd.io/tls",
        trustAnchors,
        ...(ca === undefined ? {} : { ca }),
        ...(name === undefined ? {} : { name }),
        ...(issuedAt === undefined ? {} : { issuedAt }),
        ...(since === undefined ? {} : { servedSince: since }),
        ...(isWrittenByCertManager(secret) ? { byCertManager: true } : {}),
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
export function madeBy({
    metadata,
}: k8s.V1CustomResourceDefinition): Pick<LiveCrd, "chartVersion" | "linkerd"> {
    const chart = /^linkerd-crds-(.+)$/.exec(metadata?.labels?.["helm.sh/chart"] ?? "")?.[1];
    const maker = metadata?.annotations?.["linkerd.io/created-by"];
    const release = parseLinkerdVersion(/^linkerd\/cli (\S+)$/.exec(maker ?? "")?.[1] ?? "");
    return {
        chartVersion: isFault(release) ? chart : release.charts["linkerd-crds"],
        linkerd: chart !== undefined || maker?.startsWith("linkerd/") === true,
    };
}
