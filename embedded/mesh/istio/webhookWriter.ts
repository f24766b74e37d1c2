import {
    AdmissionregistrationV1Api,
    ApiException,
    CoreV1Api,
    type KubeConfig,
    type ObjectCache,
    type V1Pod,
    type V1Service,
} from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { keepInformed } from "../informers";
import { selects, serviceAt, takesTraffic } from "../services";
import { repairs, type WebhookConfiguration, writersOf } from "./webhooks";

const fieldManager = "pilot-discovery";
const pauseAfterError = 500;
const api = "/apis/admissionregistration.k8s.io/v1";

/** An istiod that has started. */
export interface RunningIstiod {
    readonly pod: V1Pod;
    readonly revision: string;
    /** Base64 of its CA certificate. */
    readonly caBundle: string;
}

/** One of the two kinds of webhook configuration. */
interface Kind {
    readonly name: string;
    readonly failClosed: boolean;
    readonly patch: (request: {
        name: string;
        body: object[];
        fieldManager: string;
    }) => Promise<unknown>;
    /** Set once the watch has begun. */
    cache?: ObjectCache<WebhookConfiguration>;
}

/**
 * Writes the CA bundle of the running istiods to the webhook configurations of their revisions, and
 * makes their validation fail closed, whenever somebody else has written something different.
 */
export class WebhookWriter {
    private readonly core: CoreV1Api;
    private readonly admission: AdmissionregistrationV1Api;
    private readonly running = new Map<string, RunningIstiod>();
    private readonly kinds: Kind[] = [];
    private queue = Promise.resolve();

    constructor(
        private readonly config: KubeConfig,
        private readonly services: ObjectCache<V1Service>,
    ) {
        this.core = config.makeApiClient(CoreV1Api);
        this.admission = config.makeApiClient(AdmissionregistrationV1Api);
    }

    /** Watches both kinds, as long as this process lives. */
    async start(): Promise<void> {
        const { admission } = this;
        await this.watch(
            "mutatingwebhookconfigurations",
            false,
            () => admission.listMutatingWebhookConfiguration(),
            (request) => admission.patchMutatingWebhookConfiguration(request),
        );
        await this.watch(
            "validatingwebhookconfigurations",
            true,
            () => admission.listValidatingWebhookConfiguration(),
            (request) => admission.patchValidatingWebhookConfiguration(request),
        );
    }

    /** An istiod has started: it looks at every configuration. */
    add(istiod: RunningIstiod): void {
        this.running.set(istiod.pod.metadata?.uid ?? "", istiod);
        for (const kind of this.kinds)
            for (const one of kind.cache?.list() ?? []) this.look(kind, one);
    }

    private async watch(
        name: string,
        failClosed: boolean,
        list: () => Promise<{ items: WebhookConfiguration[] }>,
        patch: Kind["patch"],
    ): Promise<void> {
        const kind: Kind = { name, failClosed, patch };
        this.kinds.push(kind);
        kind.cache = await keepInformed(this.config, `${api}/${name}`, list, (informer) => {
            const look = (object: WebhookConfiguration) => this.look(kind, object);
            informer.on("add", look);
            informer.on("update", look);
        });
    }

    /** One at a time, so that the istiods do not race each other for the same repair. */
    private look(kind: Kind, { metadata }: WebhookConfiguration): void {
        const name = metadata?.name ?? "";
        this.queue = this.queue
            .then(async () => {
                const newest = kind.cache?.get(name);
                if (newest !== undefined) await this.repair(kind, newest);
            })
            .catch((error: unknown) => this.failed(kind, metadata, error));
    }

    private async repair(kind: Kind, object: WebhookConfiguration): Promise<void> {
        const name = object.metadata?.name ?? "";
        for (const istiod of this.writers(object)) {
            const body = repairs(object, istiod.caBundle, kind.failClosed);
            if (body.length === 0) return;
            if (!(await this.isLive(istiod))) continue;
            await kind.patch({ name, body, fieldManager });
            console.log(
                `${new Date().toISOString()} ${istiod.pod.metadata?.name} wrote ${kind.name} ${name}`,
            );
            return;
        }
    }

    private writers(object: WebhookConfiguration): RunningIstiod[] {
        const writers = writersOf(object);
        if (writers === undefined) return [];
        const service =
            "service" in writers
                ? serviceAt(
                      this.services.list(),
                      `${writers.service.name}.${writers.service.namespace}`,
                  )
                : undefined;
        return [...this.running.values()].filter(
            ({ revision, pod }) =>
                revision === writers.revision || (service !== undefined && selects(service, pod)),
        );
    }

    // Asked afresh, as for a call: an istiod that has just gone must not write.
    private async isLive({ pod }: RunningIstiod): Promise<boolean> {
        const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
        const now = await this.core
            .readNamespacedPod({ name, namespace })
            .catch((error: unknown) => {
                if (error instanceof ApiException && error.code === 404) return undefined;
                throw error;
            });
        if (now?.metadata?.uid === uid) return takesTraffic(now);
        this.running.delete(uid);
        return false;
    }

    private failed(kind: Kind, metadata: WebhookConfiguration["metadata"], error: unknown): void {
        // Somebody else was faster: the watch tells what they wrote.
        if (error instanceof ApiException && [404, 409, 422].includes(error.code)) return;
        console.log(`${new Date().toISOString()} ${kind.name}: ${String(error)}`);
        void sleep(pauseAfterError).then(() => this.look(kind, { ...(metadata && { metadata }) }));
    }
}
