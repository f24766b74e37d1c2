import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { parseConfig, type IstioStackConfig, type LinkerdStackConfig } from "../../config";
import { planIstio } from "../../plan/istio/plan";
import { istioReview } from "../../plan/istio/review";
import { linkerdReview, withPermissions, type Found } from "../../plan/linkerdReview";
import { NOTHING, verdictOf } from "../../plan/policy/rules";
import { review } from "../../plan/review";
import type { HealthCni } from "../../plan/checks/observation";
import { liveOf } from "./support/istioCluster";
import { EMPTY, NOTHING as NOT_INSTALLED, VIZ } from "./support/live";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";
import { NEW, OLD } from "./support/reviews";

const config = parseConfig({
    context: "prod",
    clusterUid: "0a1b-2c",
    linkerdVersion: NEW,
    backup: { directory: "backups" },
}) as LinkerdStackConfig;
const dataPlane = dataPlaneOf({
    pods: [podOf(), podOf({ name: "web-2", proxy: NEW }), podOf({ phase: "Succeeded" })],
    workloads: [workloadOf({ replicas: 2 })],
});
const found = (fields: Partial<Found> = {}): Found => ({
    config,
    stack: "organization/mesh-upgrade/prod",
    live: { ...EMPTY, installed: true, linkerdVersion: OLD },
    plan: undefined,
    dataPlane,
    refusals: [],
    path: verdictOf("linkerd", [OLD, NEW], NOTHING),
    notices: [],
    verdicts: [],
    cni: undefined,
    extensions: { live: [], trafficSplits: undefined, links: undefined },
    ...fields,
});
const NONE = { asked: 0, missing: [], maybe: [] };

describe("the review of an update", () => {
    it("follows its schema, and is plain JSON", () => {
        const whole = withPermissions(linkerdReview(found()), NONE);
        expect(review.parse(whole)).toEqual(whole);
        expect(JSON.parse(JSON.stringify(whole))).toEqual(whole);
    });

    it("tells also of a refused one where from, where to and what would restart", () => {
        const fault = { subject: "issuer", rule: "has expired", next: "renew it" };
        const { review: draft, asked } = linkerdReview(found({ refusals: [fault] }));
        expect(draft.refusals).toEqual([fault]);
        expect(draft.versions).toEqual({
            change: "upgrade",
            target: [NEW],
            controlPlane: [{ name: "linkerd", version: OLD }],
            crds: NEW,
            proxies: [
                { version: OLD, pods: 1 },
                { version: NEW, pods: 1 },
            ],
        });
        expect(draft.blastRadius.waves[0]?.workloads.map(({ name }) => name)).toEqual(["web"]);
        expect(draft.order.map(({ title }) => title)).toEqual([
            "Backup",
            "CRDs",
            "Control plane",
            "viz",
            "Wave rest",
            "Check",
        ]);
        expect(asked.some(({ needed }) => needed === "always")).toBe(true);
    });

    it.each([
        [OLD, "none"],
        [NEW, "unchanged"],
    ])("at %s its waves wait: %s", (linkerdVersion, waiting) => {
        const live = { ...EMPTY, installed: true, linkerdVersion };
        expect(linkerdReview(found({ live })).review.blastRadius.waiting).toBe(waiting);
    });

    it.each<[what: string, fields: Partial<Found["live"]>, needed: string[]]>([
        ["all is there", { installation: { ...NOT_INSTALLED, viz: [VIZ] } }, ["maybe", "maybe"]],
        ["viz is not", {}, ["maybe", "always"]],
        ["nothing is", { namespaces: [], installed: false }, ["always", "always"]],
    ])("may need to make namespaces and an APIService: %s", (_, fields, needed) => {
        const namespaces = ["linkerd", "linkerd-viz"].map((name) => ({ name, stack: undefined }));
        const live = { ...EMPTY, installed: true, linkerdVersion: OLD, namespaces, ...fields };
        const { asked } = linkerdReview(found({ live }));
        const creates = ["namespaces", "apiservices.apiregistration.k8s.io"].map((kind) =>
            asked.find(({ verb, resource }) => verb === "create" && resource === kind),
        );
        expect(creates.map((one) => one?.needed)).toEqual(needed);
    });

    it("asks to make an extension and a CNI plugin, as long as the stack has none that runs", () => {
        const live = { ...EMPTY, installed: true, linkerdVersion: OLD };
        const file = parseConfig({
            ...{ context: "prod", clusterUid: "0a1b-2c", linkerdVersion: OLD },
            ...{ cni: { enabled: true }, extensions: { smi: { version: "1.0.4" } } },
        }) as LinkerdStackConfig;
        const created = (fields: Partial<Found>) =>
            linkerdReview(found({ config: file, live, ...fields }))
                .asked.filter(
                    ({ verb, namespace, needed }) =>
                        [verb, needed, namespace?.slice(0, 8)].join() === "create,always,linkerd-",
                )
                .map(({ resource, namespace }) => `${namespace} ${resource}`);
        const smi = {
            ...{ namespace: "linkerd-smi", name: "smi", stack: undefined },
            ...{ versions: [], mirrors: [] },
        };
        const objects = Object.fromEntries(
            ["ConfigMap", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "DaemonSet"].map(
                (kind) => [kind, true],
            ),
        ) as HealthCni["objects"];
        const cniOf = (stack: string) => ({
            value: { objects, ready: 1, desired: 1, down: [], owners: [stack] },
        });
        const all = [
            ...["configmaps", "daemonsets.apps", "serviceaccounts"].map(
                (one) => `linkerd-cni ${one}`,
            ),
            ...["deployments.apps", "serviceaccounts"].map((one) => `linkerd-smi ${one}`),
        ];
        expect(created({}).sort()).toEqual(all);
        const idle = {
            live: [{ ...smi, workloads: 0, charted: 0 }],
            trafficSplits: undefined,
            links: undefined,
        };
        expect(created({ cni: cniOf("another"), extensions: idle }).sort()).toEqual(all);
        const running = {
            live: [{ ...smi, workloads: 1, charted: 1 }],
            trafficSplits: undefined,
            links: undefined,
        };
        expect(created({ cni: cniOf(found().stack), extensions: running })).toEqual([]);
    });

    it("says why the data plane is unknown", () => {
        const { review: draft } = linkerdReview(found({ dataPlane: "pods is forbidden" }));
        expect(draft.blastRadius.unknown).toBe("pods is forbidden");
        expect(draft.versions.proxies).toEqual([]);
    });
});

