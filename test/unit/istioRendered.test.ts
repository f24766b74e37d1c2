import { describe, expect, it } from "vitest";
import { ADOPTED_MANAGER, handedOver } from "../../cluster/adopt";
import type { LiveIstio } from "../../cluster/istio/observe";
import { resolveIstio } from "../../plan/istio/config";
import { splitManifests, type KubeObject } from "../../plan/istio/manifests";
import { planIstio } from "../../plan/istio/plan";
import { istioSection } from "../../plan/istio/section";
import { parseIstioVersion, type IstioVersion } from "../../plan/istio/versions";
import { rollout } from "../../plan/waves";
import { liveOf, userOf } from "./support/istioCluster";

const NS = "istio-system";
const REVISION = "asm-1614-2";
const OURS = { version: "1.6.14-asm.2", manifests: "new.yaml" };
const FOREIGN = { revision: "default", version: "1.5.10-asm.2", manifests: "old.yaml" };
const GATEWAY = { name: "istio-ingressgateway", namespace: NS, revision: "default" };

const object = (apiVersion: string, kind: string, name: string, spec: object = {}): KubeObject => ({
    apiVersion,
    kind,
    metadata: { name, namespace: NS },
    spec,
});
const rendered = (revision: string, version: string) => {
    const name = revision === "default" ? "istiod" : `istiod-${revision}`;
    const containers = [{ name: "discovery", image: `asm/pilot:${version}` }];
    const selector = { app: "istiod", istio: "pilot" };
    const objects = [
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", `of ${version}`),
        object("rbac.authorization.k8s.io/v1", "ClusterRole", `istiod-${NS}`, { version }),
        object("v1", "Service", "istiod", { ports: [], selector }),
        object("apps/v1", "Deployment", name, { template: { spec: { containers } } }),
        object("apps/v1", "Deployment", GATEWAY.name, { version }),
        object("v1", "Service", "istio-egressgateway", { version }),
    ];
    const expected = { version: parseIstioVersion(version, "") as IstioVersion, serverVersion: "" };
    return splitManifests(objects, revision, NS, expected);
};
const MANIFESTS = new Map([
    ["default", rendered("default", "1.5.10-asm.2")],
    [REVISION, rendered(REVISION, "1.6.14-asm.2")],
]);
const istiodOf = (revision: string, version: string) => ({
    name: `istiod-${revision}`,
    revision,
    version,
    stack: revision === "default" ? undefined : "stack",
});
const OLD_ISTIOD = istiodOf("default", "1.5.10-asm.2");
const NEW_ISTIOD = istiodOf(REVISION, "1.6.14-asm.2");

function planOf(section: object, live: Partial<LiveIstio> = {}) {
    const { waves } = rollout.parse({});
    const defaults = { revisions: [OURS], foreign: [FOREIGN] };
    const { config, faults } = resolveIstio(istioSection.parse({ ...defaults, ...section }), waves);
    expect(faults).toEqual([]);
    const overrides = new Set(["kubernetes-range"]);
    const found = liveOf({ istiods: [OLD_ISTIOD], ...live });
    return planIstio(config, waves, found, "stack", MANIFESTS, overrides);
}
const faultsOf = (...args: Parameters<typeof planOf>) =>
    planOf(...args).faults.map(({ subject, rule }) => `${subject}: ${rule}`);

describe("installing from rendered manifests", () => {
    it("goes on where everything is at hand", () => {
        expect(faultsOf({ gateways: [GATEWAY] })).toEqual([]);
    });

    it.each<[string, object, Partial<LiveIstio>, string]>([
        [
            "by somebody who is no cluster administrator",
            {},
            { clusterAdmin: false },
            "permission: Anthos Service Mesh is installed by a cluster administrator only",
        ],
        [
            "without the manifests of the way back",
            { foreign: [{ revision: "default" }] },
            {},
            "istio.foreign.0.manifests: must be at hand before the way forward: going back to 1.5.10-asm.2",
        ],
        [
            "from 1.4",
            {},
            { istiods: [{ ...OLD_ISTIOD, name: "istio-pilot", version: "1.4.10-asm.18" }] },
            "istio.revisions: Anthos Service Mesh on premises goes one minor at a time (rule asm-one-minor)",
        ],
        [
            "with the removal of the old one in the same update",
            { foreign: [{ ...FOREIGN, remove: true }] },
            {},
            `istio.foreign: remove: Service istiod goes over to revision ${REVISION} first`,
        ],
        [
            "with a gateway that they do not have",
            { gateways: [{ ...GATEWAY, name: "edge" }] },
            {},
            "istio.gateways.0.name: the manifests of revision default have no gateway Deployment",
        ],
    ])("is refused %s", (_, section, live, expected) => {
        expect(faultsOf(section, live).join("\n")).toContain(expected);
    });

    it("no manifests of the way back are asked for where none of ours is rendered, or there is no way back", () => {
        const live = { istiods: [OLD_ISTIOD, NEW_ISTIOD] };
        const foreign = [{ revision: "default", version: "1.5.10-asm.2" }];
        expect(faultsOf({ revisions: [], foreign }, live)).toEqual([]);
        expect(faultsOf({ foreign: [{ ...foreign[0], remove: true }] }, live)).toEqual([]);
    });

    it("downtime is told for a gateway that moves", () => {
        const pods = [
            userOf({ namespace: NS, name: "istio-ingressgateway-1", running: "default" }),
        ];
        const users = { namespaces: new Map(), injectors: [], pods };
        const lines = (revision: string) =>
            planOf({ gateways: [{ ...GATEWAY, revision }] }, { users }).lines;
        expect(lines(REVISION)).toContain(
            `gateway ${NS}/${GATEWAY.name}: default -> ${REVISION}, in place, after the sidecars: plan downtime for it`,
        );
        expect(lines("default")).toContain(`gateway ${NS}/${GATEWAY.name}: default, in place`);
    });

    it("options of the old install that are not given again are told", () => {
        const options = { set: ["a=b"] };
        expect(planOf({ foreign: [{ ...FOREIGN, options }] }).lines).toContain(
            `warning: istio: revision ${REVISION} was rendered without --set a=b, which default has`,
        );
    });
});

