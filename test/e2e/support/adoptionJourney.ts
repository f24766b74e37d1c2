import {
    BatchV1Api,
    RbacAuthorizationV1Api,
    type KubernetesListObject,
    type KubernetesObject,
    type V1Secret,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import type { ChartValues } from "../../../config";
import { issuedBy, readBundle } from "../../../plan/certificates";
import { ensureToolchain } from "../../../toolchain/index";
import { ageWebhooks } from "./ageWebhooks";
import { helmOf, installByCli, type Helm } from "./foreignLinkerd";
import { NEW, OLD, startJourney, type Journey } from "./journey";
import { filesBelow, privateKeyTexts } from "./privateKeys";
import { snapshot } from "./snapshot";

/** What the user asked the linkerd CLI for. */
const SETTINGS = {
    controllerLogLevel: "debug",
    controllerReplicas: 2,
    // Charts have these as comments only.
    tolerations: [{ key: "dedicated", operator: "Exists" }],
    destinationResources: { cpu: { request: "20m" } },
    // No template reads it.
    highAvailability: true,
    podAnnotations: { "example.com/team": "mesh" },
    proxy: { logLevel: "info,linkerd=debug", resources: { cpu: { request: "100m" } } },
    // The chart of edge-24.7.5 knows this no longer.
    proxyInit: { resources: { cpu: { limit: "200m", request: "50m" } } },
};
const VIZ = {
    defaultLogLevel: "debug",
    grafana: { externalUrl: "https://grafana.example" },
    dashboard: { replicas: 2, restrictPrivileges: true },
    tolerations: [{ key: "dedicated", operator: "Exists" }],
    tap: { ignoreHeaders: ["cookie"], resources: { cpu: { request: "20m" } } },
    prometheus: { args: { "storage.tsdb.retention.time": "12h" } },
};

/** Of a version before the old one. */
const LEFT_BEHIND = "ConfigMap linkerd/linkerd-old-config";

const { programs } = await ensureToolchain({ with: ["helm"] });

export interface AdoptionOptions {
    /** Of the embedded cluster. */
    readonly name: string;
    readonly installViz: (journey: Journey, helm: Helm, values: ChartValues) => Promise<void>;
    /** Helm's revision of viz after the adoption, the upgrade and the revert. */
    readonly revisions: readonly [number, number, number];
    /** Whether `adopt` is taken out of the stack file on the way. */
    readonly freed: boolean;
}

/** The steps of a user who takes over a mesh, upgrades it and takes the upgrade back. */
export function adoptionJourney({ name, installViz, revisions, freed }: AdoptionOptions): void {
    let journey: Journey;
    let before: Awaited<ReturnType<typeof state>>;

    beforeAll(async () => {
        journey = await startJourney(name);
        const helm = helmOf(journey, programs.helm.path);
        await installByCli(journey, helm, SETTINGS);
        await leaveBehind(journey);
        await installViz(journey, helm, VIZ);
        await journey.createSample();
        await fallBehind(journey);
        before = await state(journey);
    });
    const takenBack = async () => {
        await journey.editVersion(OLD);
        // The last stage that is still ahead.
        await journey.stack.edit("certificates", { webhooks: freed ? "own" : "swap" });
        if (freed) {
            await ageWebhooks(journey);
        }
        await journey.up();
        expect(await foreignWebhooks(journey)).toEqual([]);
        expect(await settings(journey)).toMatchObject(SETTINGS);
        expect((await state(journey)).identity).toEqual(before.identity);
        expect((await journey.proxies())["shop/web"]).toBe(OLD);
        expect(await revision(journey)).toBe(revisions[2]);
        await journey.expectNoChanges();
    };
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: is refused without adopt, and nothing changes", async () => {
        const all = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        expect(output).toContain("Namespace linkerd: holds an installation that this stack did");
        expect(output).toContain("Namespace linkerd-viz: holds an installation");
        expect(output).toContain("pulumi config set adopt true");
        expect(await snapshot(journey.connection)).toEqual(all);
    });

    it("step 2: is refused while certificates would be replaced that are in use", async () => {
        await journey.stack.edit("adopt", true);
        await journey.stack.edit("certificates", { webhooks: "own" });
        const all = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        for (const service of ["linkerd/linkerd-proxy-injector", "linkerd-viz/tap"]) {
            expect(output).toContain(
                `certificates.webhooks = "own": ${service} serves a certificate that is not of this stack's CA`,
            );
        }
        expect(await snapshot(journey.connection)).toEqual(all);
        await journey.stack.edit("certificates", undefined);
    });

    it("step 3: preview tells what is taken over, and changes nothing", async () => {
        await journey.stack.edit("identity", { source: "adopted" });
        const all = await snapshot(journey.connection);
        const { code, output } = await journey.preview();
        expect(code, output).toBe(0);
        expect(await snapshot(journey.connection)).toEqual(all);
        expect(output).toContain(`takes over the control plane ${OLD}`);
        expect(output).toContain('controlPlane.values.proxy.logLevel: "info,linkerd=debug"');
        expect(output).toContain('viz.values.grafana.externalUrl: "https://grafana.example"');
        expect(output).toContain(
            "takes over Service linkerd/linkerd-identity (kubectl-client-side-apply): as it is",
        );
        expect(output).toMatch(
            /takes over MutatingWebhookConfiguration linkerd-proxy-injector-webhook-config \(kubectl-client-side-apply\)/,
        );
        expect(output).toMatch(
            /takes over ConfigMap linkerd\/linkerd-config \(kubectl-client-side-apply\): differs in data\.values/,
        );
        expect(output).toMatch(
            /stays stale: shop\/Deployment\/web \(\d pods, proxy edge-24\.4\.1\): stale before the take-over/,
        );
        expect(output).toContain("adopt: Helm changes nothing of viz");
        expect(output).not.toContain("is not known to chart");
        expect(output).toContain(`left alone: ${LEFT_BEHIND} carries the control plane's label`);
    });

    it("step 4: up at the same version restarts no pod and changes no key", async () => {
        await journey.up();
        const after = await state(journey);
        expect(after.pods).toEqual(before.pods);
        expect(after.specs).toEqual(before.specs);
        expect(after.roles).toEqual(before.roles);
        expect(after.identity).toEqual(before.identity);
        expect(after.webhooks).toEqual(before.webhooks);
        expect(await settings(journey)).toMatchObject(SETTINGS);
        expect(await revision(journey)).toBe(revisions[0]);
        await journey.expectNoChanges();
    });

    it("step 5: the upgrade keeps settings and keys, and names the setting that is gone", async () => {
        await journey.editVersion(NEW);
        await journey.stack.edit("certificates", { webhooks: "publish" });
        await journey.stack.edit("prune", true);
        const { output } = await journey.preview();
        expect(output).toContain(`prune: deletes ${LEFT_BEHIND}, which this stack does not`);
        expect(await leftBehind(journey)).toHaveLength(1);
        expect(output).toContain(
            "setting controlPlane.values.proxyInit.resources.cpu.limit is not known to chart linkerd-control-plane 2024.7.5: handed on",
        );
        await journey.up();
        expect(await leftBehind(journey)).toEqual([]);
        expect(await settings(journey)).toMatchObject(SETTINGS);
        const { identity, webhooks } = await state(journey);
        expect(identity).toEqual(before.identity);
        expect(webhooks).toEqual(before.webhooks);
        expect(await vizArguments(journey)).toContain(
            "-grafana-external-addr=https://grafana.example",
        );
        expect(await revision(journey)).toBe(revisions[1]);
        expect((await journey.proxies())["shop/web"]).toBe(NEW);
        await journey.expectNoChanges();
    });

    if (!freed) {
        it("step 6: the line taken back brings the old version back, with the settings", takenBack);
    } else {
        it("step 6: without adopt the settings would be lost, which is refused by name", async () => {
            await journey.stack.edit("adopt", undefined);
            await journey.stack.edit("certificates", undefined);
            const all = await snapshot(journey.connection);
            const { output } = await journey.failingUp();
            expect(output).toContain("controlPlane.values.controllerLogLevel");
            expect(output).toContain("viz.values.grafana.externalUrl");
            expect(output).toContain("next: set certificates.webhooks to swap");
            expect(await snapshot(journey.connection)).toEqual(all);
        });

        it("step 7: with the settings in the stack file, adopt can go, and webhook certificates: no pod restarts", async () => {
            await journey.stack.edit("controlPlane", {
                values: await keptSettings(journey, "controlPlane"),
            });
            await journey.stack.edit("viz", { values: await keptSettings(journey, "viz") });
            await journey.stack.edit("certificates", { webhooks: "swap" });
            const { pods } = await state(journey);
            await journey.up();
            expect((await state(journey)).pods).toEqual(pods);
            expect(await foreignWebhooks(journey)).toEqual([]);
            await journey.expectNoChanges();
        });

        it("step 8: the line taken back brings the old version back, with the settings", takenBack);
    }

    it("no private key shows in state or output", async () => {
        const keys = await privateKeyTexts(journey.connection);
        const places = [
            ...(await filesBelow(journey.stack.stateDirectory)),
            { path: "output", text: journey.printed.join("\n") },
        ];
        const leaks = places.filter(({ text }) => keys.some((key) => text.includes(key)));
        expect(leaks.map(({ path }) => path)).toEqual([]);
    });
}

