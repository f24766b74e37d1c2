import * as k8s from "@kubernetes/client-node";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RESTARTED_AT } from "../../cluster/pods";
import { createLoad, waitForLoad } from "../../embedded/load";
import { waitForSample } from "../../embedded/sampleApplication";
import { podAnnotations } from "../../embedded/stages";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";

const LATE = { namespaces: 1, deploymentsPerNamespace: 2, replicas: 2, prefix: "late" };
const WAVES = [
    { name: "canary", select: [{ namespaces: ["batch"] }] },
    { name: "shop", select: [{ namespaceLabels: { tier: "front" } }] },
];
const settings = (waves: readonly object[], more: object = {}) => ({
    timeout: "20s",
    soak: "2s",
    pace: "unlimited",
    events: true,
    waves,
    ...more,
});

describe("three waves: what fails in the second never reaches the third", () => {
    let journey: Journey;

    beforeAll(async () => {
        journey = await startJourney("waves", { config: { rollout: settings(WAVES) } });
        await journey.up();
        await journey.createSample();
        await createLoad(journey.cluster.kubeconfig, journey.cluster.context, {
            ...LATE,
            readyAfter: "2s",
        });
        await waitForLoad(journey.cluster.kubeconfig, journey.cluster.context, LATE);
        await journey.connection.core.patchNamespace(
            { name: "shop", body: { metadata: { labels: { tier: "front" } } } },
            MERGE,
        );
        await crashWith(journey, NEW);
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: preview shows the waves and what each will restart; overlaps are refused", async () => {
        await journey.editVersion(NEW);
        const { output } = await journey.preview();
        const canary = output.indexOf("wave canary: 1 workloads, 2 pods to restart");
        const shop = output.indexOf("wave shop: 4 workloads, 9 pods to restart");
        const late = output.indexOf(`late-00/Deployment/app-00: 2 pods, proxy ${OLD} -> ${NEW}`);
        expect(canary, output).toBeGreaterThan(0);
        expect(shop).toBeGreaterThan(canary);
        expect(late).toBeGreaterThan(shop);
        for (const wave of ["canary", "shop", "rest"]) {
            expect(output).toMatch(new RegExp(`Command ${wave} replace`));
        }

        const overlapping = [...WAVES, { name: "again", select: [{ workloads: ["importer"] }] }];
        await journey.stack.edit("rollout", settings(overlapping));
        const refused = await journey.preview();
        await journey.stack.edit("rollout", settings(WAVES));
        expect(refused.code).not.toBe(0);
        expect(refused.output).toContain(
            'rollout.waves = "canary, again": each of these waves takes batch/Deployment/importer',
        );
    });

    it("step 2: a crash loop in wave two halts there, with pod and reason; wave three has not begun", async () => {
        const { output } = await journey.failingUp();
        expect(output).toMatch(
            /shop\/Deployment\/cart: no progress for 20 s: pod cart-\w+-\w+: container main: CrashLoopBackOff/,
        );
        expect(output).toContain("wave shop failed; other workloads and later waves stay");
        const proxies = await versions(journey);
        expect(proxies).toMatchObject({
            "batch/importer": NEW,
            "shop/web": NEW,
            "shop/cart": `${OLD}+${NEW}`,
            "late-00/app-00": OLD,
            "late-00/app-01": OLD,
        });
    });

    it("step 3: the line reverted brings back every wave that ran", async () => {
        await journey.editVersion(OLD);
        const late = await restarts(journey, "late-00");
        await journey.up();
        const stale = Object.entries(await versions(journey)).filter(
            ([, proxy]) => ![OLD, "none"].includes(proxy),
        );
        expect(stale).toEqual([]);
        // What never was restarted is not restarted by the way back either.
        expect(await restarts(journey, "late-00")).toEqual(late);
        await journey.expectNoChanges();
    });

    it("step 4: forward again it halts again; after mending up finishes without touching wave one", async () => {
        await journey.editVersion(NEW);
        await journey.failingUp();
        const canary = await restarts(journey, "batch");
        const web = (await restarts(journey, "shop"))["web"];
        await crashWith(journey, null);
        const { output } = await journey.up();
        expect(await restarts(journey, "batch")).toEqual(canary);
        expect((await restarts(journey, "shop"))["web"]).toBe(web);
        expect(output).not.toMatch(/Command canary (creating|replaced)/);
        expect(await versions(journey)).toMatchObject({
            "batch/importer": NEW,
            "shop/cart": NEW,
            "shop/web": NEW,
            "late-00/app-00": NEW,
            "late-00/app-01": NEW,
        });
        await journey.expectNoChanges();
    });

    it("step 5: pace, soak and gates change nothing by themselves; a wave renamed or removed restarts nothing", async () => {
        const before = {
            ...(await restarts(journey, "batch")),
            ...(await restarts(journey, "shop")),
            ...(await restarts(journey, "late-00")),
        };
        await journey.stack.edit("rollout", settings(WAVES, { pace: 7, soak: "3s" }));
        const preview = await journey.preview();
        expect(preview.output).not.toMatch(/Command (canary|shop|rest) replace/);
        const renamed = [{ ...WAVES[0], name: "first" }];
        await journey.stack.edit("rollout", settings(renamed, { pace: 7 }));
        await journey.up();
        expect({
            ...(await restarts(journey, "batch")),
            ...(await restarts(journey, "shop")),
            ...(await restarts(journey, "late-00")),
        }).toEqual(before);
        await journey.expectNoChanges();
    });

    it("the report of a wave has a verdict for each pod, and its events are lines of JSON", async () => {
        const file = (name: string) =>
            readFile(join(journey.stack.project, ".rollout", name), "utf8");
        const report = JSON.parse(await file("rest.json")) as {
            verdicts: { pod: string; proxy: string; verdict: string }[];
        };
        const late = report.verdicts.filter(({ pod }) => pod.startsWith("late-00/"));
        expect(late.map(({ proxy, verdict }) => [proxy, verdict])).toEqual(
            Array.from({ length: 4 }, () => [NEW, "current"]),
        );
        const events = (await file("rest.events.jsonl"))
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line) as { type: string; time: string });
        expect(events.map(({ type }) => type)).toContain("wave");
        expect(events.every(({ time }) => !Number.isNaN(Date.parse(time)))).toBe(true);
    });
});

