import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EmbeddedCluster } from "../../../../embedded/cluster";
import { eventually } from "../../embeddedCluster.support";
import { callApi, mustCall } from "./api";

const namespace = "kube-system";
const flowSchemas = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";

/** Where requests of ServiceAccounts go in any cluster. */
const usual = "workload-low";

/**
 * Makes a user of the cluster with all rights, whose requests are told from all others; safe to
 * repeat. Returns the path of its kubeconfig, which has the context of the cluster's own and lies in
 * the cluster's directory.
 */
export async function userKubeconfig(cluster: EmbeddedCluster, user: string): Promise<string> {
    const make = (path: string, body: object) =>
        mustCall(cluster.kubeconfig, "POST", path, body, 409);
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await make(accounts, { metadata: { name: user } });
    await make("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        metadata: { name: flowSchemaOf(user) },
        roleRef: {
            apiGroup: "rbac.authorization.k8s.io",
            kind: "ClusterRole",
            name: "cluster-admin",
        },
        subjects: [{ kind: "ServiceAccount", namespace, name: user }],
    });
    await make(flowSchemas, flowSchema(user));
    const { text } = await make(`${accounts}/${user}/token`, {
        spec: { expirationSeconds: 6 * 3600 },
    });
    const { token } = (JSON.parse(text) as { status: { token: string } }).status;
    const path = join(cluster.directory, `kubeconfig-${user}`);
    await writeFile(path, await withToken(cluster.kubeconfig, token), { mode: 0o600 });
    await routed(cluster, user, usual);
    return path;
}

/**
 * How many requests of a user the API server has served since it started, watches included: one
 * each, when they begin.
 */
export function countRequests(cluster: EmbeddedCluster, user: string): Promise<number> {
    return sum(cluster, "apiserver_flowcontrol_dispatched_requests_total", user);
}

/** How many requests of a user the API server has turned down with 429 since it started. */
export function countRejected(cluster: EmbeddedCluster, user: string): Promise<number> {
    return sum(cluster, "apiserver_flowcontrol_rejected_requests_total", user);
}

/** Sends the user's requests to a priority level, or to where they usually go. */
export async function route(
    cluster: EmbeddedCluster,
    user: string,
    priorityLevel = usual,
): Promise<void> {
    await mustCall(cluster.kubeconfig, "PATCH", `${flowSchemas}/${flowSchemaOf(user)}`, {
        spec: { priorityLevelConfiguration: { name: priorityLevel } },
    });
    await routed(cluster, user, priorityLevel);
}

const flowSchemaOf = (user: string) => `user-${user}`;

function flowSchema(user: string): object {
    return {
        metadata: { name: flowSchemaOf(user) },
        spec: {
            priorityLevelConfiguration: { name: usual },
            // Before all of the cluster's own that match a ServiceAccount.
            matchingPrecedence: 100,
            distinguisherMethod: { type: "ByUser" },
            rules: [
                {
                    subjects: [
                        { kind: "ServiceAccount", serviceAccount: { namespace, name: user } },
                    ],
                    resourceRules: [
                        {
                            verbs: ["*"],
                            apiGroups: ["*"],
                            resources: ["*"],
                            clusterScope: true,
                            namespaces: ["*"],
                        },
                    ],
                    nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
                },
            ],
        },
    };
}

interface Kubeconfig {
    users: { user: object }[];
}

async function withToken(kubeconfig: string, token: string): Promise<string> {
    const config = JSON.parse(await readFile(kubeconfig, "utf8")) as Kubeconfig;
    const users = config.users.map((one) => ({ ...one, user: { token } }));
    return JSON.stringify({ ...config, users }, null, 4);
}

/** Waits until the API server, which learns of flow schemas by a watch, goes by this one. */
async function routed(cluster: EmbeddedCluster, user: string, priorityLevel: string) {
    const uid = async (path: string) => {
        const { text } = await mustCall(cluster.kubeconfig, "GET", path);
        return (JSON.parse(text) as { metadata: { uid: string } }).metadata.uid;
    };
    const base = "/apis/flowcontrol.apiserver.k8s.io/v1";
    const schema = await uid(`${flowSchemas}/${flowSchemaOf(user)}`);
    const level = await uid(`${base}/prioritylevelconfigurations/${priorityLevel}`);
    const kubeconfig = join(cluster.directory, `kubeconfig-${user}`);
    await eventually(`${user} has the priority level ${priorityLevel}`, async () => {
        const { headers } = await callApi(kubeconfig, "GET", "/version");
        return (
            headers["x-kubernetes-pf-flowschema-uid"] === schema &&
            headers["x-kubernetes-pf-prioritylevel-uid"] === level
        );
    });
}

async function sum(cluster: EmbeddedCluster, metric: string, user: string): Promise<number> {
    const { text } = await mustCall(cluster.kubeconfig, "GET", "/metrics");
    return text
        .split("\n")
        .filter((line) => line.startsWith(`${metric}{`))
        .filter((line) => line.includes(`flow_schema="${flowSchemaOf(user)}"`))
        .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}
