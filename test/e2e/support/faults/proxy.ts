import { randomUUID } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { EmbeddedCluster } from "../../../../embedded/cluster";
import { fault, type Fault } from "./fault";

/** A way to the API server that can break. */
export interface CutProxy extends Fault {
    /** Of a kubeconfig that leads through it, with the context of the one it was made from. */
    readonly kubeconfig: string;
    /** How many connections go through it now. */
    connections(): number;
    /** Breaks all connections, watches included; new ones are taken at once. */
    cut(): void;
    /** Takes everything and hands nothing on, for so long; then all goes on. */
    blackhole(ms: number): void;
}

/**
 * Puts a TCP proxy before the API server; TLS goes through it untouched.
 * @param options.kubeconfig whose user and context are kept; defaults to the cluster's own
 */
export async function cutProxy(
    cluster: EmbeddedCluster,
    { kubeconfig = cluster.kubeconfig }: { kubeconfig?: string } = {},
): Promise<CutProxy> {
    const config = JSON.parse(await readFile(kubeconfig, "utf8")) as {
        clusters: { cluster: { server: string } }[];
    };
    const { hostname, port } = new URL(config.clusters[0]?.cluster.server ?? "");
    const pairs = new Set<Pair>();
    let dark: NodeJS.Timeout | undefined;

    const server = createServer({ allowHalfOpen: true }, (client) => {
        const upstream = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
        const pair: Pair = [client, upstream];
        pairs.add(pair);
        for (const socket of pair) {
            // The other side's "close" says all that has to be known.
            socket.on("error", () => undefined);
            socket.once("close", () => {
                pairs.delete(pair);
                for (const one of pair) one.destroy();
            });
        }
        if (dark === undefined) connectPair(pair);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = join(cluster.directory, `kubeconfig-through-proxy-${randomUUID()}`);
    const clusters = config.clusters.map((one) => ({
        ...one,
        cluster: { ...one.cluster, server: address },
    }));
    await writeFile(path, JSON.stringify({ ...config, clusters }, null, 4), { mode: 0o600 });

    const cut = () => {
        for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    };
    const light = () => {
        clearTimeout(dark);
        dark = undefined;
        for (const pair of pairs) connectPair(pair);
    };
    return {
        kubeconfig: path,
        connections: () => pairs.size,
        cut,
        blackhole: (ms) => {
            clearTimeout(dark);
            dark = setTimeout(light, ms);
            for (const pair of pairs) partPair(pair);
        },
        ...fault(async () => {
            clearTimeout(dark);
            const closed = new Promise((resolve) => server.close(resolve));
            cut();
            await closed;
            await rm(path, { force: true });
        }),
    };
}

type Pair = readonly [Socket, Socket];

function connectPair([client, upstream]: Pair): void {
    client.pipe(upstream);
    upstream.pipe(client);
}

function partPair(pair: Pair): void {
    for (const socket of pair) {
        socket.unpipe();
        socket.pause();
    }
}
