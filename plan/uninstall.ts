import type { MeshedPod } from "../cluster/dataPlane";
import { behind, groupBy, isAlive, nameOf } from "./dataPlane";

/** So many workloads are named; the others are counted. */
const NAMED = 10;

/**
 * Who would be left with a proxy and without a control plane: `shop/Deployment/web (3 pods)`, sorted. Pods that have finished
 * or are on their way out do not count, nor do those in `own`, namespaces that go with the control plane.
 */
export function meshedUsers(pods: readonly MeshedPod[], own: readonly string[]): string[] {
    const users = pods.filter((pod) => isAlive(pod) && !own.includes(pod.namespace));
    return [...groupBy(users, (pod) => nameOf(behind(pod)))]
        .map(([name, { length }]) => `${name} (${length} ${length === 1 ? "pod" : "pods"})`)
        .sort();
}

/** Why the control plane is not taken away. */
export function inUseText(users: readonly string[]): string {
    const more = users.length - NAMED;
    const named = [...users.slice(0, NAMED), ...(more > 0 ? [`and ${more} more`] : [])];
    return `Linkerd stays, and all of it: ${users.length} workload(s) still run its proxy, which cannot start or renew its certificate without the control plane: ${named.join("; ")}. Next: take each out of the mesh (remove linkerd.io/inject from namespace or pod template, then kubectl rollout restart) or delete it, then repeat the command; see docs/uninstall.md`;
}

/** What outlives the stack, and how it is removed. `own`: its namespaces. */
export function remainsText(own: readonly string[]): string {
    return [
        "no pod runs Linkerd's proxy: the control plane may go. What stays, and how to remove it (docs/uninstall.md):",
        "  CRDs, and with them every object of their kinds: kubectl get crd -l linkerd.io/control-plane-ns=linkerd -o name | xargs kubectl delete",
        `  namespaces, with trust anchor, issuer and webhook CA: kubectl delete namespace ${own.join(" ")}`,
    ].join("\n");
}
