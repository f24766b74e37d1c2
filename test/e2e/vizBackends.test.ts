// The Prometheus program is real and has the documented configuration; what it would discover is read from the cluster by the
// test, and an exporter plays all proxies. What this does not prove: that real proxies report what the exporter does.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { queryPrometheus } from "../../cluster/prometheus";
import { startExporter, type Exporter } from "../../embedded/exporter";
import { listenerAnnotation } from "../../embedded/mesh/listeners";
import { startPrometheus, type EmbeddedPrometheus } from "../../embedded/prometheus";
import { PROJECT } from "../../embedded/stack";
import { ensureToolchain } from "../../toolchain/index";
import { withDiscoveredPods } from "./support/discoveredPods";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { expectRefused } from "./support/refusal";
import { waitFor } from "./support/waiting";

const VIZ = "linkerd-viz";
const MONITORING = "monitoring";
const URL = `http://prometheus.${MONITORING}.svc.cluster.local:9090`;
const importer = { namespace: "batch", deployment: "importer" };
const healthy = { requestsPerSecond: 40, successRate: 0.9995, latencyMs: 18 };
const LOST = "what its own Prometheus has measured is lost with this update";

const external = {
    prometheus: { enabled: false },
    prometheusUrl: URL,
    grafana: { externalUrl: "https://grafana.example.com", uidPrefix: "prod-" },
    jaegerUrl: "jaeger.tracing:16686",
    dashboard: { enforcedHostRegexp: String.raw`^linkerd\.example\.com$` },
};

describe("viz with a Prometheus and a Grafana of the user's", () => {
    let journey: Journey;
    let exporter: Exporter;
    let prometheus: EmbeddedPrometheus;

    beforeAll(async () => {
        const metrics = { prometheus: "viz", window: "8s", limit: "90s" };
        journey = await startJourney("viz-backends", {
            config: {
                rollout: {
                    ...{ timeout: "20s", soak: "0s" },
                    waves: [
                        { name: "canary", select: [{ namespaces: ["batch"] }], gates: { metrics } },
                    ],
                },
            },
        });
        await journey.up();
        await journey.createSample();
        const { programs } = await ensureToolchain({ with: ["prometheus"] });
        exporter = await startExporter();
        exporter.set(importer, healthy);
        const { host } = new globalThis.URL(exporter.url);
        prometheus = await startPrometheus({
            program: programs.prometheus,
            directory: join(journey.cluster.directory, "prometheus"),
            scrape: await documented(journey, host),
        });
        await playService(journey, prometheus.url);
        await createExtension(journey);
    });
    afterAll(async () => {
        await prometheus?.stop();
        await exporter?.close();
        await journey?.dispose();
    });

    const editViz = (values: object) => journey.stack.edit("viz", { values });
    const ask = (query: string) =>
        queryPrometheus(journey.connection, { kind: "viz", namespace: VIZ }, query);
    const webArguments = async () => {
        const { spec } = await journey.connection.apps.readNamespacedDeployment({
            ...{ namespace: VIZ, name: "web" },
        });
        return spec?.template.spec?.containers.find(({ name }) => name === "web")?.args ?? [];
    };
    const ownPrometheus = async () => {
        const { items } = await journey.connection.apps.listNamespacedDeployment({
            ...{ namespace: VIZ, labelSelector: "component=prometheus" },
        });
        return items.length;
    };
    const annotation = async () => {
        const { metadata } = await journey.connection.core.readNamespace({ name: VIZ });
        return metadata?.annotations?.["viz.linkerd.io/external-prometheus"];
    };

    it("step 1: what cannot work is refused in one report, and nothing has changed", async () => {
        await editViz({
            prometheus: { enabled: false },
            grafana: { url: "grafana.grafana:3000", externalUrl: "https://grafana.example.com" },
            dashboard: { enforcedHostRegexp: "^(linkerd" },
        });
        await expectRefused(
            journey,
            /1\. viz\.values\.prometheus\.enabled = "false": leaves viz without a Prometheus/,
            /2\. viz\.values\.grafana = "url, externalUrl": .*the chart takes one of them/,
            /3\. viz\.values\.dashboard\.enforcedHostRegexp = .*is no regular expression of Go/,
        );
    });

    it("step 2: the switch to the user's own tells beforehand that what was measured is lost", async () => {
        await editViz(external);
        const { code, output } = await journey.preview();
        expect(code, output).toBe(0);
        expect(output).toContain(`${LOST} (viz.values.prometheus.enabled is false); docs/viz.md`);
        expect(output).toContain("extensions outside the stack: 1; they are left as they are");
        expect(output).toContain(`  jaeger (namespace tracing, ${OLD}): is of ${OLD}`);
        expect(await ownPrometheus()).toBe(1);

        await journey.up();
        expect(await ownPrometheus()).toBe(0);
        expect(await annotation()).toBe(URL);
        expect(await webArguments()).toEqual(
            expect.arrayContaining([
                "-grafana-external-addr=https://grafana.example.com",
                "-grafana-prefix=prod-",
                "-jaeger-addr=jaeger.tracing:16686",
                String.raw`-enforced-host=^linkerd\.example\.com$`,
            ]),
        );
        await journey.expectNoChanges();
    });

    it("step 3: the documented configuration gives proxies the labels that viz and the gate look for", async () => {
        const ofImporter = `{job="linkerd-proxy",namespace="batch",deployment="importer",control_plane_ns="linkerd"}`;
        await waitFor(
            "targets",
            async () => ((await ask(`count(up${ofImporter})`)) ?? 0) === 2,
            60_000,
        );
        expect(
            await ask(`count(up{job="linkerd-proxy",statefulset="ledger",namespace="shop"})`),
        ).toBeGreaterThan(0);
        // A pod without a proxy is no target, and no label of Linkerd's is left under its long name.
        expect(await ask(`count(up{job="linkerd-proxy",app="legacy-report"})`)).toBeUndefined();
        expect(await ask(`count({linkerd_io_control_plane_ns!=""})`)).toBeUndefined();
        expect(await ask(`count(up{job="linkerd-controller",component="metrics-api"})`)).toBe(1);
        expect(
            await ask(`count(up{job="linkerd-controller",component="linkerd-proxy"})`),
        ).toBeUndefined();
    });

    it("step 4: an upgrade keeps what was measured, and its gate reads it there", async () => {
        const first = await ask("min(min_over_time(timestamp(up)[1h:1s]))");
        await journey.editVersion(NEW);
        const { output } = await journey.up();
        expect(output).not.toContain(LOST);
        expect(output).toMatch(/wave canary: success rate is 0\.999/);
        expect(output).toContain("gate metrics: passed");
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, "shop/web": NEW });
        expect(await ask("min(min_over_time(timestamp(up)[1h:1s]))")).toBeCloseTo(first ?? NaN, 0);
        await journey.expectNoChanges();
    });

    it("step 5: version and backends go back together, with nothing left behind", async () => {
        await editViz({});
        await journey.editVersion(OLD);
        await journey.up();
        expect(await ownPrometheus()).toBe(1);
        expect(await annotation()).toBeUndefined();
        expect((await webArguments()).join(" ")).not.toMatch(/grafana|jaeger|example/);
        await journey.expectNoChanges();
    });
});

