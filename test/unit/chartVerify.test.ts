/**
 * What a chart is checked against before it is used, and where a single chart may come from. Provenance and OCI registries
 * need Helm: test/e2e/sources.test.ts has them.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { locateCharts, type ChartRequest } from "../../charts/source";
import { sha256Of, type Verification } from "../../charts/verify";

const run = promisify(execFile);
const PROVENANCE = join(import.meta.dirname, "../fixtures/provenance");
const STEM = "linkerd-crds-2024.7.5";
const crds: ChartRequest = { name: "linkerd-crds", version: "2024.7.5" };
const NEXT = `compare it with what the publisher of the chart says (an index's digest, or sha256sum of the archive that was reviewed), then get the chart anew or set verify.sha256.${STEM}`;

let project: string;
let archive: string;
let directory: string;
beforeEach(async () => {
    project = await mkdtemp(join(tmpdir(), "mesh-chart-verify-"));
    vi.stubEnv("XDG_CACHE_HOME", join(project, "cache"));
    archive = join(project, "packed", `${STEM}.tgz`);
    directory = join(project, "plain", STEM);
    await cp(join(PROVENANCE, `${STEM}.tgz`), archive);
    await mkdir(directory, { recursive: true });
    await run("tar", ["-xzf", archive, "--strip-components=1", "-C", directory]);
});
afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(project, { recursive: true });
});

const hash = (data: Buffer) => createHash("sha256").update(data).digest("hex");
const locate = (source: string, verification?: Verification, request = crds) =>
    locateCharts(source, [request], project, verification);
const used = () => readFile(join(project, ".charts")).catch((error: Error) => error.message);

describe("a chart whose SHA-256 is known", () => {
    it("is used where it is the one: an archive by what sha256sum says of it", async () => {
        const sum = hash(await readFile(archive));
        const { located, faults } = await locate("packed", { sha256: { [STEM]: sum } });
        expect(faults).toEqual([]);
        expect(located).toMatchObject([crds]);
    });

    it("is used where it is the one: a directory by the sum that a shell makes of its files", async () => {
        await mkdir(join(directory, "a.b"));
        await writeFile(join(directory, "a.b", "c"), "x");
        await writeFile(join(directory, "a"), "y");
        const { stdout } = await run(
            "sh",
            ["-c", "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"],
            { cwd: directory },
        );
        const [sum = ""] = stdout.split(" ");
        expect(await sha256Of(directory)).toBe(sum);
        expect((await locate("plain", { sha256: { [STEM]: sum } })).faults).toEqual([]);
    });

    it.each(["packed", "plain"])(
        "and is another one (%s) is refused with both sums, and nothing of it is kept",
        async (source) => {
            const wrong = "0".repeat(64);
            const actual = await sha256Of(source === "packed" ? archive : directory);
            expect(await locate(source, { sha256: { [STEM]: wrong } })).toEqual({
                located: [],
                faults: [
                    {
                        subject: `verify.sha256.${STEM}`,
                        value: wrong,
                        rule: `is not the SHA-256 of the chart that was found, which is ${actual}`,
                        next: NEXT,
                    },
                ],
            });
            expect(await used()).toContain("ENOENT");
        },
    );

    it("of a directory changes with a file's text, its name, and a file more", async () => {
        const sums = [await sha256Of(directory)];
        await writeFile(join(directory, "values.yaml"), "a: 1\n");
        sums.push(await sha256Of(directory));
        await writeFile(join(directory, "more"), "");
        sums.push(await sha256Of(directory));
        await rm(join(directory, "more"));
        await writeFile(join(directory, "mire"), "");
        sums.push(await sha256Of(directory));
        expect(new Set(sums).size).toBe(4);
    });

    it.each([
        ["a link, whose target no sum covers", () => symlink("/etc/hosts", join(directory, "l"))],
        ["a name with a line break", () => writeFile(join(directory, "a\nb"), "")],
    ])("does not stand for %s", async (_, make) => {
        await make();
        const { faults } = await locate("plain", { sha256: { [STEM]: "0".repeat(64) } });
        expect(faults).toHaveLength(1);
        expect(faults[0]?.rule).toMatch(/is no plain file\)$/);
    });

    it("asks for the sums of all: a chart without one is not used unseen", async () => {
        const { faults } = await locate("packed", { sha256: { "linkerd-viz-2024.7.5": "0" } });
        expect(faults).toEqual([
            {
                subject: `verify.sha256.${STEM}`,
                rule: `is missing; the chart that was found has ${hash(await readFile(archive))}`,
                next: NEXT,
            },
        ]);
    });

    it("and came wrong from a repository is asked for again, not kept in the cache", async () => {
        const data = await readFile(archive);
        let downloads = 0;
        const server = createServer((request, response) => {
            downloads += request.url === "/c.tgz" ? 1 : 0;
            response.end(
                request.url === "/c.tgz"
                    ? data
                    : "entries: { linkerd-crds: [{ version: 2024.7.5, urls: [c.tgz] }] }",
            );
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const wrong = { sha256: { [STEM]: "0".repeat(64) } };
        expect((await locate(url, wrong)).faults).toHaveLength(1);
        expect((await locate(url, wrong)).faults).toHaveLength(1);
        expect(downloads).toBe(2);
        const right = { sha256: { [STEM]: hash(data) } };
        expect((await locate(url, right)).faults).toEqual([]);
        expect((await locate(url, right)).faults).toEqual([]);
        expect(downloads).toBe(3);
        server.close();
    });
});

describe("a chart with a source of its own", () => {
    it("comes from there, whatever the others' source is", async () => {
        const { located, faults } = await locate("nowhere", undefined, {
            ...crds,
            source: "plain",
        });
        expect(faults).toEqual([]);
        expect(located[0]?.path).toMatch(/linkerd-crds-2024\.7\.5$/);
    });

    it("may be one archive, under any name", async () => {
        await cp(archive, join(project, "reviewed.tgz"));
        const source = "reviewed.tgz";
        const { located, faults } = await locate("nowhere", undefined, { ...crds, source });
        expect(faults).toEqual([]);
        expect(located).toMatchObject([{ ...crds, kubeVersion: ">=1.22.0-0" }]);
        const other = { ...crds, version: "2024.5.3", source };
        const [fault] = (await locate("nowhere", undefined, other)).faults;
        expect(fault).toMatchObject({
            subject: "chart linkerd-crds 2024.5.3",
            value: "linkerd-crds 2024.7.5",
        });
    });

    it("is named in the fault where it has none", async () => {
        const [fault] = (await locate("packed", undefined, { ...crds, source: "none" })).faults;
        expect(fault?.rule).toMatch(/^cannot be read from none \(ENOENT: /);
    });
});

describe("a keyring", () => {
    it.each([
        ["a directory", "plain", "a chart's directory has no provenance, only an archive has"],
        ["an archive alone", "packed", "the archive has no provenance file beside it"],
    ])("refuses %s", async (_, source, rule) => {
        const keyring = join(PROVENANCE, "publisher.gpg");
        const { located, faults } = await locate(source, { sha256: {}, keyring });
        expect(located).toEqual([]);
        expect(faults).toMatchObject([
            { subject: `verify.keyring, chart ${STEM}`, value: keyring, rule },
        ]);
    });

    it("without Helm says that Helm is missing", async () => {
        await cp(join(PROVENANCE, `${STEM}.tgz.prov`), `${archive}.prov`);
        vi.stubEnv("PATH", project);
        const keyring = join(PROVENANCE, "publisher.gpg");
        expect((await locate("packed", { sha256: {}, keyring })).faults[0]?.rule).toBe(
            "the provenance does not hold (helm is not on PATH; Helm 3.8 or later is needed for it)",
        );
        expect((await locate("oci://localhost:1/charts")).faults[0]?.rule).toBe(
            "cannot be read from oci://localhost:1/charts (helm is not on PATH; Helm 3.8 or later is needed for it)",
        );
    });
});
