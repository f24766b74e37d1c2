// The X.509 library asks for this polyfill first.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import { mint, type KeyPair } from "../../../plan/certificates";
import type { HealthPod, HealthService, LinkerdHealth } from "../../../plan/checks/observation";
import { WEBHOOKS, webhookName } from "../../../plan/webhooks";

export const now = new Date("2026-11-21T00:00:00Z");
export const VERSION = "edge-24.5.3";

/** A pod of shop that is well; `fields` differ. */
export const podOf = (fields: Partial<HealthPod> = {}): HealthPod => ({
    namespace: "shop",
    name: "web-1",
    created: 0,
    gone: false,
    running: true,
    component: undefined,
    meshed: true,
    proxy: VERSION,
    proxyReady: true,
    containersReady: true,
    tags: [],
    trusts: true,
    unschedulable: undefined,
    trouble: undefined,
    outside: undefined,
    misplaced: [],
    ...fields,
});

/** A pod of the control plane that is well. */
export const componentOf = (component: string, fields: Partial<HealthPod> = {}): HealthPod =>
    podOf({
        namespace: "linkerd",
        name: `linkerd-${component}-1`,
        component,
        tags: [VERSION],
        ...fields,
    });

/** A node that takes any pod. */
export const schedulable = {
    labels: { "kubernetes.io/os": "linux" },
    cordoned: false,
    taints: [],
} as const;

const vizPodOf = (component: string) =>
    podOf({ namespace: "linkerd-viz", name: `${component}-1`, component });

export const serviceOf = (fields: Partial<HealthService> = {}): HealthService => ({
    namespace: "shop",
    name: "web",
    outside: undefined,
    misplacedLabels: [],
    misplacedAnnotations: [],
    ...fields,
});

const DAY = 24 * 3_600_000;
/** `days` from now. */
export const later = (days: number) => new Date(now.getTime() + days * DAY);

export const anchorFrom = (begin: Date): Promise<KeyPair> =>
    mint({ name: "root.linkerd.cluster.local", authority: true, years: 10, now: begin });

/** An issuer for a year. */
export const issuerFrom = (issuer: KeyPair, begin: Date): Promise<KeyPair> =>
    mint({ name: "identity.linkerd.cluster.local", issuer, authority: true, years: 1, now: begin });

export const leafFrom = (issuer: KeyPair, name: string, begin: Date): Promise<KeyPair> =>
    mint({ name, issuer, authority: false, years: 2, now: begin });

/** A self-signed certificate of ECDSA P-384, as PEM. */
export async function unsupported(): Promise<string> {
    const signingAlgorithm = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-256" };
    const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
    const made = await x509.X509CertificateGenerator.createSelfSigned({
        name: "CN=x",
        keys,
        signingAlgorithm,
        notBefore: now,
        notAfter: later(365),
    });
    return made.toString("pem");
}

