import {
    CoreV1Api,
    type KubeConfig,
    type ObjectCache,
    type V1Pod,
    type V1Service,
} from "@kubernetes/client-node";
import type { KeyPair } from "../../../plan/certificates";
import { type AdmissionRequest, type PatchStep, type Refusal, review } from "../admission";
import type { Mesh, Program, Role } from "../mesh";
import type { Handler } from "../server";
import { ensureAuthority, mintLeaf } from "./authority";
import { istioInjectionPatch } from "./injection";
import { type IstioInjectorConfig, readIstioInjectorConfig, revisionOf } from "./injectorConfig";
import { WebhookWriter } from "./webhookWriter";

/** On an object: validation refuses it with this text. */
export const rejectAnnotation = "mesh-upgrade.embedded/reject";

/** Istio: every pod with label app=istiod, whichever Services select it. */
export async function istio(config: KubeConfig, services: ObjectCache<V1Service>): Promise<Mesh> {
    const core = config.makeApiClient(CoreV1Api);
    const writer = new WebhookWriter(config, services);
    await writer.start();
    const role: Role = { name: "istiod", start: (pod) => startIstiod(core, writer, pod) };
    const roleOf = ({ metadata }: V1Pod) =>
        metadata?.labels?.["app"] === "istiod" ? role : undefined;
    return {
        answersFor: "Services of pods with label app=istiod",
        roleFor: (_service, pod) => roleOf(pod),
        roleAtStart: roleOf,
    };
}

async function startIstiod(core: CoreV1Api, writer: WebhookWriter, pod: V1Pod): Promise<Program> {
    const { name, namespace = "" } = pod.metadata ?? {};
    const authority = await ensureAuthority(core, namespace);
    const caBundle = Buffer.from(authority.certificate).toString("base64");
    writer.add({ pod, revision: revisionOf(pod), caBundle });
    const config = await readIstioInjectorConfig(core, pod);
    console.log(
        `${new Date().toISOString()} ${namespace}/${name} of revision ${config.revision} ` +
            `injects ${config.proxyImage}`,
    );
    return { handler: istiodHandler(config), leafFor: leaves(authority) };
}

/** Serving certificates, one for each Service, made when it is first called. */
function leaves(authority: KeyPair): Program["leafFor"] {
    const made = new Map<string, Promise<KeyPair>>();
    return ({ metadata }) => {
        const host = `${metadata?.name}.${metadata?.namespace}.svc`;
        const leaf = made.get(host) ?? mintLeaf(authority, host);
        made.set(host, leaf);
        return leaf;
    };
}

/** What an istiod answers on its webhook port: /inject and /validate, and paths below them. */
export function istiodHandler(config: IstioInjectorConfig): Handler {
    return (path, body) => {
        if (/^\/inject\b/.test(path)) return review(body, (request) => inject(config, request));
        if (/^\/validate\b/.test(path)) return review(body, validate);
        return Promise.resolve({ status: 404, body: { message: `no such path: ${path}` } });
    };
}

function inject(config: IstioInjectorConfig, request: AdmissionRequest): Promise<PatchStep[]> {
    const isNewPod = request.kind.kind === "Pod" && request.operation === "CREATE";
    const { object, namespace = "" } = request;
    return Promise.resolve(isNewPod ? istioInjectionPatch(config, object as V1Pod, namespace) : []);
}

function validate({ object }: AdmissionRequest): Promise<PatchStep[] | Refusal> {
    const metadata = (object as { metadata?: { annotations?: Record<string, string> } } | null)
        ?.metadata;
    const message = metadata?.annotations?.[rejectAnnotation];
    return Promise.resolve(message === undefined ? [] : { message });
}
