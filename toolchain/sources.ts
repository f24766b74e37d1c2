import type { Source } from "./spec";

/**
 * Where official downloads come from. Each address can be replaced through the environment, by a
 * mirror with the same paths below it (http or https); an empty value switches the download off.
 *
 * | Variable                          | Programs                                             |
 * |-----------------------------------|------------------------------------------------------|
 * | MESH_TOOLS_PULUMI_URL             | pulumi, pulumi-language-nodejs                       |
 * | MESH_TOOLS_PULUMI_KUBERNETES_URL  | pulumi-resource-kubernetes                           |
 * | MESH_TOOLS_PULUMI_COMMAND_URL     | pulumi-resource-command                              |
 * | MESH_TOOLS_KUBERNETES_URL         | kube-apiserver, kube-controller-manager,             |
 * |                                   | kube-scheduler                                       |
 * | MESH_TOOLS_ETCD_URL               | etcd                                                 |
 * | MESH_TOOLS_PROMETHEUS_URL         | prometheus (only the tests need it)                  |
 * | MESH_TOOLS_HELM_URL               | helm (only the tests need it)                        |
 *
 * kwok and kwokctl have none: their publisher gives no checksums, so they are built.
 *
 * MESH_TOOLS_RETRY=1 asks again for optional programs that could not be had within the last hour.
 */
export const sources = {
    pulumi: {
        variable: "MESH_TOOLS_PULUMI_URL",
        url: "https://get.pulumi.com/releases/sdk",
    },
    pulumiKubernetes: {
        variable: "MESH_TOOLS_PULUMI_KUBERNETES_URL",
        url: "https://github.com/pulumi/pulumi-kubernetes/releases/download",
    },
    pulumiCommand: {
        variable: "MESH_TOOLS_PULUMI_COMMAND_URL",
        url: "https://github.com/pulumi/pulumi-command/releases/download",
    },
    kubernetes: {
        variable: "MESH_TOOLS_KUBERNETES_URL",
        url: "https://dl.k8s.io",
    },
    etcd: {
        variable: "MESH_TOOLS_ETCD_URL",
        url: "https://github.com/etcd-io/etcd/releases/download",
    },
    prometheus: {
        variable: "MESH_TOOLS_PROMETHEUS_URL",
        url: "https://github.com/prometheus/prometheus/releases/download",
    },
    helm: {
        variable: "MESH_TOOLS_HELM_URL",
        url: "https://get.helm.sh",
    },
} as const satisfies Record<string, Source>;

export const retryVariable = "MESH_TOOLS_RETRY";

/** The base URL in force without a slash at the end; undefined when it is switched off. */
export function baseUrl(source: Source, environment: NodeJS.ProcessEnv): string | undefined {
    const given = environment[source.variable]?.trim();
    if (given === undefined) {
        return source.url;
    }
    if (given === "") {
        return undefined;
    }
    if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
        throw new Error(
            `${source.variable} is "${given}", which is no http or https address. ` +
                `Give a mirror of ${source.url}, or nothing to switch the download off.`,
        );
    }
    return given.replace(/\/+$/, "");
}