const MERGE = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);

/** Lets the pods of shop/cart crash where their proxy is of this version. */
async function crashWith({ connection, cluster }: Journey, version: string | null): Promise<void> {
    const annotations = { [podAnnotations.crashLoop]: version };
    await connection.apps.patchNamespacedDeployment(
        {
            namespace: "shop",
            name: "cart",
            body: { spec: { template: { metadata: { annotations } } } },
        },
        MERGE,
    );
    await waitForSample(cluster.kubeconfig, cluster.context);
}

/** Proxies by workload, also of the late namespace. */
async function versions(journey: Journey): Promise<Record<string, string>> {
    const { items } = await journey.connection.core.listNamespacedPod({ namespace: "late-00" });
    const late = items
        .filter((pod) => !pod.metadata?.deletionTimestamp)
        .map((pod): [string, string] => [
            `late-00/${pod.metadata?.labels?.["app"]}`,
            /:([^:]+)$/.exec(
                pod.spec?.containers.find((one) => one.name === "linkerd-proxy")?.image ?? "",
            )?.[1] ?? "none",
        ]);
    return { ...(await journey.proxies()), ...Object.fromEntries(late) };
}

/** restartedAt by workload. */
async function restarts({ connection }: Journey, namespace: string) {
    const lists = await Promise.all([
        connection.apps.listNamespacedDeployment({ namespace }),
        connection.apps.listNamespacedStatefulSet({ namespace }),
        connection.apps.listNamespacedDaemonSet({ namespace }),
    ]);
    return Object.fromEntries(
        lists.flatMap((list) =>
            list.items.map((one) => [
                one.metadata?.name ?? "",
                one.spec?.template?.metadata?.annotations?.[RESTARTED_AT],
            ]),
        ),
    );
}
