import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tar from "tar";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { orderManifests } from "../../charts/postRender";
import { locateCharts as locateWithFaults } from "../../charts/source";
import { RefusedError } from "../../plan/faults";
import { controlPlaneValues, merge, valueFaults, vizValues } from "../../plan/values";
import type { WebhookCertificates } from "../../plan/webhooks";

const request = { name: "linkerd-crds", version: "2024.7.5" };
let scratch: string;
beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), "mesh-charts-"));
    vi.stubEnv("XDG_CACHE_HOME", join(scratch, "cache"));
});
afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(scratch, { recursive: true, force: true });
});

async function chartDirectory(name: string, yaml = `name: linkerd-crds\nversion: 2024.7.5\n`) {
    const directory = join(scratch, "charts", name);
    await mkdir(join(directory, "templates"), { recursive: true });
    await writeFile(join(directory, "Chart.yaml"), yaml);
    await writeFile(join(directory, "templates", "a.yaml"), "kind: ConfigMap\n");
    return directory;
}
async function locateCharts(...args: Parameters<typeof locateWithFaults>) {
    const { located, faults } = await locateWithFaults(...args);
    if (faults.length > 0) throw new RefusedError(faults);
    return located;
}
const locate = () => locateCharts(join(scratch, "charts"), [request], scratch);

describe("a directory of charts", () => {
    it("gives the same path for the same content and another for another", async () => {
        const directory = await chartDirectory("linkerd-crds-2024.7.5");
        const [first] = await locate();
        expect(first?.path).toMatch(/^\.\/\.charts\/[0-9a-f]{64}\/linkerd-crds-2024\.7\.5$/);
        expect((await locate())[0]).toEqual(first);
        await writeFile(join(directory, "templates", "a.yaml"), "kind: Secret\n");
        expect((await locate())[0]?.path).not.toBe(first?.path);
    });
    it("may hold archives", async () => {
        await chartDirectory("linkerd-crds");
        const file = join(scratch, "charts", "linkerd-crds-2024.7.5.tgz");
        await tar.create({ gzip: true, file, cwd: join(scratch, "charts") }, ["linkerd-crds"]);
        expect((await locate())[0]?.path).toMatch(/linkerd-crds-2024\.7\.5\.tgz$/);
    });
    it.each([
        [
            "a chart of another release",
            "linkerd-crds-2024.7.5",
            "name: linkerd-crds\nversion: 2024.5.3\n",
            /is of another release than the version line/,
        ],
        [
            "a chart taken from git",
            "linkerd-crds-2024.7.5",
            "name: linkerd-crds\nversion: 0.0.0-undefined\n",
            /0\.0\.0-undefined.*is of another release/,
        ],
        ["no such version", "linkerd-crds-2024.5.3", undefined, /it has: linkerd-crds-2024\.5\.3/],
        ["a broken Chart.yaml", "linkerd-crds-2024.7.5", "- 1\n", /has no valid Chart\.yaml/],
    ])("%s is refused", async (_name, directory, yaml, message) => {
        await chartDirectory(directory, yaml);
        await expect(locate()).rejects.toThrow(message);
    });
});

