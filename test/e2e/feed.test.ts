// Feeds and leases are tested on a scripted server, too; here the real API server says what is true.
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { KubeApi, type RawObject } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { Feed } from "../../cluster/feed";
import { startCluster, type EmbeddedCluster } from "../../embedded/cluster";
import { ensureToolchain } from "../../toolchain/index";

const PATH = "/api/v1/namespaces/default/configmaps";

let cluster: EmbeddedCluster;
let api: KubeApi;

beforeAll(async () => {
    const { programs } = await ensureToolchain();
    cluster = await startCluster({ name: "feed", programs, nodes: 1 });
    api = new KubeApi(
        await connect({
            kubeconfig: cluster.kubeconfig,
            context: cluster.context,
            clusterUid: cluster.uid,
        }),
    );
});

afterAll(async () => {
    api?.close();
    await cluster?.stop();
});

const configMap = (name: string, value: string) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { feed: "yes" } },
    data: { value },
});
const valueOf = (item: RawObject) => (item["data"] as Record<string, string>)["value"];

it("A feed follows what is created, patched and deleted", async () => {
    await api.send("POST", PATH, { body: configMap("before", "1") });
    const told: string[] = [];
    const troubles: string[] = [];
    const feed = new Feed(api, PATH, valueOf, {
        query: { labelSelector: "feed=yes" },
        onTrouble: (reason) => troubles.push(reason),
    });
    feed.onChange((key, now, before) => told.push(`${key}: ${before} -> ${now}`));
    try {
        await feed.start();
        expect(Object.fromEntries(feed.items)).toEqual({ "default/before": "1" });
        await api.send("POST", PATH, { body: configMap("after", "1") });
        await api.mergePatch(`${PATH}/after`, { data: { value: "2" } });
        await api.send("DELETE", `${PATH}/before`);
        // What no longer matches the selector is gone, too.
        await api.mergePatch(`${PATH}/after`, { metadata: { labels: { feed: null } } });
        await vi.waitFor(() => expect(told.at(-1)).toBe("default/after: 2 -> undefined"), 10_000);
        expect(told).toEqual([
            "default/before: undefined -> 1",
            "default/after: undefined -> 1",
            "default/after: 1 -> 2",
            "default/before: 1 -> undefined",
            "default/after: 2 -> undefined",
        ]);
        expect(feed.items.size).toBe(0);
        expect(troubles).toEqual([]);
    } finally {
        await feed.stop();
    }
});

it("Every page of a long collection is read, and its pages are packed", async () => {
    const names = Array.from({ length: 620 }, (_, nth) => `long-${nth}`);
    for (let nth = 0; nth < names.length; nth += 20) {
        await Promise.all(
            names
                .slice(nth, nth + 20)
                .map((name) => api.send("POST", PATH, { body: configMap(name, "x".repeat(500)) })),
        );
    }
    const { items } = await api.list(PATH, (item) => (item["metadata"] as { name: string }).name);
    expect(items.filter((name) => name.startsWith("long-")).sort()).toEqual([...names].sort());
});
