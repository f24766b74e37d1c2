import { describe, expect, it } from "vitest";
import type { HealthNode } from "../../plan/checks/observation";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import type { LiveComponent } from "../../cluster/adoption";
import { locateCharts, readDefaults } from "../../charts/source";
import { highAvailabilityFaults, highAvailabilityValues } from "../../plan/highAvailability";
import { planLinkerd } from "../../plan/linkerd";
import type { Settings } from "../../plan/settings";
import { EMPTY, NOTHING } from "./support/live";
import { schedulable } from "./support/health";

const nodeOf = (index: number, fields: Partial<HealthNode> = {}): HealthNode => ({
    name: `node-${index}`,
    podCidr: undefined,
    runtime: "",
    heartbeat: undefined,
    ...schedulable,
    ...fields,
});
const THREE = [1, 2, 3].map((index) => nodeOf(index));
const ha: Settings = {
    crds: {},
    controlPlane: {
        enablePodAntiAffinity: true,
        controllerReplicas: 3,
        deploymentStrategy: { rollingUpdate: { maxUnavailable: 1, maxSurge: "25%" } },
        webhookFailurePolicy: "Fail",
    },
    viz: { enablePodAntiAffinity: true, tap: { replicas: 3 } },
};
const SERVES = { "linkerd-proxy-injector": 1 };

interface Given {
    readonly values?: Settings;
    readonly change?: "install" | "upgrade" | "revert" | "none";
    readonly nodes?: readonly HealthNode[];
    readonly before?: Readonly<Record<string, unknown>>;
    readonly available?: Readonly<Record<string, number>>;
    readonly viz?: boolean;
    readonly liveViz?: readonly LiveComponent[];
}

/** viz as the charts' values-ha.yaml leave it. */
const spreadViz = ["tap", "tap-injector", "metrics-api", "web"].map((name) => ({
    ...{ name, args: [], image: "", checksum: undefined, createdBy: undefined },
    replicas: name === "tap" ? 3 : 1,
    pod: {
        spec: {
            containers: [],
            affinity: {
                podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [] },
            },
        },
    },
}));

const faultsOf = ({
    values = ha,
    change = "upgrade",
    nodes = THREE,
    before = {},
    available = SERVES,
    viz = true,
    liveViz = [],
}: Given = {}) =>
    highAvailabilityFaults(
        { values, change },
        {
            installed: change !== "install",
            installation: { ...NOTHING, values: before, viz: liveViz },
        },
        { nodes: { value: nodes }, available: { value: available } },
        viz,
    );

describe("high availability that the cluster cannot carry is refused before a rollout hangs", () => {
    it("three nodes carry three replicas, since one pod goes down first", () => {
        expect(faultsOf()).toEqual([]);
    });

    it.each([
        { name: "two nodes", nodes: THREE.slice(1), free: "2 of 2" },
        {
            name: "a cordoned one",
            nodes: [...THREE.slice(1), nodeOf(1, { cordoned: true })],
            free: "2 of 3",
            why: ": node-1 is cordoned",
        },
        {
            name: "a tainted one",
            nodes: [
                ...THREE.slice(1),
                nodeOf(1, { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] }),
            ],
            free: "2 of 3",
            why: ": node-1 is tainted gpu:NoSchedule",
        },
        {
            name: "one of another system",
            nodes: [...THREE.slice(1), nodeOf(1, { labels: { "kubernetes.io/os": "windows" } })],
            free: "2 of 3",
            why: ": node-1 is without label kubernetes.io/os=linux",
        },
    ])("$name are too few", ({ nodes, free, why = "" }) => {
        expect(faultsOf({ nodes, viz: false })).toEqual([
            {
                subject: "controlPlane.values.controllerReplicas",
                value: "3",
                rule: `needs 3 nodes, each for one pod (enablePodAntiAffinity), and ${free} take them${why}`,
                next: "add or uncordon nodes (kubectl get nodes), or set controlPlane.values.controllerReplicas to what the nodes can take",
            },
        ]);
    });

    it("a rollout that takes no pod down first needs one more node", () => {
        const controlPlane = { ...ha.controlPlane, deploymentStrategy: {} };
        const [fault, ...others] = faultsOf({ values: { ...ha, controlPlane } });
        expect(others).toEqual([]);
        expect(fault?.rule).toContain("needs 4 nodes");
    });

    it("viz is looked at by itself: its dashboard surges by one", () => {
        const values = { ...ha, viz: { ...ha.viz, dashboard: { replicas: 3 } } };
        expect(faultsOf({ values }).map(({ subject }) => subject)).toEqual([
            "viz.values.dashboard.replicas",
        ]);
        expect(faultsOf({ values, viz: false })).toEqual([]);
    });

    it("tolerations and a node selector of the values count", () => {
        const nodes = THREE.map((one) => ({
            ...one,
            labels: { role: "infra" },
            taints: [{ key: "infra", value: "yes", effect: "NoSchedule" }],
        }));
        const controlPlane = {
            ...ha.controlPlane,
            nodeSelector: { role: "infra" },
            tolerations: [{ key: "infra", operator: "Exists", effect: "NoSchedule" }],
        };
        expect(faultsOf({ values: { ...ha, controlPlane }, nodes, viz: false })).toEqual([]);
        const other = [{ key: "infra", value: "no" }];
        const values = { ...ha, controlPlane: { ...controlPlane, tolerations: other } };
        expect(faultsOf({ values, nodes, viz: false })).toHaveLength(1);
    });

    it("the way back, and what is so already, are asked nothing", () => {
        expect(faultsOf({ change: "revert", nodes: [] })).toEqual([]);
        const before = { ...ha.controlPlane };
        const settled = { change: "none", nodes: [], before, liveViz: spreadViz } as const;
        expect(faultsOf(settled)).toEqual([]);
        expect(faultsOf({ ...settled, change: "upgrade" })).toHaveLength(2);
    });

    it("viz that comes to a control plane which is so already, or gets more replicas, is looked at", () => {
        const given = { change: "none", nodes: THREE.slice(1), before: ha.controlPlane } as const;
        const subjects = (liveViz: Given["liveViz"] & object, viz = ha.viz) =>
            faultsOf({ ...given, values: { ...ha, viz }, liveViz }).map(({ subject }) => subject);
        expect(subjects([])).toEqual(["viz.values.tap.replicas"]);
        expect(subjects(spreadViz)).toEqual([]);
        expect(subjects(spreadViz, { ...ha.viz, dashboard: { replicas: 2 } })).toEqual([
            "viz.values.tap.replicas",
        ]);
        expect(subjects(spreadViz.map((one) => ({ ...one, pod: undefined })))).toHaveLength(1);
    });
});

