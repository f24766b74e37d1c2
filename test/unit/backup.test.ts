import fc from "fast-check";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../config";
import {
    backupName,
    countKinds,
    crdLeftAlone,
    fromYaml,
    helmReleaseOf,
    inOrder,
    isSecret,
    makesItself,
    nameOfObject,
    stackFolder,
    stripped,
    toYaml,
    type BackupObject,
} from "../../plan/backup";
import { RefusedError } from "../../plan/faults";
import { backupLines } from "../../report/backup";
import { decrypt, encrypt, recipientProblem } from "../../rollout/backup/age";
import { directoryProblem, readBackup, writeBackup } from "../../rollout/backup/directory";
import { backupFaults } from "../../rollout/backup/faults";
import { readRestoreOptions } from "../../rollout/backup/options";
import { countSteps, stepLines } from "../../rollout/backup/restore";

const objectOf = (kind: string, name: string, fields: object = {}): BackupObject => ({
    apiVersion: "v1",
    kind,
    metadata: { name },
    ...fields,
});
const manifest = {
    format: "mesh-upgrade-backup/1" as const,
    stack: "acme/mesh/prod",
    from: "edge-24.5.3",
    to: "edge-24.7.5",
    clusterUid: "0a1b",
    at: "2026-11-21T14:40:05.000Z",
    objects: { ConfigMap: 1 },
};

describe("an object is kept as it would be applied again", () => {
    it("without what the API server and controllers write", () => {
        const live = objectOf("Deployment", "web", {
            metadata: {
                name: "web",
                namespace: "linkerd",
                uid: "1",
                resourceVersion: "2",
                generation: 3,
                creationTimestamp: "2026-11-21T00:00:00Z",
                managedFields: [{}],
                ownerReferences: [{ uid: "4" }],
                labels: { app: "web" },
                annotations: { "deployment.kubernetes.io/revision": "7", own: "kept" },
            },
            spec: { replicas: 2 },
            status: { replicas: 2 },
        });
        expect(stripped(live)).toEqual({
            apiVersion: "v1",
            kind: "Deployment",
            metadata: {
                name: "web",
                namespace: "linkerd",
                labels: { app: "web" },
                annotations: { own: "kept" },
            },
            spec: { replicas: 2 },
        });
    });

    it("without an empty map of annotations, a Namespace's finalizers and tokens of old clusters", () => {
        const annotations = { "deployment.kubernetes.io/revision": "7" };
        expect(
            stripped(
                objectOf("Namespace", "linkerd", {
                    metadata: { name: "linkerd", annotations },
                    spec: { finalizers: ["kubernetes"] },
                }),
            ),
        ).toEqual(objectOf("Namespace", "linkerd"));
        expect(stripped(objectOf("ServiceAccount", "a", { secrets: [{ name: "t" }] }))).toEqual(
            objectOf("ServiceAccount", "a"),
        );
    });

    it("a Service without the address that it was given, but as headless as it was made", () => {
        const ports = [{ port: 80 }];
        const given = { clusterIP: "10.0.0.1", clusterIPs: ["10.0.0.1"], ports };
        expect(stripped(objectOf("Service", "a", { spec: given }))["spec"]).toEqual({ ports });
        const headless = { clusterIP: "None", clusterIPs: ["None"], ports };
        expect(stripped(objectOf("Service", "a", { spec: headless }))["spec"]).toEqual(headless);
    });
});

describe("what may only be kept encrypted", () => {
    it.each([
        ["a Secret", objectOf("Secret", "a"), true],
        [
            "a ConfigMap with a private key in it",
            objectOf("ConfigMap", "a", {
                data: { values: "keyPEM: |\n  -----BEGIN EC PRIVATE KEY-----\n" },
            }),
            true,
        ],
        [
            "a ConfigMap with a certificate",
            objectOf("ConfigMap", "a", { data: { ca: "-----BEGIN CERTIFICATE-----" } }),
            false,
        ],
    ])("%s", (_, object, expected) => {
        expect(isSecret(object)).toBe(expected);
    });

    it.each([
        ["ConfigMap", "kube-root-ca.crt", undefined, true],
        ["ConfigMap", "linkerd-config", undefined, false],
        ["Secret", "a-token", "kubernetes.io/service-account-token", true],
        ["Secret", "linkerd-identity-issuer", "kubernetes.io/tls", false],
    ])("%s %s of type %s makes itself: %s", (kind, name, type, expected) => {
        expect(makesItself(objectOf(kind, name, { type }))).toBe(expected);
    });
});

