import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { releaseAddress } from "../../../toolchain/download";
import { programs } from "../../../toolchain/programs";
import { baseUrl, sources } from "../../../toolchain/sources";
import type { Platform } from "../../../toolchain/spec";

const root = join(import.meta.dirname, "..", "..", "..");

function spec(name: string) {
    const found = programs.find((program) => program.name === name);
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
    const without = programs.filter(({ required, build }) => required && build === undefined);
    expect(without).toEqual([]);
});

test("builds give the versions that the Go modules pin", () => {
    for (const { name, build } of programs) {
        if (build !== undefined && build.package !== ".") {
            const path = join(root, "toolchain", "go", build.module, "go.mod");
            const pinned = /^require (\S+) v(\S+)$/m.exec(readFileSync(path, "utf8"));
            expect([name, pinned?.[2]]).toEqual([name, build.version]);
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
