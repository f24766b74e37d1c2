// Proves where manifests may come from: a chart that is verified, an OCI registry, rendered YAML.
import { ApiextensionsV1Api } from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { locateCharts } from "../../charts/source";
import { sha256Of } from "../../charts/verify";
import { CHARTS } from "../../embedded/stack";
import { mint } from "../../plan/certificates";
import { ensureToolchain } from "../../toolchain/index";
import { helmOf } from "./support/foreignLinkerd";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { filesBelow, privateKeyTexts } from "./support/privateKeys";
import { snapshot } from "./support/snapshot";

const { helm } = (await ensureToolchain({ with: ["helm"] })).programs;
const chartVersion = (version: string) => version.replace("edge-", "20");
const CRDS = "linkerd-crds";
const CONTROL_PLANE = "linkerd-control-plane";

describe("a chart of which somebody else vouches", () => {
    const PROVENANCE = join(import.meta.dirname, "../fixtures/provenance");
    const request = { name: CRDS, version: chartVersion(NEW) };
    const STEM = `${CRDS}-${chartVersion(NEW)}`;
    const keyring = join(PROVENANCE, "publisher.gpg");
    let project: string;

    beforeEach(async () => {
        project = await mkdtemp(join(tmpdir(), "mesh-sources-"));
        await cp(PROVENANCE, join(project, "charts"), { recursive: true });
        vi.stubEnv("XDG_CACHE_HOME", join(project, "cache"));
        vi.stubEnv("HELM_CACHE_HOME", join(project, "helm"));
        vi.stubEnv("HELM_CONFIG_HOME", join(project, "helm"));
        vi.stubEnv("PATH", `${dirname(helm.path)}:${process.env["PATH"]}`);
    });
    afterEach(async () => {
        vi.unstubAllEnvs();
        await rm(project, { recursive: true });
    });
    const locate = (source: string, ring: string | undefined) =>
        locateCharts(source, [request], project, { sha256: {}, keyring: ring });

    it("is used where its provenance holds", async () => {
        const { located, faults } = await locate("charts", keyring);
        expect(faults).toEqual([]);
        expect(located).toMatchObject([request]);
    });

    it("is refused where another has signed it, or it is not what was signed", async () => {
        const stranger = await locate("charts", join(PROVENANCE, "stranger.gpg"));
        expect(stranger.located).toEqual([]);
        expect(stranger.faults).toMatchObject([{ subject: `verify.keyring, chart ${STEM}` }]);
        expect(stranger.faults[0]?.rule).toMatch(/^the provenance does not hold \(.+\)$/);
        const archive = join(project, "charts", `${STEM}.tgz`);
        await writeFile(archive, Buffer.concat([await readFile(archive), Buffer.from("\0")]));
        const { located, faults } = await locate("charts", keyring);
        expect(located).toEqual([]);
        expect(faults[0]?.rule).toMatch(/^the provenance does not hold \(.*sha256.*\)$/i);
    });

    it("is pulled from an OCI registry, with its provenance, once", async () => {
        const registry = await startRegistry(project, join(PROVENANCE, `${STEM}.tgz`));
        vi.stubEnv("SSL_CERT_FILE", registry.authority);
        try {
            const { located, faults } = await locate(`${registry.url}/mesh/`, keyring);
            expect(faults).toEqual([]);
            expect(located).toMatchObject([request]);
            const asked = registry.asked.length;
            expect((await locate(`${registry.url}/mesh/`, keyring)).located).toEqual(located);
            expect(registry.asked).toHaveLength(asked);
            const other = await locate(`${registry.url}/other`, undefined);
            expect(other.located).toEqual([]);
            expect(other.faults[0]?.rule).toMatch(
                /^cannot be read from oci:.*\/other \(.*not found\)$/,
            );
        } finally {
            registry.server.close();
        }
    });
});

