// Proves on a real API server, with Kubernetes' own controllers, how the rollout treats each kind of workload. Argo
// Rollouts' controller and Flagger are played; it does not prove that theirs behave as they are played.
import * as k8s from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RESTARTED_AT } from "../../cluster/pods";
import { podAnnotations } from "../../embedded/stages";
import { startMesh, type Mesh } from "./support/mesh";
import {
    createCanary,
    createExtensions,
    createRollout,
    playArgo,
    setPhase,
} from "./support/meshExtensions";
import {
    barePod,
    budget,
    job,
    meshedNamespace,
    workload,
    type Workload,
} from "./support/meshObjects";
import { MeshPods } from "./support/meshPods";
import { endPrograms, startProgram, type Program, type Result } from "./support/meshProgram";
import { waitFor } from "./support/waiting";

const OLD = "edge-24.5.3";
const NEW = "edge-24.7.5";
const MERGE = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
const namespace = "kinds";

let mesh: Mesh;
const watches: MeshPods[] = [];
let jobs: MeshPods;
let guarded: MeshPods;
let broken: MeshPods;

beforeAll(async () => {
    mesh = await startMesh("kinds", OLD);
    await createExtensions(mesh);
    await mesh.create(
        meshedNamespace("jobs"),
        job("jobs", "importer", "1h"),
        meshedNamespace("guarded"),
        deployment("guarded", "locked", { replicas: 2, ...surge(0, 1) }),
        budget("guarded", "all-of-it", { app: "locked" }, { minAvailable: "100%" }),
        deployment("guarded", "neighbour", { replicas: 2 }),
        meshedNamespace("broken"),
        workload({
            kind: "StatefulSet",
            namespace: "broken",
            name: "ledger",
            spec: { replicas: 3 },
            podAnnotations: { [podAnnotations.crashLoop]: NEW },
        }),
    );
    jobs = await podsOf("jobs", { importer: 1 });
    guarded = await podsOf("guarded", { locked: 2, neighbour: 2 });
    broken = await podsOf("broken", { ledger: 3 });
});

afterEach(endPrograms);

afterAll(async () => {
    await Promise.all(watches.map((pods) => pods.stop()));
    await mesh?.dispose();
});

/** Of the pods that may be surplus, and missing, while a Deployment rolls. */
const surge = (maxSurge: number, maxUnavailable: number) => ({
    strategy: { rollingUpdate: { maxSurge, maxUnavailable } },
});

function deployment(namespace: string, name: string, spec: object, more: Partial<Workload> = {}) {
    return workload({ kind: "Deployment", namespace, name, spec, ...more });
}

/** The rollout of one namespace. */
function rollout(name: string, ...more: readonly string[]): Program {
    const { kubeconfig, context } = mesh.cluster;
    return startProgram(mesh.folder, [
        ...["--kubeconfig", kubeconfig, "--context", context, "--namespace", name],
        ...["--soak", "0s", "--timeout", "20s", "--pace", "unlimited", ...more],
    ]);
}

/** What became of the program, when all that it did to the pods has come in. */
async function ended(program: Program, pods: MeshPods): Promise<Result> {
    const result = await program.ended;
    await pods.caughtUp();
    return result;
}

/** The pods of a namespace, as soon as so many are ready, by `app`. */
async function podsOf(name: string, wanted: Readonly<Record<string, number>>): Promise<MeshPods> {
    const pods = new MeshPods(mesh, name);
    watches.push(pods);
    await pods.start();
    const missing = () => Object.keys(wanted).filter((app) => pods.ready(app) !== wanted[app]);
    await waitFor("pods to be ready", () => missing().length === 0, 60_000).catch(
        (error: unknown) => {
            throw new Error(`not ready: ${missing().join(", ")}`, { cause: error });
        },
    );
    return pods;
}

/** What a restart changes, by workload: restartedAt, and how many revisions there are. */
async function revisions(name: string) {
    const { apps } = mesh.connection;
    const [deployments, statefulSets, daemonSets, replicaSets, controllerRevisions] =
        await Promise.all([
            apps.listNamespacedDeployment({ namespace: name }),
            apps.listNamespacedStatefulSet({ namespace: name }),
            apps.listNamespacedDaemonSet({ namespace: name }),
            apps.listNamespacedReplicaSet({ namespace: name }),
            apps.listNamespacedControllerRevision({ namespace: name }),
        ]);
    const owned = [...replicaSets.items, ...controllerRevisions.items];
    return Object.fromEntries(
        [...deployments.items, ...statefulSets.items, ...daemonSets.items].map(
            ({ metadata, spec }) => [
                metadata?.name ?? "",
                {
                    restartedAt: spec?.template.metadata?.annotations?.[RESTARTED_AT],
                    revisions: owned.filter((one) =>
                        one.metadata?.ownerReferences?.some(({ uid }) => uid === metadata?.uid),
                    ).length,
                },
            ],
        ),
    );
}

