import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { mint } from "../../plan/certificates";
import { checkLinkerd, LINKERD_EVALUATORS } from "../../plan/checks/linkerd";
import { addressWithin, rangeWithin } from "../../plan/checks/networks";
import type { HealthPod, LinkerdHealth } from "../../plan/checks/observation";
import { ISTIO_CHECKS, LINKERD_CHECKS, linkerdHint, type CheckRow } from "../../plan/checks/table";
import {
    anchorFrom,
    componentOf,
    healthy,
    issuerFrom,
    later,
    leafFrom,
    now,
    podOf,
    schedulable,
    serviceOf,
    unsupported,
} from "./support/health";

type Change = (health: LinkerdHealth) => LinkerdHealth | Promise<LinkerdHealth>;

const live =
    (fields: Partial<LinkerdHealth["live"]>): Change =>
    (health) => ({ ...health, live: { ...health.live, ...fields } });
const fields =
    (some: Partial<LinkerdHealth>): Change =>
    (health) => ({ ...health, ...some });
/** Pods for which `change` gives something become that. */
const pods =
    (change: (pod: HealthPod) => Partial<HealthPod> | undefined): Change =>
    (health) => ({
        ...health,
        pods: {
            value: ("value" in health.pods ? health.pods.value : []).map((pod) => ({
                ...pod,
                ...change(pod),
            })),
        },
    });
const withPod =
    (pod: HealthPod): Change =>
    (health) => ({
        ...health,
        pods: { value: ["value" in health.pods ? health.pods.value : [], pod].flat() },
    });
const component = (name: string, some: Partial<HealthPod>): Change =>
    pods((pod) => (pod.component === name ? some : undefined));
const withService =
    (some: Parameters<typeof serviceOf>[0]): Change =>
    (health) => ({
        ...health,
        services: {
            value: [
                "value" in health.services ? health.services.value : [],
                serviceOf(some),
            ].flat(),
        },
    });
const cni =
    (some: object): Change =>
    (health) => ({
        ...health,
        cni: {
            value: {
                ...(health.cni && "value" in health.cni ? health.cni.value : ({} as never)),
                ...some,
            },
        },
    });
const without = (key: "clusterRoles" | "clusterRoleBindings" | "serviceAccounts", name: string) =>
    ((health) => {
        const read = health[key];
        const rest = "value" in read ? read.value.filter((one) => one !== name) : [];
        return { ...health, [key]: { value: rest } };
    }) satisfies Change;
const noCniObject = (kind: string): Change =>
    cni({
        objects: {
            ...{ ConfigMap: true, ClusterRole: true, ClusterRoleBinding: true },
            ...{ ServiceAccount: true, DaemonSet: true },
            [kind]: false,
        },
    });
const identity =
    (make: (health: LinkerdHealth) => Promise<object>): Change =>
    async (health) => {
        const { issuer } = health.live.identity;
        const changed = { ...issuer, ...(await make(health)) } as typeof issuer;
        return live({ identity: { installed: true, ...(changed ? { issuer: changed } : {}) } })(
            health,
        );
    };
/** The anchor begins then, and the issuer is of it. */
const anchor = (begin: Date): Change =>
    identity(async () => {
        const pair = await anchorFrom(begin);
        return { ...(await issuerFrom(pair, now)), trustAnchors: pair.certificate };
    });
const leaf =
    (service: string, name: string, begin: Date): Change =>
    async (health) => {
        const ca = health.live.webhooks.ca ?? (await anchorFrom(now));
        const pair = await leafFrom(ca, name, begin);
        const { webhooks } = health.live;
        return live({
            webhooks: { ...webhooks, leaves: { ...webhooks.leaves, [service]: pair } },
        })(health);
    };
const access = (fields_: object): Change =>
    fields({
        install: { stack: "organization/mesh-upgrade/demo" },
        access: {
            value: {
                cluster: { "create clusterroles": true },
                namespaced: { "get secrets": true },
                requestHeaders: true,
                ...fields_,
            },
        },
    });

