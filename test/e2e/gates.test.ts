// The metrics are real: an exporter plays the proxies, the Prometheus program scrapes it, and gates ask it the way they
// ask viz's own. What this does not prove: that real proxies report what the exporter does.
import * as k8s from "@kubernetes/client-node";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RESTARTED_AT } from "../../cluster/pods";
import { startExporter, type Exporter } from "../../embedded/exporter";
import { listenerAnnotation } from "../../embedded/mesh/listeners";
import { startPrometheus, type EmbeddedPrometheus } from "../../embedded/prometheus";
import { DEFAULT_RULES } from "../../plan/gates";
import { metricsGateOf } from "../../rollout/gates/gates";
import { recordMetrics } from "../../rollout/gates/metrics";
import { ensureToolchain } from "../../toolchain/index";
import { loopback } from "../unit/support/loopback";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { waitFor } from "./support/waiting";

const VIZ = "linkerd-viz";
const metrics = { prometheus: "viz", window: "8s", limit: "90s" } as const;
const importer = { namespace: "batch", deployment: "importer" };
const healthy = { requestsPerSecond: 40, successRate: 0.9995, latencyMs: 18 };
const failing = { ...healthy, successRate: 0.93 };

const rolloutWith = (gates: object) => ({
    timeout: "20s",
    soak: "1s",
    pace: "unlimited",
    waves: [{ name: "canary", select: [{ namespaces: ["batch"] }], gates }],
});

describe("a gate that fails holds the next wave, and says with which numbers", () => {
    let journey: Journey;
    let exporter: Exporter;
    let prometheus: EmbeddedPrometheus;
    let viz: VizPrometheus;

    beforeAll(async () => {
        journey = await startJourney("gates", { config: { rollout: rolloutWith({ metrics }) } });
        await journey.up();
        await journey.createSample();
        const { programs } = await ensureToolchain({ with: ["prometheus"] });
        exporter = await startExporter();
        exporter.set(importer, healthy);
        prometheus = await startPrometheus({
            program: programs.prometheus,
            // Goes with the cluster, also when this process is killed.
            directory: join(journey.cluster.directory, "prometheus"),
            scrape: { url: exporter.url, intervalSeconds: 1 },
        });
        viz = await playVizPrometheus(journey, prometheus);
        await rateToBe(journey, "known", (rate) => rate > 0.999);
    });
    afterAll(async () => {
        try {
            await viz?.leave();
        } finally {
            await prometheus?.stop();
            await exporter?.close();
            await journey?.dispose();
        }
    });

    it("step 1: a canary that serves worse fails the update with numbers; the next wave has not begun", async () => {
        const { core } = journey.connection;
        const leave = follow(async () => {
            const labelSelector = `app=${importer.deployment}`;
            const pods = await core.listNamespacedPod({
                namespace: importer.namespace,
                labelSelector,
            });
            if (JSON.stringify(pods.items).includes(`/proxy:${NEW}`)) {
                exporter.set(importer, failing);
            }
        });
        await journey.editVersion(NEW);
        const { output } = await journey.failingUp().finally(leave);

        // The upgrade of viz has emptied its Prometheus; what was there before is compared with all the same.
        expect(viz.emptied).toBe(1);
        expect(output).toMatch(/wave canary: success rate is 0\.999[45]/);
        expect(output).toMatch(
            /gate metrics: success rate: data for \d of 8 s since the new pods became ready; about \d s left; /,
        );
        expect(output).toMatch(
            /gate metrics: success rate 0\.9[3-6]\d*: below 0\.99; below the recorded 0\.9995 by 0\.0\d+, at most 0\.01 allowed/,
        );
        expect(output).toMatch(/gate metrics: p95 latency ms 1\d\.\d+: recorded 1\d\.\d+, /);
        expect(output).toContain("wave canary failed; other workloads and later waves stay");
        expect(output).toContain("or revert linkerdVersion and `pulumi up`");
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, ...shop(OLD) });
        expect(await restartedAt(journey, "shop", "web")).toBeUndefined();
    });

    it("step 2: once it serves well again up goes on where it stopped, without another restart", async () => {
        exporter.set(importer, healthy);
        await rateToBe(journey, "good", (rate) => rate > 0.999);
        const canary = await restartedAt(journey, "batch", "importer");
        expect(canary).toBeDefined();
        const { output } = await journey.up();
        expect(await restartedAt(journey, "batch", "importer")).toBe(canary);
        expect(output).not.toContain("batch/Deployment/importer: restart (");
        expect(output).toContain("gate metrics: passed");
        expect(output).toContain("shop/Deployment/web: restart (");
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, ...shop(NEW) });
        await journey.expectNoChanges();
    });

    it("step 3: a revert is the cure: traffic that fails does not hold it up", async () => {
        exporter.set(importer, failing);
        await rateToBe(journey, "bad", (rate) => rate < 0.99);
        await journey.editVersion(OLD);
        const { output } = await journey.up();
        expect(output).toContain("a revert: metrics, probes and pauses do not hold it up");
        expect(output).not.toContain("gate metrics");
        await rateToBe(journey, "bad still", (rate) => rate < 0.99);
        expect(await journey.proxies()).toMatchObject({ "batch/importer": OLD, ...shop(OLD) });
        await journey.expectNoChanges();
    });

    it("step 4: a Prometheus that is gone is a finding, not a pass", async () => {
        await viz.leave();
        await prometheus.stop();
        const gates = { metrics: { ...metrics, limit: "10s" } };
        await journey.stack.edit("rollout", rolloutWith(gates));
        await journey.editVersion(NEW);
        const { output } = await journey.failingUp();
        expect(output).toMatch(
            /wave canary: success rate is unknown: Prometheus of viz \(Service linkerd-viz\/prometheus\): /,
        );
        expect(output).toMatch(
            /gate metrics: Prometheus of viz \(Service linkerd-viz\/prometheus\): .*the API server answers 503.*, within 10 s/,
        );
        expect(output).not.toContain("gate metrics: passed");
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, ...shop(OLD) });
    });

    it("step 5: the user's own command and address hold it as well, and say why", async () => {
        const canary = await restartedAt(journey, "batch", "importer");
        const smoke = (code: string) => ({ command: { run: ["node", "-e", code] } });
        const lost = `console.log("3 of 20 carts lost"); process.exit(3)`;
        await journey.stack.edit("rollout", rolloutWith(smoke(lost)));
        const first = await journey.failingUp();
        expect(first.output).toMatch(/gate command: command "node" .* ended with code 3\b/);
        expect(first.output).toMatch(/^.*3 of 20 carts lost$/m);

        const knows = `
            const { MESH_UPGRADE_WAVE: wave, MESH_UPGRADE_TARGET: target } = process.env;
            process.exit(wave === "canary" && target === "${NEW}" ? 0 : 1);
        `;
        const unwell = await loopback((_request, _body, response) => {
            response.writeHead(503).end();
        });
        const http = { url: `${unwell.url}/health`, limit: "2s" };
        await journey.stack.edit("rollout", rolloutWith({ ...smoke(knows), http }));
        const second = await journey.failingUp().finally(() => unwell.close());
        expect(second.output).toContain("gate command: passed");
        expect(second.output).toContain(
            `gate http: ${http.url}: HTTP 503, not any of 2xx; the last of `,
        );
        expect(await restartedAt(journey, "batch", "importer")).toBe(canary);
        expect(await journey.proxies()).toMatchObject(shop(OLD));
    });

    it("step 6: a pause stops until the stack file names this very version", async () => {
        // As it was left there by the last upgrade.
        await journey.stack.edit("rollout", rolloutWith({ pause: true, continueFor: OLD }));
        const { output } = await journey.failingUp();
        expect(output).toContain(
            `gate pause: the stack file asks for a pause after wave canary; to go on, set continueFor: ${NEW} beside pause, then pulumi up`,
        );
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, ...shop(OLD) });

        await journey.stack.edit("rollout", rolloutWith({ pause: true, continueFor: NEW }));
        await journey.up();
        expect(await journey.proxies()).toMatchObject({ "batch/importer": NEW, ...shop(NEW) });
        await journey.expectNoChanges();
    });
});

