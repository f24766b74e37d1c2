import { describe, expect, it } from "vitest";
import { ownNames, splitManifests, unreferred, type KubeObject } from "../../plan/istio/manifests";
import { parseIstioVersion, type IstioVersion } from "../../plan/istio/versions";

const NS = "istio-system";
const version = (text: string) => parseIstioVersion(text, "version") as IstioVersion;

function object(text: string, labels: Record<string, string> = {}, more: object = {}): KubeObject {
    const [apiVersion = "", kind = "", name = ""] = text.split(" ");
    return { apiVersion, kind, metadata: { name, labels }, ...more };
}

const istiod = (name: string, image: string) =>
    object(
        `apps/v1 Deployment ${name}`,
        {},
        {
            spec: {
                template: {
                    spec: {
                        containers: [
                            { name: "other", image: "x:1" },
                            { name: "discovery", image },
                        ],
                    },
                },
            },
        },
    );
const show = (objects: readonly KubeObject[]) =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
const split = (
    objects: KubeObject[],
    revision = "asm-1614-2",
    text = "1.6.14-asm.2",
    serverVersion = "v1.18.0",
) => splitManifests(objects, revision, NS, { version: version(text), serverVersion });
const six = istiod("istiod-asm-1614-2", "gcr.io/gke-release/asm/pilot:1.6.14-asm.2");

describe("rendered manifests are split by what happens to them when their revision goes", () => {
    const rev = { "istio.io/rev": "asm-1614-2" };
    it.each<[string, Record<string, string>, "crds" | "own" | "shared" | "gateways"]>([
        [
            "apiextensions.k8s.io/v1beta1 CustomResourceDefinition gateways.networking.istio.io",
            rev,
            "crds",
        ],
        ["v1 Service istiod-asm-1614-2", {}, "own"],
        ["v1 ConfigMap anything", rev, "own"],
        ["v1 ConfigMap anything", { "istio.io/rev": "other" }, "shared"],
        ["v1 ConfigMap istio-asm-1614-2", {}, "own"],
        ["networking.istio.io/v1alpha3 EnvoyFilter stats-filter-1.6-asm-1614-2", {}, "own"],
        [
            "rbac.authorization.k8s.io/v1 ClusterRole istiod-clusterrole-asm-1614-2-istio-system",
            {},
            "own",
        ],
        ["v1 ConfigMap istio-asm-1614-21", {}, "shared"],
        ["v1 Namespace istio-system", {}, "shared"],
        ["v1 ServiceAccount istiod-service-account", rev, "shared"],
        ["rbac.authorization.k8s.io/v1 ClusterRole istiod-istio-system", rev, "shared"],
        ["rbac.authorization.k8s.io/v1 ClusterRoleBinding istio-reader-istio-system", {}, "shared"],
        [
            "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration istiod-istio-system",
            {},
            "shared",
        ],
        [
            "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration istiod-default-validator",
            rev,
            "shared",
        ],
        [
            "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration istio-revision-tag-stable",
            { ...rev, "istio.io/tag": "stable" },
            "shared",
        ],
        ["v1 ServiceAccount istio-reader-service-account", {}, "shared"],
        ["v1 Service promsd", {}, "shared"],
        ["apps/v1 DaemonSet istio-cni-node", rev, "shared"],
        ["rbac.authorization.k8s.io/v1 ClusterRole istio-cni-repair-role", rev, "shared"],
        ["rbac.authorization.k8s.io/v1 ClusterRoleBinding istio-cni-ambient", rev, "shared"],
        ["apps/v1 Deployment istio-ingressgateway", rev, "gateways"],
        ["v1 ServiceAccount istio-ingressgateway-service-account", {}, "gateways"],
        ["rbac.authorization.k8s.io/v1 Role istio-egressgateway-sds", {}, "gateways"],
        ["v1 ConfigMap istio-ingressgateway", {}, "shared"],
        [
            "v1 ConfigMap any",
            { "operator.istio.io/component": "IngressGateways", ...rev },
            "gateways",
        ],
    ])("%s %j: %s", (text, labels, part) => {
        const { faults, version: found, ...parts } = split([six, object(text, labels)]);
        expect({ faults, found }).toEqual({ faults: [], found: "1.6.14-asm.2" });
        const expected = { crds: [], own: [six], shared: [], gateways: [] };
        expect(parts).toEqual({ ...expected, [part]: [...expected[part], object(text, labels)] });
    });

    it("those of an install without a revision name go by its names", () => {
        const { own, shared } = split(
            [
                istiod("istiod", "docker.io/istio/pilot:1.27.1-distroless"),
                object("v1 ConfigMap istio"),
                object("v1 ConfigMap istio-ca-root-cert"),
                object("v1 Secret istiod"),
            ],
            "default",
            "1.27.1",
        );
        expect(show(own)).toEqual(["Deployment istiod", "ConfigMap istio"]);
        expect(show(shared)).toEqual(["ConfigMap istio-ca-root-cert", "Secret istiod"]);
    });

    it("a blank caBundle is left out, as pods are refused by one; another stays", () => {
        const hooks = (...bundles: unknown[]) =>
            object(
                "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration x-asm-1614-2",
                {},
                {
                    webhooks: bundles.map((caBundle) => ({
                        clientConfig: { url: "u", ...(caBundle === undefined ? {} : { caBundle }) },
                    })),
                },
            );
        const given = hooks("", "QQ==", undefined, null);
        expect(split([six, given]).own[1]).toEqual(hooks(undefined, "QQ==", undefined, undefined));
        expect(given).toEqual(hooks("", "QQ==", undefined, null));
    });
});

