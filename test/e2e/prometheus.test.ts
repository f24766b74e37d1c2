// Proves the gate on metrics against the real Prometheus program, reached as viz's own is: through the API server. What
// it scrapes is an exporter that plays the proxies; the pod of Prometheus is one of the simulation's.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Connection } from "../../cluster/connection";
import { queryPrometheus, type PrometheusAddress } from "../../cluster/prometheus";
import { startCluster, type EmbeddedCluster } from "../../embedded/cluster";
import { startExporter, type Exporter } from "../../embedded/exporter";
import { startLeashed } from "../../embedded/leash";
import { listenerAnnotation } from "../../embedded/mesh/listeners";
import { freePorts } from "../../embedded/ports";
import { startPrometheus, type EmbeddedPrometheus } from "../../embedded/prometheus";
import { DEFAULT_RULES, type MetricsGate, type Recorded } from "../../plan/gates";
import { metricsGate, recordMetrics } from "../../rollout/gates/metrics";
import { ensureToolchain, type Toolchain } from "../../toolchain/index";
import { loopback } from "../unit/support/loopback";
import { waitFor } from "./support/waiting";

const namespace = "linkerd-viz";
const viz: PrometheusAddress = { kind: "viz", namespace };
const web = { namespace: "shop", deployment: "web" };
const healthy = { requestsPerSecond: 40, successRate: 0.9995, latencyMs: 18 };
const windowSeconds = 6;
const gate: MetricsGate = {
    prometheus: viz,
    windowSeconds,
    limitSeconds: 120,
    rules: DEFAULT_RULES,
};

let programs: Toolchain<"prometheus">["programs"];
let cluster: EmbeddedCluster;
let connection: Connection;
let exporter: Exporter;
let prometheus: EmbeddedPrometheus;
let before: Recorded;
const lines: string[] = [];

beforeAll(async () => {
    ({ programs } = await ensureToolchain({ with: ["prometheus"] }));
    cluster = await startCluster({ name: "prometheus", programs, nodes: 1 });
    const { kubeconfig, context, uid } = cluster;
    connection = await connect({ kubeconfig, context, clusterUid: uid });
    exporter = await startExporter();
    exporter.set(web, healthy);
    prometheus = await startPrometheus({
        program: programs.prometheus,
        // Goes with the cluster, also when this process is killed.
        directory: join(cluster.directory, "prometheus"),
        scrape: { url: exporter.url, intervalSeconds: 1 },
    });
    await playViz(namespace, prometheus.url);
});

afterAll(async () => {
    await prometheus?.stop();
    await exporter?.close();
    await cluster?.stop();
});

/** Service and pod of viz's Prometheus in a namespace; what listens at the URL plays the pod. */
async function playViz(namespace: string, url: string): Promise<void> {
    const { core } = connection;
    const labels = { component: "prometheus" };
    const annotations = { [listenerAnnotation]: url.replace("http://", "") };
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    await core.createNamespacedService({
        namespace,
        body: {
            metadata: { name: "prometheus", annotations },
            spec: { selector: labels, ports: [{ name: "admin", port: 9090, targetPort: 9090 }] },
        },
    });
    const containers = [{ name: "prometheus", image: "prom/prometheus:v2.55.1" }];
    await core.createNamespacedPod({
        namespace,
        body: { metadata: { name: "prometheus-0", labels }, spec: { containers } },
    });
}

const ask = (query: string, address = viz) => queryPrometheus(connection, address, query);

const hasAll = ({ values }: Recorded) => Object.keys(values).length === DEFAULT_RULES.length;

/** Runs the gate for a wave that has finished at this moment. */
function gateNow(changes: Partial<MetricsGate> = {}, since = new Date()): Promise<string[]> {
    lines.length = 0;
    const say = (line: string) => void lines.push(line);
    const both = { ...gate, ...changes };
    return metricsGate(connection, both, [web.namespace], before, since, say);
}

test("step 1: what is measured before the upgrade is recorded", async () => {
    await waitFor("Prometheus to have data", async () => (await ask("sum(up)")) === 1, 60_000);
    const measure = async () => {
        before = await recordMetrics(connection, gate, [web.namespace]);
        return hasAll(before);
    };
    await waitFor("a value for each rule", measure, 60_000);
    expect(before.problems).toEqual({});
    expect(before.values["success rate"]).toBeCloseTo(healthy.successRate, 4);
    // Somewhere in the bucket from 10 to 20 ms.
    expect(before.values["p95 latency ms"]).toBeGreaterThan(10);
    expect(before.values["p95 latency ms"]).toBeLessThanOrEqual(20);
});

test("step 2: a healthy wave passes, after data of the whole window", async () => {
    const since = new Date();
    expect(await gateNow({}, since)).toEqual([]);
    expect((await ask("time()")) ?? 0).toBeGreaterThanOrEqual(
        since.getTime() / 1000 + windowSeconds,
    );
    expect(lines).toEqual([
        expect.stringMatching(/^success rate: data for \d of 6 s since .*; about \d+ s left; /),
        expect.stringMatching(/^success rate 0\.9995: at least 0\.99; recorded 0\.9995, /),
        expect.stringMatching(/^p95 latency ms 1\d\.\d+: recorded 1\d\.\d+, /),
    ]);
});

test("step 3: a wave that serves worse fails, with numbers", async () => {
    exporter.set(web, { ...healthy, successRate: 0.93, latencyMs: 180 });
    expect(await gateNow()).toEqual([
        "success rate 0.93: below 0.99; below the recorded 0.9995 by 0.0695, at most 0.01 allowed",
        expect.stringMatching(
            /^p95 latency ms 19\d: \d+ times the recorded 19\.5, at most 1\.5 times allowed$/,
        ),
    ]);
    exporter.set(web, healthy);
});

