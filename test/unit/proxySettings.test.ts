import { describe, expect, it } from "vitest";
import { proxySettingsGoneInput } from "../../rollout/input";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { isStale, proxyTarget } from "../../plan/dataPlane";
import {
    begunRecord,
    planProxySettings,
    recordedSince,
    settingsDigest,
    settledRecord,
    type ConfiguredNamespace,
} from "../../plan/proxySettings";
import { podOf } from "./support/meshedPods";

const T1 = "2026-11-21T10:00:00.000Z";
const nsOf = (
    name: string,
    record?: ConfiguredNamespace["record"],
    config: ConfiguredNamespace["config"] = {},
): ConfiguredNamespace => ({ name, uid: `uid-${name}`, record, config });
const configOf = (proxy: unknown) =>
    (
        parseConfig({
            context: "kind",
            clusterUid: "0a1b",
            linkerdVersion: "edge-24.5.3",
            proxy,
        }) as LinkerdStackConfig
    ).proxy;
const OPAQUE = { "config.linkerd.io/opaque-ports": "3306" };

describe("settings of a namespace", () => {
    it("become annotations; a number of YAML is a port", () => {
        const config = configOf({
            namespaces: { shop: { opaquePorts: 3306, accessLog: "json", cpuLimit: 1 }, batch: {} },
        });
        expect(planProxySettings(config, {}, [nsOf("shop"), nsOf("batch")])).toEqual({
            digest: "",
            namespaces: {
                shop: {
                    ...OPAQUE,
                    "config.linkerd.io/access-log": "json",
                    "config.linkerd.io/proxy-cpu-limit": "1",
                },
            },
            uids: { shop: "uid-shop" },
            since: { namespaces: new Map([["shop", Infinity]]) },
            lines: [
                "proxy settings of namespace shop: none -> access-log=json opaque-ports=3306 proxy-cpu-limit=1",
            ],
            faults: [],
        });
    });

    it.each([
        [{ shop: { opaquePorts: "mysql" } }, "proxy.namespaces.shop.opaquePorts"],
        [{ shop: { memoryLimit: "much" } }, "proxy.namespaces.shop.memoryLimit"],
        [{ shop: { accessLog: "text" } }, "proxy.namespaces.shop.accessLog"],
        [{ shop: { logLevel: "" } }, "proxy.namespaces.shop.logLevel"],
        [{ shop: { opaquePort: "1" } }, "proxy.namespaces.shop"],
        [{ Shop: {} }, "proxy.namespaces.Shop"],
    ])("%j is refused by its key", (namespaces, key) => {
        expect(() => configOf({ namespaces })).toThrow(key);
    });

    it("that the cluster lacks, that are the mesh's or that somebody else sets are refused at once", () => {
        const set = { opaquePorts: "3306" };
        const config = configOf({ namespaces: { gone: set, linkerd: set, shop: set, own: set } });
        const { faults } = planProxySettings(config, {}, [
            nsOf("linkerd"),
            nsOf("shop", undefined, { "config.linkerd.io/opaque-ports": "25" }),
            nsOf("own", { set: OPAQUE }, OPAQUE),
        ]);
        expect(faults.map(({ subject, rule }) => `${subject}: ${rule}`)).toEqual([
            "proxy.namespaces.gone: the cluster has no such namespace",
            "proxy.namespaces.linkerd: is a namespace of the mesh itself",
            "proxy.namespaces.shop (annotation config.linkerd.io/opaque-ports): is set already, by somebody else",
        ]);
    });
});