/** A registry that has one chart, `mesh/linkerd-crds`, with its provenance, as `helm push` writes them. */
async function startRegistry(directory: string, archive: string) {
    const now = new Date();
    const ca = await mint({ name: "test", authority: true, years: 1, now });
    const leaf = await mint({ name: "localhost", issuer: ca, authority: false, years: 1, now });
    const authority = join(directory, "authority.pem");
    await writeFile(authority, ca.certificate);
    const blobs = new Map<string, Buffer>();
    const blob = (mediaType: string, data: Buffer) => {
        const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
        blobs.set(digest, data);
        return { mediaType, digest, size: data.length };
    };
    const chart = { name: CRDS, version: chartVersion(NEW), apiVersion: "v2" };
    const helmType = "application/vnd.cncf.helm";
    const manifest = blob(
        "application/vnd.oci.image.manifest.v1+json",
        Buffer.from(
            JSON.stringify({
                schemaVersion: 2,
                config: blob(`${helmType}.config.v1+json`, Buffer.from(JSON.stringify(chart))),
                layers: [
                    blob(`${helmType}.chart.content.v1.tar+gzip`, await readFile(archive)),
                    blob(`${helmType}.chart.provenance.v1.prov`, await readFile(`${archive}.prov`)),
                ],
            }),
        ),
    );
    const asked: string[] = [];
    const server: Server = createServer({ cert: leaf.certificate, key: leaf.key }, (req, res) => {
        asked.push(`${req.method} ${req.url}`);
        const [, repository, kind, name = ""] =
            /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(req.url ?? "") ?? [];
        const digest = name === chart.version ? manifest.digest : name;
        const data = repository === `mesh/${CRDS}` ? blobs.get(digest) : undefined;
        if (data === undefined) {
            res.writeHead(req.url === "/v2/" ? 200 : 404).end();
            return;
        }
        const type = kind === "manifests" ? manifest.mediaType : "application/octet-stream";
        res.writeHead(200, {
            "content-type": type,
            "content-length": data.length,
            "docker-content-digest": digest,
        });
        res.end(req.method === "HEAD" ? undefined : data);
    });
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    const url = `oci://localhost:${(server.address() as AddressInfo).port}`;
    return { url, server, authority, asked };
}

