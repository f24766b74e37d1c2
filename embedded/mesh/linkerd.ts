import type { CoreV1Api, ObjectCache, V1Pod, V1Secret } from "@kubernetes/client-node";
import type { KeyPair } from "../../plan/certificates";
import { allowAll, type AdmissionRequest, type PatchStep, review } from "./admission";
import { Unreachable } from "./connectProxy";
import { injectionPatch } from "./injection";
import { readInjectorConfig } from "./injectorConfig";
import type { Mesh, Role } from "./mesh";
import type { Handler } from "./server";
import { answerTapApi } from "./tapApi";

const componentLabel = "linkerd.io/control-plane-component";
const injectorService = "linkerd-proxy-injector";

/** Makes what a pod answers with; throws where the pod lacks what it needs to start. */
type Start = (core: CoreV1Api, pod: V1Pod) => Promise<Handler>;

const passive = (handler: Handler): Start => {
    return () => Promise.resolve(handler);
};

/** The Services of the Linkerd charts that the API server calls, by name. */
const services: ReadonlyMap<string, Start> = new Map([
    [injectorService, startInjector],
    ["linkerd-sp-validator", passive(allowAll)],
    ["linkerd-policy-validator", passive(allowAll)],
    ["tap-injector", passive(allowAll)],
    ["jaeger-injector", passive(allowAll)],
    ["tap", passive(answerTapApi)],
]);

/** Linkerd: each Service serves the certificate of the Secret `<service>-k8s-tls` beside it. */
export function linkerd(core: CoreV1Api, secrets: ObjectCache<V1Secret>): Mesh {
    const role = (name: string, start: Start): Role => ({
        name,
        start: async (pod) => ({
            handler: await start(core, pod),
            leafFor: ({ metadata }) => leafOf(secrets, `${name}-k8s-tls`, metadata?.namespace),
        }),
    });
    const roles = new Map([...services].map(([name, start]) => [name, role(name, start)]));
    return {
        answersFor: `Services ${[...services.keys()].join(", ")}`,
        roleFor: (service) => roles.get(service.metadata?.name ?? ""),
        // The injector reads its ConfigMaps when it starts.
        roleAtStart: ({ metadata }) =>
            metadata?.labels?.[componentLabel] === "proxy-injector"
                ? roles.get(injectorService)
                : undefined,
    };
}

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

function leafOf(secrets: ObjectCache<V1Secret>, name: string, namespace = ""): KeyPair {
    const secret = secrets.get(name, namespace);
    if (secret === undefined) throw new Unreachable(`no Secret ${namespace}/${name}`);
    const decode = (key: string): string => {
        const value = secret.data?.[key];
        if (value === undefined) throw new Error(`Secret ${name} has no ${key}`);
        return Buffer.from(value, "base64").toString();
    };
    return { certificate: decode("tls.crt"), key: decode("tls.key") };
}
