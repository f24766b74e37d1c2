import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { snapshot } from "./support/snapshot";
import { waitFor } from "./support/waiting";

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

    it("step 4: taken back after an update that failed behind the control plane, they leave no pod with the others", async () => {
        await journey.stack.edit("controlPlane", { values: { proxy: { logLevel: "trace" } } });
        await journey.stack.edit("proxy", { namespaces: { batch: { logLevel: "trace" } } });
        const allow = await denyChanges(journey, "batch");
        const before = await pods(journey);
        const { output } = await journey.failingUp();
        expect(output).toContain(DENIED);
        expect(kept(before, await pods(journey))).toEqual(["batch", "shop"]);
        const made = await replacePod(journey);
        await allow();

        await journey.stack.edit("controlPlane", { values: { proxy: { logLevel: "debug" } } });
        await journey.stack.edit("proxy", undefined);
        const { output: review } = await journey.preview();
        expect(review).toMatch(
            /proxy settings of the mesh .* go back, which an update that did not/,
        );
        expect(review).toMatch(/shop\/Deployment\/web: .*proxy settings/);
        expect(review).not.toContain("batch/Deployment/importer: ");
        await journey.up();
        const after = await pods(journey);
        expect(after.map(({ uid }) => uid)).not.toContain(made);
        expect(kept(before, after)).toEqual(["batch"]);
        await journey.expectNoChanges();
    });

    it("step 5: an upgrade keeps settings, and the way back drops them with the version", async () => {
        await journey.stack.edit("proxy", { namespaces: { shop: { opaquePorts: 3306 } } });
        await journey.editVersion(NEW);
        await journey.up();
        expect(await journey.proxies()).toMatchObject({ "shop/web": NEW, "batch/importer": NEW });
        expect(opaque(await pods(journey), "shop")).toEqual(["3306"]);
        await journey.expectNoChanges();
        await journey.stack.edit("proxy", undefined);
        await journey.stack.edit("controlPlane", undefined);
        await journey.editVersion(OLD);
        await journey.up();
        expect(await journey.proxies()).toMatchObject({ "shop/web": OLD, "batch/importer": OLD });
        expect(opaque(await pods(journey), "shop")).toEqual(["none"]);
        await journey.expectNoChanges();
    });
});

const DENIED = "nobody changes this namespace now";

/** The API server refuses every change of a namespace from when this returns until the function is called. */
async function denyChanges(journey: Journey, name: string): Promise<() => Promise<void>> {
    const { objects } = journey.connection;
    const apiVersion = "admissionregistration.k8s.io/v1";
    const metadata = { name: "deny-changes" };
    const created = [
        {
            ...{ apiVersion, kind: "ValidatingAdmissionPolicy", metadata },
            spec: {
                matchConstraints: {
                    resourceRules: [
                        {
                            ...{ apiGroups: [""], apiVersions: ["v1"], operations: ["UPDATE"] },
                            ...{ resources: ["namespaces"], resourceNames: [name] },
                        },
                    ],
                },
                validations: [{ expression: "false", message: DENIED }],
            },
        },
        {
            ...{ apiVersion, kind: "ValidatingAdmissionPolicyBinding", metadata },
            spec: { policyName: metadata.name, validationActions: ["Deny"] },
        },
    ];
    for (const object of created) {
        await objects.create(object);
    }
    const denied = () =>
        annotate(journey, name, { probe: "1" }).then(
            () => false,
            () => true,
        );
    await waitFor("changes to be denied", denied);
    return async () => {
        for (const object of [...created].reverse()) {
            await objects.delete(object);
        }
        await waitFor("changes to be allowed", async () => !(await denied()));
        await annotate(journey, name, { probe: null });
    };
}

/** Deletes one pod of `shop/web`. @returns uid of the one that came for it */
async function replacePod(journey: Journey): Promise<string> {
    const before = await pods(journey);
    const name = before.find(({ app }) => app === "web")?.name ?? "";
    await journey.connection.core.deleteNamespacedPod({ namespace: "shop", name });
    let made: string | undefined;
    await waitFor("the new pod", async () => {
        const all = await pods(journey);
        made = all.find(({ uid }) => !before.some((one) => one.uid === uid))?.uid;
        return made !== undefined;
    });
    return made ?? "";
}

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
    readonly name: string;
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
            name: metadata?.name ?? "",
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