const untouched = { restartedAt: undefined, revisions: 1 };
const restartedOnce = { restartedAt: expect.any(String) as string, revisions: 2 };
/** The proxies of all of an application's pods, each once. */
const proxies = (pods: MeshPods, app: string) => [...new Set(Object.values(pods.proxies(app)))];
const linesWith = ({ stderr }: Result, text: string) =>
    stderr.split("\n").filter((line) => line.includes(text));

describe("one rollout over workloads of every kind", () => {
    const onDelete = { updateStrategy: { type: "OnDelete" } };
    const ready = {
        ...{ ordered: 3, pending: 2, partitioned: 3, agent: 3 },
        ...{ greedy: 4, surging: 2, left: 2, right: 2 },
        ...{ paused: 1, scaled: 2, flux: 1, argocd: 1, "web-primary": 1 },
        ...{ basket: 3, importer: 1, shell: 1 },
    };
    const stopArgo = new AbortController();
    let argo: Promise<void> = Promise.resolve();
    let pods: MeshPods;
    let before: Awaited<ReturnType<typeof revisions>>;
    let after: Awaited<ReturnType<typeof revisions>>;
    let result: Result;
    /** What was begun while the canary was progressing and others were done already. */
    let begunMeanwhile: readonly string[];

    beforeAll(async () => {
        const statefulSet = (name: string, spec: object) =>
            workload({ kind: "StatefulSet", namespace, name, spec });
        const plain = (name: string, replicas: number, more: Partial<Workload> = {}) =>
            deployment(namespace, name, { replicas }, more);
        const pair = { podLabels: { pair: "yes" } };
        await mesh.create(
            meshedNamespace(namespace),
            statefulSet("ordered", { replicas: 3, ...onDelete }),
            statefulSet("pending", { replicas: 2, ...onDelete }),
            statefulSet("partitioned", {
                replicas: 3,
                updateStrategy: { rollingUpdate: { partition: 1 } },
            }),
            workload({ kind: "DaemonSet", namespace, name: "agent", spec: onDelete }),
            deployment(namespace, "greedy", { replicas: 4, ...surge(0, 2) }),
            budget(namespace, "greedy", { app: "greedy" }, { maxUnavailable: 1 }),
            deployment(namespace, "surging", { replicas: 2, ...surge(1, 0) }),
            budget(namespace, "surging", { app: "surging" }, { minAvailable: "100%" }),
            deployment(namespace, "left", { replicas: 2, ...surge(0, 1) }, pair),
            deployment(namespace, "right", { replicas: 2, ...surge(0, 1) }, pair),
            budget(namespace, "pair", { pair: "yes" }, { maxUnavailable: 1 }),
            plain("paused", 1),
            plain("idle", 0),
            plain("scaled", 2),
            plain("flux", 1, {
                labels: {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                },
            }),
            plain("argocd", 1, {
                annotations: {
                    "argocd.argoproj.io/tracking-id": `shop:apps/Deployment:${namespace}/argocd`,
                },
            }),
            plain("web", 0),
            plain("web-primary", 1),
            job(namespace, "importer", "1h"),
            job(namespace, "finished", "0s"),
            barePod(namespace, "shell"),
            barePod(namespace, "failed-shell"),
        );
        await createCanary(mesh, namespace, "web");
        await setPhase(mesh, namespace, "web", "Progressing");
        await createRollout(mesh, namespace, "basket", 3);
        pods = await podsOf(namespace, { ...ready, "failed-shell": 1, finished: 0 });
        argo = playArgo(mesh, pods, namespace, "basket", stopArgo.signal);

        const { apps, core } = mesh.connection;
        const image = "registry.example/shop/main:1.1";
        const newImage = {
            spec: { template: { spec: { containers: [{ name: "main", image }] } } },
        };
        for (const name of ["pending", "partitioned"]) {
            await apps.patchNamespacedStatefulSet({ namespace, name, body: newImage }, MERGE);
        }
        await apps.patchNamespacedDeployment(
            { namespace, name: "paused", body: { spec: { paused: true } } },
            MERGE,
        );
        await core.patchNamespacedPodStatus(
            { namespace, name: "failed-shell", body: { status: { phase: "Failed" } } },
            MERGE,
        );
        await waitFor("pods above the partition to have the new image", async () => {
            const { status } = await apps.readNamespacedStatefulSet({
                namespace,
                name: "partitioned",
            });
            return status?.updatedReplicas === 2 && status.readyReplicas === 3;
        });
        await waitFor("the finished pods", () => pods.alive("finished").length === 0);
        await mesh.switchTo(NEW);
        before = await revisions(namespace);

        const program = rollout(namespace);
        await Promise.all([
            program
                .says(/kinds\/Deployment\/scaled: restart/)
                .then(() =>
                    apps.patchNamespacedDeploymentScale(
                        { namespace, name: "scaled", body: { spec: { replicas: 5 } } },
                        MERGE,
                    ),
                ),
            program
                .says(/kinds\/Deployment\/web-primary: waits/)
                .then(() => program.says(/kinds\/StatefulSet\/ordered: done/))
                .then(() => {
                    begunMeanwhile = [...program.lines];
                    return setPhase(mesh, namespace, "web", "Succeeded");
                }),
            // A program that ends early is told of below, with all that it wrote.
        ]).catch(() => undefined);
        result = await ended(program, pods);
        after = await revisions(namespace);
    });

    afterAll(async () => {
        stopArgo.abort();
        await argo;
    });

    it("ends well, and counts no pod that has finished", () => {
        expect(result.code, result.stderr).toBe(0);
        const alive = Object.values(ready).reduce((sum, one) => sum + one, 0) + 3;
        const stale = ready.pending + ready.paused + ready.importer + ready.shell;
        expect(result.stderr).toMatch(
            new RegExp(`wave selected: ${alive - stale} of ${alive} pods run ${NEW} after`),
        );
        expect(result.stderr).not.toMatch(/\/(finished|failed-shell)/);
    });

    it("StatefulSet OnDelete: the highest ordinal first, the next when it is ready, template as it was", () => {
        expect(
            pods
                .history("ordered")
                .slice(pods.history("ordered").findIndex((step) => step.startsWith("gone")))
                .filter((step) => /^(gone|ready)/.test(step)),
        ).toEqual([2, 1, 0].flatMap((n) => [`gone ordered-${n}`, `ready ordered-${n}`]));
        expect(pods.mostMissing(3, "ordered")).toBe(1);
        expect(proxies(pods, "ordered")).toEqual([NEW]);
        expect(after["ordered"]).toEqual(untouched);
        // What it tells meanwhile never goes back.
        const told = linesWith(result, "kinds/StatefulSet/ordered: ").flatMap(
            (line) => /(\d) of 3 new/.exec(line)?.[1] ?? [],
        );
        expect(told).toEqual([...told].sort());
    });

    it("StatefulSet OnDelete with a change that waits for its owner: left alone, named with the reason", () => {
        expect(proxies(pods, "pending")).toEqual([OLD]);
        expect(pods.made("pending")).toBe(2);
        expect(linesWith(result, "kinds/StatefulSet/pending")).toEqual([
            `not restarted: kinds/StatefulSet/pending (2 pods, proxy ${OLD}): update strategy OnDelete, and its ` +
                "template has a change that its pods do not have: they would get that as well; delete them to accept it",
        ]);
    });

    it("StatefulSet with a partition: all pods get the proxy, those below it keep their revision", () => {
        const images = Object.fromEntries(
            pods
                .alive("partitioned")
                .map(({ metadata, spec }) => [
                    metadata?.name ?? "",
                    spec?.containers.find(({ name }) => name === "main")?.image,
                ]),
        );
        expect(images).toEqual({
            "partitioned-0": "registry.example/shop/main:1.0",
            "partitioned-1": "registry.example/shop/main:1.1",
            "partitioned-2": "registry.example/shop/main:1.1",
        });
        expect(proxies(pods, "partitioned")).toEqual([NEW]);
        expect(pods.mostMissing(3, "partitioned")).toBe(1);
        expect(after["partitioned"]).toEqual(before["partitioned"]);
    });

    it("DaemonSet OnDelete: one pod at a time, template as it was", () => {
        expect(proxies(pods, "agent")).toEqual([NEW]);
        expect(pods.made("agent")).toBe(6);
        expect(pods.mostMissing(3, "agent")).toBe(1);
        expect(after["agent"]).toEqual(untouched);
    });

    it("a Deployment that takes down more than its budget allows is evicted, one pod at a time", () => {
        expect(proxies(pods, "greedy")).toEqual([NEW]);
        expect(pods.made("greedy")).toBe(8);
        expect(pods.mostMissing(4, "greedy")).toBe(1);
        expect(after["greedy"]).toEqual(untouched);
        expect(result.stderr).toMatch(
            /kinds\/Deployment\/greedy: its stale pods are evicted, 1 at a time.*budget/i,
        );
    });

    it("a Deployment that only surges restarts under a budget that allows nothing", () => {
        expect(proxies(pods, "surging")).toEqual([NEW]);
        expect(pods.mostMissing(2, "surging")).toBe(0);
        expect(after["surging"]).toEqual(restartedOnce);
    });

    it("two Deployments under one budget do not go down together", () => {
        expect([...proxies(pods, "left"), ...proxies(pods, "right")]).toEqual([NEW, NEW]);
        expect(pods.mostMissing(4, "left", "right")).toBe(1);
        expect([after["left"], after["right"]]).toEqual([restartedOnce, restartedOnce]);
    });

    it("a paused Deployment is named; one without pods is no matter", () => {
        expect(proxies(pods, "paused")).toEqual([OLD]);
        expect(after["paused"]).toEqual(untouched);
        expect(linesWith(result, "kinds/Deployment/paused")).toEqual([
            `not restarted: kinds/Deployment/paused (1 pods, proxy ${OLD}): its rollout is paused: kubectl rollout resume`,
        ]);
        expect(after["idle"]).toEqual(untouched);
        expect(linesWith(result, "kinds/Deployment/idle")).toEqual([]);
    });

    it("an autoscaler that adds pods in the middle does not confuse it", () => {
        const versions = Object.values(pods.proxies("scaled"));
        expect(versions).toEqual(Array.from({ length: 5 }, () => NEW));
        expect(after["scaled"]).toEqual(restartedOnce);
        expect(linesWith(result, "kinds/Deployment/scaled: done")).toHaveLength(1);
    });

    it("who may take the restart back is named: Flux and Argo CD", () => {
        expect(result.stderr).toContain(
            "kinds/Deployment/flux: managed by Flux (Kustomization flux-system/apps), which may take restartedAt off again: one more restart\n",
        );
        expect(result.stderr).toContain(
            "kinds/Deployment/argocd: managed by Argo CD (Application shop), which may take restartedAt off again: one more restart\n",
        );
        expect([after["flux"], after["argocd"]]).toEqual([restartedOnce, restartedOnce]);
    });

    it("Flagger's primary is restarted when the canary has come to rest, not before", () => {
        const about = (lines: readonly string[]) =>
            lines.filter((line) => line.startsWith("kinds/Deployment/web-primary: "));
        expect(about(begunMeanwhile)).toEqual([
            "kinds/Deployment/web-primary: the primary of Flagger's Canary web",
            "kinds/Deployment/web-primary: waits for Canary web, which is Progressing",
            "kinds/Deployment/web-primary: waits: Canary kinds/web of Flagger is Progressing",
        ]);
        expect(proxies(pods, "web-primary")).toEqual([NEW]);
        expect(after["web-primary"]).toEqual(restartedOnce);
        expect(after["web"]).toEqual(untouched);
    });

    it("an Argo Rollout is restarted once, by its own controller", async () => {
        expect(proxies(pods, "basket")).toEqual([NEW]);
        expect(pods.made("basket")).toBe(6);
        const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/rollouts/basket`;
        const { spec, status } = await mesh.api.send("GET", path);
        expect(spec).toHaveProperty("restartAt", (status as { restartedAt: string }).restartedAt);
        expect(spec).not.toHaveProperty("template.metadata.annotations", RESTARTED_AT);
    });

    it("a Job's pod and a bare pod keep their proxy, and are named", () => {
        expect(result.stderr).toContain(
            `not restarted: kinds/Job/importer (1 pods, proxy ${OLD}): a Job: its pod keeps its proxy until it has finished\n`,
        );
        expect(result.stderr).toContain(
            `not restarted: kinds/Pod/shell (1 pods, proxy ${OLD}): a bare pod: nothing makes it anew when it is deleted\n`,
        );
        expect([pods.made("importer"), pods.made("shell")]).toEqual([1, 1]);
    });

    it("a second rollout finds nothing to do", async () => {
        const again = await rollout(namespace).ended;
        expect(again.code, again.stderr).toBe(0);
        expect(again.stderr).toContain("; 0 workloads (0 pods) to go");
        expect(await revisions(namespace)).toEqual(after);
    });
});

describe("pods of Jobs", () => {
    beforeAll(() => mesh.switchTo(NEW));

    it("skip: they are passed over without a word", async () => {
        const result = await rollout("jobs", "--jobs", "skip").ended;
        expect(result.code, result.stderr).toBe(0);
        expect(result.stderr).not.toContain("importer");
    });

    it("wait: the rollout ends when they have finished", async () => {
        const program = rollout("jobs", "--jobs", "wait");
        await program.says(/waits for 1 Jobs to finish: jobs\/Job\/importer/);
        const [pod] = jobs.alive("importer");
        const annotations = { [podAnnotations.completeAfter]: "1s" };
        await mesh.connection.core.patchNamespacedPod(
            {
                namespace: "jobs",
                name: pod?.metadata?.name ?? "",
                body: { metadata: { annotations } },
            },
            MERGE,
        );
        const result = await ended(program, jobs);
        expect(result.code, result.stderr).toBe(0);
        expect(jobs.alive("importer")).toEqual([]);
        expect(jobs.made("importer")).toBe(1);
    });
});

describe("a budget that never allows a pod to go down", () => {
    beforeAll(() => mesh.switchTo(NEW));

    it("fails with its name; no pod is lost, nothing else begins", async () => {
        const result = await ended(rollout("guarded"), guarded);
        expect(result.code).toBe(1);
        expect(result.stderr).toMatch(
            /guarded\/Deployment\/locked: FAILED: PodDisruptionBudget guarded\/all-of-it .* It can never be restarted as it is/,
        );
        // It came first: both take as long, and L stands before N.
        expect(await revisions("guarded")).toEqual({ locked: untouched, neighbour: untouched });
        expect([guarded.made("locked"), guarded.made("neighbour")]).toEqual([2, 2]);
    });

    it("is passed over on request", async () => {
        const result = await ended(rollout("guarded", "--disruption-budgets", "ignore"), guarded);
        expect(result.code, result.stderr).toBe(0);
        expect(proxies(guarded, "locked")).toEqual([NEW]);
        expect(guarded.mostMissing(2, "locked")).toBe(1);
        expect(await revisions("guarded")).toEqual({
            locked: restartedOnce,
            neighbour: restartedOnce,
        });
    });
});

describe("a StatefulSet whose restart broke its highest pod", () => {
    beforeAll(() => mesh.switchTo(NEW));

    it("the rollout fails with pod and reason, the other pods are as they were", async () => {
        const result = await ended(rollout("broken"), broken);
        expect(result.code).toBe(1);
        expect(result.stderr).toMatch(
            /broken\/StatefulSet\/ledger: FAILED: no progress for 20 s: pod ledger-2: container main: CrashLoopBackOff/,
        );
        expect(broken.proxies("ledger")).toEqual({
            "ledger-0": OLD,
            "ledger-1": OLD,
            "ledger-2": NEW,
        });
    });

    it("after the way back it comes home, although its controller waits for the broken pod", async () => {
        await mesh.switchTo(OLD);
        const result = await ended(rollout("broken"), broken);
        expect(result.code, result.stderr).toBe(0);
        expect(linesWith(result, "deleted, because")).toEqual([
            expect.stringMatching(
                /^broken\/ledger-2: deleted, because it is broken \(container main: CrashLoopBackOff.*\) and its StatefulSet would wait for it$/,
            ),
        ]);
        expect(broken.proxies("ledger")).toEqual({
            "ledger-0": OLD,
            "ledger-1": OLD,
            "ledger-2": OLD,
        });
        // Those that served were not touched: three at first, the broken one, and the one after it.
        expect(broken.made("ledger")).toBe(5);
        expect((await revisions("broken"))["ledger"]).toEqual({
            restartedAt: undefined,
            revisions: 2,
        });
    });
});