const certificates = (name: string): [string, string, Change, RegExp][] => [
    [
        "linkerd-webhooks-and-apisvc-tls",
        `l5d-${name}-webhook-cert-valid`,
        leaf(`linkerd-${name}`, "elsewhere.linkerd.svc", now),
        new RegExp(
            `^the certificate of linkerd-${name} does not name linkerd-${name}.linkerd.svc$`,
        ),
    ],
    [
        "linkerd-webhooks-and-apisvc-tls",
        `l5d-${name}-webhook-cert-not-expiring-soon`,
        leaf(`linkerd-${name}`, `linkerd-${name}.linkerd.svc`, later(59 - 730)),
        new RegExp(`^the certificate of linkerd-${name} end within 60 days: .* on 2027-01-1\\d$`),
    ],
];

/** Category, id, what makes the check fail, and what it then says. */
const FAILURES: [string, string, Change, RegExp][] = [
    [
        "kubernetes-version",
        "k8s-version",
        live({ serverVersion: "v1.21.9-gke.1" }),
        /^v1\.21\.9-gke\.1 is older than 1\.22\.0, which edge-24\.5\.3 needs$/,
    ],
    [
        "gateway-api-crd",
        "gateway-api-crd",
        fields({ gatewayApi: { target: "edge-25.9.4", brought: false } }),
        /^edge-25\.9\.4 needs the CRDs of the Gateway API: neither HTTPRoutes nor GRPCRoutes are there, and the chart linkerd-crds brings neither; install the Gateway API, or set crds\.values\.enableHttpRoutes: true$/,
    ],
    [
        "pre-kubernetes-setup",
        "pre-ns",
        async (health) =>
            access({})(await live({ namespaces: [{ name: "linkerd", stack: undefined }] })(health)),
        /^namespace linkerd exists and is not this stack's$/,
    ],
    [
        "pre-kubernetes-setup",
        "pre-k8s-cluster-k8s",
        access({ cluster: { "create clusterroles": false } }),
        /^not allowed: create clusterroles$/,
    ],
    [
        "pre-kubernetes-setup",
        "pre-k8s",
        access({ requestHeaders: false }),
        /extension-apiserver-authentication has no requestheader-client-ca-file/,
    ],
    [
        "pre-kubernetes-setup",
        "pre-k8s-clock-skew",
        async (health) =>
            access({})(
                await fields({
                    nodes: {
                        value: [
                            {
                                name: "node-1",
                                podCidr: undefined,
                                runtime: "",
                                heartbeat: now.getTime() + 311_000,
                                ...schedulable,
                            },
                        ],
                    },
                })(health),
            ),
        /^nodes whose clock is more than 5 minutes off, or whose kubelet is late: node-1$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-ns",
        live({ namespaces: [] }),
        /^namespace linkerd does not exist$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-cr",
        without("clusterRoles", "linkerd-linkerd-identity"),
        /^ClusterRole missing: linkerd-linkerd-identity$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-crb",
        without("clusterRoleBindings", "linkerd-linkerd-identity"),
        /^ClusterRoleBinding missing: linkerd-linkerd-identity$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-sa",
        without("serviceAccounts", "linkerd-identity"),
        /^ServiceAccount missing: linkerd-identity$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-crd",
        live({ crds: [] }),
        /^CustomResourceDefinition missing: authorizationpolicies\..* and 3 more$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-mwc",
        fields({ mutating: { value: [] } }),
        /^MutatingWebhookConfiguration missing: linkerd-proxy-injector-webhook-config$/,
    ],
    [
        "linkerd-config",
        "l5d-existence-vwc",
        fields({ services: { value: [] } }),
        /^ValidatingWebhookConfiguration calls a Service that does not exist: linkerd\/linkerd-sp-validator, linkerd\/linkerd-policy-validator$/,
    ],
    [
        "linkerd-config",
        "l5d-proxy-init-run-as-root",
        fields({
            cni: undefined,
            nodes: {
                value: [
                    {
                        name: "old",
                        podCidr: "10.1.0.0/24",
                        runtime: "docker://20.10",
                        heartbeat: undefined,
                        ...schedulable,
                    },
                ],
            },
        }),
        /^proxyInit\.runAsRoot has to be true for nodes whose runtime is Docker: old$/,
    ],
    [
        "linkerd-existence",
        "l5d-existence-linkerd-config",
        live({ linkerdVersion: undefined }),
        /^ConfigMap linkerd\/linkerd-config is missing or names no linkerdVersion$/,
    ],
    [
        "linkerd-existence",
        "l5d-existence-sa",
        without("serviceAccounts", "linkerd-heartbeat"),
        /^ServiceAccount missing: linkerd-heartbeat$/,
    ],
    [
        "linkerd-existence",
        "l5d-existence-replicasets",
        fields({ replicaFailures: { value: ["linkerd-identity-5d (FailedCreate: quota)"] } }),
        /^no pods can be made: linkerd-identity-5d \(FailedCreate: quota\)$/,
    ],
    [
        "linkerd-existence",
        "l5d-existence-unschedulable-pods",
        component("identity", { unschedulable: "0/3 nodes are available" }),
        /^pods without a node: linkerd-identity-1 \(0\/3 nodes are available\)$/,
    ],
    [
        "linkerd-existence",
        "l5d-api-control-ready",
        component("proxy-injector", {
            containersReady: false,
            trouble: "container proxy: CrashLoopBackOff",
        }),
        /^without a ready pod: linkerd-proxy-injector \(linkerd-proxy-injector-1: container proxy: CrashLoopBackOff\)$/,
    ],
    [
        "linkerd-existence",
        "l5d-cluster-networks-cidr",
        live({ values: { clusterNetworks: "10.244.0.0/25" } }),
        /^clusterNetworks does not hold the nodes' pod ranges: 10\.244\.0\.0\/24$/,
    ],
    [
        "linkerd-existence",
        "l5d-cluster-networks-pods",
        withService({ outside: "172.30.0.1" }),
        /^clusterNetworks does not hold: Service shop\/web \(172\.30\.0\.1\)$/,
    ],
    ...(
        [
            ["cm", "ConfigMap"],
            ["cr", "ClusterRole"],
            ["crb", "ClusterRoleBinding"],
            ["sa", "ServiceAccount"],
            ["ds", "DaemonSet"],
        ] as const
    ).map(([short, kind]): [string, string, Change, RegExp] => [
        "linkerd-cni-plugin",
        `cni-plugin-${short}-exists`,
        noCniObject(kind),
        new RegExp(`^${kind} of the CNI plugin is missing$`),
    ]),
    [
        "linkerd-cni-plugin",
        "cni-plugin-ready",
        cni({ ready: 2 }),
        /^the CNI plugin is ready on 2 of 3 nodes$/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-cert-config-valid",
        identity(async () => ({ key: (await anchorFrom(now)).key })),
        /key/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-trustAnchors-use-supported-crypto",
        identity(() => Promise.resolve({ trustAnchors: P384 })),
        /^trust anchors: .*key is neither ECDSA P-256 nor RSA/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-trustAnchors-are-time-valid",
        anchor(later(-11 * 365)),
        /^trust anchors: .* expired on 2025-/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-trustAnchors-not-expiring-soon",
        anchor(later(50 - 3652)),
        /^the trust anchors end within 60 days: .* on 2027-01-/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-issuer-cert-uses-supported-crypto",
        identity(() => Promise.resolve({ certificate: P384 })),
        /key is not ECDSA P-256/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-issuer-cert-is-time-valid",
        identity(async () => issuerFrom(await anchorFrom(later(-800)), later(-400))),
        /expired on 2026-10-/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-issuer-cert-not-expiring-soon",
        identity(async () => issuerFrom(await anchorFrom(now), later(59 - 365))),
        /^the issuer end within 60 days: .* on 2027-01-19$/,
    ],
    [
        "linkerd-identity",
        "l5d-identity-issuer-cert-issued-by-trust-anchor",
        identity(async () => issuerFrom(await anchorFrom(now), now)),
        /^the issuer \(CN=identity\.linkerd\.cluster\.local\) leads to no trust anchor$/,
    ],
    ...["proxy-injector", "sp-validator", "policy-validator"].flatMap(certificates),
    [
        "linkerd-identity-data-plane",
        "l5d-identity-data-plane-proxies-certs-match-ca",
        withPod(podOf({ name: "old-1", trusts: false })),
        /^pods with other trust anchors than those of now; a restart brings them: shop\/old-1$/,
    ],
    [
        "control-plane-version",
        "l5d-version-control",
        component("identity", { tags: ["edge-24.7.5"] }),
        /^not of edge-24\.5\.3: linkerd-identity-1 \(edge-24\.7\.5\)$/,
    ],
    [
        "linkerd-control-plane-proxy",
        "l5d-cp-proxy-healthy",
        component("identity", { proxyReady: false }),
        /^proxies that are not ready: linkerd\/linkerd-identity-1 \(its proxy is not ready\)$/,
    ],
    [
        "linkerd-control-plane-proxy",
        "l5d-cp-proxy-version",
        component("identity", { proxy: "edge-24.1.1" }),
        /^proxies not of edge-24\.5\.3: linkerd\/linkerd-identity-1 \(edge-24\.1\.1\)$/,
    ],
    [
        "linkerd-data-plane",
        "l5d-data-plane-ready",
        withPod(podOf({ name: "web-2", running: false, trouble: "Unschedulable: no disk" })),
        /^proxies that are not ready: shop\/web-2 \(Unschedulable: no disk\)$/,
    ],
    [
        "linkerd-data-plane",
        "l5d-data-plane-version",
        withPod(podOf({ name: "web-2", proxy: "stable-2.14.10" })),
        /^proxies not of edge-24\.5\.3: shop\/web-2 \(stable-2\.14\.10\)$/,
    ],
    [
        "linkerd-data-plane",
        "l5d-data-plane-pod-labels",
        withPod(podOf({ name: "web-2", misplaced: ["linkerd.io/inject"] })),
        /^labels that should be annotations: shop\/web-2: linkerd\.io\/inject$/,
    ],
    [
        "linkerd-data-plane",
        "l5d-data-plane-services-labels",
        withService({ misplacedLabels: ["config.linkerd.io/opaque-ports"] }),
        /^labels that should be annotations: shop\/web: config\.linkerd\.io\/opaque-ports$/,
    ],
    [
        "linkerd-data-plane",
        "l5d-data-plane-services-annotations",
        withService({ misplacedAnnotations: ["mirror.linkerd.io/exported"] }),
        /^annotations that should be labels: shop\/web: mirror\.linkerd\.io\/exported$/,
    ],
    [
        "linkerd-ha-checks",
        "l5d-control-plane-replicas",
        fields({
            available: { value: { "linkerd-destination": 3, "linkerd-identity": 1 } },
        }),
        /^fewer than two available replicas: linkerd-identity \(1\), linkerd-proxy-injector \(0\)$/,
    ],
    [
        "linkerd-extension-checks",
        "l5d-extension-namespaces",
        fields({
            extensions: {
                value: ["a", "b"].map((name) => ({
                    name,
                    extension: "viz",
                    externalPrometheus: false,
                })),
            },
        }),
        /^extensions with more than one namespace: viz \(a, b\)$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-ns-exists",
        live({ namespaces: [] }),
        /^namespace linkerd-viz does not exist$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-cr-exists",
        without("clusterRoles", "linkerd-tap-injector"),
        /^ClusterRole missing: linkerd-tap-injector$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-crb-exists",
        without("clusterRoleBindings", "linkerd-tap-injector"),
        /^ClusterRoleBinding missing: linkerd-tap-injector$/,
    ],
    [
        "linkerd-viz",
        "l5d-tap-cert-valid",
        async (health) => {
            const stranger = await mint({ name: "x", authority: true, years: 1, now });
            const { webhooks } = health.live;
            const bundles = { ...webhooks.bundles, tap: stranger.certificate };
            return live({ webhooks: { ...webhooks, bundles } })(health);
        },
        /^the certificate of tap is not signed by the caBundle/,
    ],
    [
        "linkerd-viz",
        "l5d-tap-cert-not-expiring-soon",
        leaf("tap", "tap.linkerd-viz.svc", later(59 - 730)),
        /^the certificate of tap end within 60 days/,
    ],
    [
        "linkerd-viz",
        "l5d-tap-api",
        fields({ tap: { value: "APIService v1alpha1.tap.linkerd.io: MissingEndpoints: none" } }),
        /MissingEndpoints/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-pods-injection",
        component("web", { meshed: false }),
        /^pods without a proxy: linkerd-viz\/web-1$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-pods-running",
        component("tap", { gone: true }),
        /^components that do not run: tap \(no pod\)$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-proxy-healthy",
        component("tap", { trusts: false }),
        /^proxies that are not healthy: linkerd-viz\/tap-1 \(other trust anchors than those of now\)$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-proxy-cp-version",
        component("tap", { proxy: undefined }),
        /^proxies not of edge-24\.5\.3: linkerd-viz\/tap-1 \(no version\)$/,
    ],
    [
        "linkerd-viz",
        "l5d-viz-prometheus",
        fields({ prometheusConfig: { value: false } }),
        /^of the Prometheus of viz is missing: ConfigMap prometheus-config$/,
    ],
];

