import type { KubeApi } from "../api";
import { found } from "../connection";

/**
 * Annotation of the control plane's namespace: the version that an update brings, from when it begins (rollout/begun.ts) until
 * all its checks have passed. So the next one knows that it goes on, whatever the one before left behind.
 */
export const UPDATING = "mesh-upgrade/updating";

/** Writes that an update to `version` begins, null that it has ended. Where there is no namespace yet, nothing is written. */
export async function markUpdating(
    api: KubeApi,
    namespace: string,
    version: string | null,
): Promise<void> {
    const metadata = { annotations: { [UPDATING]: version } };
    await found(api.mergePatch(`/api/v1/namespaces/${namespace}`, { metadata }));
}
