import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChartValues } from "../../config";
import {
    at,
    controlPlaneValues,
    crdValues,
    merge,
    valueFaults,
    vizValues,
} from "../../plan/values";
import { WEBHOOKS, type WebhookCertificates } from "../../plan/webhooks";
import { versionAt } from "./support/releases";

const version = versionAt("edge-24.7.5");
const UID = "1d6d3c0a-8f5e-4f8a-9f7e-2f1f0f9d0a11";
const KEY = "PRIVATE";
const webhooks: WebhookCertificates = {
    ca: { certificate: "CA", key: KEY },
    leaves: Object.fromEntries(
        WEBHOOKS.map(({ service }) => [service, { certificate: `${service} CERT`, key: KEY }]),
    ),
    bundles: Object.fromEntries(WEBHOOKS.map(({ service }) => [service, "CA"])),
};
const identity = {
    scheme: "kubernetes.io/tls",
    trustAnchors: "ANCHORS",
    issuer: { certificate: "ISSUER", key: KEY },
} as const;
const controlPlane = (values: ChartValues = {}, uid = UID) =>
    controlPlaneValues(values, version, identity, webhooks, uid);

describe("values of the charts", () => {
    it("are all of the control plane's, and of all its three webhooks", () => {
        const certificates = { externalSecret: true, caBundle: "CA" };
        expect(controlPlane()).toEqual({
            heartbeatSchedule: expect.any(String) as string,
            linkerdVersion: "edge-24.7.5",
            identityTrustAnchorsPEM: "ANCHORS",
            identity: { issuer: { scheme: "kubernetes.io/tls" } },
            proxyInjector: certificates,
            profileValidator: certificates,
            policyValidator: certificates,
        });
        expect(vizValues({}, version, webhooks)).toEqual({
            linkerdVersion: "edge-24.7.5",
            tap: certificates,
            tapInjector: certificates,
        });
        expect(crdValues({ enableHttpRoutes: false }, version)).toEqual({
            enableHttpRoutes: false,
            linkerdVersion: "edge-24.7.5",
        });
    });

    it("of an issuer in Linkerd's own scheme have its certificate, and a placeholder for the key", () => {
        const own = { ...identity, scheme: "linkerd.io/tls", issuedAt: "2026-11-21" } as const;
        const values = controlPlaneValues({}, version, own, webhooks, UID);
        expect(values["identity"]).toEqual({
            issuer: {
                scheme: "linkerd.io/tls",
                tls: { crtPEM: "ISSUER", keyPEM: "in the Secret of the stack" },
            },
        });
        expect(values["podAnnotations"]).toEqual({ "mesh-upgrade/issued-at": "2026-11-21" });
        expect(JSON.stringify(values)).not.toContain(KEY);
    });

    it("hold no private key, for they stand in plaintext in the state", () => {
        const all = [controlPlane(), vizValues({}, version, webhooks), crdValues({}, version)];
        expect(JSON.stringify(all)).not.toContain(KEY);
    });

    it("are the same at every render for any input, and leave the input as it was", () => {
        const values = fc.dictionary(fc.string(), fc.jsonValue());
        fc.assert(
            fc.property(values, fc.uuid(), (given, uid) => {
                const before = structuredClone(given);
                expect(JSON.stringify(controlPlane(given, uid))).toBe(
                    JSON.stringify(controlPlane(structuredClone(given), uid)),
                );
                expect(given).toEqual(before);
            }),
        );
    });

    it("keep the user's own beside what the program derives", () => {
        const given = {
            proxyInjector: { timeoutSeconds: 5 },
            identity: { issuer: { lifetime: "1h" } },
        };
        expect(controlPlane(given)).toMatchObject({
            proxyInjector: { timeoutSeconds: 5, externalSecret: true },
            identity: { issuer: { lifetime: "1h", scheme: "kubernetes.io/tls" } },
        });
    });
});

