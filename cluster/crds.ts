import type { LiveCrd } from "./linkerd";
import type { KubeApi } from "./api";
import { newerInCluster, withLiveCrds } from "../plan/renderedCrds";
import type { Rendered } from "../plan/rendered";

const PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Rendered CRDs, those that the cluster has newer as they are there. @throws what the API server says */
export async function keepNewerCrds(
    api: KubeApi,
    rendered: Rendered,
    live: readonly LiveCrd[],
): Promise<Rendered> {
    const { crds } = rendered;
    const names = crds ? newerInCluster(crds, live) : [];
    return crds && names.length > 0
        ? {
              ...rendered,
              crds: withLiveCrds(
                  crds,
                  await Promise.all(names.map((name) => api.send("GET", `${PATH}/${name}`))),
                  live,
              ),
          }
        : rendered;
}
