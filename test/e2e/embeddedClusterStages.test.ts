// Proves that a pod's annotations slow it down and break it as a kubelet's pod would be. It does
// not prove how long anything takes.
import {
    AppsV1Api,
    BatchV1Api,
    CoordinationV1Api,
    CoreV1Api,
    type Informer,
    makeInformer,
    type ObjectCache,
    type V1ContainerStatus,
    type V1Pod,
    type V1PodTemplateSpec,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedCluster, startCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { podAnnotations } from "../../embedded/stages";
import { ensureToolchain } from "../../toolchain/index";
import { eventually } from "./embeddedCluster.support";

const namespace = "default";

let cluster: EmbeddedCluster;
let core: CoreV1Api;
let apps: AppsV1Api;
let batch: BatchV1Api;
let pods: Informer<V1Pod> & ObjectCache<V1Pod>;
/** What was seen of each pod, oldest first. */
const history = new Map<string, V1Pod[]>();

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "stages", programs });
    const config = loadContext(cluster.kubeconfig, cluster.context);
    core = config.makeApiClient(CoreV1Api);
    apps = config.makeApiClient(AppsV1Api);
    batch = config.makeApiClient(BatchV1Api);
    pods = makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, () =>
        core.listNamespacedPod({ namespace }),
    );
    for (const event of ["add", "update", "delete"] as const) {
        pods.on(event, (pod) => {
            const name = pod.metadata?.name ?? "";
            history.set(name, [...(history.get(name) ?? []), pod]);
        });
    }
    await pods.start();
});

afterAll(async () => {
    await pods?.stop();
    await cluster?.stop();
});

function template(name: string, annotations: Record<string, string>): V1PodTemplateSpec {
    return {
        metadata: { labels: { app: name }, annotations },
        spec: {
            initContainers: [
                { name: "linkerd-init", image: "registry.example/init:1" },
                {
                    name: "linkerd-proxy",
                    image: "registry.example/proxy:1",
                    restartPolicy: "Always",
                },
            ],
            containers: [
                { name: "main", image: "registry.example/main:1" },
                { name: "helper", image: "registry.example/helper:1" },
            ],
        },
    };
}

async function createPod(name: string, annotations: Record<string, string>): Promise<void> {
    const { metadata, ...rest } = template(name, annotations);
    await core.createNamespacedPod({
        namespace,
        body: { metadata: { ...metadata, name }, ...rest },
    });
}

async function createDeployment(name: string, annotations: Record<string, string>) {
    await apps.createNamespacedDeployment({
        namespace,
        body: {
            metadata: { name },
            spec: {
                selector: { matchLabels: { app: name } },
                template: template(name, annotations),
            },
        },
    });
}

function condition(pod: V1Pod | undefined, type: string) {
    return pod?.status?.conditions?.find((one) => one.type === type);
}

const isReady = (pod: V1Pod | undefined) => condition(pod, "Ready")?.status === "True";
const podsOf = (app: string) => pods.list().filter((pod) => pod.metadata?.labels?.["app"] === app);

function statuses(pod: V1Pod | undefined): Record<string, V1ContainerStatus> {
    const { initContainerStatuses = [], containerStatuses = [] } = pod?.status ?? {};
    const all = [...initContainerStatuses, ...containerStatuses];
    return Object.fromEntries(all.map((status) => [status.name, status]));
}

/** How a kubelet names a pod in its messages. */
function named(pod: V1Pod | undefined): string {
    return `pod=${pod?.metadata?.name}_${namespace}(${pod?.metadata?.uid})`;
}

/** In words: what each container of a pod does. */
function states(pod: V1Pod | undefined): Record<string, string> {
    const entries = Object.entries(statuses(pod)).map(([name, { ready, state }]) => {
        const { waiting, running, terminated } = state ?? {};
        const word =
            waiting?.reason ??
            (running?.startedAt && "running") ??
            `${terminated?.reason} ${terminated?.exitCode}`;
        return [name, ready ? `${word}, ready` : word];
    });
    return Object.fromEntries(entries) as Record<string, string>;
}

function conditions(pod: V1Pod | undefined): Record<string, string> {
    const all = pod?.status?.conditions ?? [];
    expect(all.map(({ lastTransitionTime }) => secondsOf(lastTransitionTime))).not.toContain(NaN);
    return Object.fromEntries(all.map(({ type, status }) => [type, status]));
}

/** A watch hands times on as the text that the API server wrote. */
function secondsOf(time: Date | undefined): number {
    return new Date(time ?? NaN).getTime() / 1000;
}

