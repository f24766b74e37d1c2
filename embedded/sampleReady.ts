import { KubernetesObjectApi, makeInformer } from "@kubernetes/client-node";
import { loadContext } from "./context";
import { sampleLabel } from "./sampleObjects";
import { shortfall } from "./shortfall";

const watched = [
    { apiVersion: "apps/v1", kind: "Deployment", path: "/apis/apps/v1/deployments" },
    { apiVersion: "apps/v1", kind: "StatefulSet", path: "/apis/apps/v1/statefulsets" },
    { apiVersion: "apps/v1", kind: "DaemonSet", path: "/apis/apps/v1/daemonsets" },
    { apiVersion: "batch/v1", kind: "Job", path: "/apis/batch/v1/jobs" },
    { apiVersion: "v1", kind: "Pod", path: "/api/v1/pods" },
] as const;

/**
 * Waits, by watching, until all workloads of the sample application are rolled out and all its pods
 * Ready or completed.
 * @param limit in milliseconds; an error that names what is missing follows. Defaults to 60 s
 */
export async function waitForSample(
    kubeconfigPath: string,
    context: string,
    limit = 60_000,
): Promise<void> {
    const config = loadContext(kubeconfigPath, context);
    const client = KubernetesObjectApi.makeApiClient(config);
    const selector = Object.entries(sampleLabel).map(([key, value]) => `${key}=${value}`)[0] ?? "";
    const informers = watched.map(({ apiVersion, kind, path }) => {
        const list = () =>
            client.list(
                apiVersion,
                kind,
                undefined,
                undefined,
                undefined,
                undefined,
                undefined,
                selector,
            );
        return { kind, informer: makeInformer(config, path, list, selector) };
    });
    const missing = () =>
        informers.flatMap(({ kind, informer }) => {
            const objects = informer.list();
            if (objects.length === 0) return [`there is no ${kind}`];
            return objects.flatMap((object) => {
                const { namespace, name } = object.metadata ?? {};
                return shortfall(kind, object).map(
                    (line) => `${kind} ${namespace}/${name}: ${line}`,
                );
            });
        });
    let timer: NodeJS.Timeout | undefined;
    try {
        await new Promise<void>((resolve, reject) => {
            timer = setTimeout(() => {
                const lines = missing().join("\n  ");
                reject(
                    new Error(
                        `After ${limit / 1000} s the sample application is not ready:\n  ${lines}`,
                    ),
                );
            }, limit);
            let listed = false;
            const look = () => {
                if (listed && missing().length === 0) resolve();
            };
            for (const { informer } of informers) {
                informer.on("change", look);
                informer.on("error", reject);
            }
            Promise.all(informers.map(({ informer }) => informer.start())).then(() => {
                listed = true;
                look();
            }, reject);
        });
    } finally {
        clearTimeout(timer);
        await Promise.all(informers.map(({ informer }) => informer.stop()));
    }
}
