/**
 * Rendered YAML as a source: what is refused, what of it stays and what becomes the stack's. That the objects are those of the
 * chart, to the byte, is for test/e2e/sources.test.ts, which has Helm.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments, parseDocument } from "yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRendered, wrapManifests } from "../../charts/rendered";
import {
    parseManifests,
    renderedControlPlane,
    withRendered,
    withStacksOwn,
    type RenderedChart,
} from "../../plan/rendered";
import { newerInCluster, renderedCrds, withLiveCrds } from "../../plan/renderedCrds";
import type { Fault } from "../../plan/faults";
import { merge } from "../../plan/values";
import { versionAt } from "./support/releases";

const version = versionAt("edge-24.7.5");
const data = join(import.meta.dirname, "../../../shared/data");

const crd = (name: string, meta: string) =>
    `---\nkind: CustomResourceDefinition\nmetadata: { name: ${name}, ${meta} }\n`;
const OF_HELM = "labels: { helm.sh/chart: linkerd-crds-2024.7.5 }";
const OF_CLI = "annotations: { linkerd.io/created-by: linkerd/cli edge-24.7.5 }";

/** The least that counts as a control plane, with what each render has its own of. */
const CONTROL_PLANE = `
kind: Namespace
metadata: { name: linkerd }
---
kind: Secret
metadata: { name: linkerd-identity-issuer, namespace: linkerd }
data: { key.pem: THE-KEY }
---
kind: Secret
metadata: { name: linkerd-config-overrides, namespace: linkerd }
data: { linkerd-config-overrides: THE-KEY }
---
kind: Secret
metadata: { name: linkerd-proxy-injector-k8s-tls, namespace: linkerd }
data: { tls.key: THE-KEY }
---
kind: ConfigMap
metadata: { name: linkerd-config, namespace: linkerd }
data:
  values: |
    clusterNetworks: 10.0.0.0/8
    controllerReplicas: 3
    identity:
      issuer:
        scheme: linkerd.io/tls
        tls:
          crtPEM: THEIRS
    identityTrustAnchorsPEM: THEIRS
    identityTrustDomain: mesh.example
    imagePullSecrets: []
    linkerdVersion: edge-24.7.5
    podAnnotations: {}
    policyValidator:
      caBundle: ""
      crtPEM: ""
      externalSecret: false
    profileValidator:
      caBundle: ""
      crtPEM: ""
      externalSecret: false
    proxy:
      image:
        version: edge-24.7.5
      ports:
      - a: "0644"
    proxyInjector:
      caBundle: ""
      crtPEM: THEIRS
      externalSecret: false
      injectCaFrom: theirs/it
---
kind: ConfigMap
metadata: { name: linkerd-identity-trust-roots, namespace: linkerd }
data: { ca-bundle.crt: THEIRS }
---
kind: CronJob
metadata: { name: linkerd-heartbeat, namespace: linkerd }
spec:
  schedule: "17 4 * * *"
  jobTemplate: { spec: { template: { metadata: { annotations: { a: b } } } } }
---
kind: MutatingWebhookConfiguration
metadata:
  name: linkerd-proxy-injector-webhook-config
  annotations: { cert-manager.io/inject-ca-from: theirs/it, kept: "yes" }
webhooks:
- clientConfig: { caBundle: THEIRS, service: { name: linkerd-proxy-injector, namespace: linkerd } }
- clientConfig: { caBundle: SOMEBODYS, service: { name: other, namespace: other } }
---
kind: Deployment
metadata: { name: linkerd-identity, namespace: linkerd }
spec:
  template:
    metadata: { annotations: { linkerd.io/trust-root-sha256: THEIRS } }
    spec:
      containers:
      - name: identity
        args: [identity, -identity-scheme=linkerd.io/tls]
        image: "{{ not a template }}"
---
kind: Deployment
metadata: { name: linkerd-destination, namespace: linkerd }
spec: { template: { metadata: { annotations: { checksum/config: reviewed } } } }
---
kind: Deployment
metadata: { name: linkerd-proxy-injector, namespace: linkerd }
spec: { template: {} }
`;

