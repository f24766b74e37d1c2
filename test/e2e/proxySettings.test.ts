import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startJourney, type Journey } from "./support/journey";
import { snapshot } from "./support/snapshot";

const OPAQUE = "config.linkerd.io/opaque-ports";

// No proxy runs: that it obeys its settings is not shown.
describe("a change of proxy settings reaches the pods concerned, and only those", () => {
    let journey: Journey;

    beforeAll(async () => {
        journey = await startJourney("proxy-settings");
        await journey.up();
        await journey.createSample();
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    it("step 1: a namespace that is not there, and an annotation of somebody else's, are refused together", async () => {
        await annotate(journey, "batch", { [OPAQUE]: "25" });
        const setting = { opaquePorts: 3306 };
        await journey.stack.edit("proxy", { namespaces: { nowhere: setting, batch: setting } });
        const before = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        expect(output).toContain("proxy.namespaces.nowhere: the cluster has no such namespace");
        expect(output).toContain(
            `proxy.namespaces.batch (annotation ${OPAQUE}) = "25": is set already, by somebody else`,
        );
        expect(await snapshot(journey.connection)).toEqual(before);
        await annotate(journey, "batch", { [OPAQUE]: null });
    });

    it("step 2: settings of one namespace restart its pods, after preview has named them", async () => {
        await journey.stack.edit("proxy", { namespaces: { shop: { opaquePorts: 3306 } } });
        const before = await pods(journey);
        const { output } = await journey.preview();
        expect(output).toContain("proxy settings of namespace shop: none -> opaque-ports=3306");
        expect(output).toMatch(/shop\/Deployment\/web: 3 pods, .*proxy settings/);
        expect(output).not.toContain("batch/Deployment/importer: ");
        await journey.up();
        const after = await pods(journey);
        expect(kept(before, after)).toEqual(["batch"]);
        expect(opaque(after, "shop")).toEqual(["3306"]);
        await journey.expectNoChanges();
    });

    it("step 3: what leaves the stack file goes, and settings of the mesh restart every pod that can", async () => {
        await journey.stack.edit("proxy", undefined);
        await journey.stack.edit("controlPlane", { values: { proxy: { logLevel: "debug" } } });
        const before = await pods(journey);
        await journey.up();
        const after = await pods(journey);
        expect(opaque(after, "shop")).toEqual(["none"]);
        const { metadata } = await journey.connection.core.readNamespace({ name: "shop" });
        expect(metadata?.annotations).not.toHaveProperty([OPAQUE]);
        // A bare pod, one of a Job, and one outside the mesh.
        const left = after.filter(({ uid }) => before.some((one) => one.uid === uid));
        expect([...new Set(left.map(({ app }) => app))].sort()).toEqual([
            "debug-shell",
            "legacy-report",
            "nightly-import",
        ]);
        await journey.expectNoChanges();
    });
});

async function annotate(
    { connection }: Journey,
    name: string,
    annotations: Record<string, string | null>,
) {
    const { objects } = connection;
    const { metadata } = await objects.read({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name },
    });
    const merged = Object.entries({ ...metadata?.annotations, ...annotations });
    await objects.replace({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
            ...metadata,
            name,
            annotations: Object.fromEntries(
                merged.filter((one): one is [string, string] => one[1] !== null),
            ),
        },
    });
}

interface SeenPod {
    readonly namespace: string;
    readonly app: string;
    readonly uid: string;
    readonly opaque: string;
}

async function pods({ connection }: Journey): Promise<SeenPod[]> {
    const { items } = await connection.core.listPodForAllNamespaces();
    return items
        .filter(
            ({ metadata }) =>
                ["shop", "batch"].includes(metadata?.namespace ?? "") &&
                metadata?.deletionTimestamp === undefined,
        )
        .map(({ metadata }) => ({
            namespace: metadata?.namespace ?? "",
            app: metadata?.labels?.["app"] ?? "",
            uid: metadata?.uid ?? "",
            opaque: metadata?.annotations?.[OPAQUE] ?? "none",
        }));
}

/** Namespaces whose pods are all the same as before. */
function kept(before: readonly SeenPod[], after: readonly SeenPod[]): string[] {
    const uids = (all: readonly SeenPod[], namespace: string) =>
        all
            .filter((one) => one.namespace === namespace)
            .map(({ uid }) => uid)
            .sort()
            .join();
    return ["batch", "shop"].filter((name) => uids(before, name) === uids(after, name));
}

function opaque(all: readonly SeenPod[], namespace: string): string[] {
    const found = all.filter((one) => one.namespace === namespace).map((one) => one.opaque);
    return [...new Set(found)].sort();
}