describe("the order of a restore", () => {
    it("is CRDs, namespaces, what others refer to, workloads, custom objects, and webhooks last", () => {
        const kinds = [
            "ValidatingWebhookConfiguration",
            "Server",
            "Deployment",
            "Service",
            "Secret",
            "ConfigMap",
            "ClusterRole",
            "Namespace",
            "APIService",
            "CustomResourceDefinition",
        ];
        expect(inOrder(kinds.map((kind) => objectOf(kind, "a"))).map(({ kind }) => kind)).toEqual([
            "CustomResourceDefinition",
            "Namespace",
            "ClusterRole",
            "ConfigMap",
            "Secret",
            "Service",
            "Deployment",
            "Server",
            "APIService",
            "ValidatingWebhookConfiguration",
        ]);
    });

    it("does not depend on the order in which objects were found", () => {
        const kind = fc.constantFrom("Server", "Secret", "Deployment", "Namespace", "APIService");
        const object = fc.tuple(kind, fc.string({ minLength: 1 })).map(([a, b]) => objectOf(a, b));
        const objects = fc.uniqueArray(object, { selector: nameOfObject });
        fc.assert(
            fc.property(
                objects.chain((all) =>
                    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
                ),
                ([all, shuffled]) => {
                    expect(inOrder(shuffled)).toEqual(inOrder(all));
                },
            ),
        );
    });

    it("and the counts, are by kind", () => {
        const objects = [objectOf("Secret", "a"), objectOf("Role", "b"), objectOf("Secret", "c")];
        expect(countKinds(objects)).toEqual({ Role: 1, Secret: 2 });
    });
});

describe("a file of YAML holds every text as it was", () => {
    it("whatever it looks like", () => {
        const text = fc.oneof(
            fc.string(),
            fc.constantFrom(
                "yes",
                "n",
                "0755",
                "0o14",
                "1e3",
                "2026-11-21",
                "<<",
                "~",
                "=",
                "1:30",
            ),
            fc.constantFrom("a\nb\n", " lead", "tail ", "\t", "---\n", "'", '"', "#", "\u0000"),
        );
        const value = fc.oneof(text, fc.boolean(), fc.integer(), fc.constant(null));
        fc.assert(
            fc.property(fc.array(fc.dictionary(text, value), { maxLength: 3 }), (all) => {
                const objects = all.map((data, index) => objectOf("X", `x${index}`, { data }));
                expect(fromYaml(toYaml(objects))).toEqual(objects);
            }),
        );
    });

    it("and the same value twice stays two values: kubectl's users edit these files", () => {
        const labels = { app: "web" };
        const yaml = toYaml([objectOf("X", "a", { one: labels, two: labels })]);
        expect(yaml).not.toMatch(/[&*]a\d/);
    });
});

describe("names", () => {
    it("of a backup sort by time and hold nothing that a file system dislikes", () => {
        const at = new Date("2026-11-21T14:40:05.123Z");
        expect(backupName("edge-24.5.3", at)).toBe("edge-24.5.3-20261121T144005Z");
        expect(backupName("../../etc", at)).toBe("-..-etc-20261121T144005Z");
        expect(stackFolder("organization/mesh-upgrade/prod")).toBe(
            "organization-mesh-upgrade-prod",
        );
        expect(stackFolder("..")).toBe("unnamed");
    });

    it("of a Helm release are those of its records only", () => {
        const metadata = {
            name: "sh.helm.release.v1.linkerd-viz.v1",
            labels: { name: "linkerd-viz" },
        };
        const record = objectOf("Secret", "x", { metadata, type: "helm.sh/release.v1" });
        expect(helmReleaseOf(record)).toBe("linkerd-viz");
        expect(helmReleaseOf({ ...record, type: "Opaque" })).toBeUndefined();
    });
});

