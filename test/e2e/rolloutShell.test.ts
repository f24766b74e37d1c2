// Proves the rollout program as a shell sees it: its options, its output, its exit codes, and what Ctrl-C leaves.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { RESTARTED_AT } from "../../cluster/pods";
import { podAnnotations } from "../../embedded/stages";
import { startMesh, type Mesh } from "./support/mesh";
import { meshedNamespace, workload } from "./support/meshObjects";
import { MeshPods } from "./support/meshPods";
import { endPrograms, startProgram, type Program } from "./support/meshProgram";
import { waitFor } from "./support/waiting";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
/** Of namespace shop, in the order in which they start. */
const SHOP = ["cart", "checkout", "search", "stock", "web"];
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/linkerd/leases/mesh-upgrade-rollout";

let mesh: Mesh;

beforeAll(async () => {
    mesh = await startMesh("shell", OLD);
    const deployment = (namespace: string, name: string, annotations = {}) =>
        workload({
            kind: "Deployment",
            namespace,
            name,
            spec: { replicas: 2 },
            podAnnotations: annotations,
        });
    await mesh.create(
        ...["shop", "batch", "stuck"].map(meshedNamespace),
        ...SHOP.map((name) => deployment("shop", name)),
        ...["importer", "exporter"].map((name) => deployment("batch", name)),
        deployment("stuck", "broken", { [podAnnotations.crashLoop]: NEW }),
    );
    for (const [namespace, names] of [
        ["shop", SHOP],
        ["batch", ["importer", "exporter"]],
        ["stuck", ["broken"]],
    ] as const) {
        const pods = new MeshPods(mesh, namespace);
        await pods.start();
        const ready = () => names.every((name) => pods.ready(name) === 2);
        await waitFor(`pods of ${namespace}`, ready, 60_000).finally(() => pods.stop());
    }
    await mesh.switchTo(NEW);
    const { context, kubeconfig, uid } = mesh.cluster;
    const stack = {
        config: {
            "mesh-upgrade:context": context,
            "mesh-upgrade:kubeconfig": kubeconfig,
            "mesh-upgrade:clusterUid": uid,
            "mesh-upgrade:rollout": {
                waves: [{ name: "canary", select: [{ namespaces: ["batch"] }], pace: 20 }],
            },
        },
    };
    await writeFile(join(mesh.folder, "Pulumi.shell.yaml"), stringify(stack));
});

afterEach(endPrograms);

afterAll(async () => {
    await mesh?.dispose();
});

/** The program with nothing but these options. */
const shell = (...args: readonly string[]) => startProgram(mesh.folder, args);

function rollout(...args: readonly string[]): Program {
    const { kubeconfig, context } = mesh.cluster;
    const where = ["--kubeconfig", kubeconfig, "--context", context];
    return shell(...where, "--soak", "0s", "--timeout", "20s", ...args);
}

/** What a restart changes, by `namespace/Deployment`: restartedAt, and how many ReplicaSets there are. */
async function revisions() {
    const { apps } = mesh.connection;
    const { items: sets } = await apps.listReplicaSetForAllNamespaces();
    const { items } = await apps.listDeploymentForAllNamespaces();
    return Object.fromEntries(
        items
            .filter(({ metadata }) => metadata?.namespace !== "linkerd")
            .map(({ metadata, spec }) => [
                `${metadata?.namespace}/${metadata?.name}`,
                {
                    restartedAt: spec?.template.metadata?.annotations?.[RESTARTED_AT],
                    revisions: sets.filter((one) =>
                        one.metadata?.ownerReferences?.some(({ uid }) => uid === metadata?.uid),
                    ).length,
                },
            ]),
    );
}

const restartedOnce = { restartedAt: expect.any(String) as string, revisions: 2 };
/** The Deployments that were restarted ever. */
const restarted = (now: Awaited<ReturnType<typeof revisions>>) =>
    Object.keys(now).filter((name) => now[name]?.revisions !== 1 || now[name].restartedAt);
const lease = () => mesh.api.send("GET", LEASE);

