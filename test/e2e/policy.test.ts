// Proves that a way which is not supported, and a release that takes something away, stop an upgrade before anything changes.
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeApi } from "../../cluster/api";
import { CHARTS, PROJECT } from "../../embedded/stack";
import { limitedUser } from "./support/limitedUser";
import { barePod, job } from "./support/meshObjects";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { snapshot } from "./support/snapshot";
import { waitFor } from "./support/waiting";

const LINKERD = "/api/v1/namespaces/linkerd";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** One minor above OLD: proxies left behind count against it. */
const NEXT = "edge-24.8.2";
/** Two minors above OLD. */
const FAR = "edge-24.11.8";

const ALL_BUT_JOBS = [
    ...["namespaces", "nodes", "pods", "configmaps", "secrets", "services", "serviceaccounts"],
    ...["deployments", "daemonsets", "statefulsets", "replicasets", "controllerrevisions"],
    ...["cronjobs", "poddisruptionbudgets", "leases", "roles", "rolebindings", "clusterroles"],
    ...[
        "clusterrolebindings",
        "customresourcedefinitions",
        "mutatingwebhookconfigurations",
        "apiservices",
    ],
    ...["validatingwebhookconfigurations", "persistentvolumeclaims", "issuers", "certificates"],
    ...["rollouts", "canaries"],
];