describe("CRDs never go backwards", () => {
    const crd = (versions: string[], fields: object = {}) => ({
        spec: { versions: versions.map((name) => ({ name })) },
        ...fields,
    });
    const chart = (version: string) => ({
        metadata: { labels: { "helm.sh/chart": `linkerd-crds-${version}` } },
    });
    const bundle = (version: string) => ({
        metadata: { annotations: { "gateway.networking.k8s.io/bundle-version": version } },
    });
    it.each([
        [
            crd(["v1", "v2"], { status: { storedVersions: ["v1", "v2"] } }),
            crd(["v1"]),
            "objects are stored in v2, which the backup's CRD does not have",
        ],
        [
            crd(["v1", "v2"], { status: { storedVersions: ["v1"] } }),
            crd(["v1"]),
            "it serves v2, which the backup's CRD does not have",
        ],
        [
            crd(["v1"], chart("2024.7.5")),
            crd(["v1"], chart("2024.5.3")),
            "it is of a newer release (2024.7.5) than the backup's (2024.5.3)",
        ],
        [
            crd(["v1"], bundle("v1.2.0")),
            crd(["v1"], bundle("v1.1.1")),
            "it is of a newer release (1.2.0) than the backup's (1.1.1)",
        ],
        [crd(["v1"], chart("2024.5.3")), crd(["v1"], chart("2024.7.5")), undefined],
        [crd(["v1"], chart("2024.5.3")), crd(["v1"], chart("2024.5.3")), undefined],
        [crd(["v1"]), crd(["v1", "v2"]), undefined],
        [{}, crd(["v1"]), undefined],
    ])("%j over %j: %s", (live, backup, expected) => {
        expect(crdLeftAlone(live, backup)).toBe(expected);
    });
});

describe("Secrets are readable to the recipient only", () => {
    const generate = async () => {
        const { generateIdentity, identityToRecipient } = await import("age-encryption");
        const identity = await generateIdentity();
        return { identity, recipient: await identityToRecipient(identity) };
    };

    it("and an identity file may have comments", async () => {
        const { identity, recipient } = await generate();
        const data = await encrypt(recipient, "kind: Secret\n");
        expect(Buffer.from(data).toString("latin1")).not.toContain("Secret");
        expect(await decrypt(`# created: today\n${identity}\n`, data)).toBe("kind: Secret\n");
        await expect(decrypt((await generate()).identity, data)).rejects.toThrow(
            "does not decrypt the Secrets of this backup",
        );
        await expect(decrypt("nothing", data)).rejects.toThrow("AGE-SECRET-KEY-");
        await expect(decrypt("AGE-SECRET-KEY-1QQQ", data)).rejects.toThrow(
            /^holds a key that cannot be read$/,
        );
    });

    it("a text that is no recipient is told apart, and a secret key is never repeated", async () => {
        const { identity, recipient } = await generate();
        expect(await recipientProblem(recipient)).toBeUndefined();
        expect(await recipientProblem("ssh-ed25519 AAAA")).toMatch(/^is no age recipient/);
        const last = recipient.endsWith("q") ? "p" : "q";
        const mistyped = recipient.slice(0, -1) + last;
        expect(await recipientProblem(mistyped)).toBe(
            "is no age recipient (Invalid checksum); one begins with age1 and has no typing error",
        );
        const faults = await backupFaults({ directory: tmpdir(), recipient: identity }, "a/b/c");
        expect(faults).toHaveLength(1);
        expect(JSON.stringify(faults)).not.toContain(identity.slice(16));
        expect(await backupFaults(undefined, "a/b/c")).toEqual([]);
    });
});

