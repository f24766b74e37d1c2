import { afterEach, expect, it, vi } from "vitest";
import { KubeApi, type RawObject } from "../../cluster/api";
import { Feed, type FeedOptions } from "../../cluster/feed";
import {
    events,
    failure,
    object,
    page,
    startScript,
    valueOf,
    type ScriptedServer,
    type Step,
} from "./support/scriptedServer";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
    for (const close of closing.splice(0).reverse()) {
        await close();
    }
});

interface Scene {
    readonly server: ScriptedServer;
    readonly feed: Feed<number>;
    /** `key: before -> now`, in the order in which they were told. */
    readonly told: string[];
    readonly troubles: string[];
    /** Waits until so many requests came and the last difference is this one. */
    readonly until: (requests: number, lastTold?: string) => Promise<void>;
    readonly items: () => Record<string, number>;
}

const positive = (item: RawObject) => (valueOf(item) > 0 ? valueOf(item) : undefined);

async function play(steps: readonly Step[], options: FeedOptions = {}): Promise<Scene> {
    const server = await startScript(steps);
    const api = new KubeApi(server.connection, { patienceMs: 1_500 });
    const told: string[] = [];
    const troubles: string[] = [];
    const feed = new Feed(api, "/things", positive, {
        onTrouble: (reason) => troubles.push(reason.replace(/[\d.]+ s$/, "N s")),
        ...options,
    });
    feed.onChange((key, now, before) => told.push(`${key}: ${before} -> ${now}`));
    closing.push(server.close, () => feed.stop());
    return {
        server,
        feed,
        told,
        troubles,
        until: (requests, lastTold) =>
            vi.waitFor(
                () => {
                    expect(server.requests.length).toBeGreaterThanOrEqual(requests);
                    if (lastTold) {
                        expect(told.at(-1)).toBe(lastTold);
                    }
                },
                { timeout: 30_000, interval: 20 },
            ),
        items: () => Object.fromEntries(feed.items),
    };
}

const watchFrom = (version: number) => `GET /things?watch=1&resourceVersion=${version}`;
const hold = events([], "hold");

it("A feed holds the list and follows every event; what the slimmer drops is gone", async () => {
    const { server, feed, told, troubles, until, items } = await play(
        [
            page([object("a", 1), object("no", -1)], "10", "two"),
            page([object("b", 2)], "10"),
            events(
                [
                    ["ADDED", object("c", 3, "11")],
                    ["MODIFIED", object("a", 4, "12")],
                    ["MODIFIED", object("a", 4, "13")],
                    ["MODIFIED", object("b", -1, "14")],
                    ["DELETED", object("no", -1, "15")],
                    ["DELETED", object("c", 3, "16")],
                    ["ADDED", { metadata: { name: "node", resourceVersion: "17" }, value: 5 }],
                ],
                "hold",
            ),
        ],
        { query: { labelSelector: "x" } },
    );
    expect(feed.staleSince).toBeUndefined();
    await feed.start();
    expect(items()).toEqual({ "ns/a": 1, "ns/b": 2 });
    await until(3, "node: undefined -> 5");
    expect(items()).toEqual({ "ns/a": 4, node: 5 });
    expect(told).toEqual([
        "ns/a: undefined -> 1",
        "ns/b: undefined -> 2",
        "ns/c: undefined -> 3",
        "ns/a: 1 -> 4",
        "ns/b: 2 -> undefined",
        "ns/c: 3 -> undefined",
        "node: undefined -> 5",
    ]);
    expect(server.requests).toEqual([
        "GET /things?labelSelector=x",
        "GET /things?labelSelector=x&continue=two",
        "GET /things?labelSelector=x&watch=1&resourceVersion=10",
    ]);
    expect(feed.staleSince).toBe(0);
    expect(troubles).toEqual([]);
});

it("A dropped watch goes on where it stopped, bookmarks included, and nothing is listed again", async () => {
    const { server, feed, told, troubles, until, items } = await play([
        page([object("a", 1)], "10"),
        events([["ADDED", object("b", 2, "11")]], "cut"),
        events([["BOOKMARK", { metadata: { resourceVersion: "20" } }]], "end"),
        events([["MODIFIED", object("b", 3, "21")]], "cut within an event"),
        (response) => response.destroy(),
        events([["MODIFIED", object("b", 4, "22")]], "end"),
        failure(500, "restarting"),
        failure(503),
        events([["MODIFIED", object("b", 5, "23")]], "end"),
        failure(429, "storm", { "Retry-After": "1" }),
        events([["DELETED", object("a", 1, "24")]], "hold"),
    ]);
    await feed.start();
    await until(11, "ns/a: 1 -> undefined");
    expect(items()).toEqual({ "ns/b": 5 });
    expect(told).toEqual([
        "ns/a: undefined -> 1",
        "ns/b: undefined -> 2",
        "ns/b: 2 -> 3",
        "ns/b: 3 -> 4",
        "ns/b: 4 -> 5",
        "ns/a: 1 -> undefined",
    ]);
    expect(server.requests).toEqual([
        "GET /things",
        ...[10, 11, 20, 21, 21, 22, 22, 22, 23, 23].map(watchFrom),
    ]);
    // The ends that the server made are no trouble.
    expect(troubles).toEqual([
        `/things: no answer from ${server.url} (aborted); watched again in N s`,
        `/things: no answer from ${server.url} (aborted); watched again in N s`,
        `/things: no answer from ${server.url} (socket hang up); watched again in N s`,
        "/things: the API server answers 500 (restarting); watched again in N s",
        "/things: the API server answers 503; watched again in N s",
        "/things: the API server answers 429 (storm); watched again in N s",
    ]);
}, 40_000);

