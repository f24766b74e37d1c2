import { KubernetesObjectApi, PatchStrategy } from "@kubernetes/client-node";
import { loadContext } from "./context";
import { sampleObjects } from "./sampleObjects";

export { waitForSample } from "./sampleReady";

/**
 * Creates the sample application, or brings it back to how it was: server-side apply, safe to
 * repeat. Pods get a proxy only when the mesh's injector is there before them.
 * @param options.webReplicas of Deployment shop/web; defaults to 3
 */
export async function createSampleApplication(
    kubeconfigPath: string,
    context: string,
    options: { webReplicas?: number } = {},
): Promise<void> {
    const client = KubernetesObjectApi.makeApiClient(loadContext(kubeconfigPath, context));
    for (const object of sampleObjects(options.webReplicas ?? 3)) {
        await client.patch(
            object,
            undefined,
            undefined,
            "mesh-upgrade-sample",
            true,
            PatchStrategy.ServerSideApply,
        );
    }
}
