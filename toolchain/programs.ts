import { sources } from "./sources";
import type { GoBuild, Platform, ProgramSpec, Release } from "./spec";

const versions = {
    pulumi: "3.259.0",
    // The version of the npm SDK in package.json; the newest one that a Go module gives is older.
    pulumiKubernetes: "4.34.2",
    pulumiKubernetesBuilt: "4.18.2",
    pulumiCommand: "1.2.1",
    kwok: "0.7.0",
    kubernetes: "1.34.4",
    etcd: "3.6.6",
    // Its Go module has the same version with another major: 3.13.5 is v0.313.5.
    prometheus: "3.13.5",
    helm: "3.19.0",
    certManager: "1.21.2",
};

const pulumiRelease: Release = {
    name: "pulumi",
    source: sources.pulumi,
    // This publisher says x64 where all others say amd64.
    file: ({ os, arch }) =>
        `pulumi-v${versions.pulumi}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
    checksums: () => `pulumi-${versions.pulumi}-checksums.txt`,
    format: "tar.gz",
};

function pluginRelease(kind: "kubernetes" | "command", version: string): Release {
    return {
        name: `pulumi-resource-${kind}`,
        source: kind === "kubernetes" ? sources.pulumiKubernetes : sources.pulumiCommand,
        file: ({ os, arch }) =>
            `v${version}/pulumi-resource-${kind}-v${version}-${os}-${arch}.tar.gz`,
        checksums: () => `v${version}/pulumi-${kind}_${version}_checksums.txt`,
        format: "tar.gz",
    };
}

const etcdRelease: Release = {
    name: "etcd",
    source: sources.etcd,
    // For darwin the publisher gives only zip archives, which Node cannot read.
    file: (platform) =>
        platform.os === "linux" ? `v${versions.etcd}/${etcdFolder(platform)}.tar.gz` : undefined,
    checksums: () => `v${versions.etcd}/SHA256SUMS`,
    format: "tar.gz",
};

function etcdFolder({ os, arch }: Platform): string {
    return `etcd-v${versions.etcd}-${os}-${arch}`;
}

function kubernetesProgram(name: string, seconds: number): ProgramSpec {
    const file = (platform: Platform) =>
        `v${versions.kubernetes}/bin/${platform.os}/${platform.arch}/${name}`;
    const version = versions.kubernetes;
    const [major = "", minor = ""] = version.split(".");
    return {
        name,
        required: true,
        version,
        // One minor version for all: a controller manager must not be newer than its API server.
        probe: versionProbe(/^Kubernetes v(\d\S*)\s*$/m, `~${major}.${minor}.0`),
        release: {
            name,
            source: sources.kubernetes,
            // Servers are published for linux only.
            file: (platform) => (platform.os === "linux" ? file(platform) : undefined),
            checksums: (platform) => `${file(platform)}.sha256`,
            format: "plain",
        },
        build: {
            module: "kubernetes",
            package: `k8s.io/kubernetes/cmd/${name}`,
            version,
            variables: {
                "k8s.io/component-base/version.gitVersion": `v${version}`,
                "k8s.io/component-base/version.gitMajor": major,
                "k8s.io/component-base/version.gitMinor": minor,
            },
            seconds,
        },
    };
}

function kwokProgram(name: "kwok" | "kwokctl", seconds: number): ProgramSpec {
    return {
        name,
        required: true,
        version: versions.kwok,
        probe: versionProbe(new RegExp(`^${name} version v(\\d\\S*)`, "m"), `~${versions.kwok}`),
        build: {
            module: "kwok",
            package: `sigs.k8s.io/kwok/cmd/${name}`,
            version: versions.kwok,
            variables: { "sigs.k8s.io/kwok/pkg/consts.Version": `v${versions.kwok}` },
            seconds,
        },
    };
}

function versionProbe(pattern: RegExp, accepts: string): ProgramSpec["probe"] {
    return { kind: "version", arguments: ["--version"], pattern, accepts };
}

const pulumiBuild: GoBuild = {
    module: "pulumi",
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    version: versions.pulumi,
    variables: {
        "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${versions.pulumi}`,
        "github.com/pulumi/pulumi/pkg/v3/version.Version": `v${versions.pulumi}`,
    },
    seconds: 300,
};