const shop = (proxy: string) => ({
    "shop/cart": proxy,
    "shop/edge-cache": proxy,
    "shop/ledger": proxy,
    "shop/web": proxy,
});

/** Waits for the canary's success rate, measured as its gate measures it. */
async function rateToBe(
    { connection }: Journey,
    what: string,
    holds: (rate: number) => boolean,
): Promise<void> {
    const gate = metricsGateOf(metrics, DEFAULT_RULES);
    const measured = async () => {
        const { values } = await recordMetrics(connection, gate, [importer.namespace]);
        return holds(values["success rate"] ?? NaN);
    };
    await waitFor(`the success rate to be ${what}`, measured, 60_000);
}

async function restartedAt({ connection }: Journey, namespace: string, name: string) {
    const { spec } = await connection.apps.readNamespacedDeployment({ namespace, name });
    return spec?.template.metadata?.annotations?.[RESTARTED_AT];
}

interface VizPrometheus {
    /** How often. */
    readonly emptied: number;
    /** From now on it is left as it is. Safe to repeat. */
    leave(): Promise<void>;
}

/** Lets it play viz's own, which loses its data whenever its pod is replaced: the chart keeps them in an emptyDir. */
async function playVizPrometheus(
    { connection }: Journey,
    prometheus: EmbeddedPrometheus,
): Promise<VizPrometheus> {
    const { core } = connection;
    const { host } = new URL(prometheus.url);
    await core.patchNamespacedService(
        {
            namespace: VIZ,
            name: "prometheus",
            body: { metadata: { annotations: { [listenerAnnotation]: host } } },
        },
        k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
    );
    const pods = async () => {
        const labelSelector = "component=prometheus";
        const { items } = await core.listNamespacedPod({ namespace: VIZ, labelSelector });
        return items.map(({ metadata }) => metadata?.uid);
    };
    const known = new Set(await pods());
    let emptied = 0;
    const leave = follow(async () => {
        for (const uid of await pods()) {
            if (!known.has(uid)) {
                known.add(uid);
                emptied++;
                await prometheus.restartEmpty();
            }
        }
    });
    return {
        get emptied() {
            return emptied;
        },
        leave,
    };
}

/** Looks again and again until it is told to leave; then throws what a look has thrown. */
function follow(look: () => Promise<void>): () => Promise<void> {
    let left = false;
    const looking = (async () => {
        while (!left) {
            await look();
            await setTimeout(200);
        }
    })();
    looking.catch(() => undefined);
    return () => {
        left = true;
        return looking;
    };
}