/** What adoption must leave alone. */
async function state({ connection: { core, apps, kubeconfig } }: Journey) {
    const pods = await core.listPodForAllNamespaces();
    const batch = kubeconfig.makeApiClient(BatchV1Api);
    const rbac = kubeconfig.makeApiClient(RbacAuthorizationV1Api);
    const specs: KubernetesListObject<KubernetesObject & { spec?: unknown }>[] = await Promise.all([
        apps.listDeploymentForAllNamespaces(),
        batch.listCronJobForAllNamespaces(),
        core.listServiceForAllNamespaces(),
    ]);
    const roles = await rbac.listClusterRole({ labelSelector: "linkerd.io/extension=viz" });
    const issuer = await core.readNamespacedSecret({
        namespace: "linkerd",
        name: "linkerd-identity-issuer",
    });
    const roots = await core.readNamespacedConfigMap({
        namespace: "linkerd",
        name: "linkerd-identity-trust-roots",
    });
    const { items: secrets } = await core.listSecretForAllNamespaces();
    const ofJobs = /^(namespace-metadata|linkerd-heartbeat)/;
    return {
        pods: pods.items
            .filter(({ metadata }) => !ofJobs.test(metadata?.name ?? ""))
            .map(({ metadata }) => `${metadata?.namespace}/${metadata?.name} ${metadata?.uid}`)
            .sort(),
        specs: Object.fromEntries(
            specs.flatMap(({ kind, items }) =>
                items.map(({ metadata, spec }) => [
                    `${kind} ${metadata?.namespace}/${metadata?.name}`,
                    spec,
                ]),
            ),
        ),
        roles: roles.items.map(({ metadata, rules }) => [metadata?.name, rules]),
        identity: { issuer: issuer.data, type: issuer.type, roots: roots.data },
        webhooks: Object.fromEntries(
            secrets
                .filter(({ metadata }) => metadata?.name?.endsWith("-k8s-tls"))
                .map(({ metadata, data }) => [metadata?.name ?? "", data]),
        ),
    };
}