/** Seconds between the pod's start and the last change of its readiness, by the kubelet's clock. */
function secondsToReadiness(pod: V1Pod | undefined): number {
    return (
        secondsOf(condition(pod, "Ready")?.lastTransitionTime) - secondsOf(pod?.status?.startTime)
    );
}

const allRun = {
    "linkerd-init": "Completed 0, ready",
    "linkerd-proxy": "running, ready",
    main: "running, ready",
    helper: "running, ready",
};
const mainCrashes = { ...allRun, main: "CrashLoopBackOff" };
const scheduled = { PodScheduled: "True", Initialized: "True" };

test("a pod without annotations runs with all its containers, in one step", async () => {
    await createPod("plain", {});
    await eventually("plain is Ready", () => isReady(pods.get("plain", namespace)));
    const pod = pods.get("plain", namespace);
    expect(states(pod)).toEqual(allRun);
    expect(conditions(pod)).toEqual({ ...scheduled, ContainersReady: "True", Ready: "True" });
    expect(pod?.status?.phase).toBe("Running");
    expect(pod?.status?.podIP).toMatch(/^10\.244\./);
    expect(history.get("plain")?.filter(({ status }) => status?.startTime)).toHaveLength(1);
});

test("a slow start is seen: created but not Ready, then Ready", async () => {
    await createPod("slow", { [podAnnotations.readyAfter]: "3s" });
    await eventually("slow is Ready", () => isReady(pods.get("slow", namespace)));
    const before = history.get("slow")?.filter((pod) => pod.status?.startTime && !isReady(pod));
    expect(before).toHaveLength(1);
    expect(states(before?.[0])).toEqual({
        "linkerd-init": "PodInitializing",
        "linkerd-proxy": "PodInitializing",
        main: "PodInitializing",
        helper: "PodInitializing",
    });
    expect(conditions(before?.[0])).toEqual({
        PodScheduled: "True",
        Initialized: "False",
        ContainersReady: "False",
        Ready: "False",
    });
    const pod = pods.get("slow", namespace);
    expect(states(pod)).toEqual(allRun);
    expect(secondsToReadiness(pod)).toBeGreaterThanOrEqual(2);
    expect(pod?.status?.podIP).toBe(before?.[0]?.status?.podIP);
});

test("a crash loop goes on, and a new template mends it", async () => {
    await createDeployment("loop", { [podAnnotations.crashLoop]: "true" });
    const restarts = () => statuses(podsOf("loop")[0])["main"]?.restartCount ?? 0;
    await eventually("main has crashed", () => restarts() >= 1);
    const [first] = podsOf("loop");
    expect(states(first)).toEqual(mainCrashes);
    expect(first?.status?.phase).toBe("Running");
    expect(conditions(first)).toEqual({ ...scheduled, ContainersReady: "False", Ready: "False" });
    expect(condition(first, "Ready")).toMatchObject({
        reason: "ContainersNotReady",
        message: "containers with unready status: [main]",
    });
    expect(statuses(first)["main"]).toMatchObject({
        state: {
            waiting: { message: `back-off 10s restarting failed container=main ${named(first)}` },
        },
        lastState: { terminated: { exitCode: 1, reason: "Error" } },
    });
    await eventually("main has crashed again", () => restarts() >= 2);
    const [again] = podsOf("loop");
    expect(states(again)).toEqual(mainCrashes);
    expect(condition(again, "Ready")).toEqual(condition(first, "Ready"));
    expect(statuses(again)["helper"]).toEqual(statuses(first)["helper"]);

    const healthy = { op: "replace", path: "/spec/template/metadata/annotations", value: {} };
    await apps.patchNamespacedDeployment({ namespace, name: "loop", body: [healthy] });
    await eventually("only a mended pod is left", () => {
        const left = podsOf("loop");
        return left.length === 1 && left.every(isReady);
    });
    const crashed = history.get(again?.metadata?.name ?? "") ?? [];
    expect(crashed.filter(isReady)).toEqual([]);
});

test("a pod that crashes later was Ready before", async () => {
    await createPod("later", {
        [podAnnotations.crashLoop]: "true",
        [podAnnotations.crashAfter]: "3s",
    });
    const main = () => statuses(pods.get("later", namespace))["main"];
    await eventually("later has crashed", () => (main()?.restartCount ?? 0) >= 1);
    const pod = pods.get("later", namespace);
    expect(history.get("later")?.filter(isReady).map(states)).toEqual([allRun]);
    expect(states(pod)).toEqual(mainCrashes);
    expect(conditions(pod)).toEqual({ ...scheduled, ContainersReady: "False", Ready: "False" });
    expect(secondsToReadiness(pod)).toBeGreaterThanOrEqual(2);
});