/** What everybody needs, in the order in which missing ones are built: quick first, modules together. */
export const programs: readonly ProgramSpec[] = [
    {
        name: "etcd",
        required: true,
        version: versions.etcd,
        probe: versionProbe(/^etcd Version: (\d\S*)\s*$/m, ">=3.5.0 <4"),
        release: etcdRelease,
        member: (platform) => `${etcdFolder(platform)}/etcd`,
        build: {
            module: "etcd",
            package: "go.etcd.io/etcd/server/v3",
            version: versions.etcd,
            variables: {},
            seconds: 60,
        },
    },
    kwokProgram("kwok", 60),
    kwokProgram("kwokctl", 15),
    kubernetesProgram("kube-apiserver", 330),
    kubernetesProgram("kube-controller-manager", 120),
    kubernetesProgram("kube-scheduler", 30),
    {
        name: "pulumi",
        required: true,
        version: versions.pulumi,
        probe: versionProbe(/^v(3\.\d\S*)\s*$/m, ">=3.150.0 <4"),
        release: pulumiRelease,
        member: () => "pulumi/pulumi",
        build: pulumiBuild,
    },
    {
        name: "pulumi-resource-kubernetes",
        required: true,
        version: versions.pulumiKubernetes,
        probe: { kind: "plugin" },
        release: pluginRelease("kubernetes", versions.pulumiKubernetes),
        member: () => "pulumi-resource-kubernetes",
        build: {
            module: "pulumi-resource-kubernetes",
            package: ".",
            version: versions.pulumiKubernetesBuilt,
            variables: {},
            seconds: 540,
        },
    },
    {
        name: "pulumi-language-nodejs",
        required: false,
        version: versions.pulumi,
        probe: { kind: "plugin" },
        release: pulumiRelease,
        member: () => "pulumi/pulumi-language-nodejs",
        beside: "pulumi",
    },
    {
        name: "pulumi-resource-command",
        required: false,
        version: versions.pulumiCommand,
        probe: { kind: "plugin" },
        release: pluginRelease("command", versions.pulumiCommand),
        member: () => "pulumi-resource-command",
    },
];

function prometheusFolder({ os, arch }: Platform): string {
    return `prometheus-${versions.prometheus}.${os}-${arch}`;
}

/** Programs that only some callers need, and only when they ask for them by name. */
export const extraPrograms: readonly ProgramSpec[] = [
    {
        name: "prometheus",
        required: true,
        version: versions.prometheus,
        // Down to the version that Debian 12 packages; viz itself brings 2.48.
        probe: versionProbe(/^prometheus, version (\d\S*)/m, ">=2.42.0 <4"),
        release: {
            name: "prometheus",
            source: sources.prometheus,
            file: (platform) => `v${versions.prometheus}/${prometheusFolder(platform)}.tar.gz`,
            checksums: () => `v${versions.prometheus}/sha256sums.txt`,
            format: "tar.gz",
        },
        member: (platform) => `${prometheusFolder(platform)}/prometheus`,
        build: {
            module: "prometheus",
            package: "github.com/prometheus/prometheus/cmd/prometheus",
            version: versions.prometheus,
            variables: { "github.com/prometheus/common/version.Version": versions.prometheus },
            // The service discoveries of two dozen clouds are most of the build.
            tags: ["remove_all_sd"],
            seconds: 120,
        },
    },
    {
        name: "helm",
        required: true,
        version: versions.helm,
        probe: {
            kind: "version",
            arguments: ["version", "--template", "helm {{.Version}}"],
            pattern: /^helm v(3\.\d\S*)\s*$/m,
            accepts: ">=3.14.0 <4",
        },
        release: {
            name: "helm",
            source: sources.helm,
            file: (platform) => `helm-v${versions.helm}-${platform.os}-${platform.arch}.tar.gz`,
            checksums: (platform) =>
                `helm-v${versions.helm}-${platform.os}-${platform.arch}.tar.gz.sha256sum`,
            format: "tar.gz",
        },
        member: ({ os, arch }) => `${os}-${arch}/helm`,
        build: {
            module: "helm",
            package: "helm.sh/helm/v3/cmd/helm",
            version: versions.helm,
            variables: { "helm.sh/helm/v3/internal/version.version": `v${versions.helm}` },
            seconds: 120,
        },
    },
    {
        // The project publishes images only; what is built is a main of our own.
        name: "cert-manager",
        required: true,
        version: versions.certManager,
        probe: versionProbe(/^cert-manager v(\d\S*)\s*$/m, `~${versions.certManager}`),
        build: {
            module: "cert-manager",
            package: ".",
            version: versions.certManager,
            variables: { "main.version": versions.certManager },
            seconds: 200,
        },
    },
];