/** Webhook certificates that the stack's CA did not sign, by Secret. */
async function foreignWebhooks(journey: Journey): Promise<string[]> {
    const { webhooks } = await state(journey);
    const ca = await journey.connection.core.readNamespacedSecret({
        namespace: "linkerd",
        name: "linkerd-webhook-ca",
    });
    const certificates = (data: V1Secret["data"]) =>
        readBundle(Buffer.from(data?.["tls.crt"] ?? "", "base64").toString());
    return Object.entries(webhooks)
        .filter(([, data]) =>
            certificates(data).some((one) => !issuedBy(one, certificates(ca.data))),
        )
        .map(([name]) => name);
}

async function settings({ connection: { core } }: Journey): Promise<object> {
    const config = await core.readNamespacedConfigMap({
        namespace: "linkerd",
        name: "linkerd-config",
    });
    return parse(config.data?.["values"] ?? "") as object;
}

/** What the stack keeps of the installation that it took over. */
async function keptSettings({ connection: { core } }: Journey, section: string): Promise<object> {
    const kept = await core.readNamespacedConfigMap({
        namespace: "linkerd",
        name: "mesh-upgrade-adopted",
    });
    return parse(kept.data?.[`${section}.yaml`] ?? "") as object;
}

async function vizArguments({ connection: { apps } }: Journey): Promise<string[]> {
    const web = await apps.readNamespacedDeployment({ namespace: "linkerd-viz", name: "web" });
    return web.spec?.template.spec?.containers.find(({ name }) => name === "web")?.args ?? [];
}

async function leaveBehind({ connection: { core } }: Journey): Promise<void> {
    const labels = { "linkerd.io/control-plane-ns": "linkerd" };
    await core.createNamespacedConfigMap({
        namespace: "linkerd",
        body: { metadata: { name: "linkerd-old-config", labels } },
    });
}

/** Pods that nobody restarted since the last upgrade by the CLI. */
async function fallBehind({ connection: { core } }: Journey): Promise<void> {
    const { items } = await core.listNamespacedPod({ namespace: "shop", labelSelector: "app=web" });
    for (const { metadata, spec } of items) {
        const [index, proxy] =
            [...(spec?.containers ?? []).entries()].find(
                ([, { name }]) => name === "linkerd-proxy",
            ) ?? [];
        await core.patchNamespacedPod({
            namespace: "shop",
            name: metadata?.name ?? "",
            body: [
                {
                    op: "replace",
                    path: `/spec/containers/${index}/image`,
                    value: proxy?.image?.replace(OLD, "edge-24.4.1"),
                },
            ],
        });
    }
}

async function leftBehind({ connection: { core } }: Journey): Promise<unknown[]> {
    const { items } = await core.listNamespacedConfigMap({ namespace: "linkerd" });
    return items.filter(({ metadata }) => metadata?.name === "linkerd-old-config");
}

/** Helm's newest revision of viz. */
async function revision({ connection: { core } }: Journey): Promise<number> {
    const { items } = await core.listNamespacedSecret({
        namespace: "linkerd-viz",
        labelSelector: "owner=helm,name=linkerd-viz",
    });
    return Math.max(...items.map(({ metadata }) => Number(metadata?.labels?.["version"])));
}