test("a version as the crash loop's value breaks pods with a proxy of that version only", async () => {
    const crashLoop = { [podAnnotations.crashLoop]: "edge-24.7.5" };
    const versions = { older: "edge-24.5.3", newer: "edge-24.7.5" };
    for (const [name, version] of Object.entries(versions)) {
        await createPod(name, { ...crashLoop, "linkerd.io/proxy-version": version });
    }
    const main = () => statuses(pods.get("newer", namespace))["main"];
    await eventually("older is Ready", () => isReady(pods.get("older", namespace)));
    await eventually("newer has crashed", () => (main()?.restartCount ?? 0) >= 1);
    expect(states(pods.get("older", namespace))).toEqual(allRun);
});

test("a container that is not called main crashes where it is the last beside the proxy", async () => {
    await core.createNamespacedPod({
        namespace,
        body: {
            metadata: { name: "other", annotations: { [podAnnotations.crashLoop]: "true" } },
            spec: {
                containers: [
                    { name: "first", image: "registry.example/first:1" },
                    { name: "second", image: "registry.example/second:1" },
                    { name: "linkerd-proxy", image: "registry.example/proxy:1" },
                ],
            },
        },
    });
    await eventually("other has crashed", () => {
        return statuses(pods.get("other", namespace))["second"]?.restartCount === 1;
    });
    expect(states(pods.get("other", namespace))).toEqual({
        first: "running, ready",
        second: "CrashLoopBackOff",
        "linkerd-proxy": "running, ready",
    });
});

test.each([
    { name: "quick-job", annotations: {}, seconds: 0 },
    { name: "long-job", annotations: { [podAnnotations.completeAfter]: "3s" }, seconds: 2 },
])("$name runs and completes", async ({ name, annotations, seconds }) => {
    const spec = { ...template(name, annotations).spec, restartPolicy: "Never" };
    await batch.createNamespacedJob({
        namespace,
        body: {
            metadata: { name },
            spec: { template: { ...template(name, annotations), spec } as V1PodTemplateSpec },
        },
    });
    await eventually(`${name} is complete`, async () => {
        const { status } = await batch.readNamespacedJobStatus({ namespace, name });
        return status?.conditions?.some(({ type }) => type === "Complete") ?? false;
    });
    const [pod] = podsOf(name);
    expect(pod?.status?.phase).toBe("Succeeded");
    expect(new Set(Object.values(states(pod)))).toEqual(
        new Set(["Completed 0", "Completed 0, ready"]),
    );
    expect(history.get(pod?.metadata?.name ?? "")?.some(isReady)).toBe(true);
    expect(secondsToReadiness(pod)).toBeGreaterThanOrEqual(seconds);
});

test("a pod that takes its time to end is seen terminating, and goes", async () => {
    await createPod("tenacious", { [podAnnotations.terminateAfter]: "3s" });
    await createPod("prompt", {});
    for (const name of ["tenacious", "prompt"]) {
        await eventually(`${name} is Ready`, () => isReady(pods.get(name, namespace)));
    }
    await core.deleteNamespacedPod({ name: "tenacious", namespace });
    await core.deleteNamespacedPod({ name: "prompt", namespace });
    await eventually("prompt is gone", () => pods.get("prompt", namespace) === undefined);
    const still = pods.get("tenacious", namespace);
    expect(still?.metadata?.deletionTimestamp).toBeDefined();
    expect(states(still)).toEqual(allRun);
    await eventually("tenacious is gone", () => pods.get("tenacious", namespace) === undefined);
});

test("nodes are Ready and have a lease", async () => {
    const { items } = await core.listNode();
    for (const { status } of items) {
        const ready = status?.conditions?.find(({ type }) => type === "Ready");
        expect(ready).toMatchObject({ status: "True", reason: "KubeletReady" });
        expect(status?.allocatable?.["pods"]).toBe("500");
    }
    const leases = await loadContext(cluster.kubeconfig, cluster.context)
        .makeApiClient(CoordinationV1Api)
        .listNamespacedLease({ namespace: "kube-node-lease" });
    expect(leases.items.map(({ metadata }) => metadata?.name)).toEqual(
        items.map(({ metadata }) => metadata?.name),
    );
});
