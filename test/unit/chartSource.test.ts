/**
 * What charts.test.ts leaves open of where charts come from: every fault at once and in order, what a broken chart is
 * called, what a path depends on, and a Helm repository that misbehaves. No public repository is asked.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { locateCharts, readDefaults } from "../../charts/source";

const run = promisify(execFile);
const crds = { name: "linkerd-crds", version: "2024.7.5" };
const viz = { name: "linkerd-viz", version: "2024.7.5" };
const YAML = 'name: linkerd-crds\nversion: 2024.7.5\nkubeVersion: ">=1.22.0-0"\n';
const NEXT_CRDS =
    "add it to charts: the CRDs in the cluster are of this version, or linkerdVersion asks for it";
const NEXT =
    "set linkerdVersion to a release that exists, or charts to a repository or directory that has it";

let project: string;
let charts: string;
beforeEach(async () => {
    project = await mkdtemp(join(tmpdir(), "mesh-chart-source-"));
    charts = join(project, "charts");
    await mkdir(charts);
    vi.stubEnv("XDG_CACHE_HOME", join(project, "cache"));
});
afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(project, { recursive: true });
});

async function chart(files: Record<string, string> = {}, folder = "linkerd-crds-2024.7.5") {
    for (const [name, text] of Object.entries({ "Chart.yaml": YAML, "a.yaml": "a", ...files })) {
        await mkdir(join(charts, folder, name, ".."), { recursive: true });
        await writeFile(join(charts, folder, name), text);
    }
    return join(charts, folder);
}
async function archive(files: Record<string, string> = {}) {
    await chart(files, "linkerd-crds");
    const path = join(charts, "linkerd-crds-2024.7.5.tgz");
    await run("tar", ["-czf", path, "-C", charts, "linkerd-crds"]);
    await rm(join(charts, "linkerd-crds"), { recursive: true });
    return path;
}
const locate = (source = "charts") => locateCharts(source, [crds], project);
const pathOf = async () => (await locate()).located[0]?.path;

describe("a located chart", () => {
    it.each([
        ["a directory", chart, "linkerd-crds-2024.7.5", "a.yaml"],
        ["an archive", archive, "linkerd-crds-2024.7.5.tgz", ""],
    ])("of %s is a copy inside the project, with its range of API servers", async (...given) => {
        const [, make, name, file] = given;
        const original = await make();
        const { located, faults } = await locate();
        expect(faults).toEqual([]);
        expect(located).toMatchObject([{ ...crds, kubeVersion: ">=1.22.0-0" }]);
        expect(located[0]?.path).toMatch(new RegExp(`^\\./\\.charts/[0-9a-f]{64}/${name}$`));
        const copy = await readFile(join(project, located[0]?.path ?? "", file));
        expect(copy).toEqual(await readFile(join(original, file)));
    });

    it("has one path on every machine: it stands in the state, and another would be an update", async () => {
        const directory = await chart({ "templates/b.yaml": "b" });
        const path = await pathOf();
        await utimes(join(directory, "a.yaml"), 0, 0);
        expect(await pathOf()).toBe(path);
        const other = await mkdtemp(join(tmpdir(), "mesh-chart-source-"));
        await cp(charts, join(other, "vendored"), { recursive: true });
        const { located } = await locateCharts(join(other, "vendored"), [crds], other);
        expect(located[0]?.path).toBe(path);
        await rm(other, { recursive: true });
    });

    it.each([
        ["another text", { "a.yaml": "b" }],
        ["a file more", { "b.yaml": "" }],
        ["another file below", { "templates/a.yaml": "a" }],
        ["another Chart.yaml", { "Chart.yaml": `${YAML}appVersion: x\n` }],
    ])("has another path for %s, so that no update is missed", async (_, files) => {
        await chart();
        const path = await pathOf();
        await chart(files);
        expect(await pathOf()).not.toBe(path);
    });

    it("is taken from the directory where an archive lies beside it", async () => {
        await archive();
        await chart();
        expect(await pathOf()).toMatch(/linkerd-crds-2024\.7\.5$/);
    });
});

describe("what a chart says of its settings", () => {
    const files = {
        "values.yaml": "a: 1\n# b: 2\n",
        "templates/x.yaml": "{{ .Values.b }}",
        "charts/inner/templates/_y.tpl": "{{ .Values.c }}",
        "README.md": "{{ .Values.d }}",
    };
    const packed = async () => {
        const folder = await chart(files);
        const inner = join(folder, "charts");
        await run("tar", ["-czf", join(inner, "inner.tgz"), "-C", inner, "inner"]);
        await rm(join(inner, "inner"), { recursive: true });
    };

    it.each([
        ["a directory", () => chart(files)],
        ["a directory with another chart packed inside", packed],
        ["an archive", () => archive(files)],
    ])(
        "is read from %s: values.yaml, and templates, where a key may be used only",
        async (_, make) => {
            await make();
            const defaults = await readDefaults((await locate()).located, project);
            const { values, templates } = defaults.get("linkerd-crds 2024.7.5") ?? {};
            expect(values).toEqual({ a: 1 });
            expect(templates?.match(/Values\.\w/g)?.sort()).toEqual(["Values.b", "Values.c"]);
        },
    );
});

describe("a chart that cannot be used", () => {
    const cases: { name: string; make: () => Promise<unknown>; rule: RegExp }[] = [
        {
            name: "no such chart",
            make: () => Promise.resolve(),
            rule: /^is not in charts; it has: no version of this chart$/,
        },
        {
            name: "other versions only",
            make: async () => {
                await chart({}, "linkerd-crds-2024.5.3");
                await writeFile(join(charts, "linkerd-crds-2024.3.1.tgz"), "");
            },
            rule: /^is not in charts; it has: linkerd-crds-2024\.3\.1\.tgz, linkerd-crds-2024\.5\.3$/,
        },
        {
            name: "no directory at all",
            make: () => rm(charts, { recursive: true }),
            rule: /^cannot be read from charts \(ENOENT: .*\)$/,
        },
        {
            name: "a Chart.yaml that is no YAML",
            make: () => chart({ "Chart.yaml": "name: [linkerd-crds\nsecond: line\n" }),
            rule: /^cannot be read from charts \(.+\)$/,
        },
        {
            name: "a Chart.yaml without a version",
            make: () => chart({ "Chart.yaml": "name: linkerd-crds\n" }),
            rule: /linkerd-crds-2024\.7\.5 has no valid Chart\.yaml$/,
        },
        {
            name: "a Chart.yaml whose version is a number",
            make: () => chart({ "Chart.yaml": "name: linkerd-crds\nversion: 2024.7\n" }),
            rule: /linkerd-crds-2024\.7\.5 has no valid Chart\.yaml$/,
        },
        {
            name: "an archive that is none",
            make: () => writeFile(join(charts, "linkerd-crds-2024.7.5.tgz"), "<html>"),
            rule: /linkerd-crds-2024\.7\.5\.tgz has no valid Chart\.yaml$/,
        },
    ];
    it.each(cases)("is named with the next step: $name", async ({ make, rule }) => {
        await make();
        expect(await locate()).toEqual({
            located: [],
            faults: [
                {
                    subject: "chart linkerd-crds 2024.7.5",
                    rule: expect.stringMatching(rule) as string,
                    next: NEXT_CRDS,
                },
            ],
        });
    });

    it("of another release than its name says shows which one it is", async () => {
        await chart({ "Chart.yaml": "name: linkerd-crds\nversion: 2024.5.3\n" });
        expect((await locate()).faults).toEqual([
            {
                subject: "chart linkerd-crds 2024.7.5",
                value: "linkerd-crds 2024.5.3",
                rule: `the chart at ${join(charts, "linkerd-crds-2024.7.5")} is of another release than the version line`,
                next: "put linkerd-crds 2024.7.5 there (helm pull linkerd-crds --version 2024.7.5), or set linkerdVersion to the release of the chart",
            },
        ]);
    });
});

describe("a Helm repository", () => {
    let server: Server;
    let url: string;
    let answer: (path: string) => { status?: number; delay?: number; body?: string | Buffer };
    const asked: string[] = [];
    beforeAll(async () => {
        server = createServer((request, response) => {
            asked.push(request.url ?? "");
            const { status = 200, delay = 0, body = "" } = answer(request.url ?? "");
            setTimeout(() => response.writeHead(status).end(body), delay);
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));
    beforeEach(() => asked.splice(0));

    const index = (entry: string) => `entries:\n  linkerd-crds:\n  - version: 2024.7.5\n${entry}`;
    const serve = (digest: string, body: Buffer) => {
        answer = (path) =>
            path === "/index.yaml"
                ? { body: index(`    digest: ${digest}\n    urls: [c.tgz]\n`) }
                : { body };
    };

    it("that was repaired after a wrong archive is asked again: nothing wrong is cached", async () => {
        const good = await readFile(await archive());
        const digest = createHash("sha256").update(good).digest("hex");
        const bad = Buffer.from("not the chart");
        const actual = createHash("sha256").update(bad).digest("hex");
        serve(digest, bad);
        expect((await locate(url)).faults[0]?.rule).toBe(
            `cannot be read from ${url} (SHA-256 of linkerd-crds-2024.7.5.tgz is ${actual}, the index says ${digest})`,
        );
        serve(digest, good);
        const first = await locate(url);
        expect(first.faults).toEqual([]);
        expect(asked).toEqual(["/index.yaml", "/c.tgz", "/index.yaml", "/c.tgz"]);
        answer = () => ({ status: 500 });
        expect(await locate(`${url}/`)).toEqual(first);
        expect(asked).toHaveLength(4);
    });

    it.each([
        ["an error", () => ({ status: 503 }), /index\.yaml: HTTP 503\)$/],
        [
            "a page",
            () => ({ body: "<html></html>" }),
            /index\.yaml is no index of a Helm repository\)$/,
        ],
        [
            "an index without the archive",
            (path: string) =>
                path === "/index.yaml" ? { body: index("    urls: [c.tgz]\n") } : { status: 404 },
            /c\.tgz: HTTP 404\)$/,
        ],
    ])("that answers with %s is named in one line", async (_, answers, rule) => {
        answer = answers;
        const [fault, ...more] = (await locate(url)).faults;
        expect(more).toEqual([]);
        expect(fault?.rule).toMatch(rule);
        expect(fault?.rule).not.toContain("\n");
    });

    it("that is down is named with the reason", async () => {
        const [fault] = (await locate("http://127.0.0.1:1")).faults;
        expect(fault?.rule).toMatch(/^cannot be read from http:\/\/127\.0\.0\.1:1 \(.+\)$/);
    });

    it("that lacks two charts says so of both, in one order, however its answers come", async () => {
        const faults = async (delays: number[]) => {
            answer = () => ({ status: 404, delay: delays.shift() ?? 0 });
            const result = await locateCharts(url, [crds, viz], project);
            return result.faults.map((one) => [one.subject, one.next]);
        };
        const expected = [
            ["chart linkerd-crds 2024.7.5", NEXT_CRDS],
            ["chart linkerd-viz 2024.7.5", NEXT],
        ];
        expect(await faults([60, 0])).toEqual(expected);
        expect(await faults([0, 60])).toEqual(expected);
    });
});
