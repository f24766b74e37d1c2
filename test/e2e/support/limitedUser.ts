import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EmbeddedCluster } from "../../../embedded/cluster";
import { kubeconfigOf } from "./journey";
import { mustCall } from "./faults/api";

/**
 * A user who may do everything, or what `verbs` has, with the given resources (plural names, of any group) and nothing with
 * others.
 * Returns the path of the user's kubeconfig, whose context is the cluster's.
 */
export async function limitedUser(
    cluster: EmbeddedCluster,
    name: string,
    resources: readonly string[],
    verbs: readonly string[] = ["*"],
): Promise<string> {
    const namespace = "kube-system";
    const make = (path: string, body: object) => mustCall(cluster.kubeconfig, "POST", path, body);
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await make(accounts, { metadata: { name } });
    await make(`${rbac}/clusterroles`, {
        metadata: { name },
        rules: [
            { apiGroups: ["*"], resources, verbs },
            { nonResourceURLs: ["*"], verbs: ["*"] },
        ],
    });
    await make(`${rbac}/clusterrolebindings`, {
        metadata: { name },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
        subjects: [{ kind: "ServiceAccount", namespace, name }],
    });
    const { text } = await make(`${accounts}/${name}/token`, { spec: { expirationSeconds: 3600 } });
    const { token } = (JSON.parse(text) as { status: { token: string } }).status;
    const kubeconfig = await kubeconfigOf(cluster);
    kubeconfig.loadFromOptions({
        ...kubeconfig,
        users: kubeconfig.users.map((user) => ({ name: user.name, token })),
    });
    const path = join(cluster.directory, `kubeconfig-${name}`);
    await writeFile(path, kubeconfig.exportConfig(), { mode: 0o600 });
    return path;
}
