import { certificateProblems, keyPairProblem, leadsTo, readBundle, without } from "./certificates";
import type { Fault } from "./faults";
import {
    ANCHOR_SECRET,
    mintAnchor,
    ISSUER_SECRET,
    issuerName,
    NEXT_ANCHOR_SECRET,
    type IdentityByCertManager,
    type IdentitySurroundings,
    type LiveIdentity,
    type NamedPair,
} from "./identity";
import { strangerFaults } from "./trust";
import { WEBHOOK_CA_SECRET, webhookName, WEBHOOKS, webhookSecret, type Webhook } from "./webhooks";

/** What the stack needs of cert-manager, by kind, with the names of their CRDs. */
export const CERT_MANAGER_CRDS = {
    Certificate: "certificates.cert-manager.io",
    Issuer: "issuers.cert-manager.io",
} as const;

/** The parts of cert-manager, as label app.kubernetes.io/component names them. */
export const CERT_MANAGER_PARTS = ["controller", "webhook", "cainjector"] as const;
export type CertManagerPart = (typeof CERT_MANAGER_PARTS)[number];

/** Field managers of cert-manager begin so (cert-manager-certificates-issuing, cert-manager-cainjector). */
export const CERT_MANAGER = "cert-manager";

/** A Certificate that writes one of the mesh's Secrets. */
export interface LiveCertificate {
    readonly namespace: string;
    readonly name: string;
    readonly secretName: string;
    /** The stack that asked for it; undefined: somebody else. */
    readonly stack: string | undefined;
}

/** What there is of cert-manager, and what it holds of the mesh. */
export interface LiveCertManager {
    /** CRDs that are served, of those that the stack needs. */
    readonly crds: readonly string[];
    /** Parts of which a Deployment is available. */
    readonly available: readonly CertManagerPart[];
    /** Certificates in the mesh's namespaces that write its Secrets. */
    readonly certificates: readonly LiveCertificate[];
    /** Secrets whose certificate it wrote: `linkerd/linkerd-identity-issuer`. */
    readonly wrote: readonly string[];
    /** Secrets that go with their Certificate (cert-manager runs with --enable-certificate-owner-ref). */
    readonly owned: readonly string[];
}

/** The stack's own Issuers, in each namespace where they are needed. */
const ANCHOR_ISSUER = "linkerd-trust-anchor";
const WEBHOOK_ISSUER = "webhook-issuer";

const NO_ROTATION =
    "set identity.source to generated, finish the rotation there (identity.rotation), and change the source to cert-manager then";

/** Reasons why cert-manager cannot be asked, or would be asked for what somebody else asked it for. */
export function certManagerFaults(
    { crds, available, certificates }: LiveCertManager,
    stack: string,
    adopt: boolean,
): readonly Fault[] {
    const subject = "identity.source";
    const value = "cert-manager";
    const missing = Object.values(CERT_MANAGER_CRDS).filter((name) => !crds.includes(name));
    if (missing.length > 0) {
        return [
            {
                subject,
                value,
                rule: `cert-manager is not installed: the cluster has no CRD ${missing.join(", ")}`,
                next: "install cert-manager (cert-manager.io/docs/installation), or choose another identity.source",
            },
        ];
    }
    const down = CERT_MANAGER_PARTS.filter((part) => !available.includes(part));
    const asked = new Set(objectsOfStack("cluster.local").map(placeOf));
    const strangers = certificates.filter((one) =>
        asked.has(placeOf(one)) ? !adopt && one.stack !== stack : true,
    );
    return [
        ...(down.length === 0
            ? []
            : [
                  {
                      subject,
                      value,
                      rule: `cert-manager does not run: it has no available Deployment with label app.kubernetes.io/component=${down.join(", ")}`,
                      next: "kubectl get deployments -A -l app.kubernetes.io/instance=cert-manager, and repair it first: what it issued is not renewed either",
                  },
              ]),
        ...strangers.map(strangerFault),
    ];
}

/** Reasons why what cert-manager writes cannot be the stack's, which source it may have. */
export function handBackFaults(
    { certificates, owned }: LiveCertManager,
    source: string,
    stack: string,
): readonly Fault[] {
    return [
        ...certificates
            .filter((one) => one.stack !== stack)
            .map((one) => ({
                subject: "identity.source",
                value: source,
                rule: `Certificate ${one.namespace}/${one.name}, which this stack did not ask for, writes Secret ${one.secretName} all the time`,
                next: `set identity.source to cert-manager, or delete that Certificate (its Secret stays)`,
            })),
        ...owned.map((name) => ({
            subject: `Secret ${name}`,
            rule: "is owned by its Certificate (cert-manager runs with --enable-certificate-owner-ref), and would go with it while it is in use",
            next: `run cert-manager without that flag, then: kubectl -n ${name.split("/")[0]} patch secret ${name.split("/")[1]} --type json -p '[{"op":"remove","path":"/metadata/ownerReferences"}]'`,
        })),
    ];
}