describe("webhooks do not begin to refuse while nobody answers them", () => {
    const available = { "linkerd-proxy-injector": 0 };
    it("an injector without an available pod refuses the change of the policy", () => {
        expect(faultsOf({ change: "none", available })).toEqual([
            {
                subject: "controlPlane.values.webhookFailurePolicy",
                value: "Fail",
                rule: "Deployment linkerd/linkerd-proxy-injector has no available pod: with this policy no pod could be created in the cluster until it has",
                next: "kubectl -n linkerd describe deployment linkerd-proxy-injector, mend it, then: pulumi up",
            },
        ]);
    });

    it("a repair of one that refuses already, a first installation and a revert go on", () => {
        expect(faultsOf({ available, before: { webhookFailurePolicy: "Fail" } })).toEqual([]);
        expect(faultsOf({ available, change: "install" })).toEqual([]);
        expect(faultsOf({ available, change: "revert" })).toEqual([]);
    });
});

describe("the charts say what high availability is, the stack file has the last word", () => {
    const configOf = (more: object) =>
        parseConfig({
            context: "kind",
            clusterUid: "0a1b",
            linkerdVersion: "edge-24.5.3",
            ...more,
        }) as LinkerdStackConfig;
    const fixtures = async (...names: string[]) => {
        const requests = names.map((name) => ({ name, version: "2024.5.3" }));
        const { located } = await locateCharts("test/fixtures/charts", requests);
        return readDefaults(located);
    };
    const circumstances = { stack: "acme/mesh/prod", now: new Date("2026-11-21T00:00:00Z") };

    it("values-ha.yaml of both charts lie under the stack file's values", async () => {
        const config = configOf({
            highAvailability: true,
            controlPlane: { values: { controllerReplicas: 5 } },
        });
        const defaults = await fixtures("linkerd-control-plane", "linkerd-viz");
        const plan = await planLinkerd(config, EMPTY, { ...circumstances, defaults });
        expect(plan).toMatchObject({
            values: {
                controlPlane: { controllerReplicas: 5, webhookFailurePolicy: "Fail" },
                viz: { tap: { replicas: 3 } },
            },
        });
        const without = await planLinkerd(configOf({}), EMPTY, { ...circumstances, defaults });
        expect(without).toMatchObject({ values: { controlPlane: {}, viz: {} } });
    });

    it("settings that were taken over lie between the two", async () => {
        const config = configOf({ highAvailability: true, adopt: true });
        const defaults = await fixtures("linkerd-control-plane", "linkerd-viz");
        const taken = { crds: {}, controlPlane: { controllerReplicas: 4 }, viz: {} };
        const live = { ...EMPTY, installation: { ...NOTHING, taken } };
        const plan = await planLinkerd(config, live, { ...circumstances, defaults });
        expect(plan).toMatchObject({
            values: { controlPlane: { controllerReplicas: 4, enablePodAntiAffinity: true } },
        });
    });

    it("a chart without values-ha.yaml is refused, and nothing else is said about one that is missing", async () => {
        const config = configOf({ highAvailability: "true" });
        const defaults = await fixtures("linkerd-control-plane");
        expect(highAvailabilityValues(config, defaults).faults).toEqual([]);
        const bare = { values: {}, templates: "" };
        const { faults } = highAvailabilityValues(
            config,
            new Map([...defaults, ["linkerd-viz 2024.5.3", bare]]),
        );
        expect(faults).toEqual([
            {
                subject: "highAvailability",
                value: "true",
                rule: "chart linkerd-viz 2024.5.3 has no values-ha.yaml, which says what it means",
                next: "use the published chart, or set highAvailability: false and write the values under viz.values",
            },
        ]);
        const without = configOf({ highAvailability: true, viz: { enabled: false } });
        expect(highAvailabilityValues(without, new Map([["linkerd-viz 2024.5.3", bare]]))).toEqual({
            values: { crds: {}, controlPlane: {}, viz: {} },
            faults: [],
        });
    });

    it("YAML that was rendered without the charts' values for it is refused, and takes none of them", async () => {
        const config = configOf({ highAvailability: true, viz: { enabled: false } });
        const defaults = await fixtures("linkerd-control-plane");
        const rendered = (values: Record<string, unknown>) =>
            highAvailabilityValues(
                { ...config, controlPlane: { manifests: "mesh.yaml", values } },
                defaults,
            );
        expect(rendered({}).faults).toMatchObject([
            { subject: "highAvailability", rule: expect.stringContaining("mesh.yaml") as string },
        ]);
        expect(rendered({ highAvailability: true })).toEqual({
            values: { crds: {}, controlPlane: {}, viz: {} },
            faults: [],
        });
    });
});