it("the schema in docs/ is the one that types the review", async () => {
    const schema = z.toJSONSchema(review, { target: "draft-7" });
    const path = join(__dirname, "../../docs/review.schema.json");
    await expect(`${JSON.stringify(schema, null, 4)}\n`).toMatchFileSnapshot(path);
});

describe("the review of an update of Istio", () => {
    const config = parseConfig({
        context: "prod",
        clusterUid: "0a1b-2c",
        istio: {
            revisions: [{ version: "1.26.4" }, { version: "1.27.1" }],
            namespaces: { shop: "1-27-1" },
        },
    }) as IstioStackConfig;
    const stack = "organization/mesh-upgrade/prod";
    const live = liveOf({
        istiods: [{ name: "istiod-1-26-4", revision: "1-26-4", version: "1.26.4", stack }],
        users: { namespaces: new Map([["shop", {}]]), injectors: [], pods: [] },
    });
    const plan = planIstio(config.istio, config.rollout.waves, live, stack, new Map(), new Set());
    const { review: draft, asked } = istioReview({
        ...{ config, stack, live, plan, refusals: [], notices: [], verdicts: [] },
        dataPlane: "pods is forbidden",
    });

    it("follows the same schema, with its own stages", () => {
        const whole = withPermissions({ review: draft, asked }, NONE);
        expect(review.parse(whole)).toEqual(whole);
        expect(draft.versions).toEqual({
            change: "revisions",
            target: ["1.26.4 (1-26-4)", "1.27.1 (1-27-1)"],
            controlPlane: [{ name: "1-26-4", version: "1.26.4" }],
            crds: "1.27.1",
            proxies: [],
        });
        expect(draft.blastRadius.controlPlane.workloads).toMatchObject([
            { name: "istiod-1-27-1", change: "new", from: null, to: "1.27.1" },
        ]);
        expect(draft.order.map(({ title }) => title)).toEqual([
            "CRDs and what revisions share",
            "Revisions",
            "Check",
        ]);
    });

    it("asks for what it does in the namespace of the control planes", () => {
        expect(asked).toContainEqual({
            ...{ verb: "patch", resource: "deployments.apps" },
            ...{ namespace: "istio-system", needed: "always" },
        });
        expect(asked.some(({ namespace }) => namespace === "linkerd")).toBe(false);
    });

    it("makes roles and webhooks of its own only for a revision that is new", () => {
        const made = (fields: Partial<typeof live>) => {
            const now = { ...live, namespaceExists: true, ...fields };
            const { asked } = istioReview({
                ...{ config, stack, live: now, plan, refusals: [], notices: [], verdicts: [] },
                dataPlane: "pods is forbidden",
            });
            return asked
                .filter((one) => one.verb === "create" && one.namespace === null)
                .filter(({ needed }) => needed === "always")
                .map(({ resource }) => resource.split(".")[0]);
        };
        const ofRevision = [
            "clusterrolebindings",
            "clusterroles",
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ];
        const crds = [{ name: "gateways.networking.istio.io", chartVersion: "1.26.4", stack }];
        expect(made({ crds })).toEqual(ofRevision);
        expect(made({ crds, namespaceExists: false })).toEqual(
            [...ofRevision, "namespaces"].sort(),
        );
        expect(made({})).toEqual([...ofRevision, "customresourcedefinitions"].sort());
        const istiods = ["1-26-4", "1-27-1"].map((revision) => ({
            ...{ name: `istiod-${revision}`, revision, version: undefined, stack },
        }));
        expect(made({ crds, istiods })).toEqual([]);
    });
});