describe("what revisions of rendered manifests share", () => {
    const both = { istiods: [OLD_ISTIOD, NEW_ISTIOD] };
    const moved = { app: "istiod", "istio.io/rev": REVISION };
    const kept = { app: "istiod", istio: "pilot" };

    it.each<[string, object, Partial<LiveIstio>, object]>([
        ["stays with the old control plane as long as that stays", {}, both, kept],
        [
            "goes over before the old control plane goes",
            { foreign: [{ ...FOREIGN, remove: true }] },
            both,
            moved,
        ],
        [
            "stays there when the entry leaves the file",
            { foreign: [] },
            { istiods: [NEW_ISTIOD] },
            moved,
        ],
    ])("Service istiod %s", (_, section, live, selector) => {
        const { service, shared } = planOf(section, live);
        expect(service?.object["spec"]).toMatchObject({ selector });
        expect(service?.moved).toBe(selector === moved);
        expect(shared.map(({ kind }) => kind)).not.toContain("Service");
    });

    it("goes back to the old content with the last revision, but for CRDs and Service istiod", () => {
        const texts = (section: object) =>
            planOf(section, both).shared.map(
                ({ kind, spec }) => `${kind} ${(spec as { version?: string }).version ?? ""}`,
            );
        expect(texts({})).toEqual(["CustomResourceDefinition ", "ClusterRole 1.6.14-asm.2"]);
        expect(texts({ revisions: [] })).toEqual(["ClusterRole 1.5.10-asm.2"]);
        expect(planOf({ revisions: [] }, both).service).toBeUndefined();
    });

    it("is taken over from who made it, as are the gateways of the stack file only", () => {
        expect(planOf({ gateways: [GATEWAY] }).adopted.map(({ name }) => name)).toEqual([
            `istiod-${NS}`,
            "istiod",
            GATEWAY.name,
        ]);
    });
});

describe("the fields that an installer set", () => {
    const entry = (manager: string, operation: string, field: string, more: object = {}) => ({
        manager,
        operation,
        apiVersion: "v1",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:spec": { [field]: {} } },
        ...more,
    });
    const status = entry("kube-controller-manager", "Update", "f:a", { subresource: "status" });
    const istiod = entry("pilot-discovery", "Update", "f:b");

    it("go over to the stack, those of controllers do not", () => {
        expect(
            handedOver(
                [
                    entry("kubectl-client-side-apply", "Update", "f:c"),
                    istiod,
                    entry("pulumi-kubernetes-1", "Apply", "f:d"),
                    status,
                ],
                "v1",
            ),
        ).toEqual([
            {
                ...entry(ADOPTED_MANAGER, "Apply", ""),
                fieldsV1: { "f:spec": { "f:c": {}, "f:d": {} } },
            },
            istiod,
            status,
        ]);
    });

    it.each([
        "kubectl",
        "linkerd",
        "helm",
        "istio-operator",
        "kustomize-controller",
        "pulumi-kubernetes-1a2b",
        "terraform-provider-helm_v2.12.1_x5",
    ])("go over from %s, by update or by apply", (manager) => {
        for (const operation of ["Apply", "Update"]) {
            expect(handedOver([entry(manager, operation, "f:c")], "v1")).toEqual([
                entry(ADOPTED_MANAGER, "Apply", "f:c"),
            ]);
        }
    });

    it("go over without those of a team that applied a field beside: it would vanish with the next apply", () => {
        const team = entry("platform-team", "Apply", "f:priorityClassName");
        const installed = entry("kubectl-client-side-apply", "Update", "f:replicas");
        expect(handedOver([installed, team], "v1")).toEqual([
            entry(ADOPTED_MANAGER, "Apply", "f:replicas"),
            team,
        ]);
        expect(handedOver([team], "v1")).toBeUndefined();
    });

    it("stay as they are where nobody else set any", () => {
        expect(handedOver([entry(ADOPTED_MANAGER, "Apply", "f:c"), istiod], "v1")).toBeUndefined();
    });
});
