import {
    type CoreV1Api,
    type Informer,
    type KubeConfig,
    type KubernetesListObject,
    type KubernetesObject,
    makeInformer,
    type ObjectCache,
} from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";

const pauseAfterError = 200;

/** Starts an informer that goes on after errors, as long as this process lives. */
export async function keepInformed<T extends KubernetesObject>(
    config: KubeConfig,
    path: string,
    list: () => Promise<KubernetesListObject<T>>,
    prepare?: (informer: Informer<T>) => void,
): Promise<ObjectCache<T>> {
    const informer = makeInformer(config, path, list);
    prepare?.(informer);
    informer.on("error", (error: unknown) => {
        console.log(`${new Date().toISOString()} watch of ${path}: ${String(error)}`);
        void sleep(pauseAfterError).then(() => informer.start());
    });
    await informer.start();
    return informer;
}

/** Watches Services and Secrets of all namespaces. */
export async function watchServicesAndSecrets(config: KubeConfig, core: CoreV1Api) {
    return {
        services: await keepInformed(config, "/api/v1/services", () =>
            core.listServiceForAllNamespaces(),
        ),
        secrets: await keepInformed(config, "/api/v1/secrets", () =>
            core.listSecretForAllNamespaces(),
        ),
    };
}