/** With a key that Linkerd does not take. */
let P384 = "";

describe("each check finds its fault", () => {
    let well: LinkerdHealth;
    beforeAll(async () => {
        well = await healthy();
        P384 = await unsupported();
    });

    it("a mesh in which all is well fails none", () => {
        const results = checkLinkerd(well, "before");
        expect(results.filter(({ result }) => result !== "ok").map(({ id }) => id)).toEqual([
            // The CNI plugin does its work.
            "l5d-proxy-init-run-as-root",
        ]);
        expect(results).toHaveLength(
            LINKERD_CHECKS.filter(({ category }) => category !== "pre-kubernetes-setup").length,
        );
    });

    it("every check of the table has a row here, but the one that nothing can get past", () => {
        const told = FAILURES.map(([category, id]) => `${category} ${id}`);
        const all = LINKERD_CHECKS.map(({ category, id }) => `${category} ${id}`);
        expect(told.sort()).toEqual(all.filter((one) => !one.endsWith(" k8s-api")).sort());
    });

    it.each(FAILURES)("%s: %s", async (category, id, change, message) => {
        const results = checkLinkerd(await change(well), "before");
        const found = results.find((one) => one.category === category && one.id === id);
        expect(found?.message).toMatch(message);
        expect(found).toEqual({
            id,
            category,
            severity: LINKERD_CHECKS.find((one) => one.id === id && one.category === category)
                ?.severity,
            result: "failed",
            message: found?.message,
            hint: linkerdHint(id),
        });
    });

    // kubeVersion of the charts at these tags
    it.each([
        ["stable-2.14.10", "v1.20.15", "failed"],
        ["stable-2.14.10", "v1.21.0", "ok"],
        ["edge-25.2.2", "v1.22.0", "ok"],
        ["edge-25.2.3", "v1.22.17", "failed"],
        ["edge-26.8.3", "v1.30.4", "failed"],
        ["edge-26.8.3", "v1.31.0", "ok"],
    ])("%s on Kubernetes %s: %s", (version, serverVersion, result) => {
        const expected = { ...well.expected, version };
        const health = { ...well, expected, live: { ...well.live, serverVersion } };
        expect(checkLinkerd(health, "before").find(({ id }) => id === "k8s-version")).toMatchObject(
            { result },
        );
    });

    it("a stable release asks for no CRD that came after it", () => {
        const crds = well.live.crds.filter(({ name }) => !name.startsWith("externalworkloads."));
        const failing = (linkerdVersion: string) =>
            checkLinkerd({ ...well, live: { ...well.live, crds, linkerdVersion } }, "before")
                .filter(({ id, result }) => result === "failed" && /crd/.test(id))
                .map(({ message }) => message);
        expect(failing("stable-2.14.10")).toEqual([]);
        expect(failing("edge-24.5.3")).toEqual([expect.stringContaining("externalworkloads")]);
    });

    it("a pod that was made a moment ago may still start", async () => {
        const unready = { running: false, proxyReady: false };
        const failing = async (created: number) => {
            const change = withPod(podOf({ name: "cron-1", created, ...unready }));
            return checkLinkerd(await change(well), "before")
                .filter(({ result }) => result === "failed")
                .map(({ id }) => id);
        };
        expect(await failing(well.since.getTime() + 1)).toEqual([]);
        expect(await failing(well.since.getTime())).toEqual(["l5d-data-plane-ready"]);
    });

    it("a read that is refused makes every check unknown that needs it, with the server's reason", () => {
        const refused = { unknown: "nodes is forbidden" };
        const results = checkLinkerd({ ...well, nodes: refused, cni: undefined }, "before");
        expect(
            results
                .filter(({ result }) => result === "unknown")
                .map(({ id, message }) => [id, message]),
        ).toEqual([
            ["l5d-proxy-init-run-as-root", "nodes is forbidden"],
            ["l5d-cluster-networks-cidr", "nodes is forbidden"],
        ]);
    });

    it("what cannot be seen is skipped with a reason, never failed", () => {
        const values = { clusterNetworks: "" };
        const results = checkLinkerd(
            {
                ...well,
                live: { ...well.live, values },
                cni: undefined,
                viz: false,
                nodes: { value: [] },
            },
            "before",
        );
        const skipped = results.filter(({ result }) => result === "skipped");
        expect(new Set(skipped.map(({ message }) => message))).toEqual(
            new Set([
                "linkerd-config has no clusterNetworks that can be read",
                "cniEnabled is not set",
                "highAvailability is not set",
                "there is no linkerd-viz",
            ]),
        );
        expect(results.filter(({ result }) => result === "failed")).toEqual([]);
    });

    it("what cert-manager renews every day ends soon, and that is no fault", async () => {
        const name = "linkerd-proxy-injector";
        const health = await leaf(name, `${name}.linkerd.svc`, later(1 - 730))(well);
        const wrote = [`linkerd/${name}-k8s-tls`];
        const results = checkLinkerd(
            { ...health, live: { ...health.live, certManager: { wrote } } },
            "end",
        );
        expect(
            results.find(({ id }) => id === "l5d-proxy-injector-webhook-cert-not-expiring-soon"),
        ).toMatchObject({
            result: "skipped",
            message: "cert-manager renews the certificate of linkerd-proxy-injector",
        });
    });

    it("pods that have ended or are on their way out do not count", async () => {
        const ended = podOf({ gone: true, running: false, proxyReady: false, proxy: "old" });
        const results = checkLinkerd(await withPod(ended)(well), "end");
        expect(results.filter(({ result }) => result === "failed")).toEqual([]);
    });

    it("one ready pod of a component is enough", async () => {
        const sick = componentOf("identity", {
            containersReady: false,
            name: "linkerd-identity-2",
        });
        const results = checkLinkerd(await withPod(sick)(well), "before");
        expect(results.filter(({ result }) => result === "failed")).toEqual([]);
    });
});

