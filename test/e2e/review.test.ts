import * as k8s from "@kubernetes/client-node";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { review, type Review } from "../../plan/review";
import { openBrowser } from "./support/browser";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { limitedUser } from "./support/limitedUser";
import { FLAWLESS, flawsOf } from "./support/picture";
import { snapshot } from "./support/snapshot";
import { waitFor } from "./support/waiting";

const SCHEMA = join(import.meta.dirname, "../../docs/review.schema.json");

/** What reading takes, and Pulumi's own test of the cluster; nothing of what an update does beyond that. */
const READ = [
    ...["namespaces", "pods", "configmaps", "secrets", "deployments", "statefulsets", "daemonsets"],
    ...["replicasets", "controllerrevisions", "poddisruptionbudgets", "customresourcedefinitions"],
    ...["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "apiservices"],
    ...["cronjobs", "serviceaccounts", "clusterroles", "persistentvolumeclaims", "rollouts"],
    ...["canaries", "services", "roles", "rolebindings", "clusterrolebindings", "leases"],
    ...["nodes", "jobs", "networkpolicies", "podmonitors", "trafficsplits", "serverauthorizations"],
];
/** Fits the types, and the schema that is in docs/. */
async function validated(value: unknown): Promise<Review> {
    const schema = JSON.parse(await readFile(SCHEMA, "utf8")) as Parameters<
        typeof z.fromJSONSchema
    >[0];
    expect(z.fromJSONSchema(schema).safeParse(value)).toMatchObject({ success: true });
    return review.parse(value);
}

describe("preview answers what restarts, how long it takes and what is missing, as lines, JSON and a page", () => {
    let journey: Journey;
    const inProject = (name: string) => join(journey.stack.project, name);
    const written = async () =>
        validated(JSON.parse(await readFile(inProject("review.json"), "utf8")));

    beforeAll(async () => {
        journey = await startJourney("review", {
            config: {
                report: { html: "out/review.html", json: "review.json" },
                rollout: {
                    ...{ timeout: "20s", soak: "0s", pace: 4 },
                    waves: [{ name: "canary", select: [{ namespaces: ["batch"] }] }],
                },
            },
        });
        await journey.up();
        await journey.createSample();
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: the preview of an upgrade has the whole blast radius, and changes nothing", async () => {
        await guard(journey);
        await journey.editVersion(NEW);
        const before = await snapshot(journey.connection);
        const { code, output } = await journey.preview();
        expect(code, output).toBe(0);
        expect(await snapshot(journey.connection)).toEqual(before);
        for (const line of [
            /control plane: of its workloads 8 restart, 5 to 10 min \(the upgrade guide of Anthos/,
            /wave canary: 1 workloads, 2 pods to restart, about 1 min at 4 pods a minute/,
            /stays stale: batch\/Pod\/debug-shell/,
            /blocked for ever: PodDisruptionBudget shop\/ledger-pdb allows 0 of its 2 pods/,
            /in all: \d+ workloads, \d+ pods restart, about \d+ to \d+ min; 1 pods stay stale/,
        ]) {
            expect(output).toMatch(line);
        }
        expect(output).not.toMatch(/permissions:/);
        // The output itself would be a dozen lines for each workload.
        expect(output).not.toContain("mesh-upgrade-review/1");
    });

    it("step 2: the JSON file follows the schema and says the same in numbers", async () => {
        const { blastRadius, versions, order, permissions } = await written();
        expect(versions).toMatchObject({
            change: "upgrade",
            target: [NEW],
            controlPlane: [{ name: "linkerd", version: OLD }],
        });
        const own = blastRadius.controlPlane.workloads.map(({ namespace, name }) => [
            namespace,
            name,
        ]);
        expect(own).toHaveLength(3 + 5);
        expect(own).toContainEqual(["linkerd", "linkerd-proxy-injector"]);
        expect(blastRadius.waves.map(({ name, restarts }) => [name, restarts])).toEqual([
            ["canary", 2],
            ["rest", expect.any(Number)],
        ]);
        const [, rest] = blastRadius.waves;
        const shop = rest?.workloads.filter(({ namespace }) => namespace === "shop") ?? [];
        expect(shop.find(({ name }) => name === "ledger")).toMatchObject({
            ...{ kind: "StatefulSet", replicas: 2, pods: 2 },
            ...{ from: [OLD], to: NEW, takesDown: 1, surge: 0, minutes: 1 },
            budgets: [{ name: "ledger-pdb", allowed: 0, healthy: 2, desired: 2, expected: 2 }],
            blocked: { budget: "ledger-pdb", forever: true },
        });
        expect(shop.find(({ name }) => name === "web")).toMatchObject({
            ...{ replicas: 3, takesDown: 0, surge: 1, budgets: [] },
        });
        expect(rest?.workloads.filter(({ by }) => by === "viz release")).toHaveLength(5);
        const listed = blastRadius.waves.flatMap(({ workloads }) => workloads);
        // Those of viz are in both lists, and count once.
        expect(blastRadius.totals.workloads).toBe(listed.length + 3);
        expect(order.map(({ title }) => title)).toEqual([
            ...["CRDs", "Control plane", "viz", "Wave canary", "Wave rest", "Check"],
        ]);
        expect(permissions).toMatchObject({ missing: [], maybe: [] });
        expect(permissions.asked).toBeGreaterThan(50);
    });

    it("step 3: the page opens in a browser, alone and well drawn", async (context) => {
        const browser = await openBrowser();
        if (!browser) {
            console.log(
                "NOT RUN: no browser on PATH, and that of @sparticuz/chromium is not for this system",
            );
            context.skip();
            return;
        }
        try {
            const file = inProject("out/review.html");
            for (const width of [1280, 390]) {
                const { page, requests, complaints } = await browser.open(file, {
                    width,
                    height: 900,
                });
                expect(requests).toHaveLength(1);
                expect(complaints).toEqual([]);
                const { boxes, ...flaws } = await flawsOf(page);
                expect(flaws).toEqual(FLAWLESS);
                expect(boxes).toBeGreaterThan(6 + 8);
                const text = (await page.evaluate("document.body.innerText")) as string;
                expect(text).toContain("shop/StatefulSet/ledger");
            }
        } finally {
            await browser.close();
        }
    });

    it("step 4: of a user who may only read, preview lists what is missing, and up is refused by one fault", async () => {
        const { cluster, stack } = journey;
        await stack.edit("kubeconfig", await limitedUser(cluster, "reader", READ, ["get", "list"]));
        const before = await snapshot(journey.connection);
        const previewed = await journey.preview();
        expect(previewed.output).toMatch(
            /permissions: \d+ that the update needs are missing \(\d+ asked\)/,
        );
        expect(previewed.output).toMatch(/may not: patch deployments\.apps in batch, shop/);
        const { output } = await journey.failingUp();
        expect(output).toMatch(/1\. permissions = "\d+": the user of this kubeconfig may not: /);
        expect(output).toMatch(/create, patch secrets in linkerd, linkerd-viz/);
        expect(output).toMatch(/next: ask for them, and see: kubectl auth can-i \w+ /);
        expect(output).not.toMatch(/^ {2}2\. /m);
        expect(await snapshot(journey.connection)).toEqual(before);
        const { refusals, permissions } = await written();
        expect(refusals.map(({ subject }) => subject)).toEqual(["permissions"]);
        expect(permissions.missing).toContainEqual({
            ...{ verb: "patch", resource: "deployments.apps", namespace: "shop" },
        });
        await stack.edit("kubeconfig", cluster.kubeconfig);
    });

    it("step 5: after up the output says what was done, and nothing is left to do", async () => {
        await policyApi(journey).deleteNamespacedPodDisruptionBudget({
            namespace: "shop",
            name: "ledger-pdb",
        });
        await journey.up();
        await journey.expectNoChanges();
        const output = await journey.stack.run(["stack", "output", "review", "--show-secrets"]);
        const { blastRadius, versions } = await validated(JSON.parse(output.stdout));
        expect(versions.controlPlane).toEqual([{ name: "linkerd", version: OLD }]);
        expect(blastRadius.waves.map(({ workloads }) => workloads.length)).toEqual([
            1,
            expect.any(Number),
        ]);
        // The preview of before was of what is there now.
        const after = await written();
        expect(after.blastRadius).toMatchObject({ stale: 0, waiting: "unchanged" });
        expect(after.blastRadius.controlPlane.workloads).toEqual([]);
    });
});

function policyApi({ connection }: Journey): k8s.PolicyV1Api {
    return connection.kubeconfig.makeApiClient(k8s.PolicyV1Api);
}

/** A budget that never lets a pod of shop/ledger go. */
async function guard(journey: Journey): Promise<void> {
    const body: k8s.V1PodDisruptionBudget = {
        metadata: { name: "ledger-pdb" },
        spec: { minAvailable: "100%", selector: { matchLabels: { app: "ledger" } } },
    };
    const policy = policyApi(journey);
    await policy.createNamespacedPodDisruptionBudget({ namespace: "shop", body });
    await waitFor("the budget is looked at", async () => {
        const { items } = await policy.listNamespacedPodDisruptionBudget({ namespace: "shop" });
        return items.some(({ status }) => (status?.currentHealthy ?? 0) === 2);
    });
}
