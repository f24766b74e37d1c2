// One stack goes from the last stable release over an edge to the newest one and back, each chart of each release with a version
// of its own. What this does not prove: that the proxies of these releases understand each other, as pods are simulated.
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NEW, startJourney, type Journey } from "./support/journey";
import { meshedNamespace, workload } from "./support/meshObjects";
import { expectRefused } from "./support/refusal";
import { waitFor } from "./support/waiting";

const STABLE = "stable-2.14.10";
const NEWEST = "edge-26.8.3";
const ROUTES = { group: "gateway.networking.k8s.io", version: "v1beta1", plural: "httproutes" };
const GATEWAY_CRDS = ["grpcroutes", "httproutes"].map((one) => `${one}.${ROUTES.group}`);

describe("from stable-2.14.10 to the newest edge and back", () => {
    let journey: Journey;
    let route: string;

    beforeAll(async () => {
        journey = await startJourney("versions", {
            linkerdVersion: STABLE,
            config: {
                controlPlane: { values: { policyController: { image: { pullPolicy: "Always" } } } },
            },
        });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    /** Chart by CRD, as its label has it. */
    const crds = async () => {
        const api = journey.connection.kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
        const { items } = await api.listCustomResourceDefinition();
        return Object.fromEntries(
            items.map(({ metadata }) => [
                metadata?.name ?? "",
                metadata?.labels?.["helm.sh/chart"] ?? "",
            ]),
        );
    };
    const routes = () => journey.connection.kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    const at = { ...ROUTES, namespace: "shop" };
    const routeId = async () => {
        const found = (await routes().getNamespacedCustomObject({ ...at, name: "web" })) as {
            metadata: { uid: string };
        };
        return found.metadata.uid;
    };
    /** Proxy of Deployment shop/web and how it runs; release of viz's dashboard, and how many Helm releases it has. */
    const runs = async () => {
        const { items } = await journey.connection.core.listNamespacedSecret({
            namespace: "linkerd-viz",
            labelSelector: "owner=helm,status=deployed",
        });
        const { items: web } = await journey.connection.apps.listNamespacedDeployment({
            namespace: "linkerd-viz",
            fieldSelector: "metadata.name=web",
        });
        const { items: pods } = await journey.connection.core.listNamespacedPod({
            namespace: "shop",
        });
        const native = pods.map(({ metadata, spec }) =>
            metadata?.deletionTimestamp
                ? []
                : (spec?.initContainers ?? []).filter(({ name }) => name === "linkerd-proxy"),
        );
        return {
            shop: (await journey.proxies())["shop/web"],
            native: native.flat().length,
            viz: web[0]?.spec?.template.spec?.containers
                .map(({ image }) => image?.split(":").at(-1))
                .at(-1),
            releases: items.length,
        };
    };

    it("a release between is refused in one error that says which are taken", async () => {
        await journey.editVersion("stable-2.13.7");
        await expectRefused(
            journey,
            /1\. linkerdVersion = "stable-2\.13\.7": a Linkerd version reads edge-YY\.M\.N .* from edge-24\.3\.1 on, or stable-2\.14\.N up to stable-2\.14\.10/,
        );
        await journey.editVersion(STABLE);
    });

    it("step 1: the stable release is installed, each chart of a version of its own", async () => {
        const { output } = await journey.up();
        const { objects } = journey.connection;
        await objects.create(meshedNamespace("shop"));
        await objects.create(
            workload({ kind: "Deployment", namespace: "shop", name: "web", spec: { replicas: 2 } }),
        );
        await waitFor("pods with the proxy", async () => (await runs()).shop === STABLE);
        expect(output).toContain(`installed -> ${STABLE}`);
        const found = await crds();
        expect(found).toMatchObject({
            [`httproutes.${ROUTES.group}`]: "linkerd-crds-1.8.0",
            "servers.policy.linkerd.io": "linkerd-crds-1.8.0",
        });
        expect(found).not.toHaveProperty(["externalworkloads.workload.linkerd.io"]);
        expect(await runs()).toEqual({ shop: STABLE, native: 0, viz: STABLE, releases: 1 });
        await createRoute();
        route = await routeId();
        await journey.expectNoChanges();
    });

    const createRoute = () =>
        routes().createNamespacedCustomObject({
            ...at,
            body: {
                apiVersion: `${ROUTES.group}/${ROUTES.version}`,
                kind: "HTTPRoute",
                metadata: { name: "web" },
                spec: { parentRefs: [{ group: "core", kind: "Service", name: "web", port: 80 }] },
            },
        });

    it("step 2: the next step of the way is an edge, CRDs first", async () => {
        await journey.editVersion(NEW);
        const { output } = await journey.up();
        expect(output).toContain(`linkerd: ${STABLE} -> ${NEW} (upgrade)`);
        expect(await runs()).toEqual({ shop: NEW, native: 0, viz: NEW, releases: 1 });
        expect(await crds()).toMatchObject({
            "externalworkloads.workload.linkerd.io": "linkerd-crds-2024.7.5",
            ...Object.fromEntries(GATEWAY_CRDS.map((name) => [name, "linkerd-crds-2024.7.5"])),
        });
        expect(await routeId()).toBe(route);
        await journey.expectNoChanges();
    });

    it("step 3: the newest edge is refused with the way to it and what it takes away", async () => {
        await journey.editVersion(NEWEST);
        await expectRefused(
            journey,
            /next: go to edge-24\.8\.2 first, data plane included, then to edge-24\.11\.8, edge-25\.4\.4, edge-25\.10\.7, edge-26\.8\.3/,
            /notice gateway-api-ownership = /,
        );
    });

    it("step 4: with that decided it comes, and the routes with their CRDs stay", async () => {
        await journey.stack.edit("policy", {
            override: ["linkerd-one-minor"],
            acknowledge: ["gateway-api-ownership"],
        });
        const { output } = await journey.up();
        expect(output).toContain(`linkerd: ${NEW} -> ${NEWEST} (upgrade)`);
        expect(output).toContain(
            `CRDs of the Gateway API are no longer declared; they stay in the cluster with their objects: ${GATEWAY_CRDS.join(", ")} (`,
        );
        expect(output).toContain(
            "setting controlPlane.values.policyController.image.pullPolicy is not known to chart linkerd-control-plane 2026.8.3: without effect there; the policy controller comes with controllerImage",
        );
        expect(await runs()).toEqual({ shop: NEWEST, native: 2, viz: NEWEST, releases: 1 });
        expect(await crds()).toMatchObject({
            "egressnetworks.policy.linkerd.io": "linkerd-crds-2026.8.3",
            "httplocalratelimitpolicies.policy.linkerd.io": "linkerd-crds-2026.8.3",
            ...Object.fromEntries(GATEWAY_CRDS.map((name) => [name, "linkerd-crds-2024.7.5"])),
        });
        expect(await routeId()).toBe(route);
        await journey.expectNoChanges();
    });

    it("step 5: the line goes back to the stable release, and the CRDs stay", async () => {
        await journey.editVersion(STABLE);
        const { output } = await journey.up();
        expect(output).toContain(`linkerd: ${NEWEST} -> ${STABLE} (revert)`);
        expect(output).toContain(`CRDs stay at ${NEWEST}`);
        expect(await runs()).toEqual({ shop: STABLE, native: 0, viz: STABLE, releases: 1 });
        expect(await crds()).toMatchObject({
            "servers.policy.linkerd.io": "linkerd-crds-2026.8.3",
            ...Object.fromEntries(GATEWAY_CRDS.map((name) => [name, "linkerd-crds-2024.7.5"])),
        });
        expect(await routeId()).toBe(route);
        await journey.expectNoChanges();
    });
});