describe("the table of checks", () => {
    it("has an evaluator for each row, and no other", () => {
        const rows = LINKERD_CHECKS.map(({ category, id }) => `${category} ${id}`);
        const evaluated = Object.entries(LINKERD_EVALUATORS).flatMap(([category, ids]) =>
            Object.keys(ids).map((id) => `${category} ${id}`),
        );
        expect(evaluated.sort()).toEqual([...rows].sort());
        expect(new Set(rows).size).toBe(rows.length);
    });

    it("between extensions and waves nothing holds a restart up that only a restart changes", () => {
        const between = LINKERD_CHECKS.filter(({ when }) => when.includes("between"));
        expect(between.map(({ category }) => category)).not.toContain("linkerd-data-plane");
        expect(between.map(({ category }) => category)).not.toContain(
            "linkerd-identity-data-plane",
        );
    });
});

describe("docs/checks.md", () => {
    it("has each check with category, severity, when it runs and who mends it", async () => {
        const text = await readFile("docs/checks.md", "utf8");
        // Prettier aligns the columns of a table.
        const lines = new Set(text.split("\n").map((line) => line.replaceAll(/ +/g, " ")));
        const missing = [...LINKERD_CHECKS, ...ISTIO_CHECKS].map(docsLine);
        expect(missing.filter((line) => !lines.has(line))).toEqual([]);
    });
});

function docsLine({ id, category, severity, about, needs, when, cure }: CheckRow): string {
    return `| ${[`\`${id}\``, category, severity, about, needs, when.join(", "), cure].join(" | ")} |`;
}

describe("ranges of clusterNetworks", () => {
    it.each([
        ["10.244.0.0/24", ["10.0.0.0/8"], true],
        ["10.0.0.0/8", ["10.0.0.0/8"], true],
        ["10.0.0.0/7", ["10.0.0.0/8"], false],
        ["fd00:10::/64", ["10.0.0.0/8", "fd00::/8"], true],
        ["11.0.0.0/24", ["10.0.0.0/8"], false],
        ["nonsense", ["10.0.0.0/8"], false],
    ])("%s within %j: %s", (range, networks, expected) => {
        expect(rangeWithin(range, networks)).toBe(expected);
    });

    it.each([
        ["10.1.2.3", true],
        ["fd00::1", true],
        ["192.168.1.1", false],
        ["", false],
    ])("address %s: %s", (address, expected) => {
        expect(addressWithin(["10.0.0.0/8", "fd00::/8"])(address)).toBe(expected);
    });
});
