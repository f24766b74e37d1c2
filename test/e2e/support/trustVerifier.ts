import {
    makeInformer,
    type KubernetesListObject,
    type KubernetesObject,
    type V1ConfigMap,
    type V1Pod,
    type V1Secret,
} from "@kubernetes/client-node";
import type { Connection } from "../../../cluster/connection";
import { leadsTo, readBundle, validityProblem } from "../../../plan/certificates";
import { ISSUER_SECRET, SERVED_SINCE } from "../../../plan/identity";

/** Something that had one value after the other, each from a version of the cluster on. */
type Timeline<T> = { readonly from: number; readonly value: T }[];

interface SeenPod {
    readonly name: string;
    /** What its proxy trusts. */
    readonly anchors: string;
    /** Version of the cluster in which it was made. */
    readonly from: number;
    /** And in which it ended; Infinity: it runs. */
    to: number;
}

/**
 * Watches every proxy of the cluster, the control plane's too, and what the identity service would have signed its
 * certificate with. Two pods that were there at the same time must have had a common valid chain, both ways: each one's
 * issuer leads to the other's trust anchors.
 *
 * The issuer of a pod is that of the Secret when the pod was made, in the order of the API server's own versions. Until the
 * stack says that a new issuer is served, an identity pod may still hold the one before: then both count.
 */
export class TrustVerifier {
    private readonly pods = new Map<string, SeenPod>();
    private readonly issuers: Timeline<{ chain: string; served: boolean }> = [];
    private readonly roots: Timeline<string> = [];
    private readonly informers: { stop(): Promise<void> }[] = [];

    constructor(private readonly connection: Connection) {}

    async start(): Promise<void> {
        const { core } = this.connection;
        const namespace = "linkerd";
        await this.watch<V1Secret>(
            `/api/v1/namespaces/${namespace}/secrets`,
            () => core.listNamespacedSecret({ namespace }),
            (secret, version) => {
                const { name, annotations = {} } = secret.metadata ?? {};
                const chain = secret.data?.["tls.crt"];
                if (name === ISSUER_SECRET && chain !== undefined) {
                    const issuedAt = annotations["mesh-upgrade/issued-at"];
                    const served =
                        issuedAt === undefined ||
                        annotations[SERVED_SINCE]?.startsWith(`${issuedAt} `) === true;
                    const value = { chain: Buffer.from(chain, "base64").toString(), served };
                    this.issuers.push({ from: version, value });
                }
            },
        );
        await this.watch<V1ConfigMap>(
            `/api/v1/namespaces/${namespace}/configmaps`,
            () => core.listNamespacedConfigMap({ namespace }),
            ({ metadata, data }, version) => {
                if (metadata?.name === "linkerd-identity-trust-roots") {
                    this.roots.push({ from: version, value: data?.["ca-bundle.crt"] ?? "" });
                }
            },
        );
        await this.watch<V1Pod>(
            "/api/v1/pods",
            () => core.listPodForAllNamespaces(),
            (pod, version) => this.see(pod, version),
            ({ metadata }, version) => this.end(metadata?.uid ?? "", version),
        );
    }

    async stop(): Promise<void> {
        await Promise.all(this.informers.map((one) => one.stop()));
    }

    /** Pods seen so far, those that are gone too. */
    get size(): number {
        return this.pods.size;
    }

    /** Number of the different bundles and issuers that were in use. */
    get seen(): { readonly bundles: number; readonly issuers: number } {
        const all = [...this.pods.values()];
        return {
            bundles: new Set(all.map((one) => one.anchors.trim())).size,
            issuers: new Set(all.flatMap((one) => this.issuersOf(one))).size,
        };
    }

    /** Each pair without a common valid chain: `a (issuer ...) is not trusted by b`. */
    violations(): string[] {
        const memo = new Map<string, boolean>();
        const trusts = (anchors: string, chain: string) => {
            const key = `${anchors}\n${chain}`;
            const known = memo.get(key) ?? hasValidChain(chain, anchors);
            memo.set(key, known);
            return known;
        };
        const all = [...this.pods.values()];
        return all.flatMap((client) =>
            this.issuersOf(client).flatMap((chain) =>
                all
                    .filter((server) => client.from < server.to && server.from < client.to)
                    .filter((server) => !trusts(server.anchors, chain))
                    .map((server) => `${client.name} is not trusted by ${server.name}`),
            ),
        );
    }

    private issuersOf({ from }: SeenPod): string[] {
        const before = this.issuers.filter((one) => one.from <= from);
        const served = before.findLastIndex(({ value }) => value.served);
        return [...new Set(before.slice(Math.max(served, 0)).map(({ value }) => value.chain))];
    }

    /** A pod that has finished runs no proxy any more; it may stay as an object. */
    private end(uid: string, version: number): void {
        const seen = this.pods.get(uid);
        if (seen) {
            seen.to = Math.min(seen.to, version);
        }
    }

    private see(pod: V1Pod, version: number): void {
        const { uid = "", namespace, name } = pod.metadata ?? {};
        if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") {
            this.end(uid, version);
            return;
        }
        const { containers = [], initContainers = [] } = pod.spec ?? {};
        const proxy = [...containers, ...initContainers].find(
            (one) => one.name === "linkerd-proxy",
        );
        const anchors = proxy?.env?.find(
            (one) => one.name === "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS",
        );
        if (anchors === undefined || this.pods.has(uid)) {
            return;
        }
        const root = this.roots.findLast((one) => one.from <= version)?.value ?? "";
        this.pods.set(uid, {
            name: `${namespace}/${name}`,
            anchors: anchors.value ?? root,
            from: version,
            to: Infinity,
        });
    }

    private async watch<T extends KubernetesObject>(
        path: string,
        list: () => Promise<KubernetesListObject<T>>,
        seen: (object: T, version: number) => void,
        gone: (object: T, version: number) => void = () => undefined,
    ): Promise<void> {
        const informer = makeInformer(this.connection.kubeconfig, path, list);
        informer.on("add", (object) => seen(object, versionOf(object)));
        informer.on("update", (object) => seen(object, versionOf(object)));
        informer.on("delete", (object) => gone(object, versionOf(object)));
        this.informers.push(informer);
        await informer.start();
    }
}

function versionOf({ metadata }: KubernetesObject): number {
    return Number(metadata?.resourceVersion);
}

function hasValidChain(chain: string, anchors: string): boolean {
    const now = new Date();
    const [issuer, ...intermediates] = readBundle(chain);
    const valid = readBundle(anchors).filter((one) => validityProblem(one, now) === undefined);
    return (
        issuer !== undefined &&
        validityProblem(issuer, now) === undefined &&
        leadsTo(issuer, intermediates, valid)
    );
}
