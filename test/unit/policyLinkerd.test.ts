import { describe, expect, it } from "vitest";
import type { LiveLinkerd } from "../../cluster/linkerd";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { linkerdPolicy, type PolicyCircumstances } from "../../plan/policy/linkerd";
import { cliLines, noticeLines, pathLines } from "../../report/policy";
import { EMPTY, NOTHING } from "./support/live";
import { podOf } from "./support/meshedPods";

const config = (linkerdVersion: string, rest: Record<string, unknown> = {}) =>
    parseConfig({
        context: "kind",
        clusterUid: "0a1b",
        linkerdVersion,
        ...rest,
    }) as LinkerdStackConfig;
const live = (linkerdVersion: string, fields: Partial<LiveLinkerd> = {}): LiveLinkerd => ({
    ...EMPTY,
    installed: true,
    linkerdVersion,
    ...fields,
});
const given = (fields: Partial<PolicyCircumstances> = {}): PolicyCircumstances => ({
    pods: [],
    images: ["edge-24.5.3"],
    evidence: new Map(),
    acting: false,
    ...fields,
});

describe("versions are shown as they are", () => {
    const lineOf = (version: string, fields: Partial<PolicyCircumstances>) =>
        linkerdPolicy(config("edge-24.5.3"), live(version), given(fields)).lines[0];
    const pods = ["edge-24.3.1", "edge-24.5.3", "edge-24.5.3"].map((proxy) => podOf({ proxy }));

    it("mixed ones, the most frequent proxy first; finished pods do not count", () => {
        const all = [...pods, podOf({ proxy: "edge-24.1.1", phase: "Succeeded" })];
        expect(lineOf("edge-24.5.3", { pods: all, images: ["edge-24.3.1", "edge-24.5.3"] })).toBe(
            "control plane: edge-24.5.3 (linkerd-config), images edge-24.3.1, edge-24.5.3; proxies: edge-24.5.3 2, edge-24.3.1 1",
        );
    });

    it("what could not be read is unknown, what is not there none", () => {
        expect(lineOf("edge-24.5.3", { pods: undefined, images: "pods is forbidden" })).toBe(
            "control plane: edge-24.5.3 (linkerd-config), images unknown: pods is forbidden; proxies: unknown",
        );
        expect(lineOf("edge-24.5.3", { images: [] })).toBe(
            "control plane: edge-24.5.3 (linkerd-config), images none runs; proxies: none",
        );
    });
});

describe("the policy of an update", () => {
    it("of a first installation asks nothing, and records its version", () => {
        expect(linkerdPolicy(config("edge-24.7.5"), EMPTY, given())).toMatchObject({
            path: { verdict: "allowed", steps: ["edge-24.7.5"] },
            notices: [],
            faults: [],
            lines: [],
            ran: "edge-24.7.5",
        });
    });

    it.each([
        ["without a record: what runs and what comes", undefined, "edge-24.5.3,edge-24.7.5"],
        ["with one", ["edge-24.3.1"], "edge-24.3.1,edge-24.5.3,edge-24.7.5"],
        ["that has both", ["edge-24.5.3", "edge-24.7.5"], "edge-24.5.3,edge-24.7.5"],
    ])("the record %s", (_name, ran, expected) => {
        const namespaces = [{ name: "linkerd", stack: "a/b/c", ...(ran ? { ran } : {}) }];
        const found = live("edge-24.5.3", { namespaces });
        expect(linkerdPolicy(config("edge-24.7.5"), found, given()).ran).toBe(expected);
        // Right after the update, and after the revert, it is the same.
        const after = live("edge-24.7.5", {
            namespaces: [{ name: "linkerd", stack: "a/b/c", ran: expected.split(",") }],
        });
        expect(linkerdPolicy(config("edge-24.7.5"), after, given()).ran).toBe(expected);
        const back = linkerdPolicy(config("edge-24.5.3"), after, given());
        expect([back.ran, back.faults]).toEqual([expected, []]);
    });

    it("settings that were taken over count as values in use, and the stack file wins", () => {
        const overrides = { proxyInit: { resources: { cpu: { limit: "1" } } } };
        const installation = { ...NOTHING, overrides };
        const found = live("edge-24.5.3", { installation });
        const applies = (rest: Record<string, unknown>) =>
            linkerdPolicy(config("edge-24.7.5", rest), found, given()).notices.find(
                ({ id }) => id === "proxy-init-resources",
            )?.applies;
        expect(applies({})).toBe("yes");
        expect(applies({ controlPlane: { values: { proxyInit: { resources: null } } } })).toBe(
            "no",
        );
        const taken = { crds: {}, controlPlane: {}, viz: {} };
        const other = live("edge-24.5.3", { installation: { ...installation, taken } });
        expect(
            linkerdPolicy(config("edge-24.7.5"), other, given()).notices.map(
                ({ applies }) => applies,
            ),
        ).toContain("no");
    });

    it("settings of a release of Helm's that is adopted and upgraded at once count: the plan has them", () => {
        const values = {
            crds: {},
            controlPlane: { proxyInit: { resources: { cpu: { limit: "1" } } } },
            viz: {},
        };
        const applies = (fields: Partial<PolicyCircumstances>) =>
            linkerdPolicy(
                config("edge-24.7.5", { adopt: true }),
                live("edge-24.5.3", { installation: { ...NOTHING, foreign: true } }),
                given(fields),
            ).notices.find(({ id }) => id === "proxy-init-resources")?.applies;
        expect(applies({ values })).toBe("yes");
        expect(applies({})).toBe("no");
    });

    it("every reason comes at once: rules and notices", () => {
        const evidence = new Map([["shutdown-endpoint", { found: ["Job batch/report"] }]]);
        const { faults } = linkerdPolicy(
            config("edge-24.11.8"),
            live("edge-24.5.3"),
            given({ evidence }),
        );
        expect(faults.map(({ subject }) => subject)).toEqual([
            "linkerdVersion",
            "notice shutdown-endpoint",
        ]);
    });
});

it("who overrides the rule about what runs is still held up by what would be lost", () => {
    const { path, faults } = linkerdPolicy(
        config("edge-24.7.5", { policy: { override: ["linkerd-known-origin"] } }),
        live("edge-24.5.3-acme.1"),
        given({ evidence: new Map([["shutdown-endpoint", { found: ["Job batch/report"] }]]) }),
    );
    expect(path.verdict).toBe("overridden");
    expect(faults.map(({ subject }) => subject)).toEqual(["notice shutdown-endpoint"]);
});

describe("lines", () => {
    it("of the way: none where the version stays", () => {
        const { path } = linkerdPolicy(config("edge-24.5.3"), live("edge-24.5.3"), given());
        expect(pathLines(path)).toEqual([]);
        const up = linkerdPolicy(config("edge-24.7.5"), live("edge-24.5.3"), given());
        expect(pathLines(up.path)).toEqual(["path: edge-24.5.3 -> edge-24.7.5: allowed"]);
        expect(noticeLines([])).toEqual([]);
    });

    it("of a CLI on PATH: only where it is of another version", () => {
        expect(cliLines("linkerd", undefined, "edge-24.7.5")).toEqual([]);
        expect(cliLines("linkerd", "edge-24.7.5", "edge-24.7.5")).toEqual([]);
        expect(cliLines("istioctl", "1.26.4", "1.27.1")).toEqual([
            "warning: istioctl on PATH is 1.26.4, and the target 1.27.1: its own checks would compare with 1.26.4; to install it: curl -L https://istio.io/downloadIstio | ISTIO_VERSION=1.27.1 sh -",
        ]);
    });
});
