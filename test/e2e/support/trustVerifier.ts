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
import { ISSUER_SECRET } from "../../../plan/identity";

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
    /** Of the identity service: from when to when it is Ready, and so signs. */
    signs?: { readonly from: number; to: number };
}

/**
 * Watches every proxy of the cluster, the control plane's too, and what the identity service would have signed its
 * certificate with. Two pods that were there at the same time must have had a common valid chain, both ways: each one's
 * issuer leads to the other's trust anchors.
 *
 * The issuer of a pod is that of any identity pod that was Ready when the pod was made, in the order of the API server's own
 * versions; an identity pod signs for itself. One that runs while the Secret changes may sign with what it started with and
 * with what came since: all of it counts.
 */
export class TrustVerifier {
    private readonly pods = new Map<string, SeenPod>();
    /** Of the Secret. */
    private readonly issuers: Timeline<string> = [];
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
                const chain = secret.data?.["tls.crt"];
                if (secret.metadata?.name === ISSUER_SECRET && chain !== undefined) {
                    const value = Buffer.from(chain, "base64").toString();
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

    private issuersOf(pod: SeenPod): string[] {
        const at = pod.from;
        const signers =
            pod.signs !== undefined
                ? [pod]
                : [...this.pods.values()].filter(
                      ({ signs }) => signs !== undefined && signs.from <= at && at < signs.to,
                  );
        const chains = signers.flatMap((signer) => this.issuersBetween(signer.from, at));
        // Where nobody signed yet, the first to come will have what the Secret holds.
        return [...new Set(chains.length > 0 ? chains : this.issuersBetween(at, at))];
    }

    /** What the Secret held at `from`, and what came until `to`. */
    private issuersBetween(from: number, to: number): string[] {
        const known = this.issuers.filter((one) => one.from <= to);
        const first = known.findLastIndex((one) => one.from <= from);
        return known.slice(Math.max(first, 0)).map(({ value }) => value);
    }

    /** A pod that has finished runs no proxy any more; it may stay as an object. */
    private end(uid: string, version: number): void {
        const seen = this.pods.get(uid);
        if (seen) {
            seen.to = Math.min(seen.to, version);
            this.endSigning(seen, version);
        }
    }

    private endSigning({ signs }: SeenPod, version: number): void {
        if (signs) {
            signs.to = Math.min(signs.to, version);
        }
    }

    /** A pod gets requests while it is Ready and not on its way out. */
    private seeSigner(pod: V1Pod, version: number): void {
        const { uid = "", labels = {}, deletionTimestamp } = pod.metadata ?? {};
        const seen = this.pods.get(uid);
        if (seen === undefined || labels["linkerd.io/control-plane-component"] !== "identity") {
            return;
        }
        seen.signs ??= { from: Infinity, to: Infinity };
        if (deletionTimestamp !== undefined) {
            this.endSigning(seen, version);
        } else if (seen.signs.from === Infinity && isReady(pod)) {
            seen.signs = { from: version, to: Infinity };
        }
    }

    private see(pod: V1Pod, version: number): void {
        const { uid = "" } = pod.metadata ?? {};
        if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") {
            this.end(uid, version);
            return;
        }
        this.seeProxy(pod, version);
        this.seeSigner(pod, version);
    }

    private seeProxy(pod: V1Pod, version: number): void {
        const { uid = "", namespace, name } = pod.metadata ?? {};
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

function isReady({ status }: V1Pod): boolean {
    return (status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
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