describe("options", () => {
    it("--help tells all of them, and needs no cluster", async () => {
        const { code, stdout, stderr } = await shell("--help").ended;
        expect([code, stderr]).toEqual([0, ""]);
        for (const option of [
            "context",
            "stack-file",
            "wave",
            "namespace",
            "pace",
            "soak",
            "json",
        ]) {
            expect(stdout).toContain(`--${option} `);
        }
    });

    it("each that is wrong or missing is named, with its value, the rule and the next step", async () => {
        const args = ["--pace", "fast", "--soak", "5", "--jobs", "maybe"];
        const { code, stdout, stderr } = await shell(...args).ended;
        expect([code, stdout]).toEqual([1, ""]);
        expect(stderr).toMatch(/^mesh-upgrade refused; nothing was changed:\n/);
        expect(stderr).toMatch(
            /--pace = "fast": must be pods per minute, 1 or more, or unlimited\n +next: /,
        );
        expect(stderr).toMatch(/--soak = "5": must be a duration such as 90s.*\n +next: /);
        expect(stderr).toMatch(/--jobs = "maybe": .*report.*wait.*skip.*\n +next: /);
        expect(stderr).toMatch(/--context: must name a context of the kubeconfig\n +next: kubectl/);
    });

    it("a wave that is not there is refused with those that are", async () => {
        const file = "Pulumi.shell.yaml";
        const { code, stderr } = await shell("--stack-file", file, "--wave", "canray").ended;
        expect(code).toBe(1);
        expect(stderr).toMatch(
            /--wave = "canray": there is no such wave; there are: canary, rest\n +next: choose one of them/,
        );
    });

    it.each([
        [
            "an option that is not there",
            ["--context", "nowhere", "--fast"],
            /Unknown option '--fast'.*\n +next: npm run rollout -- --help/,
        ],
        [
            "a stack file that is not there",
            ["--stack-file", "Pulumi.none.yaml"],
            /--stack-file = "Pulumi.none.yaml": cannot be read.*\n +next: name a Pulumi.<stack>.yaml/,
        ],
    ])("%s", async (_, args, message) => {
        const { code, stdout, stderr } = await shell(...args).ended;
        expect([code, stdout]).toEqual([1, ""]);
        expect(stderr).toMatch(message);
    });

    it("a context that is not there is refused with those that are, and with the option", async () => {
        const { kubeconfig, context } = mesh.cluster;
        const args = ["--kubeconfig", kubeconfig, "--context", "nowhere"];
        const { code, stderr } = await shell(...args).ended;
        expect(code).toBe(1);
        expect(stderr).toContain(
            `context = "nowhere": the kubeconfig has no such context; it has: ${context}\n`,
        );
        expect(stderr).toMatch(/next: .*--context/);
    });

    it("another cluster than the one that is meant is refused", async () => {
        const { code, stderr } = await rollout("--cluster-uid", "another").ended;
        expect(code).toBe(1);
        expect(stderr).toContain(`has uid ${mesh.cluster.uid}`);
    });

    it("a namespace that has no meshed pod is no success", async () => {
        const { code, stderr } = await rollout("--namespace", "shpo").ended;
        expect(code).toBe(1);
        expect(stderr).toContain("--namespace, --workload: select no meshed pod");
    });
});

describe("--plan", () => {
    it("shows the waves of a stack file, and changes nothing", async () => {
        const before = await revisions();
        const files = () => readdir(mesh.folder, { recursive: true });
        const filesBefore = await files();
        const { code, stdout, stderr } = await shell("--stack-file", "Pulumi.shell.yaml", "--plan")
            .ended;
        expect(code, stderr).toBe(0);
        expect(stdout.split("\n").filter((line) => line !== "")).toEqual([
            "wave canary: 2 workloads, 4 pods to restart, about 1 min at 20 pods a minute",
            ...["exporter", "importer"].map(
                (name) => `  batch/Deployment/${name}: 2 pods, proxy ${OLD} -> ${NEW}`,
            ),
            "wave rest: 6 workloads, 12 pods to restart, about 1 min at 100 pods a minute",
            ...SHOP.map((name) => `  shop/Deployment/${name}: 2 pods, proxy ${OLD} -> ${NEW}`),
            `  stuck/Deployment/broken: 2 pods, proxy ${OLD} -> ${NEW}`,
        ]);
        expect(restarted(before)).toEqual([]);
        expect(await revisions()).toEqual(before);
        await expect(lease()).rejects.toMatchObject({ status: 404 });
        expect(await files()).toEqual(filesBefore);
    });
});