/** docs/examples/prometheus.yml, with the pods that its discovery would find; all their ports lead to the exporter. */
async function documented({ connection }: Journey, address: string) {
    const text = await readFile(join(PROJECT, "docs/examples/prometheus.yml"), "utf8");
    const { global, scrape_configs: jobs } = parse(text) as {
        global: object;
        scrape_configs: Record<string, unknown>[];
    };
    const { items } = await connection.core.listPodForAllNamespaces();
    return {
        global: { ...global, scrape_interval: "1s", scrape_timeout: "1s" },
        scrape_configs: jobs.map((job) => withDiscoveredPods(job, items, address)),
    };
}

/** A Service of the cluster with a pod behind it, which a program on this machine plays. */
async function playService({ connection: { core } }: Journey, url: string): Promise<void> {
    const labels = { app: "prometheus" };
    const annotations = { [listenerAnnotation]: url.replace("http://", "") };
    await core.createNamespace({ body: { metadata: { name: MONITORING } } });
    await core.createNamespacedService({
        namespace: MONITORING,
        body: {
            metadata: { name: "prometheus", annotations },
            spec: { selector: labels, ports: [{ port: 9090, targetPort: "web" }] },
        },
    });
    await core.createNamespacedPod({
        namespace: MONITORING,
        body: {
            metadata: { name: "prometheus-0", labels },
            spec: {
                containers: [
                    {
                        ...{ name: "prometheus", image: "prom/prometheus:v2.55.1" },
                        ports: [{ name: "web", containerPort: 9090 }],
                    },
                ],
            },
        },
    });
}

/** An extension that somebody else installed. */
async function createExtension({ connection: { core, apps } }: Journey): Promise<void> {
    const namespace = "tracing";
    await core.createNamespace({
        body: { metadata: { name: namespace, labels: { "linkerd.io/extension": "jaeger" } } },
    });
    const labels = { component: "jaeger-injector" };
    await apps.createNamespacedDeployment({
        namespace,
        body: {
            metadata: { name: "jaeger-injector", labels: { "app.kubernetes.io/version": OLD } },
            spec: {
                replicas: 0,
                selector: { matchLabels: labels },
                template: {
                    metadata: { labels },
                    spec: { containers: [{ name: "injector", image: `jaeger-webhook:${OLD}` }] },
                },
            },
        },
    });
}