const controlPlane = (text = CONTROL_PLANE) =>
    renderedControlPlane(parseManifests(text), "plane.yaml", version);
const faultOf = (found: RenderedChart | readonly Fault[]) => {
    expect(found).toHaveLength(1);
    return (found as readonly Fault[])[0];
};
const accepted = (found: RenderedChart | readonly Fault[]) => {
    expect(found).toHaveProperty("documents");
    return found as RenderedChart;
};

const PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const own = {
    version,
    identity: {
        scheme: "kubernetes.io/tls" as const,
        trustAnchors: PEM,
        issuer: { certificate: "ISSUER", key: "KEY" },
    },
    webhooks: {
        ca: { certificate: PEM, key: "KEY" },
        leaves: {},
        bundles: {
            "linkerd-proxy-injector": PEM,
            "linkerd-sp-validator": PEM,
            "linkerd-policy-validator": PEM,
        },
    },
};

/** Values that say which routes of the Gateway API are rendered. */
const routes = (rendered: readonly string[]) => ({
    installGatewayAPI: false,
    ...Object.fromEntries(
        ["enableHttpRoutes", "enableTcpRoutes", "enableTlsRoutes"].map((key) => [
            key,
            rendered.includes(key),
        ]),
    ),
});

describe("rendered CRDs", () => {
    it.each([
        ["Helm's", OF_HELM],
        ["the linkerd CLI's, whose label names no release", OF_CLI],
    ])("of the right release are used: %s", (_, meta) => {
        const text = crd("servers.policy.linkerd.io", meta);
        const { documents, values } = accepted(renderedCrds(parseManifests(text), "c", version));
        expect(documents.map((one) => one.toJS() as unknown)).toMatchObject([
            { metadata: { labels: { "helm.sh/chart": "linkerd-crds-2024.7.5" } } },
        ]);
        expect(values).toEqual(routes([]));
    });

    it.each([
        ["stable-2.14.10", "labels: { helm.sh/chart: linkerd-crds-1.8.0 }"],
        ["stable-2.14.3", "labels: { helm.sh/chart: linkerd-crds-1.8.0 }"],
        ["stable-2.14.10", "annotations: { linkerd.io/created-by: linkerd/cli stable-2.14.10 }"],
    ])("of %s are those of its chart: %s", (tag, meta) => {
        const text = crd("servers.policy.linkerd.io", meta);
        const { documents } = accepted(renderedCrds(parseManifests(text), "c", versionAt(tag)));
        expect(documents[0]?.toJS()).toMatchObject({
            metadata: { labels: { "helm.sh/chart": "linkerd-crds-1.8.0" } },
        });
        expect(faultOf(renderedCrds(parseManifests(text), "c", version))).toMatchObject({
            subject: "crds.manifests",
            next: expect.stringContaining("--version 2024.7.5") as string,
        });
    });

    it("of Helm carry the release, which it leaves out without a value for it", () => {
        const text = crd(
            "a.linkerd.io",
            `${OF_HELM}, annotations: { linkerd.io/created-by: linkerd/helm %!s(<nil>) }`,
        );
        const { documents } = accepted(renderedCrds(parseManifests(text), "c", version));
        expect(documents[0]?.toJS()).toMatchObject({
            metadata: { annotations: { "linkerd.io/created-by": "linkerd/helm edge-24.7.5" } },
        });
    });

    it("tell whether they bring those of the Gateway API, which may be somebody else's", () => {
        const valuesOf = (kind: string) => {
            const text = crd(`${kind}.gateway.networking.k8s.io`, OF_HELM);
            return accepted(renderedCrds(parseManifests(text), "c", version)).values;
        };
        expect(valuesOf("httproutes")).toEqual(routes(["enableHttpRoutes"]));
        expect(valuesOf("grpcroutes")).toEqual(routes(["enableHttpRoutes"]));
        expect(valuesOf("tlsroutes")).toEqual(routes(["enableTlsRoutes"]));
    });

    it.each([
        [
            "of another release",
            crd("a.linkerd.io", "labels: { helm.sh/chart: linkerd-crds-2024.5.3 }"),
            { value: "edge-24.5.3", rule: /^the manifests are not of edge-24\.7\.5/ },
        ],
        [
            "of two releases",
            crd("a.linkerd.io", OF_HELM) +
                crd("b.linkerd.io", "labels: { helm.sh/chart: linkerd-crds-2024.5.3 }"),
            { value: "edge-24.7.5, edge-24.5.3", rule: /are not of edge-24\.7\.5/ },
        ],
        [
            "of no release",
            crd("a.linkerd.io", "labels: {}"),
            { value: "c", rule: /do not tell their release .*: CustomResourceDefinition a/ },
        ],
        [
            "with something else",
            `${crd("a.linkerd.io", OF_HELM)}---\nkind: Secret\nmetadata: { name: s }\n`,
            { value: "c", rule: /^holds more than CRDs: Secret s$/ },
        ],
        ["none at all", "# nothing\n", { value: "c", rule: /^holds no object$/ }],
    ])("%s are refused", (_, text, { value, rule }) => {
        const fault = faultOf(renderedCrds(parseManifests(text), "c", version));
        expect(fault).toMatchObject({ subject: "crds.manifests", value });
        expect(fault?.rule).toMatch(rule);
        expect(fault?.next).toContain("--version 2024.7.5");
    });
});