describe("the way to another version is judged before anything changes", () => {
    let journey: Journey;
    let api: KubeApi;
    let scratch: string;

    beforeAll(async () => {
        scratch = await mkdtemp(join(tmpdir(), "mesh-policy-"));
        journey = await startJourney("policy", { config: { viz: { enabled: false } } });
        api = new KubeApi(journey.connection);
        await journey.up();
        for (const name of ["batch", "shop"]) {
            await journey.connection.core.createNamespace({ body: { metadata: { name } } });
        }
    });
    afterAll(async () => {
        api?.close();
        await journey?.dispose();
        await rm(scratch, { recursive: true, force: true });
    });

    /** Edits the stack file for one preview; nothing in the cluster changes by it. */
    async function preview(
        edits: Record<string, unknown>,
        environment: NodeJS.ProcessEnv = {},
    ): Promise<{ code: number; output: string }> {
        const text = await readFile(journey.stack.file, "utf8");
        const before = await snapshot(journey.connection);
        for (const [key, value] of Object.entries(edits)) {
            await journey.stack.edit(key, value);
        }
        try {
            const result = await journey.stack.run(["preview"], { environment });
            expect(await snapshot(journey.connection)).toEqual(before);
            return result;
        } finally {
            await writeFile(journey.stack.file, text);
        }
    }
    async function refused(edits: Record<string, unknown>, ...expected: string[]) {
        const { code, output } = await preview(edits);
        expect(code, output).not.toBe(0);
        expect(output).toContain("mesh-upgrade refused; nothing was changed");
        for (const one of expected) {
            expect(output).toContain(one);
        }
        return output;
    }
    async function passes(edits: Record<string, unknown>, ...expected: string[]) {
        const { code, output } = await preview(edits);
        expect(code, output).toBe(0);
        for (const one of expected) {
            expect(output).toContain(one);
        }
        return output;
    }
    /** So many pods are there, ready; what kubelet and controllers write to them is written. */
    const podsReady = (namespace: string, count: number) =>
        waitFor(`${count} pods in ${namespace}`, async () => {
            const { items } = await journey.connection.core.listNamespacedPod({ namespace });
            const ready = items.filter(({ status }) =>
                status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
            );
            return items.length === count && ready.length === count;
        });
    const record = async () => {
        const { metadata } = await journey.connection.core.readNamespace({ name: "linkerd" });
        return metadata?.annotations?.["mesh-upgrade/versions"];
    };

    it("what runs is shown as it is, and a CLI of another version is told with the command", async () => {
        expect(await record()).toBe(OLD);
        const { metadata, ...pod } = barePod("shop", "left");
        const labels = { ...metadata.labels, "linkerd.io/control-plane-ns": "linkerd" };
        const [main] = pod.spec.containers;
        const proxy = { name: "linkerd-proxy", image: "cr.l5d.io/linkerd/proxy:stable-2.13.7" };
        await api.send("POST", "/api/v1/namespaces/shop/pods", {
            body: {
                ...pod,
                metadata: { ...metadata, labels },
                spec: { containers: [main, proxy] },
            },
        });
        await podsReady("shop", 1);
        const bin = join(scratch, "bin");
        await mkdir(bin);
        await writeFile(join(bin, "linkerd"), "#!/bin/sh\necho stable-2.14.10\n", { mode: 0o755 });
        const PATH = [bin, journey.stack.environment["PATH"]].join(delimiter);
        const { output } = await preview({}, { PATH });
        expect(output).toContain(
            `control plane: ${OLD} (linkerd-config), images ${OLD}; proxies: stable-2.13.7 1`,
        );
        expect(output).toContain(`linkerd on PATH is stable-2.14.10, and the target ${OLD}`);
        expect(output).toContain(`LINKERD2_VERSION=${OLD} sh`);
    });

    it("proxies left behind before, and a Job that calls /shutdown, are told at once", async () => {
        const body = job("batch", "report", "10m");
        const [main] = body.spec.template.spec.containers;
        const command = ["sh", "-c", "report; curl -X POST http://localhost:4191/shutdown"];
        Object.assign(main ?? {}, { command });
        await api.send("POST", "/apis/batch/v1/namespaces/batch/jobs", { body });
        await podsReady("batch", 1);
        await refused(
            { linkerdVersion: NEXT, charts: await chartsOf(NEXT, {}) },
            'proxies left from before = "stable-2.13.7 1": the control plane may lead its proxies by one minor',
            `next: restart them at ${OLD} first: npm run rollout`,
            'notice shutdown-endpoint = "Job batch/report": the proxy\'s /shutdown is off by default',
            "controlPlane.values.proxy.enableShutdownEndpoint: true",
            "add shutdown-endpoint to policy.acknowledge",
        );
        await api.send("DELETE", "/api/v1/namespaces/shop/pods/left");
        await podsReady("shop", 0);
    });

    it("the Job is averted by the value, or acknowledged", async () => {
        const averted = await passes({
            linkerdVersion: NEW,
            controlPlane: { values: { proxy: { enableShutdownEndpoint: true } } },
        });
        expect(averted).not.toContain("shutdown-endpoint");
        await passes(
            { linkerdVersion: NEW, policy: { acknowledge: ["shutdown-endpoint"] } },
            "shutdown-endpoint (since edge-24.6.2): the proxy's /shutdown is off by default",
            "[acknowledged]",
            "found: Job batch/report",
        );
        await api.send("DELETE", "/apis/batch/v1/namespaces/batch/jobs/report", {
            body: { propagationPolicy: "Background" },
        });
        await podsReady("batch", 0);
    });

    it("a jump over a minor and a Kubernetes that the charts are not for; the override shows", async () => {
        const choosy = await chartsOf(FAR, { kubeVersion: '">=1.99.0-0"' });
        await refused(
            { linkerdVersion: FAR, charts: choosy },
            `linkerdVersion = "${OLD} -> ${FAR}": Linkerd goes up one minor at a time`,
            "(rule linkerd-one-minor)",
            `next: go to edge-24.8.2 first, data plane included, then to ${FAR}; to go on regardless, add linkerd-one-minor to policy.override`,
            "the chart asks for Kubernetes >=1.99.0-0",
            "next: upgrade the cluster first",
        );
        const charts = await chartsOf(FAR, {});
        await passes(
            { linkerdVersion: FAR, charts, policy: { override: ["linkerd-one-minor"] } },
            "(overridden: linkerd-one-minor)",
            `path: ${OLD} -> ${FAR}: overridden (linkerd-one-minor)`,
        );
    });

    it("Jobs that may not be listed: unknown in preview, a refusal in up", async () => {
        const kubeconfig = await limitedUser(journey.cluster, "no-jobs", ALL_BUT_JOBS);
        await passes(
            { linkerdVersion: NEW, kubeconfig },
            "[unknown whether it applies]",
            "jobs.batch is forbidden",
        );
        const before = await snapshot(journey.connection);
        const text = await readFile(journey.stack.file, "utf8");
        await journey.stack.edit("kubeconfig", kubeconfig);
        await journey.editVersion(NEW);
        const { output } = await journey.failingUp();
        await writeFile(journey.stack.file, text);
        expect(output).toMatch(
            /notice shutdown-endpoint = "jobs\.batch is forbidden.*could not be read/,
        );
        expect(await snapshot(journey.connection)).toEqual(before);
    });

    it("the upgrade records what ran, so that the way back is open, and no other way down", async () => {
        await journey.editVersion(NEW);
        await journey.up();
        expect(await record()).toBe(`${OLD},${NEW}`);
        await journey.expectNoChanges();
        await passes({ linkerdVersion: OLD }, `path: ${NEW} -> ${OLD}: allowed`);
        await annotate(NEW);
        await refused(
            { linkerdVersion: OLD },
            `linkerdVersion = "${NEW} -> ${OLD}": an older version is taken only where this mesh ran it before (rule no-downgrade)`,
            `next: set linkerdVersion to ${NEW}; to go on regardless, add no-downgrade to policy.override`,
        );
        await passes(
            { linkerdVersion: OLD, policy: { override: ["no-downgrade"] } },
            "(overridden: no-downgrade)",
        );
        await annotate(`${OLD},${NEW}`);
    });

    it("a control plane of one chart, with TrafficSplits that nobody will serve", async () => {
        const config = await api.send("GET", `${LINKERD}/configmaps/linkerd-config`);
        const { values = "" } = config["data"] as { values?: string };
        const live = values.replace(`linkerdVersion: ${NEW}`, "linkerdVersion: stable-2.11.1");
        expect(live).not.toBe(values);
        await api.mergePatch(`${LINKERD}/configmaps/linkerd-config`, { data: { values: live } });
        await createTrafficSplit();
        await refused(
            {},
            `linkerdVersion = "stable-2.11.1 -> ${NEW}": up to 2.11 control plane and CRDs are one chart`,
            "next: by hand, with the linkerd CLI of stable-2.12.6: linkerd upgrade --crds",
            "go to stable-2.12.6 first, data plane included, then to stable-2.13.7, stable-2.14.10",
            'notice traffic-split = "TrafficSplit shop/web": TrafficSplits are served by the extension',
        );
        await api.mergePatch(`${CRDS}/trafficsplits.split.smi-spec.io`, {
            metadata: { annotations: { "meta.helm.sh/release-name": "linkerd-smi" } },
        });
        expect(await refused({}, "one chart")).not.toContain("traffic-split");
    });

    it("Anthos Service Mesh 1.4 goes through 1.5, and the old key of overrides is told", async () => {
        const { core, apps } = journey.connection;
        await core.createNamespace({ body: { metadata: { name: "istio-system" } } });
        const text = await readFile(join(PROJECT, "test/fixtures/asm/asm-1.4.10.yaml"), "utf8");
        const pilot = parseAllDocuments(text)
            .map((one) => one.toJS() as { kind: string })
            .find(({ kind }) => kind === "Deployment");
        await apps.createNamespacedDeployment({ namespace: "istio-system", body: pilot as never });
        await podsReady("istio-system", 1);
        const manifests = "test/fixtures/asm/asm-1.6.14.yaml";
        const istio = {
            revisions: [{ version: "1.6.14-asm.2", manifests }],
            base: { adopt: true },
        };
        const others = { linkerdVersion: undefined, viz: undefined };
        await refused(
            { ...others, istio },
            'istio.revisions = "1.4.10-asm.18 -> 1.6.14-asm.2": Anthos Service Mesh on premises goes one minor at a time (rule asm-one-minor)',
            "next: go through 1.5; to go on regardless, add asm-one-minor to policy.override",
            "Istio 1.6 runs on Kubernetes up to 1.18 (rule kubernetes-range)",
        );
        await refused(
            { ...others, istio: { ...istio, override: ["kubernetes-range"] } },
            "istio.override: has moved: it is policy.override",
        );
    });

    /** Charts of the newest fixtures that say they are of another release. */
    async function chartsOf(tag: string, fields: Record<string, string>): Promise<string> {
        const directory = await mkdtemp(join(scratch, "charts-"));
        const version = tag.replace("edge-", "20");
        for (const chart of ["linkerd-crds", "linkerd-control-plane", "linkerd-viz"]) {
            const path = join(directory, `${chart}-${version}`);
            await cp(join(CHARTS, `${chart}-2024.7.5`), path, { recursive: true });
            const file = join(path, "Chart.yaml");
            const lines = (await readFile(file, "utf8"))
                .split("\n")
                .map((line) => (line.startsWith("version:") ? `version: ${version}` : line))
                .filter((line) => !Object.keys(fields).some((key) => line.startsWith(`${key}:`)));
            const more = Object.entries(fields).map(([key, value]) => `${key}: ${value}`);
            await writeFile(file, [...more, ...lines].join("\n"));
        }
        return directory;
    }

    function annotate(versions: string) {
        return api.mergePatch("/api/v1/namespaces/linkerd", {
            metadata: { annotations: { "mesh-upgrade/versions": versions } },
        });
    }

    async function createTrafficSplit(): Promise<void> {
        const names = { kind: "TrafficSplit", plural: "trafficsplits", singular: "trafficsplit" };
        const schema = {
            openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        };
        await api.send("POST", CRDS, {
            body: {
                apiVersion: "apiextensions.k8s.io/v1",
                kind: "CustomResourceDefinition",
                metadata: { name: "trafficsplits.split.smi-spec.io" },
                spec: {
                    group: "split.smi-spec.io",
                    names,
                    scope: "Namespaced",
                    versions: [{ name: "v1alpha2", served: true, storage: true, schema }],
                },
            },
        });
        const path = "/apis/split.smi-spec.io/v1alpha2/namespaces/shop/trafficsplits";
        const body = {
            apiVersion: "split.smi-spec.io/v1alpha2",
            kind: "TrafficSplit",
            metadata: { name: "web" },
        };
        await expect
            .poll(
                () =>
                    api
                        .send("POST", path, { body })
                        .then(() => true)
                        .catch(() => false),
                {
                    timeout: 20_000,
                },
            )
            .toBe(true);
    }
});