function strangerFault({ namespace, name, secretName }: LiveCertificate): Fault {
    return {
        subject: `Certificate ${namespace}/${name}`,
        rule: `was not made by this stack and writes Secret ${secretName}; two of them would issue it in turns`,
        next: `to take over one with the stack's own name: pulumi config set adopt true; another one: kubectl -n ${namespace} delete certificate ${name} (its Secret stays)`,
    };
}

/**
 * Anchors and issuer where cert-manager issues. The anchors of a mesh that runs are kept, byte by byte, and it signs with
 * one of them, whose key is in the cluster; so no proxy has to learn anything. Only a first installation gets a new one.
 */
export async function planByCertManager(
    live: LiveIdentity,
    surroundings: IdentitySurroundings,
): Promise<IdentityByCertManager | readonly Fault[]> {
    const { issuer } = live;
    const unfit = unfitFaults(live);
    if (unfit.length > 0) {
        return unfit;
    }
    const anchor =
        live.anchor ??
        (issuer ? undefined : await mintAnchor(surroundings.trustDomain, surroundings.now));
    if (anchor === undefined) {
        return [NO_ANCHOR];
    }
    const trustAnchors = issuer?.trustAnchors ?? `${anchor.certificate.trim()}\n`;
    const faults = [
        ...anchorFaults(anchor, trustAnchors, surroundings),
        ...pendingFaults(live, anchor),
    ];
    if (faults.length > 0) {
        return faults;
    }
    const strangers = strangerFaults(
        anchor.certificate,
        surroundings.proxies ?? [],
        "restart these pods, which trust other anchors than the mesh, before the source changes",
        surroundings.now,
    );
    return strangers.length > 0
        ? strangers
        : {
              scheme: "kubernetes.io/tls",
              trustAnchors,
              ca: trustAnchors,
              anchor,
              lines: issuer && !issuer.byCertManager ? [takeOverLine(anchor)] : [],
          };
}

function takeOverLine({ certificate }: NamedPair): string {
    const [anchor] = readBundle(certificate);
    return `identity: cert-manager issues and renews from now on, signed by trust anchor ${anchor?.fingerprint256}; the trust anchors stay, the Secrets of issuer and webhooks change hands, and nothing restarts for it`;
}

const NO_ANCHOR: Fault = {
    subject: `Secret linkerd/${ANCHOR_SECRET}`,
    rule: "is missing, and cert-manager needs the trust anchor's key to sign with",
    next: `kubectl -n linkerd create secret tls ${ANCHOR_SECRET} --cert ANCHOR.crt --key ANCHOR.key, with the anchor that the mesh trusts`,
};

/** A Secret that cert-manager could not go on with. */
function unfitFaults({ issuer, installed }: LiveIdentity): Fault[] {
    const subject = `Secret linkerd/${ISSUER_SECRET}`;
    if (issuer === undefined && installed) {
        return [
            {
                subject,
                rule: "is missing although ConfigMap linkerd/linkerd-config says that a control plane is installed",
                next: `kubectl -n linkerd get certificate ${ISSUER_SECRET}: where there is one, cert-manager makes the Secret again; else restore it from a backup`,
            },
        ];
    }
    return issuer?.scheme === "linkerd.io/tls"
        ? [
              {
                  subject,
                  value: issuer.scheme,
                  rule: "cert-manager writes the scheme kubernetes.io/tls, and a Secret's type cannot change",
                  next: "with identity.source: adopted, replace the Secret by one of type kubernetes.io/tls that has crt.pem and key.pem, the same as tls.crt and tls.key, and the anchors as ca.crt (pods keep what they have mounted); pulumi up; then change the source",
              },
          ]
        : [];
}

/** cert-manager signs with this anchor, so that the mesh has to trust it. */
function anchorFaults(
    anchor: NamedPair,
    trustAnchors: string,
    moment: IdentitySurroundings,
): Fault[] {
    const subject = `Secret linkerd/${ANCHOR_SECRET}`;
    const problem = keyPairProblem(anchor);
    if (problem !== undefined) {
        return [
            {
                subject,
                rule: `the trust anchor ${problem}`,
                next: "restore it from a backup; a new anchor would cut every running proxy off",
            },
        ];
    }
    const [certificate, ...others] = readBundle(anchor.certificate);
    const rules = certificate
        ? [
              ...certificateProblems(certificate, "anchor", "the trust anchor", moment),
              ...(leadsTo(certificate, others, readBundle(trustAnchors))
                  ? []
                  : ["is not one of the trust anchors that the mesh has"]),
          ]
        : [];
    return rules.map((rule) => ({
        subject,
        rule,
        next: "put the mesh's own anchor with its key there (ConfigMap linkerd/linkerd-identity-trust-roots has the certificate), or rotate the anchor with another identity.source first",
    }));
}

