import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";
import { allowAll, type AdmissionRequest, type PatchStep, review } from "./admission";
import { injectionPatch } from "./injection";
import { readInjectorConfig } from "./injectorConfig";
import type { Handler } from "./server";
import { answerTapApi } from "./tapApi";

/** Starts what a pod of a Service plays; throws where the pod lacks what it needs to start. */
type Role = (core: CoreV1Api, pod: V1Pod) => Promise<Handler>;

const passive = (handler: Handler): Role => {
    return () => Promise.resolve(handler);
};

/**
 * The Services of the Linkerd charts that the API server calls, by name. Each serves port 443 with
 * the certificate of the Secret `<service>-k8s-tls` in its namespace.
 */
export const roles: ReadonlyMap<string, Role> = new Map([
    ["linkerd-proxy-injector", startInjector],
    ["linkerd-sp-validator", passive(allowAll)],
    ["linkerd-policy-validator", passive(allowAll)],
    ["tap-injector", passive(allowAll)],
    ["tap", passive(answerTapApi)],
]);

async function startInjector(core: CoreV1Api, pod: V1Pod): Promise<Handler> {
    const config = await readInjectorConfig(core, pod);
    console.log(
        `${new Date().toISOString()} ${pod.metadata?.namespace}/${pod.metadata?.name} ` +
            `injects proxy ${config.proxyVersion}`,
    );
    const decide = async (request: AdmissionRequest): Promise<PatchStep[]> => {
        if (request.kind.kind !== "Pod" || request.operation !== "CREATE") return [];
        const name = request.namespace ?? "";
        const namespace = await core.readNamespace({ name });
        const annotations = namespace.metadata?.annotations ?? {};
        return injectionPatch(config, request.object as V1Pod, { name, annotations });
    };
    return (_path, body) => review(body, decide);
}