describe("the heartbeat", () => {
    it("has a schedule that cron accepts, for any uid", () => {
        fc.assert(
            fc.property(fc.oneof(fc.uuid(), fc.string(), fc.constant("")), (uid) => {
                const [minute, hour, ...rest] = String(
                    controlPlane({}, uid)["heartbeatSchedule"],
                ).split(" ");
                expect(rest).toEqual(["*", "*", "*"]);
                expect(minute).toMatch(/^([0-9]|[1-5][0-9])$/);
                expect(hour).toMatch(/^([0-9]|1[0-9]|2[0-3])$/);
            }),
        );
    });

    it.each([
        ["00000000-0000-4000-8000-000000000000", "0 0 * * *"],
        ["0000003d-0000-4000-8000-000000000000", "1 1 * * *"],
        ["000005a0-0000-4000-8000-000000000000", "0 0 * * *"],
        ["ffffffff-0000-4000-8000-000000000000", "15 4 * * *"],
    ])("of cluster %s is %s, always", (uid, schedule) => {
        expect(controlPlane({}, uid)["heartbeatSchedule"]).toBe(schedule);
        // As the CLI's linkerd-config has it where none is set.
        expect(controlPlane({ heartbeatSchedule: "" }, uid)["heartbeatSchedule"]).toBe(schedule);
    });

    it("is spread over the day, so that clusters do not call at once", () => {
        const uids = fc.sample(fc.uuid(), { numRuns: 200, seed: 1 });
        const schedules = uids.map((uid) => controlPlane({}, uid)["heartbeatSchedule"]);
        expect(new Set(schedules).size).toBeGreaterThan(150);
    });
});

describe("a derived value that the stack file sets as well", () => {
    const certificateKeys = [
        "externalSecret",
        "caBundle",
        "crtPEM",
        "keyPEM",
        "injectCaFrom",
        "injectCaFromSecret",
    ];
    const of = (name: string) => certificateKeys.map((key) => `${name}.${key}`);
    const paths = {
        crds: ["linkerdVersion"],
        controlPlane: [
            "linkerdVersion",
            "identityTrustAnchorsPEM",
            "identity.externalCA",
            "identity.issuer.scheme",
            "identity.issuer.tls",
            ...["proxyInjector", "profileValidator", "policyValidator"].flatMap(of),
        ],
        viz: ["linkerdVersion", ...["tap", "tapInjector"].flatMap(of)],
    };
    const cases = Object.entries(paths).flatMap(([section, all]) =>
        all.map((path) => ({ section, path })),
    );
    it.each(cases)("is refused: $section.values.$path", ({ section, path }) => {
        const set = path.split(".").reduceRight<unknown>((value, key) => ({ [key]: value }), false);
        const none = { crds: {}, controlPlane: {}, viz: {} };
        expect(valueFaults({ ...none, [section]: set as ChartValues })).toEqual([
            {
                subject: `${section}.values.${path}`,
                rule: "is derived by the program (from linkerdVersion, identity and its own certificates)",
                next: `remove ${path} from ${section}.values`,
            },
        ]);
    });

    it("shows no value in the refusal: it may be a key", () => {
        const values = { proxyInjector: { keyPEM: KEY }, identity: { issuer: { tls: KEY } } };
        const faults = valueFaults({ crds: {}, controlPlane: values, viz: {} });
        expect(faults).toHaveLength(2);
        expect(JSON.stringify(faults)).not.toContain(KEY);
    });

    it("is none of the values that are the user's", () => {
        const values = {
            identity: { issuer: { clockSkewAllowance: "20s" } },
            proxyInjector: { namespaceSelector: {} },
            proxy: { image: { version: "edge-24.5.3" } },
        };
        expect(valueFaults({ crds: values, controlPlane: values, viz: values })).toEqual([]);
    });
});

describe("merge, as Helm does it", () => {
    it.each<[string, ChartValues[], ChartValues]>([
        ["nothing", [], {}],
        ["maps by key", [{ a: { b: 1, c: 2 } }, { a: { c: 3 } }], { a: { b: 1, c: 3 } }],
        ["lists as a whole", [{ a: [1, 2] }, { a: [3] }], { a: [3] }],
        ["a map over a scalar", [{ a: 1 }, { a: { b: 2 } }], { a: { b: 2 } }],
        ["a scalar over a map", [{ a: { b: 2 } }, { a: 1 }], { a: 1 }],
        ["null takes a default away", [{ a: { b: 1 } }, { a: { b: null } }], { a: { b: null } }],
        ["the last of three wins", [{ a: 1 }, { a: 2 }, { a: 3 }], { a: 3 }],
    ])("%s", (_, all, expected) => {
        expect(merge(...all)).toEqual(expected);
    });

    it.each([
        [{ a: { b: 0 } }, "a.b", 0],
        [{ a: { b: null } }, "a.b", null],
        [{ a: [1] }, "a.0", undefined],
        [{ a: "text" }, "a.length", undefined],
        [null, "a", undefined],
    ])("at: %j has at %s %j", (values, path, expected) => {
        expect(at(values, path)).toBe(expected);
    });
});
