import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readManifests } from "../../charts/manifests";
import { resolveIstio } from "../../plan/istio/config";
import { istioSection } from "../../plan/istio/section";

const ISTIOD = (version: string, name = "istiod-1-27-1") => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: istio-system }
spec: { template: { spec: { containers: [{ name: discovery, image: "istio/pilot:${version}" }] } } }
`;
const CONFIG_MAP = (name: string) => `apiVersion: v1
kind: ConfigMap
metadata: { name: ${name} }
`;
const ARCHIVE = "an archive of a release";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const PEM = publicKey.export({ type: "spki", format: "pem" }).toString();

let root = "";
const at = (path: string) => join(root, path);
const put = (path: string, data: string | Buffer) => writeFile(at(path), data);

beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "manifests-"));
    await mkdir(at("dir"));
    await mkdir(at("empty"));
    await Promise.all([
        put("all.yaml", `${ISTIOD("1.27.1")}---\n# nothing\n---\n${CONFIG_MAP("istio-1-27-1")}`),
        put("default.yaml", ISTIOD("1.25.0", "istiod")),
        put("broken.yaml", "a: [1\nb: {"),
        put("dir/b.yml", CONFIG_MAP("istio-1-27-1")),
        put("dir/a.yaml", ISTIOD("1.27.1")),
        put("dir/README.md", "a: [1"),
        put("release.tar.gz", ARCHIVE),
        put("release.sig", sign("sha256", Buffer.from(ARCHIVE), privateKey)),
        put("other.sig", sign("sha256", Buffer.from("another"), privateKey)),
    ]);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function read(section: object) {
    const { config, faults } = resolveIstio(istioSection.parse(section), []);
    expect(faults).toEqual([]);
    const found = await readManifests(config, "v1.32.2");
    const own = [...found.split].map(([revision, { own, version }]) => [
        revision,
        version,
        own.map(({ kind }) => kind),
    ]);
    return { own, faults: found.faults, split: found.split };
}
const ours = (fields: object) => ({ revisions: [{ version: "1.27.1", ...fields }] });

describe("rendered manifests are read", () => {
    it.each<[string, object]>([
        ["from a file with several documents, empty ones passed over", { manifests: "all.yaml" }],
        ["from a directory, its YAML only, in order", { manifests: "dir" }],
    ])("%s", async (_, { manifests }: { manifests?: string }) => {
        const { own, faults } = await read(ours({ manifests: at(manifests ?? "") }));
        expect(own).toEqual([["1-27-1", "1.27.1", ["Deployment", "ConfigMap"]]]);
        expect(faults).toEqual([]);
    });

    it("of a foreign control plane too, for the way back", async () => {
        const { own, faults } = await read({
            ...ours({}),
            foreign: [
                { revision: "default", version: "1.25.0", manifests: at("default.yaml") },
                { revision: "other" },
            ],
        });
        expect(own).toEqual([["default", "1.25.0", ["Deployment"]]]);
        expect(faults).toEqual([]);
    });

    it("none where the charts are used", async () => {
        expect(await read(ours({}))).toMatchObject({ own: [], faults: [] });
    });
});

describe("manifests that are not what they should be are refused by their key", () => {
    const next = "name a file or a directory of rendered YAML (istioctl manifest generate)";
    it.each<[string, string, RegExp]>([
        ["a path that is missing", "nowhere", /^cannot be read \(ENOENT: [^\n]*\)$/],
        ["bad YAML", "broken.yaml", /^cannot be read \([^\n]+ at line \d+, column \d+:\)$/],
    ])("%s", async (_, path, rule) => {
        const { faults, own } = await read(ours({ manifests: at(path) }));
        expect(faults).toEqual([
            {
                subject: "istio.revisions.0.manifests",
                value: at(path),
                rule: expect.stringMatching(rule) as string,
                next,
            },
        ]);
        expect(own).toEqual([]);
    });

    it.each(["empty", "default.yaml"])("%s, which has no istiod of this revision", async (path) => {
        const { split } = await read(ours({ manifests: at(path) }));
        expect(split.get("1-27-1")?.faults).toMatchObject([
            {
                subject: "istio.revisions.0.manifests",
                rule: "the manifests have no Deployment istio-system/istiod-1-27-1, so they are not of revision 1-27-1",
            },
        ]);
    });

    it("a foreign one's without its version", async () => {
        const { faults, own } = await read({
            ...ours({}),
            foreign: [{ revision: "default", manifests: at("default.yaml") }],
        });
        expect(faults).toEqual([
            {
                subject: "istio.foreign.0.version",
                rule: "must be set where manifests are: they have to be of the version that runs",
                next: "the image tag of its istiod, such as 1.5.10-asm.2",
            },
        ]);
        expect(own).toEqual([]);
    });

    it("of several revisions, all at once", async () => {
        const { faults } = await read({
            revisions: [
                { version: "1.26.4", manifests: at("nowhere") },
                { version: "1.27.1", manifests: at("broken.yaml") },
            ],
            foreign: [{ revision: "old", version: "1.25.0", manifests: at("nowhere") }],
        });
        expect(faults.map(({ subject }) => subject)).toEqual([
            "istio.revisions.0.manifests",
            "istio.revisions.1.manifests",
            "istio.foreign.0.manifests",
        ]);
    });
});

describe("a release archive is verified before anything is used", () => {
    const good = createHash("sha256").update(ARCHIVE).digest("hex");
    const signed = { signature: "release.sig", publicKey: PEM };
    const WRONG = "the signature is not one of this archive by this key";
    const missing = expect.stringMatching(/^cannot be read \(ENOENT: /) as string;
    it.each<[string, { path?: string; sha256?: string; signature?: string }, string?]>([
        ["the right SHA-256", { sha256: good }],
        [
            "another SHA-256",
            { sha256: "0".repeat(64) },
            `the archive's SHA-256 is not ${"0".repeat(64)}`,
        ],
        ["the right signature", signed],
        ["a signature of something else", { ...signed, signature: "other.sig" }, WRONG],
        ["no archive", { path: "nowhere", sha256: good }, missing],
        ["no signature", { ...signed, signature: "nowhere" }, missing],
    ])("%s", async (_, { path = "release.tar.gz", signature, ...rest }, rule) => {
        const archive = {
            ...rest,
            path: at(path),
            ...(signature === undefined ? {} : { signature: at(signature) }),
        };
        for (const [section, subject] of [
            [ours({ archive }), "istio.revisions.0.archive"],
            [
                { ...ours({}), foreign: [{ revision: "old", version: "1.25.0", archive }] },
                "istio.foreign.0.archive",
            ],
        ] as const) {
            const { faults } = await read(section);
            expect(faults).toMatchObject(rule === undefined ? [] : [{ subject, rule }]);
        }
    });
});