describe("rendered CRDs of the version line, where the cluster has newer ones", () => {
    const line = versionAt("edge-24.5.3");
    const OLDER = "labels: { helm.sh/chart: linkerd-crds-2024.5.3 }";
    const names = ["a.linkerd.io", "b.linkerd.io"];
    const text = names.map((name) => crd(name, OLDER)).join("");
    const chart = accepted(renderedCrds(parseManifests(text), "c", version, line));
    const liveOf = (name: string, chartVersion: string, stack?: string) => ({
        ...{ name, chartVersion, linkerd: true, stack },
    });
    const live = [
        liveOf("a.linkerd.io", "2024.7.5", "acme/mesh/prod"),
        liveOf("c.linkerd.io", "2024.7.5", "acme/mesh/prod"),
        liveOf("d.linkerd.io", "2024.7.5"),
    ];
    const spec = { versions: [{ name: "v1", schema: { minimum: 1.5, pattern: "yes" } }] };
    const object = {
        metadata: {
            name: "a.linkerd.io",
            uid: "1",
            managedFields: [],
            labels: { "helm.sh/chart": "linkerd-crds-2024.7.5" },
            annotations: {
                "linkerd.io/created-by": "linkerd/helm edge-24.7.5",
                "pulumi.com/patchForce": "true",
                "mesh-upgrade/stack": "acme/mesh/prod",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        },
        spec,
        status: { storedVersions: ["v1"] },
    };

    it("are taken, as a way back of the whole stack file names them", () => {
        expect(chart.documents.map((one) => one.toJS() as unknown)).toMatchObject([
            { metadata: { labels: { "helm.sh/chart": "linkerd-crds-2024.5.3" } } },
            { metadata: { name: "b.linkerd.io" } },
        ]);
        const fault = faultOf(renderedCrds(parseManifests(crd("a", OF_HELM)), "c", line));
        expect(fault?.rule).toBe("the manifests are not of edge-24.5.3, the version line");
        const newest = versionAt("edge-24.9.2");
        expect(faultOf(renderedCrds(parseManifests(text), "c", newest, version))?.rule).toBe(
            "the manifests are not of edge-24.7.5, the version line, nor of edge-24.9.2, the version of the live ones",
        );
    });

    it("give way to those, which stay as they are; others are declared as rendered", () => {
        expect(newerInCluster(chart, live)).toEqual(["a.linkerd.io"]);
        expect(newerInCluster(chart, [liveOf("a.linkerd.io", "2024.5.3")])).toEqual([]);
        const { documents, kept } = withLiveCrds(chart, [object], live);
        expect(kept).toBe(
            "1 that are newer in the cluster stay as they are there; what it lacks stays too, declared no longer: c.linkerd.io",
        );
        const written = documents.map((one) => one.toString({ lineWidth: 0 }));
        expect(parseDocument(written[0] ?? "", { version: "1.1" }).toJS()).toEqual({
            apiVersion: "apiextensions.k8s.io/v1",
            kind: "CustomResourceDefinition",
            metadata: {
                name: "a.linkerd.io",
                labels: object.metadata.labels,
                annotations: { "linkerd.io/created-by": "linkerd/helm edge-24.7.5" },
            },
            spec,
        });
        expect(documents[1]).toBe(chart.documents[1]);
    });
});

describe("a rendered control plane", () => {
    it("keeps its settings, and no key or certificate of the render's", () => {
        const { documents, values } = accepted(controlPlane());
        expect(JSON.stringify(documents.map((one) => one.toJS() as unknown))).not.toContain("KEY");
        expect(values).toEqual({
            clusterNetworks: "10.0.0.0/8",
            controllerReplicas: 3,
            identityTrustDomain: "mesh.example",
            imagePullSecrets: [],
            podAnnotations: {},
            proxy: { ports: [{ a: "0644" }] },
        });
    });

    it.each([
        [
            "of another version than the line",
            CONTROL_PLANE.replace("linkerdVersion: edge-24.7.5", "linkerdVersion: edge-24.5.3"),
            {
                value: "edge-24.5.3",
                rule: /^the manifests are not of the version line, edge-24\.7\.5$/,
            },
        ],
        [
            "with CRDs",
            CONTROL_PLANE + crd("a.linkerd.io", OF_HELM),
            { value: "plane.yaml", rule: /^holds CRDs: a\.linkerd\.io$/ },
        ],
        [
            "with a Secret that nobody makes otherwise",
            `${CONTROL_PLANE}---\nkind: Secret\nmetadata: { name: pull, namespace: linkerd }\n`,
            { value: "plane.yaml", rule: /^holds Secret pull, which would stand in plaintext/ },
        ],
        [
            "that is half of one",
            CONTROL_PLANE.replace("name: linkerd-destination", "name: other"),
            { value: "plane.yaml", rule: /has no Deployment linkerd\/linkerd-destination$/ },
        ],
        [
            "of another namespace",
            CONTROL_PLANE.replaceAll("namespace: linkerd ", "namespace: mesh "),
            { value: "plane.yaml", rule: /has no ConfigMap linkerd\/linkerd-config, / },
        ],
    ])("%s is refused", (_, text, { value, rule }) => {
        const fault = faultOf(controlPlane(text));
        expect(fault).toMatchObject({ subject: "controlPlane.manifests", value });
        expect(fault?.rule).toMatch(rule);
        expect(fault?.rule).not.toContain("THE-KEY");
    });

    const declared = (values = {}, identity = {}) => {
        const chart = accepted(controlPlane());
        const text = withStacksOwn(
            chart.documents,
            {
                ...own,
                identity: { ...own.identity, ...identity },
                values: { controlPlane: merge(chart.values, values) },
            },
            "0000000a",
        );
        const objects = parseAllDocuments(text).map((one) => one.toJS() as never) as {
            kind: string;
            metadata: { name: string };
        }[];
        const find = (kind: string, name: string) =>
            objects.find((one) => one.kind === kind && one.metadata.name === name);
        return { text, find };
    };

    it("gets the stack's anchors, scheme, bundles and minute wherever the chart would write them", () => {
        const { text, find } = declared();
        expect(text).not.toContain("THEIRS");
        expect(text).toContain("SOMEBODYS");
        const bundle = Buffer.from(PEM.trim()).toString("base64");
        const webhook = find(
            "MutatingWebhookConfiguration",
            "linkerd-proxy-injector-webhook-config",
        );
        expect(webhook).toMatchObject({
            metadata: { annotations: { kept: "yes" } },
            webhooks: [{ clientConfig: { caBundle: bundle } }, {}],
        });
        expect(webhook).not.toHaveProperty([
            "metadata",
            "annotations",
            "cert-manager.io/inject-ca-from",
        ]);
        expect(find("ConfigMap", "linkerd-identity-trust-roots")).toMatchObject({
            data: { "ca-bundle.crt": PEM.trim() },
        });
        expect(find("CronJob", "linkerd-heartbeat")).toMatchObject({
            spec: { schedule: "10 0 * * *" },
        });
        expect(find("Deployment", "linkerd-identity")).toMatchObject({
            spec: {
                template: {
                    metadata: {
                        annotations: {
                            // sha256sum of the PEM text
                            "linkerd.io/trust-root-sha256": expect.stringMatching(
                                /^[0-9a-f]{64}$/,
                            ) as string,
                        },
                    },
                    spec: {
                        containers: [
                            {
                                args: ["identity", "-identity-scheme=kubernetes.io/tls"],
                                image: "{{ not a template }}",
                            },
                        ],
                    },
                },
            },
        });
        expect(find("Deployment", "linkerd-destination")).toMatchObject({
            spec: { template: { metadata: { annotations: { "checksum/config": "reviewed" } } } },
        });
    });

    it("shows the same in linkerd-config as its chart: sorted, in the chart's way of writing", () => {
        const config = declared().find("ConfigMap", "linkerd-config") as unknown as {
            data: { values: string };
        };
        const pem = PEM.trim().split("\n");
        const block = (indent: string) => pem.map((line) => `${indent}${line}`).join("\n");
        const webhook = (name: string, more: string) =>
            `${name}:\n  caBundle: |\n${block("    ")}\n  crtPEM: ""\n  externalSecret: true\n${more}`;
        expect(config.data.values).toBe(
            `clusterNetworks: 10.0.0.0/8
controllerReplicas: 3
heartbeatSchedule: 10 0 * * *
identity:
  issuer:
    scheme: kubernetes.io/tls
    tls:
      crtPEM: ""
identityTrustAnchorsPEM: |
${block("  ")}
identityTrustDomain: mesh.example
imagePullSecrets: []
linkerdVersion: edge-24.7.5
podAnnotations: {}
${webhook("policyValidator", "")}${webhook("profileValidator", "")}proxy:
  image:
    version: edge-24.7.5
  ports:
  - a: "0644"
${webhook("proxyInjector", '  injectCaFrom: ""\n')}`,
        );
    });

    it("keeps a minute of the heartbeat that was chosen, and restarts for a new issuer", () => {
        const { find } = declared(
            { heartbeatSchedule: "5 5 * * *" },
            { issuedAt: "2026-01-02T03:04:05Z", scheme: "linkerd.io/tls" },
        );
        expect(find("CronJob", "linkerd-heartbeat")).toMatchObject({
            spec: { schedule: "5 5 * * *" },
        });
        for (const name of ["linkerd-identity", "linkerd-destination", "linkerd-proxy-injector"]) {
            expect(find("Deployment", name)).toMatchObject({
                spec: {
                    template: {
                        metadata: {
                            annotations: { "mesh-upgrade/issued-at": "2026-01-02T03:04:05Z" },
                        },
                    },
                },
            });
        }
        const config = find("ConfigMap", "linkerd-config") as unknown as {
            data: { values: string };
        };
        expect(parseDocument(config.data.values).toJS()).toMatchObject({
            identity: { issuer: { scheme: "linkerd.io/tls", tls: { crtPEM: "ISSUER" } } },
            podAnnotations: { "mesh-upgrade/issued-at": "2026-01-02T03:04:05Z" },
        });
    });

    // Renders of the published charts, where they are at hand.
    it.runIf(existsSync(data)).each([
        ["edge-24.5.3", "control-plane.yaml"],
        ["edge-24.5.3", "control-plane-ha.yaml"],
        ["edge-24.7.5", "control-plane.yaml"],
        ["edge-24.7.5", "control-plane-ha.yaml"],
    ])("of the published chart %s (%s) changes in nothing else", async (tag, file) => {
        const of = versionAt(tag);
        const text = await readFile(join(data, `linkerd-${tag}`, file), "utf8");
        const chart = accepted(renderedControlPlane(parseManifests(text), file, of));
        const anchors =
            "-----BEGIN CERTIFICATE-----\nTRUST-ANCHOR-PLACEHOLDER\n-----END CERTIFICATE-----\n";
        const bundle = "WEBHOOK-CA-PLACEHOLDER";
        const bundles = Object.fromEntries(
            Object.keys(own.webhooks.bundles).map((name) => [name, bundle]),
        );
        const result = withStacksOwn(
            chart.documents,
            {
                ...own,
                version: of,
                identity: { ...own.identity, trustAnchors: anchors },
                webhooks: { ...own.webhooks, bundles },
                values: { controlPlane: chart.values },
            },
            "0",
        );
        const objects = (stream: string) =>
            parseAllDocuments(stream)
                .map((one) => one.toJS() as unknown)
                .filter((one) => one !== null);
        expect(objects(result)).toEqual(objects(text));
    });

    it.runIf(existsSync(data)).each(["edge-24.5.3", "edge-24.7.5"])(
        "beside it the published CRDs of %s are taken as they are",
        async (tag) => {
            const of = versionAt(tag);
            const text = await readFile(join(data, `linkerd-${tag}`, "crds.yaml"), "utf8");
            const { documents } = accepted(renderedCrds(parseManifests(text), "crds.yaml", of));
            expect(documents).toHaveLength(10);
            const expected = text.replaceAll("linkerd/helm %!s(<nil>)", `linkerd/helm ${tag}`);
            expect(documents.map((one) => one.toJS() as unknown)).toEqual(
                parseManifests(expected).map((one) => one.toJS() as unknown),
            );
        },
    );
});

describe("the files that a stack names", () => {
    let project: string;
    beforeAll(async () => {
        project = await mkdtemp(join(tmpdir(), "mesh-rendered-"));
        await writeFile(join(project, "crds.yaml"), crd("a.linkerd.io", OF_HELM));
        await writeFile(join(project, "plane.yaml"), CONTROL_PLANE);
        await writeFile(join(project, "broken.yaml"), "kind: [\n");
        await writeFile(join(project, "list.yaml"), "- a\n");
    });
    afterAll(() => rm(project, { recursive: true }));
    const config = (crds?: string, plane?: string) => ({
        linkerdVersion: version,
        crds: { values: {}, manifests: crds },
        controlPlane: { values: {}, manifests: plane },
    });

    it("are read where there are any, and their settings are the stack file's then", async () => {
        expect(await readRendered(config(), version, project)).toEqual({
            rendered: {},
            faults: [],
        });
        const file = config("crds.yaml", "plane.yaml");
        const { rendered, faults } = await readRendered(file, version, project);
        expect(faults).toEqual([]);
        expect(withRendered(file, rendered)).toMatchObject({
            crds: { values: routes([]) },
            controlPlane: { values: { controllerReplicas: 3 } },
        });
    });

    it.each([
        ["none.yaml", /^cannot be read \(ENOENT: /],
        ["broken.yaml", /^cannot be read \(/],
        [
            "list.yaml",
            /^cannot be read \(it holds something that is no object with kind and name\)/,
        ],
    ])("are named where they cannot be read: %s", async (name, rule) => {
        const { rendered, faults } = await readRendered(config(name, name), version, project);
        expect(rendered).toEqual({});
        expect(faults.map(({ subject }) => subject)).toEqual([
            "crds.manifests",
            "controlPlane.manifests",
        ]);
        expect(faults[0]).toMatchObject({ value: name });
        expect(faults[0]?.rule).toMatch(rule);
        expect(faults[0]?.rule).not.toContain("\n");
    });

    it("become a chart whose path says their content, the same on every machine", async () => {
        const chart = { name: "linkerd-crds", version: "2024.7.5" };
        const one = await wrapManifests(chart, "a: {{ b }}\n", project);
        expect(one).toMatchObject(chart);
        expect(one.path).toMatch(/^\.\/\.charts\/[0-9a-f]{64}\/linkerd-crds$/);
        expect(await readFile(join(project, one.path, "manifests.yaml"), "utf8")).toBe(
            "a: {{ b }}\n",
        );
        expect(await wrapManifests(chart, "a: {{ b }}\n", project)).toEqual(one);
        expect((await wrapManifests(chart, "a: c\n", project)).path).not.toBe(one.path);
    });
});
