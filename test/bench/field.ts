import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { EmbeddedCluster } from "../../embedded/cluster";
import { createLoad, waitForLoad, type LoadOptions } from "../../embedded/load";
import { proxyOf } from "../e2e/embeddedCluster.mesh";
import { startMesh, type Mesh } from "../e2e/support/mesh";
import { Observer } from "./observer";
import type { Session } from "./session";

/** Pods that fit on a node, with room for the surge of a rollout and for pods that terminate. */
const PODS_PER_NODE = 250;

const FIRST = "edge-24.5.1";

/** A cluster with a mesh of stand-ins and a load of meshed Deployments. */
export class Field {
    private release = 1;
    private folders = 0;

    private constructor(
        private readonly mesh: Mesh,
        readonly observer: Observer,
        private readonly session: Session,
    ) {}

    /** @param pods the most that there will be */
    static async open(session: Session, pods: number): Promise<Field> {
        const { say, signal } = session;
        const nodes = Math.max(3, Math.ceil(pods / PODS_PER_NODE));
        const mesh = await startMesh("bench", FIRST, { nodes, large: true, progress: say });
        session.atEnd(() => mesh.dispose());
        signal.throwIfAborted();
        const observer = new Observer(mesh.connection);
        session.atEnd(() => observer.stop());
        await observer.start();
        say(`The mesh gives new pods proxy ${FIRST}; ${nodes} nodes.`);
        return new Field(mesh, observer, session);
    }

    get cluster(): EmbeddedCluster {
        return this.mesh.cluster;
    }

    /** Creates Deployments, and waits until their pods are ready. */
    async addLoad(options: LoadOptions, limit: number): Promise<void> {
        const { kubeconfig, context } = this.cluster;
        const { say: progress, signal } = this.session;
        await createLoad(kubeconfig, context, { ...options, progress });
        signal.throwIfAborted();
        await waitForLoad(kubeconfig, context, { ...options, limit, progress });
        await this.observer.settled(signal);
    }

    /** What new pods get now. */
    get version(): string {
        return `edge-24.5.${this.release}`;
    }

    /** Makes every meshed pod stale, as an upgrade of the control plane does: new pods get a newer proxy. */
    async upgradeControlPlane(): Promise<void> {
        await this.observer.settled(this.session.signal);
        this.release += 1;
        await this.mesh.switchTo(this.version);
    }

    /** @throws where a pod of the load has not got the proxy of now. */
    async assertUpgraded(): Promise<void> {
        const stale = (
            await this.mesh.api.list(
                "/api/v1/pods",
                (pod) => {
                    const { name, deletionTimestamp } = pod["metadata"] as {
                        name: string;
                        deletionTimestamp?: string;
                    };
                    const current = tagOf(proxyOf(pod)) === this.version;
                    return current || deletionTimestamp !== undefined ? undefined : name;
                },
                { labelSelector: "app.kubernetes.io/part-of" },
            )
        ).items;
        if (stale.length > 0) {
            throw new Error(`${stale.length} pods are stale, such as ${stale[0]}: no fair measure`);
        }
    }

    /** A fresh, empty folder, which goes with the cluster. */
    async folder(): Promise<string> {
        const path = join(this.cluster.directory, `bench-${(this.folders += 1)}`);
        await mkdir(path);
        return path;
    }
}

function tagOf(image: string | undefined): string | undefined {
    return image?.split(":").at(-1);
}
