// Proves that a revision stays whole as long as something uses it, and that one report tells all that is wrong with names.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KubeApi } from "../../cluster/api";
import {
    createWorkloads,
    NEW,
    NEW_REVISION,
    OLD,
    NEW_PROXY,
    OLD_PROXY,
    OLD_REVISION,
    startIstioJourney,
    type IstioJourney,
} from "./support/istio";
import { barePod } from "./support/meshObjects";
import { endPrograms, startProgram } from "./support/meshProgram";
import { waitFor } from "./support/waiting";

describe("one update for all, and what holds a revision", () => {
    let journey: IstioJourney;
    let api: KubeApi;

    beforeAll(async () => {
        journey = await startIstioJourney(
            "istio-refusals",
            { shop: {}, apart: {}, third: {} },
            {
                revisions: [{ version: OLD }],
                tags: { stable: OLD_REVISION },
                defaultRevision: OLD_REVISION,
                namespaces: { shop: "stable" },
                guard: { grace: "1s" },
            },
        );
        api = new KubeApi(journey.connection);
        await journey.up();
        await createWorkloads(journey, ["shop"]);
    });
    afterEach(endPrograms);
    afterAll(async () => {
        api?.close();
        await journey?.dispose();
    });

    it("all but the removal goes in one update", async () => {
        const edit = {
            revisions: [{ version: OLD }, { version: NEW }],
            tags: { stable: NEW_REVISION },
            defaultRevision: NEW_REVISION,
            gateways: [{ name: "ingress", namespace: "istio-system", revision: "stable" }],
        };
        await journey.edit(edit);
        const { output } = await journey.preview();
        for (const line of [
            `istio revision ${OLD_REVISION}: ${OLD} (unchanged)`,
            `istio revision ${NEW_REVISION}: ${NEW} (new)`,
            `tag stable: ${OLD_REVISION} -> ${NEW_REVISION}`,
            `namespace shop: injected by stable (${OLD_REVISION}) -> stable (${NEW_REVISION})`,
            `shop/Deployment/web: 2 pods, proxy ${OLD_PROXY} -> ${NEW_PROXY}`,
        ]) {
            expect(output).toContain(line);
        }
        expect(await journey.sidecars()).toEqual({ "shop/web": OLD_PROXY });
        await journey.up();
        expect(await journey.sidecars()).toEqual({ "shop/web": NEW_PROXY });
        await journey.expectNoChanges();
        await journey.edit({ tags: {}, namespaces: { shop: NEW_REVISION }, gateways: [] });
        await journey.up();
        await journey.expectNoChanges();
    });

    const users: {
        what: string;
        use: () => Promise<unknown>;
        release: () => Promise<unknown>;
        message: string;
    }[] = [
        {
            what: "a pod that runs its sidecar, in a namespace that is not the stack's",
            use: async () => {
                await label("apart", OLD_REVISION);
                const body = barePod("apart", "left");
                await api.send("POST", "/api/v1/namespaces/apart/pods", { body });
                await label("apart", null);
            },
            release: () => api.send("DELETE", "/api/v1/namespaces/apart/pods/left"),
            message: "pod apart/left",
        },
        {
            what: "a namespace",
            use: () => label("apart", OLD_REVISION),
            release: () => label("apart", null),
            message: `namespace apart (istio.io/rev=${OLD_REVISION})`,
        },
        {
            what: "a tag that somebody else made",
            use: async () => {
                const injector = `${WEBHOOKS}/istio-sidecar-injector-${OLD_REVISION}`;
                const { webhooks } = (await api.send("GET", injector)) as { webhooks: object[] };
                const labels = { "istio.io/tag": "prod", "istio.io/rev": OLD_REVISION };
                await api.send("POST", WEBHOOKS, {
                    body: {
                        apiVersion: "admissionregistration.k8s.io/v1",
                        kind: "MutatingWebhookConfiguration",
                        metadata: { name: "istio-revision-tag-prod", labels },
                        webhooks: webhooks.map((one) => ({
                            ...one,
                            namespaceSelector: { matchLabels: { "istio.io/rev": "prod" } },
                        })),
                    },
                });
            },
            release: () => api.send("DELETE", `${WEBHOOKS}/istio-revision-tag-prod`),
            message: "tag prod",
        },
    ];

    it.each(users)("$what: the removal is refused and names it", async (one) => {
        const before = await objectsOf(OLD_REVISION);
        expect(before.length).toBeGreaterThan(15);
        await one.use();
        await journey.edit({ revisions: [{ version: NEW }] });
        const { output } = await journey.failingUp();
        expect(output).toContain(`revision ${OLD_REVISION} stays, and all of it: it is in use by`);
        expect(output).toContain(one.message);
        expect(await objectsOf(OLD_REVISION)).toEqual(before);
        await one.release();
        await journey.edit({ revisions: [{ version: OLD }, { version: NEW }] });
        await journey.up();
        await journey.expectNoChanges();
    });

    it("from a shell, workloads get the sidecar that labels choose now", async () => {
        await createWorkloads(journey, ["apart"]);
        const { kubeconfig, context } = journey.cluster;
        const where = ["--kubeconfig", kubeconfig, "--context", context];
        const shell = async (...args: string[]) => {
            const program = startProgram(journey.stack.project, [...where, "--istio", ...args]);
            const { code, stdout, stderr } = await program.ended;
            expect(code, stderr).toBe(0);
            return stdout;
        };
        await label("apart", NEW_REVISION);
        expect(await shell("--namespace", "apart", "--plan")).toContain(
            `apart/Deployment/web: 2 pods, proxy no sidecar -> ${NEW_PROXY}`,
        );
        expect(await journey.sidecars()).toMatchObject({ "apart/web": "no sidecar" });
        await shell("--namespace", "apart", "--soak", "0s");
        expect(await journey.sidecars()).toMatchObject({ "apart/web": NEW_PROXY });
        await label("apart", null);
        await api.send("DELETE", "/apis/apps/v1/namespaces/apart/deployments/web");
        await waitFor(
            "the pods of apart to go",
            async () => !("apart/web" in (await journey.sidecars())),
        );
    });

    it("a namespace goes back with its revision, in one edit; then the revision may go", async () => {
        await journey.edit({
            revisions: [{ version: OLD }],
            defaultRevision: OLD_REVISION,
            namespaces: { shop: OLD_REVISION },
        });
        await journey.up();
        expect(await journey.sidecars()).toEqual({ "shop/web": OLD_PROXY });
        expect(await objectsOf(NEW_REVISION)).toEqual([]);
        await journey.expectNoChanges();
    });

    it("a label that was changed behind the stack is put right by the next wave of its namespace", async () => {
        await createWorkloads(journey, ["apart", "third"]);
        await label("shop", null);
        await journey.edit({
            namespaces: { shop: OLD_REVISION, apart: OLD_REVISION, third: OLD_REVISION },
        });
        const { output } = await journey.up();
        expect(output).toContain(`namespace shop: no label -> istio.io/rev=${OLD_REVISION}`);
        expect(await journey.sidecars()).toEqual({
            "apart/web": OLD_PROXY,
            "shop/web": OLD_PROXY,
            "third/web": OLD_PROXY,
        });
    });

    it("namespaces that leave the stack file get their labels and sidecars of before back, one after the other", async () => {
        await journey.edit({ namespaces: {} });
        await journey.up();
        expect(await journey.labels("shop")).toEqual({});
        expect(await journey.sidecars()).toEqual({
            "apart/web": "no sidecar",
            "shop/web": "no sidecar",
            "third/web": "no sidecar",
        });
        await journey.expectNoChanges();
    });

    it("everything that is wrong with names is told in one report, and nothing is changed", async () => {
        const before = await journey.webhooks();
        const long = "r".repeat(64);
        await journey.stack.edit("rollout", {
            waves: [{ name: "canary", select: [{ namespaces: ["shop"] }] }],
        });
        await journey.edit({
            revisions: [
                { version: OLD },
                { version: OLD, name: "same" },
                { version: NEW, name: "New" },
            ],
            tags: { [OLD_REVISION]: OLD_REVISION, [long]: OLD_REVISION },
            namespaces: { shop: OLD_REVISION, apart: "nowhere" },
            waves: { canary: OLD_REVISION },
        });
        const { code, output } = await journey.preview();
        expect(code).not.toBe(0);
        for (const subject of [
            'istio.revisions = "1.26.4": two names for one version',
            'istio.revisions.2.name = "New"',
            `istio.tags.${OLD_REVISION}`,
            `istio.tags.${long}`,
            'istio.namespaces.apart = "nowhere"',
            'istio.waves.canary = "shop": the namespace is mapped already',
        ]) {
            expect(output).toContain(subject);
        }
        // Pulumi prints what was said at the time once more at the end.
        const [, diagnostics = ""] = output.split("Diagnostics:");
        expect(diagnostics.match(/mesh-upgrade refused; nothing was changed/g)).toHaveLength(1);
        expect(await journey.webhooks()).toEqual(before);
    });

    const WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

    function label(namespace: string, revision: string | null): Promise<unknown> {
        return api.mergePatch(`/api/v1/namespaces/${namespace}`, {
            metadata: { labels: { "istio.io/rev": revision } },
        });
    }

    /** `Kind/name` with the uid of each object that carries the revision in its name. */
    async function objectsOf(revision: string): Promise<string[]> {
        const found: string[] = [];
        for (const path of [
            "/apis/apps/v1/namespaces/istio-system/deployments",
            "/apis/autoscaling/v2/namespaces/istio-system/horizontalpodautoscalers",
            "/apis/policy/v1/namespaces/istio-system/poddisruptionbudgets",
            "/api/v1/namespaces/istio-system/services",
            "/api/v1/namespaces/istio-system/serviceaccounts",
            "/api/v1/namespaces/istio-system/configmaps",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/istio-system/roles",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/istio-system/rolebindings",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            WEBHOOKS,
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        ]) {
            const { items } = await api.list(
                path,
                (object) => object["metadata"] as { name: string; uid: string },
                {},
            );
            found.push(
                ...items
                    .filter(({ name }) => name.includes(revision))
                    .map(({ name, uid }) => `${path.split("/").at(-1)}/${name} ${uid}`),
            );
        }
        return found.sort();
    }
});