describe("a Helm repository", () => {
    let server: Server;
    let requests: string[];
    let archive: Buffer;
    let digest: string;
    beforeEach(async () => {
        await chartDirectory("linkerd-crds");
        const file = join(scratch, "chart.tgz");
        await tar.create({ gzip: true, file, cwd: join(scratch, "charts") }, ["linkerd-crds"]);
        archive = await import("node:fs/promises").then((fs) => fs.readFile(file));
        digest = createHash("sha256").update(archive).digest("hex");
        requests = [];
        server = createServer((incoming, response) => {
            requests.push(incoming.url ?? "");
            if (incoming.url === "/edge/index.yaml") {
                response.end(
                    `entries:\n  linkerd-crds:\n  - version: 2024.7.5\n    digest: "${digest}"\n    urls: [files/linkerd-crds-2024.7.5.tgz]\n`,
                );
            } else if (incoming.url === "/edge/files/linkerd-crds-2024.7.5.tgz") {
                response.end(archive);
            } else {
                response.writeHead(404).end();
            }
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    });
    afterEach(() => new Promise((resolve) => server.close(resolve)));
    const source = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/edge`;

    it("is asked once; then the cache serves the chart", async () => {
        const [first] = await locateCharts(source(), [request], scratch);
        expect(requests).toHaveLength(2);
        expect(await locateCharts(source(), [request], scratch)).toEqual([first]);
        expect(requests).toHaveLength(2);
    });
    it("whose archive is not what its index says is not believed, nor cached", async () => {
        digest = "0".repeat(64);
        await expect(locateCharts(source(), [request], scratch)).rejects.toThrow(
            /SHA-256 of .* the index says 0000/,
        );
        await expect(locateCharts(source(), [request], scratch)).rejects.toThrow(/SHA-256/);
    });
    it("that lacks the version, or the index, is named with the next step", async () => {
        await expect(
            locateCharts(source(), [{ ...request, version: "2024.9.9" }], scratch),
        ).rejects.toThrow(
            /is not in .*; the first it lists: 2024\.7\.5\n\s+next: set linkerdVersion/,
        );
        await expect(locateCharts(`${source()}/none`, [request], scratch)).rejects.toThrow(
            /HTTP 404/,
        );
    });
});

describe("the post-renderer", () => {
    it("lets Deployments wait for the ConfigMaps of their namespace and leaves every scalar as it stands", () => {
        const configMap = `kind: ConfigMap
metadata:
  name: c
  namespace: n
data:
  a: "yes"
  b: '012'
  c: |
    long ${"text ".repeat(40)}
    {{ not: yaml
`;
        const deployment = (namespace: string, annotation: string) => `kind: Deployment
metadata:
  name: d
  namespace: ${namespace}
${annotation}spec:
  paused: yes
  mode: 0644
`;
        const depends = `  annotations:\n    config.kubernetes.io/depends-on: /namespaces/n/ConfigMap/c\n`;
        const stream = [configMap, "# nothing\n", deployment("n", ""), deployment("m", "")];
        expect(orderManifests(stream.map((one) => `---\n${one}`).join(""))).toBe(
            [configMap, deployment("n", depends), deployment("m", "")]
                .map((one) => `---\n${one}`)
                .join(""),
        );
    });
});

describe("values", () => {
    const pair = { certificate: "CA", key: "K" };
    const webhooks: WebhookCertificates = { ca: pair, leaves: {} };
    const version = { tag: "edge-24.7.5", chartVersion: "2024.7.5" };
    it("are the same at every render and hold no key", () => {
        const render = () =>
            controlPlaneValues(
                { proxy: { logLevel: "info" } },
                version,
                "ANCHORS",
                webhooks,
                "0f3c-77",
            );
        expect(render()).toEqual(render());
        expect(render()).toMatchObject({
            heartbeatSchedule: expect.stringMatching(
                /^([0-9]|[1-5]\d) ([0-9]|1\d|2[0-3]) \* \* \*$/,
            ) as string,
            proxy: { logLevel: "info" },
            identity: { issuer: { scheme: "kubernetes.io/tls" } },
            proxyInjector: { externalSecret: true, caBundle: "CA" },
            policyValidator: { externalSecret: true },
            profileValidator: { externalSecret: true },
        });
        expect(JSON.stringify([render(), vizValues({}, version, webhooks)])).not.toContain('"K"');
    });
    it("of the user's win where the program has only a default", () => {
        const values = controlPlaneValues(
            { heartbeatSchedule: "0 0 * * *" },
            version,
            "A",
            webhooks,
            "u",
        );
        expect(values["heartbeatSchedule"]).toBe("0 0 * * *");
    });
    it("that the program derives are refused by name", () => {
        const faults = valueFaults({
            crds: {},
            controlPlane: { proxyInjector: { caBundle: "x" }, identity: { issuer: { tls: {} } } },
            viz: { linkerdVersion: "edge-24.1.1" },
        });
        expect(faults.map((fault) => fault.subject)).toEqual([
            "controlPlane.values.identity.issuer.tls",
            "controlPlane.values.proxyInjector.caBundle",
            "viz.values.linkerdVersion",
        ]);
    });
    it("merge by key; lists are replaced as Helm does", () => {
        expect(merge({ a: { b: 1, c: [1, 2] } }, { a: { c: [3] } })).toEqual({
            a: { b: 1, c: [3] },
        });
    });
});