describe("--namespace, --workload and --json", () => {
    it("restart just that, tell it in lines of JSON, and leave a report where the shell is", async () => {
        const args = ["--namespace", "batch", "--workload", "Deployment/importer", "--json"];
        const { code, stdout, stderr } = await rollout(...args).ended;
        expect(code, stderr).toBe(0);
        const now = await revisions();
        expect(restarted(now)).toEqual(["batch/importer"]);
        expect(now["batch/importer"]).toEqual(restartedOnce);

        const events = stdout
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line) as { type: string; time: string });
        expect(events.every(({ time }) => !Number.isNaN(Date.parse(time)))).toBe(true);
        const of = (type: string) => events.filter((one) => one.type === type);
        expect(of("wave")).toMatchObject([
            { wave: "selected", target: NEW, workloads: 1, pods: 2, current: 0, podsToGo: 2 },
        ]);
        const workload = "batch/Deployment/importer";
        expect(of("workload").at(0)).toMatchObject({ workload, state: "started", from: [OLD] });
        expect(of("workload").at(-1)).toMatchObject({ workload, state: "done" });
        expect(events.at(-1)).toMatchObject({
            type: "report",
            wave: "selected",
            current: 2,
            failures: [],
            workloads: [{ workload, action: "restart", result: "done" }],
        });

        const path = join(mesh.folder, ".rollout", "selected.json");
        const report = JSON.parse(await readFile(path, "utf8")) as { verdicts: object[] };
        expect(report.verdicts).toMatchObject([
            { proxy: NEW, verdict: "current" },
            { proxy: NEW, verdict: "current" },
        ]);
    });
});

describe("Ctrl-C in the middle", () => {
    const started = (lines: readonly string[]) =>
        lines.flatMap((line) => /^shop\/Deployment\/(\S+): restart /.exec(line)?.[1] ?? []);
    let left: readonly string[];

    it("a second rollout is refused meanwhile, and told who is at work", async () => {
        // Two pods each, so that a workload begins every 20 s.
        const first = rollout("--namespace", "shop", "--pace", "6");
        await first.says(/^shop\/Deployment\/\S+: restart /);
        const second = await rollout("--namespace", "batch").ended;
        expect(second.code).toBe(1);
        expect(second.stderr).toContain(
            `Lease linkerd/mesh-upgrade-rollout is held by ${hostname()}/${first.pid}/`,
        );
        expect(restarted(await revisions())).not.toContain("batch/exporter");

        const begun = started(first.lines).length;
        await waitFor("one more to begin", () => started(first.lines).length > begun, 60_000);
        const before = started(first.lines);
        first.signal("SIGINT");
        const { code, stderr } = await first.ended;

        expect(code, stderr).toBe(130);
        const last = before.at(-1) ?? "";
        expect(stderr).toContain(
            `SIGINT: nothing new is begun; 1 workloads roll on: shop/Deployment/${last}\n`,
        );
        expect(stderr).toContain(`shop/Deployment/${last}: done after`);
        expect(started(stderr.split("\n"))).toEqual(before);
        left = SHOP.filter((name) => !before.includes(name));
        expect(left.length).toBeGreaterThan(0);
        expect(stderr).toContain(`ended on request; ${left.length} workloads are still stale`);
        await expect(lease()).rejects.toMatchObject({ status: 404 });
        const done = restarted(await revisions());
        expect(SHOP.filter((name) => !done.includes(`shop/${name}`))).toEqual(left);
    });

    it("the same again finishes; nobody is restarted twice", async () => {
        const before = await revisions();
        const { code, stderr } = await rollout("--namespace", "shop", "--pace", "unlimited").ended;
        expect(code, stderr).toBe(0);
        expect(started(stderr.split("\n")).sort()).toEqual(left);
        const after = await revisions();
        for (const name of SHOP) {
            expect(after[`shop/${name}`]).toEqual(
                left.includes(name) ? restartedOnce : before[`shop/${name}`],
            );
        }
        expect(stderr).toContain(`10 of 10 pods run ${NEW}`);
    });

    it("twice: it ends at once, and the next rollout goes on without waiting", async () => {
        const first = rollout("--namespace", "stuck", "--timeout", "5m");
        await first.says(/stuck\/Deployment\/broken: restart /);
        first.signal("SIGINT");
        await first.says(/waiting for them; Ctrl-C again leaves them to the cluster/);
        await waitFor("the lease", async () => (await lease()) !== undefined);
        first.signal("SIGINT");
        expect((await first.ended).code).toBe(130);

        const { code, stderr } = await rollout("--namespace", "stuck", "--timeout", "5s").ended;
        expect(code).toBe(1);
        expect(stderr).toMatch(
            new RegExp(`taken over from ${hostname()}/${first.pid}/\\S+ \\(its process is dead\\)`),
        );
        expect(stderr).toMatch(
            /stuck\/Deployment\/broken: FAILED: no progress for 5 s: pod broken-\S+: container main: CrashLoopBackOff/,
        );
        expect((await revisions())["stuck/broken"]).toEqual(restartedOnce);
        await expect(lease()).rejects.toMatchObject({ status: 404 });
    });
});