/** A rotation that another source began is finished there. */
function pendingFaults({ nextAnchor, issuer }: LiveIdentity, anchor: NamedPair): Fault[] {
    const unknown =
        nextAnchor && issuer
            ? without(readBundle(nextAnchor.certificate), readBundle(issuer.trustAnchors))
            : [];
    return nextAnchor === undefined || nextAnchor.name === anchor.name || unknown.length > 0
        ? []
        : [
              {
                  subject: `Secret linkerd/${NEXT_ANCHOR_SECRET}`,
                  value: nextAnchor.name ?? "",
                  rule: "a rotation of the trust anchor is not finished",
                  next: NO_ROTATION,
              },
          ];
}

/** An Issuer that signs with a CA's Secret beside it, or a Certificate; `cert-manager.io/v1`. */
export interface CertManagerObject {
    readonly kind: keyof typeof CERT_MANAGER_CRDS;
    readonly namespace: Webhook["namespace"];
    readonly name: string;
    readonly spec: Readonly<Record<string, unknown>>;
}

// A key of its own for each certificate, whatever the default of the cert-manager that is installed (1.18 changed it).
const KEY = { algorithm: "ECDSA", size: 256, rotationPolicy: "Always" };

/**
 * What is asked of cert-manager; names and times as in Linkerd's documentation (tasks/automatically-rotating-control-plane-
 * tls-credentials and -webhook-tls-credentials). One thing differs: the webhooks' CA is the one that the stack made, so that
 * API servers trust what was before and what comes at any moment of the change.
 */
export function certManagerObjects(
    namespace: Webhook["namespace"],
    trustDomain: string,
): readonly CertManagerObject[] {
    return objectsOfStack(trustDomain).filter((one) => one.namespace === namespace);
}

function objectsOfStack(trustDomain: string): CertManagerObject[] {
    const issuer = (namespace: Webhook["namespace"], name: string, secretName: string) => ({
        kind: "Issuer" as const,
        namespace,
        name,
        spec: { ca: { secretName } },
    });
    const name = issuerName(trustDomain);
    return [
        issuer("linkerd", ANCHOR_ISSUER, ANCHOR_SECRET),
        issuer("linkerd", WEBHOOK_ISSUER, WEBHOOK_CA_SECRET),
        issuer("linkerd-viz", WEBHOOK_ISSUER, WEBHOOK_CA_SECRET),
        issuer("linkerd-jaeger", WEBHOOK_ISSUER, WEBHOOK_CA_SECRET),
        {
            kind: "Certificate",
            namespace: "linkerd",
            name: ISSUER_SECRET,
            spec: {
                secretName: ISSUER_SECRET,
                duration: "48h0m0s",
                renewBefore: "25h0m0s",
                issuerRef: { name: ANCHOR_ISSUER, kind: "Issuer" },
                commonName: name,
                dnsNames: [name],
                isCA: true,
                privateKey: KEY,
                usages: ["cert sign", "crl sign", "server auth", "client auth"],
            },
        },
        ...WEBHOOKS.map((webhook) => ({
            kind: "Certificate" as const,
            namespace: webhook.namespace,
            name: webhook.service,
            spec: {
                secretName: webhookSecret(webhook.service),
                duration: "24h0m0s",
                renewBefore: "1h0m0s",
                issuerRef: { name: WEBHOOK_ISSUER, kind: "Issuer" },
                commonName: webhookName(webhook),
                dnsNames: [webhookName(webhook)],
                isCA: false,
                privateKey: KEY,
                usages: ["server auth"],
            },
        })),
    ];
}

function placeOf({ namespace, name }: { readonly namespace: string; readonly name: string }) {
    return `${namespace}/${name}`;
}

/** Annotation by which cert-manager's injector keeps a caBundle; the charts set it with `injectCaFrom`. */
export const INJECT_CA_FROM = "cert-manager.io/inject-ca-from";

/** Value of that annotation: the Certificate of a webhook's Service. */
export function injectCaFrom({ namespace, service }: Webhook): string {
    return `${namespace}/${service}`;
}