describe("a user installs from verified charts and goes on with rendered YAML", () => {
    let journey: Journey;
    const sections = (crds: string | undefined, controlPlane: string | undefined) => [
        ["crds", crds && { manifests: crds }],
        ["controlPlane", controlPlane && { manifests: controlPlane }],
    ];
    const name = (chart: string, version: string) => `${chart}-${chartVersion(version)}.yaml`;

    beforeAll(async () => {
        const sums = [CRDS, CONTROL_PLANE, "linkerd-viz"].flatMap((chart) =>
            [OLD, NEW].map(async (version) => {
                const stem = `${chart}-${chartVersion(version)}`;
                return [stem, await sha256Of(chartPath(stem))] as const;
            }),
        );
        journey = await startJourney("sources", {
            config: {
                viz: { enabled: false },
                verify: { sha256: Object.fromEntries(await Promise.all(sums)) },
            },
        });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    async function edit(crds: string | undefined, controlPlane: string | undefined) {
        for (const [key, value] of sections(crds, controlPlane)) {
            await journey.stack.edit(key as string, value);
        }
    }

    /** As a user renders: certificates, keys and the heartbeat's minute are this render's own. */
    async function render(version: string) {
        const now = new Date();
        const anchor = await mint({
            name: "root.linkerd.cluster.local",
            authority: true,
            years: 1,
            now,
        });
        const values = {
            linkerdVersion: version,
            identityTrustAnchorsPEM: anchor.certificate,
            identity: { issuer: { tls: { crtPEM: anchor.certificate, keyPEM: anchor.key } } },
        };
        const run = helmOf(journey, helm.path);
        await mkdir(join(journey.stack.project, "rendered"), { recursive: true });
        for (const chart of [CRDS, CONTROL_PLANE]) {
            const path = chartPath(`${chart}-${chartVersion(version)}`);
            const text = await run(
                ["template", chart, path, "--namespace", "linkerd", "--kube-version", "1.34.4"],
                chart === CRDS ? {} : values,
            );
            await writeFile(join(journey.stack.project, "rendered", name(chart, version)), text);
        }
        return anchor.key;
    }

    async function refused(...expected: RegExp[]) {
        const before = await snapshot(journey.connection);
        const { output } = await journey.failingUp();
        for (const one of expected) {
            expect(output).toMatch(one);
        }
        expect(await snapshot(journey.connection)).toEqual(before);
    }

    it("step 1: a chart that is not the verified one is refused, the right ones install", async () => {
        const file = await readFile(journey.stack.file, "utf8");
        const stem = `${CONTROL_PLANE}-${chartVersion(OLD)}`;
        const sum = await sha256Of(chartPath(stem));
        await writeFile(journey.stack.file, file.replace(sum, "f".repeat(64)));
        await refused(
            new RegExp(
                `1\\. verify\\.sha256\\.${stem} = "f{64}": is not the SHA-256 of the chart that was found, which is ${sum}`,
            ),
        );
        await writeFile(journey.stack.file, file);
        await journey.up();
        await journey.createSample();
    });

    const rendered: string[] = [];
    it("step 2: rendered YAML of the same version changes nothing", async () => {
        rendered.push(await render(OLD), await render(NEW));
        await edit(`rendered/${name(CRDS, OLD)}`, `rendered/${name(CONTROL_PLANE, OLD)}`);
        await journey.expectNoChanges();
    });

    it("step 3: YAML of another version than the line is refused", async () => {
        await journey.editVersion(NEW);
        await refused(
            new RegExp(`crds\\.manifests = "${OLD}": the manifests are not of ${NEW}`),
            new RegExp(
                `controlPlane\\.manifests = "${OLD}": the manifests are not of the version line, ${NEW}`,
            ),
        );
    });

    it("step 4: YAML of the line's version upgrades, and its chart changes nothing then", async () => {
        await edit(`rendered/${name(CRDS, NEW)}`, `rendered/${name(CONTROL_PLANE, NEW)}`);
        await journey.up();
        expect(await journey.proxies()).toMatchObject({ "shop/web": NEW, "shop/ledger": NEW });
        await journey.expectNoChanges();
        await edit(undefined, undefined);
        await journey.expectNoChanges();
        // Beside it: a setting that only the older chart knows is told by name.
        const resources = { cpu: { limit: "50m" } };
        await journey.stack.edit("controlPlane", { values: { proxyInit: { resources } } });
        expect((await journey.preview()).output).toContain(
            `setting controlPlane.values.proxyInit.resources.cpu.limit is not known to chart ${CONTROL_PLANE} ${chartVersion(NEW)}: without effect there; proxy.resources count for proxy-init`,
        );
    });

    it("step 5: YAML of the version before takes it back; CRDs stay as they are, whatever it has", async () => {
        const before = await crds();
        const older = join(journey.stack.project, "rendered", name(CRDS, OLD));
        await writeFile(older, without(LACKING, await readFile(older, "utf8")));
        await edit(`rendered/${name(CRDS, OLD)}`, `rendered/${name(CONTROL_PLANE, OLD)}`);
        await journey.editVersion(OLD);
        const { output } = await journey.up();
        expect(output).toContain(
            `${Object.keys(before).length - 1} that are newer in the cluster stay as they are there; what it lacks stays too, declared no longer: ${LACKING}`,
        );
        expect(await journey.proxies()).toMatchObject({ "shop/web": OLD, "shop/ledger": OLD });
        expect(await crds()).toEqual(before);
        await journey.expectNoChanges();
    });

    const LACKING = "externalworkloads.workload.linkerd.io";

    /** By name, what a change of the specification would change, and the chart that they are of. */
    async function crds() {
        const api = journey.connection.kubeconfig.makeApiClient(ApiextensionsV1Api);
        const { items } = await api.listCustomResourceDefinition({
            labelSelector: "helm.sh/chart",
        });
        return Object.fromEntries(
            items.map(({ metadata }) => [
                metadata?.name ?? "",
                { generation: metadata?.generation, labels: metadata?.labels },
            ]),
        );
    }

    it("no key, the stack's or the render's, shows in state, copies of manifests or output", async () => {
        const keys = [
            ...(await privateKeyTexts(journey.connection)),
            ...rendered.map((key) => (key.split("\n")[1] ?? "").slice(-24)),
        ];
        const state = await filesBelow(journey.stack.stateDirectory);
        const copies = await filesBelow(join(journey.stack.project, ".charts"));
        expect(
            copies.filter(({ path }) => path.endsWith("/manifests.yaml")).length,
        ).toBeGreaterThan(3);
        const output = { path: "output", text: journey.printed.join("\n") };
        const leaks = [...state, ...copies, output].filter(
            ({ text }) => keys.some((key) => text.includes(key)) || text.includes("PRIVATE KEY"),
        );
        expect(leaks.map(({ path }) => path)).toEqual([]);
    });
});

/** The stream of manifests without the CRD of that name. */
function without(crd: string, stream: string): string {
    const documents = stream.split(/^---$/m);
    const left = documents.filter((one) => !one.includes(`name: ${crd}`));
    expect(left).toHaveLength(documents.length - 1);
    return left.join("---");
}

function chartPath(stem: string): string {
    const directory = join(CHARTS, stem);
    return existsSync(directory) ? directory : `${directory}.tgz`;
}
