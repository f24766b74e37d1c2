import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHARTS } from "../../embedded/stack";
import { mint } from "../../plan/certificates";
import { kubeconfigOf, NEW, startJourney, type Journey } from "./support/journey";
import { snapshot } from "./support/snapshot";

describe("bad input gets one clear error, and nothing changes", () => {
    let journey: Journey;
    let scratch: string;

    beforeAll(async () => {
        scratch = await mkdtemp(join(tmpdir(), "mesh-bad-"));
        journey = await startJourney("bad-input", { config: { viz: { enabled: false } } });
        await journey.up();
    });
    afterAll(async () => {
        await journey?.dispose();
        await rm(scratch, { recursive: true, force: true });
    });

    /** Edits the stack file, runs up, expects the refusal, and puts the file back. */
    async function refused(edits: Record<string, unknown>, ...expected: (string | RegExp)[]) {
        const text = await readFile(journey.stack.file, "utf8");
        const before = await snapshot(journey.connection);
        for (const [key, value] of Object.entries(edits)) {
            await journey.stack.edit(key, value);
        }
        try {
            const { output } = await journey.failingUp();
            for (const one of expected) {
                expect(output).toMatch(one);
            }
            // One error, as a text of ours, not a stack trace.
            expect(output.match(/mesh-upgrade refused; nothing was changed/g)).toHaveLength(2);
            expect(output).not.toMatch(/\n\s+at .*\.ts:\d+/);
            expect(await snapshot(journey.connection)).toEqual(before);
            return output;
        } finally {
            await writeFile(journey.stack.file, text);
        }
    }

    it("a version that cannot be read, and a second fault beside it", async () => {
        await refused(
            { linkerdVersion: "24.7.5", rollout: { timeout: "soon" } },
            /linkerdVersion = "24\.7\.5": a Linkerd version reads edge-YY\.M\.N/,
            /rollout\.timeout = "soon": must be a duration/,
        );
    });

    it("a version of which there are no charts", async () => {
        await refused(
            { linkerdVersion: "edge-24.9.99" },
            /chart linkerd-control-plane 2024\.9\.99: is not in .*; it has: .*linkerd-control-plane-2024\.5\.3/,
        );
    });

    it("a directory of charts that is not there", async () => {
        await refused(
            { charts: join(scratch, "none") },
            /chart linkerd-crds 2024\.5\.3: cannot be read/,
        );
    });

    it("a chart of another release under the wanted name", async () => {
        const charts = join(scratch, "charts");
        await mkdir(charts);
        for (const chart of ["linkerd-crds", "linkerd-control-plane", "linkerd-viz"]) {
            await cp(join(CHARTS, `${chart}-2024.5.3`), join(charts, `${chart}-2024.7.5`), {
                recursive: true,
            });
        }
        await refused(
            { charts, linkerdVersion: NEW },
            /chart linkerd-viz 2024\.7\.5 = "linkerd-viz 2024\.5\.3": the chart at .* is of another release/,
        );
    });

    it("a cluster that does not answer", async () => {
        const kubeconfig = await kubeconfigOf(journey.cluster);
        const port = await closedPort();
        const clusters = kubeconfig.clusters.map((one) => ({
            ...one,
            server: `https://127.0.0.1:${port}`,
        }));
        const path = join(scratch, "unreachable");
        kubeconfig.loadFromOptions({ ...kubeconfig, clusters });
        await writeFile(path, kubeconfig.exportConfig(), { mode: 0o600 });
        await refused(
            { kubeconfig: path },
            /context = .*: the cluster at https:\/\/127\.0\.0\.1:\d+ does not answer/,
        );
    });

    it("a context that the kubeconfig does not have, and a key that is missing", async () => {
        await refused(
            { context: "elsewhere" },
            /context = "elsewhere": the kubeconfig has no such context; it has: /,
        );
        await refused(
            { clusterUid: undefined },
            /clusterUid = "": must be the uid of namespace kube-system/,
        );
    });

    it("a cluster other than the stack's", async () => {
        await refused(
            { clusterUid: "00000000-0000-4000-8000-000000000000" },
            /clusterUid = "00000000-.*it is not the cluster of this stack/,
        );
    });

    it("an identity of the user's whose key stands in plaintext, and one that has expired", async () => {
        const now = new Date(Date.now() - 3 * 365 * 24 * 3_600_000);
        const root = "root.linkerd.cluster.local";
        const anchor = await mint({ name: root, authority: true, years: 10, now });
        const name = "identity.linkerd.cluster.local";
        const issuer = await mint({ name, issuer: anchor, authority: true, years: 1, now });
        const identity = {
            source: "config",
            trustAnchors: anchor.certificate,
            issuer: { certificate: issuer.certificate, key: issuer.key },
        };
        const output = await refused({ identity }, /identity\.issuer\.key: stands in plaintext/);
        expect(output).not.toContain("PRIVATE KEY");
        const { key, ...certificate } = identity.issuer;
        await journey.stack.edit("identity", { ...identity, issuer: certificate });
        await journey.stack.setSecret("identity.issuer.key", key);
        await refused({}, /config identity: the issuer expired on \d{4}-\d\d-\d\d/);
        await journey.stack.edit("identity", undefined);
    });

    it("a derived value that the stack file sets as well", async () => {
        await refused(
            { controlPlane: { values: { linkerdVersion: NEW, identityTrustAnchorsPEM: "x" } } },
            /controlPlane\.values\.linkerdVersion: is derived by the program/,
            /controlPlane\.values\.identityTrustAnchorsPEM: is derived/,
        );
    });

    it("an installation of another stack, and one that no stack made", async () => {
        const annotate = (value: string | null) =>
            journey.connection.objects.patch({
                apiVersion: "v1",
                kind: "Namespace",
                metadata: { name: "linkerd", annotations: { "mesh-upgrade/stack": value } },
            } as never);
        await annotate("organization/mesh-upgrade/other");
        await refused(
            {},
            /Namespace linkerd = "organization\/mesh-upgrade\/other": is owned by another stack/,
        );
        await annotate(null);
        await refused(
            {},
            /Namespace linkerd: holds an installation that this stack did not make .*\n.*adopt/,
        );
        await annotate("organization/mesh-upgrade/demo");
    });

    it("a Helm release that an earlier run left half-way", async () => {
        const name = "sh.helm.release.v1.linkerd-viz.v1";
        await journey.connection.core.createNamespace({
            body: {
                metadata: {
                    name: "linkerd-viz",
                    annotations: { "mesh-upgrade/stack": "organization/mesh-upgrade/demo" },
                },
            },
        });
        await journey.connection.core.createNamespacedSecret({
            namespace: "linkerd-viz",
            body: {
                metadata: {
                    name,
                    labels: {
                        owner: "helm",
                        name: "linkerd-viz",
                        version: "1",
                        status: "pending-install",
                    },
                },
                type: "helm.sh/release.v1",
            },
        });
        await refused(
            { viz: { enabled: true } },
            /Helm release linkerd-viz\/linkerd-viz = "pending-install": .*\n.*helm -n linkerd-viz uninstall/,
        );
        await journey.connection.core.deleteNamespacedSecret({ namespace: "linkerd-viz", name });
    });

    it("the issuer's Secret is gone while the mesh runs: new keys would cut it off", async () => {
        await journey.connection.core.deleteNamespacedSecret({
            namespace: "linkerd",
            name: "linkerd-identity-issuer",
        });
        await refused({}, /Secret linkerd\/linkerd-identity-issuer: is missing although ConfigMap/);
    });
});

async function closedPort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    await new Promise((resolve) => server.close(resolve));
    return typeof address === "object" && address ? address.port : 0;
}