describe("files of a backup", () => {
    let directory: string;
    beforeEach(async () => {
        directory = await mkdtemp(join(tmpdir(), "mesh-backup-"));
    });
    afterEach(async () => {
        await rm(directory, { recursive: true, force: true });
    });
    const write = (name = "b", objects = "kind: X\n") =>
        writeBackup(join(directory, "stack"), name, { objects, secrets: undefined }, manifest);

    it("are for their owner only, and read as they were written", async () => {
        const path = await write();
        expect((await stat(path)).mode & 0o777).toBe(0o700);
        expect((await stat(join(path, "objects.yaml"))).mode & 0o777).toBe(0o600);
        const { objects, secrets, manifest: read } = await readBackup(path);
        expect([objects, secrets]).toEqual(["kind: X\n", undefined]);
        expect(read).toMatchObject(manifest);
    });

    it("are never overwritten, and nothing half-done is left beside them", async () => {
        const path = await write();
        await expect(write("b", "kind: Y\n")).rejects.toThrow(
            `${path} exists already and is not overwritten`,
        );
        expect(await readFile(join(path, "objects.yaml"), "utf8")).toBe("kind: X\n");
        expect(await readdir(join(directory, "stack"))).toEqual(["b"]);
    });

    it("that are damaged, incomplete or no backup are refused", async () => {
        const path = await write();
        await expect(readBackup(directory)).rejects.toThrow("is no backup");
        await expect(readBackup(`${path}.partial`)).rejects.toThrow("was not finished");
        await writeFile(join(path, "objects.yaml"), "kind: Y\n");
        await expect(readBackup(path)).rejects.toThrow("objects.yaml has another SHA-256");
        await rm(join(path, "objects.yaml"));
        await expect(readBackup(path)).rejects.toThrow("lacks its file objects.yaml");
        const outside = { ...manifest, files: [{ name: "../../etc/passwd", sha256: "" }] };
        await writeFile(join(path, "manifest.json"), JSON.stringify(outside));
        await expect(readBackup(path)).rejects.toThrow("names a file that no backup has");
        await writeFile(join(path, "manifest.json"), "{}");
        await expect(readBackup(path)).rejects.toThrow("of another format");
    });

    it("need a directory, which may still have to be made", async () => {
        const file = join(directory, "file");
        await writeFile(file, "");
        await mkdir(join(directory, "there"));
        expect(await directoryProblem(join(directory, "there", "not", "yet"))).toBeUndefined();
        expect(await directoryProblem(file)).toBe(`cannot hold a backup: ${file} is no directory`);
        expect(await directoryProblem(join(file, "below"))).toContain("cannot hold a backup");
    });
});

describe("the section backup", () => {
    const required = { context: "kind", clusterUid: "0a1b", linkerdVersion: "edge-24.7.5" };
    const faultsOf = (raw: object) => {
        try {
            parseConfig({ ...required, ...raw });
        } catch (error) {
            return (error as RefusedError).faults;
        }
        throw new Error("accepted");
    };

    it("asks for a directory", () => {
        expect(parseConfig({ ...required, backup: {} })).toMatchObject({ backup: undefined });
        const section = { directory: "backups" };
        expect(parseConfig({ ...required, backup: section })).toMatchObject({ backup: section });
        expect(faultsOf({ backup: { recipient: "age1" } })[0]?.subject).toBe("backup.directory");
        expect(faultsOf({ backup: { directory: "" } })[0]).toMatchObject({
            rule: "must name a directory",
        });
    });

    it("says in preview where a backup goes and what becomes of Secrets", () => {
        expect(backupLines(undefined, "a/b/c", "edge-24.5.3")).toEqual([]);
        expect(backupLines({ directory: "b/" }, "a/b/c", "edge-24.5.3")).toEqual([
            "backup: where command backup is in the list, the mesh's objects of edge-24.5.3 go to b/a-b-c/edge-24.5.3-TIME before anything changes; Secrets are left out (backup.recipient is not set)",
        ]);
    });
});

describe("the restore program", () => {
    it("asks for a context and one backup, and only shows unless told to do it", () => {
        const rules = (...args: string[]) => {
            try {
                return readRestoreOptions(args);
            } catch (error) {
                return (error as RefusedError).faults.map(({ subject }) => subject);
            }
        };
        expect(rules()).toEqual(["--context", "DIRECTORY"]);
        expect(rules("--context", "kind", "a", "b")).toEqual(["DIRECTORY"]);
        expect(rules("--force")).toEqual(["options"]);
        expect(rules("--help")).toBeUndefined();
        expect(rules("--context", "kind", "a")).toMatchObject({ directory: "a", yes: false });
    });

    it("lists what it does, and counts what it does not touch", () => {
        const object = objectOf("ConfigMap", "a");
        const steps = [
            { object, action: "create" as const, detail: "" },
            { object, action: "change" as const, detail: "data" },
            { object, action: "unchanged" as const, detail: "" },
        ];
        expect(stepLines(steps)).toEqual([
            "create     ConfigMap a",
            "change     ConfigMap a (data)",
        ]);
        expect(countSteps(steps)).toBe("1 to create, 1 to change, 1 unchanged, 0 left alone");
    });
});