/** A mesh of edge-24.5.3 with viz, in which all is well. */
export async function healthy(): Promise<LinkerdHealth> {
    const anchor = await anchorFrom(now);
    const issuer = await issuerFrom(anchor, now);
    const ca = await mint({ name: "webhooks.linkerd", authority: true, years: 10, now });
    const leaves = await Promise.all(
        WEBHOOKS.map(
            async (one) => [one.service, await leafFrom(ca, webhookName(one), now)] as const,
        ),
    );
    const services = (...names: string[]) => names.map((name) => `linkerd/${name}`);
    return {
        now,
        since: now,
        live: {
            namespaces: [
                { name: "linkerd", stack: "organization/mesh-upgrade/demo" },
                { name: "linkerd-viz", stack: "organization/mesh-upgrade/demo" },
            ],
            linkerdVersion: VERSION,
            serverVersion: "v1.34.4",
            crds: [
                "authorizationpolicies.policy.linkerd.io",
                "externalworkloads.workload.linkerd.io",
                "httproutes.policy.linkerd.io",
                "meshtlsauthentications.policy.linkerd.io",
                "networkauthentications.policy.linkerd.io",
                "serverauthorizations.policy.linkerd.io",
                "servers.policy.linkerd.io",
                "serviceprofiles.linkerd.io",
            ].map((name) => ({
                name,
                chartVersion: "2024.5.3",
                linkerd: true,
                stack: "organization/mesh-upgrade/demo",
            })),
            identity: {
                installed: true,
                issuer: {
                    ...issuer,
                    scheme: "kubernetes.io/tls",
                    trustAnchors: anchor.certificate,
                },
            },
            webhooks: {
                ca,
                leaves: Object.fromEntries(leaves),
                bundles: Object.fromEntries(
                    WEBHOOKS.map(({ service }) => [service, ca.certificate]),
                ),
            },
            certManager: { wrote: [] },
            values: {
                clusterNetworks: "10.0.0.0/8,fd00::/8",
                highAvailability: true,
                cniEnabled: true,
            },
        },
        expected: { version: VERSION, proxy: VERSION },
        viz: true,
        install: undefined,
        gatewayApi: { target: "edge-25.9.4", brought: true },
        pods: {
            value: [
                ...["destination", "identity", "proxy-injector"].map((one) => componentOf(one)),
                ...["web", "tap", "metrics-api", "tap-injector", "prometheus"].map(vizPodOf),
                podOf(),
            ],
        },
        services: {
            value: [
                "linkerd-proxy-injector",
                "linkerd-sp-validator",
                "linkerd-policy-validator",
            ].map((name) => serviceOf({ namespace: "linkerd", name })),
        },
        nodes: {
            value: [
                {
                    name: "node-1",
                    podCidr: "10.244.0.0/24",
                    runtime: "containerd://2.1.4",
                    heartbeat: now.getTime() - 60_000,
                    ...schedulable,
                },
            ],
        },
        replicaFailures: { value: [] },
        available: {
            value: {
                "linkerd-destination": 3,
                "linkerd-identity": 3,
                "linkerd-proxy-injector": 3,
            },
        },
        clusterRoles: {
            value: [
                "linkerd-linkerd-identity",
                "linkerd-linkerd-proxy-injector",
                "linkerd-linkerd-viz-tap",
                "linkerd-linkerd-viz-metrics-api",
                "linkerd-linkerd-viz-tap-admin",
                "linkerd-linkerd-viz-prometheus",
                "linkerd-tap-injector",
            ],
        },
        clusterRoleBindings: {
            value: [
                "linkerd-linkerd-identity",
                "linkerd-linkerd-proxy-injector",
                "linkerd-linkerd-viz-tap",
                "linkerd-linkerd-viz-metrics-api",
                "linkerd-linkerd-viz-tap-auth-delegator",
                "linkerd-linkerd-viz-prometheus",
                "linkerd-tap-injector",
            ],
        },
        serviceAccounts: {
            value: [
                "linkerd-destination",
                "linkerd-heartbeat",
                "linkerd-identity",
                "linkerd-proxy-injector",
            ],
        },
        mutating: {
            value: [
                {
                    name: "linkerd-proxy-injector-webhook-config",
                    services: services("linkerd-proxy-injector"),
                },
            ],
        },
        validating: {
            value: [
                {
                    name: "linkerd-sp-validator-webhook-config",
                    services: services("linkerd-sp-validator"),
                },
                {
                    name: "linkerd-policy-validator-webhook-config",
                    services: services("linkerd-policy-validator"),
                },
            ],
        },
        extensions: {
            value: [{ name: "linkerd-viz", extension: "viz", externalPrometheus: false }],
        },
        cni: {
            value: {
                objects: {
                    ConfigMap: true,
                    ClusterRole: true,
                    ClusterRoleBinding: true,
                    ServiceAccount: true,
                    DaemonSet: true,
                },
                ready: 3,
                desired: 3,
                down: [],
                owners: [undefined],
            },
        },
        tap: { value: undefined },
        prometheusConfig: { value: true },
        access: undefined,
    };
}
