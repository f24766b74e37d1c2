import { readFileSync } from "node:fs";
import { join } from "node:path";
import { satisfies } from "semver";
import { expect, test } from "vitest";
import { releaseAddress } from "../../../toolchain/download";
import { extraPrograms, programs } from "../../../toolchain/programs";
import { baseUrl, sources } from "../../../toolchain/sources";
import type { Platform } from "../../../toolchain/spec";

const all = [...programs, ...extraPrograms];
const root = join(import.meta.dirname, "..", "..", "..");

function spec(name: string) {
    const found = all.find((program) => program.name === name);
    if (found === undefined) {
        throw new Error(`no program ${name}`);
    }
    return found;
}

const linux: Platform = { os: "linux", arch: "amd64" };
const darwin: Platform = { os: "darwin", arch: "arm64" };
const github = "https://github.com";

test.each([
    [
        "pulumi",
        linux,
        "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-linux-x64.tar.gz",
        "https://get.pulumi.com/releases/sdk/pulumi-3.259.0-checksums.txt",
    ],
    [
        "pulumi-language-nodejs",
        darwin,
        "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-darwin-arm64.tar.gz",
        "https://get.pulumi.com/releases/sdk/pulumi-3.259.0-checksums.txt",
    ],
    [
        "pulumi-resource-kubernetes",
        darwin,
        `${github}/pulumi/pulumi-kubernetes/releases/download/v4.34.2/pulumi-resource-kubernetes-v4.34.2-darwin-arm64.tar.gz`,
        `${github}/pulumi/pulumi-kubernetes/releases/download/v4.34.2/pulumi-kubernetes_4.34.2_checksums.txt`,
    ],
    [
        "pulumi-resource-command",
        linux,
        `${github}/pulumi/pulumi-command/releases/download/v1.2.1/pulumi-resource-command-v1.2.1-linux-amd64.tar.gz`,
        `${github}/pulumi/pulumi-command/releases/download/v1.2.1/pulumi-command_1.2.1_checksums.txt`,
    ],
    [
        "kube-apiserver",
        linux,
        "https://dl.k8s.io/v1.34.4/bin/linux/amd64/kube-apiserver",
        "https://dl.k8s.io/v1.34.4/bin/linux/amd64/kube-apiserver.sha256",
    ],
    [
        "etcd",
        linux,
        `${github}/etcd-io/etcd/releases/download/v3.6.6/etcd-v3.6.6-linux-amd64.tar.gz`,
        `${github}/etcd-io/etcd/releases/download/v3.6.6/SHA256SUMS`,
    ],
    [
        "prometheus",
        linux,
        `${github}/prometheus/prometheus/releases/download/v3.13.5/prometheus-3.13.5.linux-amd64.tar.gz`,
        `${github}/prometheus/prometheus/releases/download/v3.13.5/sha256sums.txt`,
    ],
    [
        "helm",
        darwin,
        "https://get.helm.sh/helm-v3.19.0-darwin-arm64.tar.gz",
        "https://get.helm.sh/helm-v3.19.0-darwin-arm64.tar.gz.sha256sum",
    ],
])("%s is fetched from its publisher", (name, platform, file, checksums) => {
    expect(releaseAddress(spec(name).release, {}, platform)).toEqual({ file, checksums });
});

test.each([
    ["kwok", linux, "its publisher gives no download with a checksum"],
    ["kube-scheduler", darwin, "nothing usable is published for darwin/arm64"],
    ["etcd", darwin, "nothing usable is published for darwin/arm64"],
])("%s on %o has no download that can be verified", (name, platform, reason) => {
    expect(releaseAddress(spec(name).release, {}, platform)).toEqual({ reason });
});

test("a base URL can be replaced, switched off, and is refused when it is none", () => {
    const at = (value: string) => baseUrl(sources.etcd, { MESH_TOOLS_ETCD_URL: value });
    expect(at("http://mirror.test/etcd/")).toBe("http://mirror.test/etcd");
    expect(at("")).toBeUndefined();
    expect(() => at("mirror.test")).toThrow(
        'MESH_TOOLS_ETCD_URL is "mirror.test", which is no http or https address.',
    );
});

test("every required program can be built, where no download is in reach", () => {
    const without = all.filter(({ required, build }) => required && build === undefined);
    expect(without).toEqual([]);
});

test("builds give the versions that the Go modules pin", () => {
    for (const { name, build } of all) {
        if (build !== undefined && build.package !== ".") {
            const path = join(root, "toolchain", "go", build.module, "go.mod");
            const pinned = /^require (\S+) v(\S+)$/m.exec(readFileSync(path, "utf8"));
            // Prometheus 3.13.5 is v0.313.5 of its module.
            const tag = name === "prometheus" ? asModule(build.version) : build.version;
            expect([name, pinned?.[2]]).toEqual([name, tag]);
            expect(build.package.startsWith(pinned?.[1] ?? "-")).toBe(true);
        }
    }
    const main = join(root, "toolchain", "go", "pulumi-resource-kubernetes", "main.go");
    const version = /version = "(.*)"/.exec(readFileSync(main, "utf8"))?.[1];
    expect(spec("pulumi-resource-kubernetes").build?.version).toBe(version);
});

test("the plugins for download are those of the SDKs in package.json", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
        dependencies: Record<string, string>;
    };
    expect(spec("pulumi-resource-kubernetes").version).toBe(dependencies["@pulumi/kubernetes"]);
    expect(spec("pulumi-resource-command").version).toBe(dependencies["@pulumi/command"]);
});

test("what only tests need is not got for everybody", () => {
    const names = programs.map(({ name }) => name);
    expect(names).not.toContain("prometheus");
    expect(names).not.toContain("helm");
});

test.each(["3.13.5", "2.42.0+ds"])("prometheus %s is taken from PATH", (version) => {
    const { probe } = spec("prometheus");
    if (probe.kind !== "version") throw new Error("no version probe");
    const answer = `prometheus, version ${version} (branch: , revision: unknown)\n  build user:\n`;
    expect(probe.pattern.exec(answer)?.[1]).toBe(version);
    expect(satisfies(version, probe.accepts)).toBe(true);
});

test("Helm of another major version is passed over on PATH", () => {
    const { probe } = spec("helm");
    if (probe.kind !== "version") throw new Error("no version probe");
    expect(probe.pattern.exec("helm v3.16.4\n")?.[1]).toBe("3.16.4");
    expect(probe.pattern.exec("helm v4.0.0\n")).toBeNull();
    expect(satisfies("3.16.4", probe.accepts)).toBe(true);
});

function asModule(version: string): string {
    const [major = "", minor = "", patch = ""] = version.split(".");
    return `0.${major}${minor.padStart(2, "0")}.${patch}`;
}
