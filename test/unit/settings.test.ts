import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChartValues } from "../../config";
import {
    difference,
    isKnown,
    NO_SETTINGS,
    settingFaults,
    settingLines,
    unknownSettings,
    withoutDerived,
} from "../../plan/settings";
import { merge } from "../../plan/values";

describe("settings of a live installation", () => {
    it("come without keys, certificates and what the program derives", () => {
        const live = {
            linkerdVersion: "edge-24.5.3",
            cliVersion: "linkerd/cli edge-24.5.3",
            identityTrustAnchorsPEM: "ANCHORS",
            identity: {
                issuer: {
                    scheme: "linkerd.io/tls",
                    issuanceLifetime: "12h0m0s",
                    tls: { crtPEM: "CERT", keyPEM: "KEY" },
                },
            },
            proxyInjector: { crtPEM: "C", keyPEM: "K", caBundle: "B", timeoutSeconds: 5 },
            other: { text: "-----BEGIN EC PRIVATE KEY-----" },
        };
        expect(withoutDerived("controlPlane", live, "edge-24.5.3")).toEqual({
            identity: { issuer: { issuanceLifetime: "12h0m0s" } },
            proxyInjector: { timeoutSeconds: 5 },
        });
    });

    it("do not hold an upgrade back by image versions that the old installer filled in", () => {
        const live = {
            controllerImageVersion: "edge-24.5.3",
            proxy: { image: { version: "edge-24.5.3" } },
            proxyInit: { image: { version: "v2.4.1" } },
        };
        expect(withoutDerived("controlPlane", live, "edge-24.5.3")).toEqual({
            proxyInit: { image: { version: "v2.4.1" } },
        });
    });

    it("are what differs from the chart's defaults; a list is one setting", () => {
        const defaults = { a: 1, b: { c: [1, 2], d: "x" }, e: {} };
        const live = { a: 1, b: { c: [2], d: "x" }, e: {}, f: { g: false } };
        expect(difference(live, defaults)).toEqual({ b: { c: [2] }, f: { g: false } });
    });

    it("put back over the defaults give the live values, for any values", () => {
        const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean());
        const values = fc.dictionary(
            fc.constantFrom("a", "b", "c"),
            fc.oneof(leaf, fc.dictionary(fc.constantFrom("x", "y"), leaf, { minKeys: 1 })),
        );
        fc.assert(
            fc.property(values, values, (defaults, changes) => {
                const live = merge(defaults, changes);
                expect(merge(defaults, difference(live, defaults))).toEqual(live);
            }),
        );
    });

    it.each<{ name: string; values: ChartValues; unknown: string[][] }>([
        { name: "a key that went", values: { gone: 1 }, unknown: [["gone"]] },
        { name: "a key inside", values: { proxy: { gone: 1 } }, unknown: [["proxy", "gone"]] },
        { name: "what is there", values: { proxy: { logLevel: "x" } }, unknown: [] },
        { name: "anything below an empty map", values: { extra: { a: { b: 1 } } }, unknown: [] },
        { name: "a label of the user's", values: { nodeSelector: { zone: "a" } }, unknown: [] },
        { name: "what was a comment before", values: { tolerations: [{}] }, unknown: [] },
        { name: "what is a comment by now", values: { moved: { cpu: 1 } }, unknown: [] },
        { name: "a longer name", values: { mov: 1 }, unknown: [["mov"]] },
    ])("are looked up in both charts: $name", ({ values, unknown }) => {
        const both = { proxy: { logLevel: "warn" }, extra: {}, nodeSelector: { os: "linux" } };
        const before = { ...both, gone: 0, mov: 0, moved: {}, proxy: { logLevel: "", gone: 0 } };
        const templates = "{{ with .Values.moved }}{{ toYaml . }}{{ end }}";
        expect(unknownSettings(values, { values: before }, { values: both, templates })).toEqual(
            unknown,
        );
    });

    it("are shown as they stand in a stack file", () => {
        const controlPlane = { podAnnotations: { "a.example/b": "c" }, proxy: { cores: 2 } };
        expect(settingLines({ ...NO_SETTINGS, controlPlane })).toEqual([
            'controlPlane.values.podAnnotations["a.example/b"]: "c"',
            "controlPlane.values.proxy.cores: 2",
        ]);
    });

    it("are not lost when adopt goes: each that the stack file does not name is refused", () => {
        const taken = { ...NO_SETTINGS, viz: { dashboard: { replicas: 2 }, jaegerUrl: "j" } };
        const own = { ...NO_SETTINGS, viz: { jaegerUrl: "another" } };
        expect(settingFaults(taken, own)).toMatchObject([
            { subject: "viz.values.dashboard.replicas", value: "2" },
        ]);
    });
});

describe("a chart knows a setting", () => {
    const known = (path: string, templates: string, values: ChartValues = { node: { os: 1 } }) =>
        isKnown(path.split("."), { values, templates });

    it("that its values.yaml has, or a template uses", () => {
        expect(known("node.os", "")).toBe(true);
        expect(known("node.disk", "{{ .Values.node.disk }}")).toBe(true);
        expect(known("node.disk", "{{ .Values.node.diskType }}")).toBe(false);
    });

    it("below a map that a template hands on as it is", () => {
        for (const use of ["{{ toYaml .Values.node | nindent 2 }}", "{{- with .Values.node -}}"]) {
            expect(known("node.disk", use)).toBe(true);
        }
        for (const use of ["{{ with (.Values.node).os }}", "{{ toYaml .Values.node.os }}"]) {
            expect(known("node.disk", use)).toBe(false);
        }
    });
});
