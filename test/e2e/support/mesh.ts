import type { KubeConfig } from "@kubernetes/client-node";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { KubeApi } from "../../../cluster/api";
import { connect, type Connection } from "../../../cluster/connection";
import { startCluster, type ClusterOptions, type EmbeddedCluster } from "../../../embedded/cluster";
import { loadContext } from "../../../embedded/context";
import { ensureToolchain } from "../../../toolchain/index";
import {
    changeInjector,
    configureVersion,
    installInjector,
    proxyOf,
} from "../embeddedCluster.mesh";
import { waitFor } from "./waiting";

/** A cluster whose injector can be switched to another proxy, as an upgrade of Linkerd does, without Pulumi. */
export interface Mesh {
    readonly cluster: EmbeddedCluster;
    readonly connection: Connection;
    readonly config: KubeConfig;
    readonly api: KubeApi;
    /** Where programs run that are started for this mesh: empty at first, gone with the cluster. */
    readonly folder: string;
    /** What new pods get from now on; pods that exist become stale. */
    readonly switchTo: (version: string) => Promise<void>;
    /** Creates the objects in their order. */
    readonly create: (...objects: readonly object[]) => Promise<void>;
    readonly dispose: () => Promise<void>;
}

/** The Service spreads calls over the injector's pods: so many right answers in a row say that both are new. */
const RIGHT_ANSWERS = 10;

export async function startMesh(
    name: string,
    version: string,
    options: Pick<ClusterOptions, "nodes" | "large" | "progress"> = {},
): Promise<Mesh> {
    const { progress = (line: string) => console.log(line) } = options;
    const { programs } = await ensureToolchain({ progress });
    const cluster = await startCluster({ ...options, name, programs });
    const { kubeconfig, context, uid } = cluster;
    const connection = await connect({ kubeconfig, context, clusterUid: uid });
    const config = loadContext(kubeconfig, context);
    const api = new KubeApi(connection);
    const folder = join(cluster.directory, "shell");
    await mkdir(folder);
    await installInjector(config, version);
    let current = version;
    const rightAnswers = async (proxy: string) => {
        for (let right = 0; right < RIGHT_ANSWERS; right++) {
            if ((await injectedProxy(api)) !== proxy) {
                return false;
            }
        }
        return true;
    };
    return {
        cluster,
        connection,
        config,
        api,
        folder,
        switchTo: async (proxy) => {
            if (proxy === current) {
                return;
            }
            current = proxy;
            await configureVersion(config, proxy);
            await changeInjector(config, { restartedAt: new Date().toISOString() });
            await waitFor(`the injector to give ${proxy}`, () => rightAnswers(proxy), 30_000);
        },
        create: async (...objects) => {
            for (const object of objects) {
                await connection.objects.create(object);
            }
        },
        dispose: async () => {
            api.close();
            await cluster.stop();
        },
    };
}

async function injectedProxy(api: KubeApi): Promise<string | undefined> {
    const pod = await api.send("POST", "/api/v1/namespaces/default/pods", {
        query: { dryRun: "All" },
        body: {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "probe", annotations: { "linkerd.io/inject": "enabled" } },
            spec: { containers: [{ name: "probe", image: "probe" }] },
        },
    });
    return proxyOf(pod)?.split(":").at(-1);
}