const gaps: [string, Step][] = [
    ["as a status", failure(410, "too old resource version: 10 (90)")],
    ["as an event", events([["ERROR", { kind: "Status", code: 410, message: "too old" }]], "end")],
    ["of an etcd that was restored", failure(504, "Too large resource version: 10, current: 3")],
    ["of a collection that was made anew", failure(404, "the server could not find it")],
];

it.each(gaps)(
    "An expired resourceVersion, %s, leads to a list, and what the gap hid is told",
    async (_, gap) => {
        const { server, feed, told, until, items } = await play([
            page([object("gone", 1), object("kept", 2), object("new value", 3)], "10"),
            gap,
            failure(500),
            page([object("kept", 2), object("new value", 4), object("added", 5)], "91"),
            hold,
        ]);
        await feed.start();
        told.splice(0);
        await until(5);
        expect(items()).toEqual({ "ns/kept": 2, "ns/new value": 4, "ns/added": 5 });
        expect(told).toEqual([
            "ns/gone: 1 -> undefined",
            "ns/new value: 3 -> 4",
            "ns/added: undefined -> 5",
        ]);
        expect(server.requests).toEqual([
            "GET /things",
            watchFrom(10),
            "GET /things",
            "GET /things",
            watchFrom(91),
        ]);
    },
    40_000,
);

it("A list that expires between its pages is read again, without a difference that was none", async () => {
    const { feed, told, until, items } = await play([
        page([object("a", 1)], "10", "two"),
        failure(410, "expired"),
        page([object("a", 2)], "12", "two"),
        page([object("b", 3)], "12"),
        hold,
    ]);
    await feed.start();
    await until(5);
    expect(items()).toEqual({ "ns/a": 2, "ns/b": 3 });
    expect(told).toEqual(["ns/a: undefined -> 2", "ns/b: undefined -> 3"]);
});

it("An API server that is away for longer than the patience of a list is waited for", async () => {
    const { server, feed, troubles, until, items } = await play([
        page([object("a", 1)], "10"),
        failure(410, "too old"),
        ...Array<Step>(5).fill(failure(503)),
        page([object("a", 2)], "99"),
        hold,
    ]);
    await feed.start();
    await until(9);
    expect(items()).toEqual({ "ns/a": 2 });
    expect(troubles).toContain("/things: the API server answers 503; listed again in N s");
    expect(server.requests.at(-1)).toBe(watchFrom(99));
}, 60_000);

it("Watches that end at once come back in growing intervals, not in a storm", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    closing.push(() => Promise.resolve(void vi.restoreAllMocks()));
    const troubles: string[] = [];
    const { feed, until } = await play(
        [page([], "10"), failure(500), failure(500), failure(500), hold],
        { onTrouble: (reason) => troubles.push(reason.replace(/.*again/, "again")) },
    );
    await feed.start();
    await until(5);
    expect(troubles).toEqual(["again in 0.3 s", "again in 0.5 s", "again in 1 s"]);
}, 20_000);

it("A feed knows how long it has been out of touch", async () => {
    const { feed, until } = await play([
        page([object("a", 1)], "10"),
        ...Array<Step>(3).fill(failure(500)),
        hold,
    ]);
    await feed.start();
    await until(3);
    const early = feed.staleSince;
    expect(early).toBeGreaterThan(0);
    await until(4);
    expect(feed.staleSince).toBeGreaterThan(early ?? Infinity);
    await until(5);
    await vi.waitFor(() => expect(feed.staleSince).toBe(0));
}, 20_000);

it("A first list that is refused, or has no answer in time, rejects the start", async () => {
    const refused = await play([failure(403, "things is forbidden")]);
    await expect(refused.feed.start()).rejects.toMatchObject({ status: 403 });
    expect(refused.server.requests).toHaveLength(1);
    const missing = await play([failure(404, "no such kind")]);
    await expect(missing.feed.start()).rejects.toMatchObject({ status: 404 });
    const silent = await play(Array<Step>(20).fill(failure(503, "not yet")));
    await expect(silent.feed.start()).rejects.toThrow("not yet");
});

it("A collection that need not exist is empty and not watched", async () => {
    const { server, feed, items } = await play([failure(404)], { optional: true });
    await feed.start();
    expect(items()).toEqual({});
    await feed.stop();
    expect(server.requests).toEqual(["GET /things"]);
});

it("After stop nothing is asked or told any more, also where stop interrupts a pause or the first list", async () => {
    const { server, feed, told } = await play([page([], "10"), failure(500), failure(500)]);
    await feed.start();
    await vi.waitFor(() => expect(server.requests).toHaveLength(2));
    await feed.stop();
    const asked = server.requests.length;
    expect(feed.staleSince).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(server.requests).toHaveLength(asked);
    expect(told).toEqual([]);

    const early = await play([() => undefined]);
    const started = expect(early.feed.start()).rejects.toThrow("the feed of /things was stopped");
    await vi.waitFor(() => expect(early.server.requests).toHaveLength(1));
    await early.feed.stop();
    await started;
});

it("A listener that unsubscribed is not told", async () => {
    const { feed, told, until } = await play([
        page([], "10"),
        events([["ADDED", object("a", 1, "11")]], "hold"),
    ]);
    const other: string[] = [];
    const unsubscribe = feed.onChange((key) => other.push(key));
    unsubscribe();
    await feed.start();
    await until(2, "ns/a: undefined -> 1");
    expect(other).toEqual([]);
    expect(told).toHaveLength(1);
});