describe("manifests that are not what the version line says are refused", () => {
    const rulesOf = (...args: Parameters<typeof split>) =>
        split(...args).faults.map(({ value, rule }) => `${value}: ${rule}`);

    it("of another version, or without a tag", () => {
        const rule = "the manifests' istiod is not of the version line, 1.6.14-asm.2";
        expect(rulesOf([istiod("istiod-asm-1614-2", "pilot:1.6.14-asm.1")])).toEqual([
            `1.6.14-asm.1: ${rule}`,
        ]);
        expect(rulesOf([istiod("istiod-asm-1614-2", "pilot@sha256:ab")])).toEqual([
            `undefined: ${rule}`,
        ]);
        expect(rulesOf([object("apps/v1 Deployment istiod-asm-1614-2")])).toEqual([
            `undefined: ${rule}`,
        ]);
    });

    it("of another revision, namespace, or none", () => {
        const rule =
            "the manifests have no Deployment istio-system/istiod-asm-1614-2, so they are not of revision asm-1614-2";
        expect(rulesOf([istiod("istiod-asm-1611-1", "pilot:1.6.14-asm.2")])).toEqual([
            `istio-system/istiod-asm-1611-1: ${rule}`,
        ]);
        const elsewhere = { ...six, metadata: { name: "istiod-asm-1614-2", namespace: "mesh" } };
        expect(rulesOf([elsewhere])).toEqual([`mesh/istiod-asm-1614-2: ${rule}`]);
        expect(rulesOf([])).toEqual([`undefined: ${rule}`]);
    });

    it("with objects that the API server no longer serves, all at once", () => {
        const objects = [
            six,
            object("admissionregistration.k8s.io/v1beta1 MutatingWebhookConfiguration a"),
            object("admissionregistration.k8s.io/v1beta1 MutatingWebhookConfiguration b"),
            object("admissionregistration.k8s.io/v1beta1 ValidatingAdmissionPolicy v"),
            object("apiextensions.k8s.io/v1beta1 CustomResourceDefinition c"),
            object("policy/v1beta1 PodDisruptionBudget p"),
            object("autoscaling/v2beta1 HorizontalPodAutoscaler h"),
        ];
        expect(rulesOf(objects)).toEqual([]);
        expect(split(objects, undefined, undefined, "v1.34.4").faults).toEqual([
            {
                subject: "istio.revisions",
                value: "admissionregistration.k8s.io/v1beta1 MutatingWebhookConfiguration, apiextensions.k8s.io/v1beta1 CustomResourceDefinition, autoscaling/v2beta1 HorizontalPodAutoscaler, policy/v1beta1 PodDisruptionBudget",
                rule: "the manifests hold 5 object(s) of versions that Kubernetes v1.34.4 no longer serves",
                next: "choose a newer version of Istio, or convert the manifests to the served versions",
            },
        ]);
        expect(split(objects, undefined, undefined, "v1.22.0").faults[0]?.value).not.toContain(
            "policy",
        );
    });
});