describe("pods are stale by settings that came after them, and by those alone", () => {
    const plan = (namespaces: object, live: ConfiguredNamespace[], values = {}) =>
        planProxySettings(configOf({ namespaces }), values, live);
    const stale = (createdAt: string, since: ReturnType<typeof plan>["since"]) =>
        ["shop", "batch"].filter((namespace) =>
            isStale(
                podOf({ namespace, proxy: "p", createdAt: Date.parse(createdAt) }),
                proxyTarget("p", { settingsSince: since }),
            ),
        );
    const shop = nsOf("shop", { set: OPAQUE, since: T1 }, OPAQUE);
    const early = "2026-11-21T09:59:59Z";
    const late = "2026-11-21T10:00:00Z";

    it("what is recorded stays, and tells pods of before from those after", () => {
        const { since, lines } = plan({ shop: { opaquePorts: 3306 } }, [shop, nsOf("batch")]);
        expect(lines).toEqual([]);
        expect(since).toEqual(recordedSince([shop, nsOf("batch")]));
        expect(stale(early, since)).toEqual(["shop"]);
        expect(stale(late, since)).toEqual([]);
    });

    it("a setting that goes makes every pod of its namespace stale", () => {
        const { since, lines } = plan({}, [shop, nsOf("batch")]);
        expect(lines).toEqual(["proxy settings of namespace shop: opaque-ports=3306 -> none"]);
        expect(stale(late, since)).toEqual(["shop"]);
    });

    it("values of the mesh concern every pod, once their change is known", () => {
        const values = { proxy: { logLevel: "debug" } };
        const unknown = plan({}, [nsOf("linkerd")], values);
        expect([unknown.lines, stale(late, unknown.since)]).toEqual([[], []]);
        const { since, lines } = plan({}, [nsOf("linkerd", { digest: "" })], values);
        expect(lines).toHaveLength(1);
        expect(stale(late, since)).toEqual(["shop", "batch"]);
        const recorded = [nsOf("linkerd", { digest: unknown.digest, since: T1 })];
        expect(stale(early, plan({}, recorded, values).since)).toEqual(["shop", "batch"]);
        expect(stale(late, plan({}, recorded, values).since)).toEqual([]);
    });

    it("the order of keys, the proxy's version and values that no proxy gets are no change", () => {
        const digest = (values: object) => plan({}, [], values).digest;
        expect(digest({ proxy: { a: 1, b: 2 } })).toBe(digest({ proxy: { b: 2, a: 1 } }));
        expect(digest({ proxy: { image: { version: "x" } }, controllerReplicas: 3 })).toBe("");
        expect(digest({ proxy: { image: { name: "x" } } })).not.toBe("");
        expect(digest({ proxyInit: { a: 1 } })).not.toBe(digest({ proxy: { a: 1 } }));
    });

    it("namespaces that a preview may not list leave it unknown, and refuse nothing", () => {
        const config = configOf({ namespaces: { shop: { opaquePorts: 3306 } } });
        const { faults, lines, uids } = planProxySettings(config, {}, "HTTP 403");
        expect({ faults, lines, uids }).toEqual({
            faults: [],
            lines: ["proxy settings of namespaces: unknown: HTTP 403"],
            uids: {},
        });
    });

    it("a namespace that was made anew gets its settings again", () => {
        const digest = (uid: string) =>
            settingsDigest(
                planProxySettings(configOf({ namespaces: { shop: { opaquePorts: 3306 } } }), {}, [
                    { ...nsOf("shop"), uid },
                ]),
            );
        expect(digest("one")).not.toBe(digest("other"));
    });

    describe("of an update that does not end and is taken back", () => {
        const values = { proxy: { logLevel: "debug" } };
        const digest = plan({}, []).digest;
        const other = plan({}, [], values).digest;
        const at = (second: number) => `2026-11-21T11:00:0${second}.000Z`;
        const before = { digest, since: T1 };
        const begun = begunRecord(before, other, at(2)) ?? {};

        it("pods that were made meanwhile are stale, in preview and after; those of before and later are not", () => {
            const { since, lines } = plan({}, [nsOf("linkerd", begun)]);
            expect(lines).toEqual([
                `proxy settings of the mesh (controlPlane.values) go back, which an update that did not end had changed: pods that were made since ${at(2)} restart`,
            ]);
            expect([at(1), at(2), at(9)].map((one) => stale(one, since).length)).toEqual([0, 2, 2]);
            const settled = settledRecord(begun, digest, at(5));
            expect(settled?.moves).toBe(true);
            const live = [nsOf("linkerd", settled?.record)];
            const after = plan({}, live);
            expect(after.lines).toEqual([]);
            expect(after.since).toEqual(recordedSince(live));
            const made = [early, at(1), at(2), at(4), at(5)];
            expect(made.map((one) => stale(one, after.since).length)).toEqual([2, 0, 2, 2, 0]);
        });

        it("going on with it makes every pod stale, once", () => {
            const { since } = plan({}, [nsOf("linkerd", begun)], values);
            expect(stale(at(9), since)).toHaveLength(2);
            expect(settledRecord(begun, other, at(5))).toEqual({
                record: { digest: other, since: at(5) },
                moves: true,
            });
        });

        it("is recorded from its beginning, however often it is repeated, and only where settings change", () => {
            expect(begunRecord(begun, other, at(4))).toBeUndefined();
            expect(begunRecord(begun, digest, at(4))).toBeUndefined();
            expect(begunRecord(before, digest, at(4))).toBeUndefined();
            expect(begunRecord(undefined, other, at(4))).toBeUndefined();
            const settled = settledRecord(begun, digest, at(5))?.record;
            expect(begunRecord(settled, other, at(7))?.unfinished).toEqual({ from: at(2) });
            expect(settledRecord(before, digest, at(5))).toBeUndefined();
        });

        it("is no time that a rollout by hand could end", () => {
            expect(stale(at(3), recordedSince([nsOf("linkerd", begun)]))).toEqual([]);
        });
    });

    describe("of rendered YAML, whose values hold the chart's defaults", () => {
        const FULL = { proxy: { logLevel: "warn", cores: 0 }, proxyInit: { a: 1 }, other: 1 };
        const rendered = (digest: string | undefined, values: object, running: object) => {
            const live = [nsOf("linkerd", digest === undefined ? undefined : { digest })];
            const { digest: after, lines } = planProxySettings(
                configOf({}),
                values as Record<string, unknown>,
                live,
                running as Record<string, unknown>,
            );
            return { after, moves: lines.length > 0 };
        };

        it("those that run change nothing, whatever is recorded of the chart's", () => {
            for (const recorded of ["", "5e7"]) {
                expect(rendered(recorded, FULL, { ...FULL, other: 2 })).toEqual({
                    after: recorded,
                    moves: false,
                });
            }
            expect(rendered(undefined, FULL, {})).toEqual({ after: "", moves: false });
        });

        it("what the CLI writes though it is not set, or a chart has as nothing, is no change; a switch turned off is one", () => {
            const byChart = { ...FULL, proxy: { await: true, cores: 0, logLevel: "warn" } };
            const unset = { accessLog: "", isGateway: false, capabilities: null, control: {} };
            const byCli = { ...FULL, proxy: { await: true, logLevel: "warn", ...unset } };
            expect(rendered("5e7", byCli, byChart)).toEqual({ after: "5e7", moves: false });
            const off = { ...byCli, proxy: { ...byCli.proxy, await: false } };
            expect(rendered("5e7", off, byChart).moves).toBe(true);
        });

        it("an edited one moves the mesh, and once recorded it stays", () => {
            const edited = { ...FULL, proxy: { logLevel: "debug", cores: 0 } };
            const { after, moves } = rendered("", edited, FULL);
            expect([after.startsWith("rendered:"), moves]).toEqual([true, true]);
            expect(rendered(after, edited, edited)).toEqual({ after, moves: false });
        });

        it("the way back to a chart restarts nobody, since nobody knows that it is a change", () => {
            const { digest, lines } = plan({}, [nsOf("linkerd", { digest: "rendered:1" })], {
                proxy: { logLevel: "debug" },
            });
            expect([digest.startsWith("rendered:"), lines]).toEqual([false, []]);
        });
    });

    it("is taken away by the inputs of any earlier version of the program", () => {
        const cluster = { context: "prod", clusterUid: "0a1b" };
        const declared = { digest: "", namespaces: {}, uids: {} };
        expect(proxySettingsGoneInput.parse({ cluster, declared })).toEqual({ cluster });
    });

    it("nothing set is no trigger, so that a stack of before runs nothing", () => {
        expect(settingsDigest(plan({ shop: {} }, []))).toBeUndefined();
        expect(settingsDigest(plan({ shop: { opaquePorts: 1 } }, []))).toContain("opaque-ports");
    });
});