test("step 4: every request fails: a rate of 0, and not of nothing", async () => {
    exporter.remove(web);
    exporter.set(web, { ...healthy, successRate: 0 });
    const [failure] = await gateNow();
    expect(failure).toMatch(/^success rate 0: below 0\.99; /);
    exporter.set(web, healthy);
});

test("step 5: Prometheus that was emptied is waited for, however long ago the wave was", async () => {
    await prometheus.restartEmpty();
    const anHourAgo = new Date(Date.now() - 3_600_000);
    expect(await gateNow({}, anHourAgo)).toEqual([]);
    expect(lines[0]).toMatch(/^(success rate: data for 0 of 6 s|Prometheus of viz)/);
    const oldest = await ask("time() - min(min_over_time(timestamp(up)[1h:1s]))");
    expect(oldest).toBeGreaterThanOrEqual(windowSeconds);
});

test("step 6: no data is a failure", async () => {
    exporter.remove(web);
    const failures = await gateNow({ limitSeconds: 8 });
    expect(failures).toHaveLength(2);
    expect(failures[0]).toMatch(/^success rate: data for \d of 6 s since .*, within 8 s$/);
    exporter.set(web, healthy);
});

test("step 7: viz's policy, which keeps the API server out, does not keep the gate out", async () => {
    // As Linkerd's proxy answers who has no identity of the mesh.
    const proxy = await loopback((_request, _body, response) => {
        response.writeHead(403, { "l5d-proxy-error": "unauthorized request on route" }).end();
    });
    const meshed: PrometheusAddress = { kind: "viz", namespace: "viz-meshed" };
    const kubelet = await startKubelet();
    try {
        await playViz(meshed.namespace, proxy.url);
        const forwarded = async () => (await ask("sum(up)", meshed)) === 1;
        await waitFor("the kubelet to forward", forwarded, 60_000);
        await waitFor("a value for each rule", async () => {
            const there = { ...gate, prometheus: meshed };
            return hasAll(await recordMetrics(connection, there, [web.namespace]));
        });
        await kubelet.end();
        await expect(ask("sum(up)", meshed)).rejects.toThrow(
            /^Prometheus of viz \(Service viz-meshed\/prometheus\): port-forward to pod prometheus-0: .*; HTTP 403 from the pod's proxy: the policy of namespace viz-meshed does not let it in; asked: sum\(up\)$/s,
        );
    } finally {
        await kubelet.end();
        await proxy.close();
    }
});

test("step 8: nobody but this machine can be made a listener", async () => {
    const elsewhere: PrometheusAddress = { kind: "viz", namespace: "viz-elsewhere" };
    await playViz(elsewhere.namespace, "http://192.0.2.1:80");
    const log = join(cluster.directory, "gateway.log");
    await waitFor("the gateway to refuse it", async () => {
        await expect(ask("sum(up)", elsewhere)).rejects.toThrow("the API server answers 503");
        return readFileSync(log, "utf8").includes('is "192.0.2.1:80", not 127.0.0.1:PORT');
    });
});

test("step 9: Prometheus that is gone is a failure, with the reason", async () => {
    await prometheus.stop();
    const [failure] = await gateNow({ limitSeconds: 3 });
    expect(failure).toMatch(
        /^Prometheus of viz .*the API server answers 503 \(error trying to reach service: .*, within 3 s$/s,
    );
    const recorded = await recordMetrics(connection, gate, [web.namespace]);
    expect(recorded.values).toEqual({});
    expect(recorded.problems["success rate"]).toContain("the API server answers 503");

    await connection.core.deleteNamespacedService({ namespace, name: "prometheus" });
    await expect(ask("sum(up)")).rejects.toThrow(
        'Prometheus of viz (Service linkerd-viz/prometheus): the API server answers 404 (services "prometheus" not found); asked: sum(up)',
    );
});

/** A kubelet of the simulation that forwards port 9090 of every pod to Prometheus. */
async function startKubelet() {
    const [port = 0] = await freePorts(1);
    const config = join(cluster.directory, "portForward.json");
    const { hostname: address, port: target } = new URL(prometheus.url);
    writeFileSync(
        config,
        JSON.stringify({
            apiVersion: "kwok.x-k8s.io/v1alpha1",
            kind: "ClusterPortForward",
            metadata: { name: "prometheus" },
            spec: { forwards: [{ ports: [9090], target: { address, port: Number(target) } }] },
        }),
    );
    const clusters = join(cluster.directory, "kwok/clusters");
    const keys = join(clusters, readdirSync(clusters)[0] ?? "", "pki");
    const kubelet = startLeashed(programs.kwok.path, [
        `--kubeconfig=${cluster.kubeconfig}`,
        `--config=${config}`,
        // It serves; to play nodes and pods is the cluster's own kwok's part.
        "--manage-nodes-with-label-selector=played-by=nobody",
        `--server-address=127.0.0.1:${port}`,
        `--tls-cert-file=${join(keys, "admin.crt")}`,
        `--tls-private-key-file=${join(keys, "admin.key")}`,
    ]);
    const { core } = connection;
    const [node] = (await core.listNode()).items;
    const name = node?.metadata?.name ?? "";
    const body = { ...node, status: { ...node?.status } };
    body.status.daemonEndpoints = { kubeletEndpoint: { Port: port } };
    await core.replaceNodeStatus({ name, body });
    return kubelet;
}