describe("what a foreign revision has for itself", () => {
    const text = (...args: Parameters<typeof ownNames>) =>
        ownNames(...args).map(({ kind, namespace, name }) => `${kind} ${namespace ?? "-"}/${name}`);

    it("of a new release is what its chart makes, by name", () => {
        expect(text("1-27-1", NS, "1.27")).toEqual([
            "Deployment istio-system/istiod-1-27-1",
            "Service istio-system/istiod-1-27-1",
            "HorizontalPodAutoscaler istio-system/istiod-1-27-1",
            "PodDisruptionBudget istio-system/istiod-1-27-1",
            "ConfigMap istio-system/istio-1-27-1",
            "ConfigMap istio-system/istio-sidecar-injector-1-27-1",
            "ConfigMap istio-system/values-1-27-1",
            "MutatingWebhookConfiguration -/istio-sidecar-injector-1-27-1",
            "ValidatingWebhookConfiguration -/istio-validator-1-27-1-istio-system",
            "ServiceAccount istio-system/istiod-1-27-1",
            "Role istio-system/istiod-1-27-1",
            "RoleBinding istio-system/istiod-1-27-1",
            ...["ClusterRole", "ClusterRoleBinding"].flatMap((kind) => [
                `${kind} -/istiod-clusterrole-1-27-1-istio-system`,
                `${kind} -/istiod-gateway-controller-1-27-1-istio-system`,
                `${kind} -/istio-reader-clusterrole-1-27-1-istio-system`,
            ]),
        ]);
        expect(text("r", "mesh", "1.20")).toContain(
            "MutatingWebhookConfiguration -/istio-sidecar-injector-r-mesh",
        );
        expect(text("r", NS, "1.20")).not.toContain("ConfigMap istio-system/values-r");
    });

    const five = [
        "Deployment istio-system/istiod",
        "Service istio-system/istiod",
        "HorizontalPodAutoscaler istio-system/istiod",
        "PodDisruptionBudget istio-system/istiod",
        "ConfigMap istio-system/istio",
        "ConfigMap istio-system/istio-sidecar-injector",
        "MutatingWebhookConfiguration -/istio-sidecar-injector",
    ];
    it("of ASM 1.5 and 1.6 leaves the accounts and roles, which they share", () => {
        expect(text("default", NS, "1.5")).toEqual(five);
        expect(text("default", NS, "1.6")).toEqual(five);
        expect(text("asm-1614-2", NS, "1.6").slice(five.length)).toEqual([
            "EnvoyFilter istio-system/metadata-exchange-1.6-asm-1614-2",
            "EnvoyFilter istio-system/tcp-metadata-exchange-1.6-asm-1614-2",
            "EnvoyFilter istio-system/stats-filter-1.6-asm-1614-2",
            "EnvoyFilter istio-system/tcp-stats-filter-1.6-asm-1614-2",
            "IstioOperator istio-system/installed-state-asm-1614-2",
        ]);
    });

    it("is never what splitManifests calls shared, a gateway or a CRD", () => {
        for (const minor of ["1.5", "1.6", "1.10", "1.26", "1.30"]) {
            for (const revision of ["default", "r1"]) {
                const objects = ownNames(revision, NS, minor).map(({ apiVersion, kind, name }) =>
                    object(`${apiVersion} ${kind} ${name}`),
                );
                const { crds, shared, gateways } = split(objects, revision);
                expect([...crds, ...shared, ...gateways]).toEqual([]);
            }
        }
    });

    it("is named in versions that the API server serves", () => {
        const versions = (server?: string) =>
            new Set(ownNames("r", NS, "1.27", server).map(({ apiVersion }) => apiVersion));
        expect(versions().has("policy/v1")).toBe(true);
        expect(versions("v1.20.0").has("policy/v1beta1")).toBe(true);
        expect(versions("v1.21.0").has("policy/v1")).toBe(true);
        expect(versions("v1.15.0").has("admissionregistration.k8s.io/v1beta1")).toBe(true);
    });

    it("keeps its Service as long as a webhook of somebody else calls it: all writes would fail", () => {
        const names = ownNames("default", NS, "1.5");
        const service = { namespace: NS, name: "istiod" };
        const own = {
            kind: "MutatingWebhookConfiguration",
            name: "istio-sidecar-injector",
            services: [service],
        };
        const shared = {
            kind: "ValidatingWebhookConfiguration",
            name: "istiod-istio-system",
            services: [service],
        };
        const elsewhere = { ...shared, services: [{ namespace: "mesh", name: "istiod" }] };
        expect(unreferred(names, [own, elsewhere])).toEqual(names);
        expect(unreferred(names, [own, shared])).toEqual(
            names.filter(({ kind }) => kind !== "Service"),
        );
    });
});
