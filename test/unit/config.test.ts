import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../config";
import { RefusedError, type Fault } from "../../plan/faults";
import { versionAt } from "./support/releases";

const required = { context: "kind-prod", clusterUid: "0a1b-2c", linkerdVersion: "edge-24.7.5" };

function refusal(raw: Record<string, unknown>, secrets?: ReadonlySet<string>): RefusedError {
    try {
        parseConfig(raw, secrets);
    } catch (error) {
        if (error instanceof RefusedError) {
            return error;
        }
        throw error;
    }
    throw new Error("accepted");
}
const faultsOf = (raw: Record<string, unknown>, secrets?: ReadonlySet<string>): readonly Fault[] =>
    refusal(raw, secrets).faults;

const CONTEXT = "kubectl config get-contexts -o name, then: pulumi config set context NAME";
const UID =
    "pulumi config set clusterUid $(kubectl --context NAME get namespace kube-system -o jsonpath={.metadata.uid})";
const IDENTITY =
    "set identity.source to generated, adopted or cert-manager, or to config with identity.trustAnchors, identity.issuer.certificate and (secret) identity.issuer.key; identity.rotation is { issuer: NAME } or { anchor: NAME, stage: bundle, issuer or finish }";

describe("a stack file with three lines is enough", () => {
    const config = {
        mesh: "linkerd",
        context: "kind-prod",
        kubeconfig: undefined,
        clusterUid: "0a1b-2c",
        linkerdVersion: versionAt("edge-24.7.5"),
        charts: undefined,
        verify: { sha256: {} },
        adopt: false,
        prune: false,
        highAvailability: false,
        cni: { enabled: false, values: {} },
        proxy: { namespaces: {} },
        identity: { source: "generated" },
        certificates: { refuseBefore: "24h", renewWebhooksBefore: "365d", webhooks: "own" },
        crds: { values: {} },
        controlPlane: { values: {} },
        viz: { enabled: true, values: {} },
        extensions: {},
        policy: { override: new Set(), acknowledge: new Set() },
        checks: { ignore: [] },
        report: { workloads: "short", permissions: "refuse" },
        rollout: {
            events: false,
            waves: [
                {
                    name: "rest",
                    select: [],
                    timeout: "10m",
                    limit: undefined,
                    pace: 100,
                    atOnce: 50,
                    soak: "10s",
                    jobs: "report",
                    disruptionBudgets: "respect",
                    gates: { pause: false },
                },
            ],
        },
    };
    it("and everything else has its default", () => {
        expect(parseConfig(required)).toEqual(config);
    });

    it("also where keys are there and empty, as the engine hands them on", () => {
        const nothing = {
            kubeconfig: "",
            charts: "",
            identity: {},
            certificates: {},
            crds: {},
            viz: {},
            rollout: {},
            report: {},
        };
        expect(parseConfig({ ...required, ...nothing, controlPlane: {} })).toEqual(config);
    });

    it("and what charts are checked against is by chart; a chart may come from elsewhere", () => {
        const verify = { sha256: { "linkerd-crds-2024.7.5": "0f".repeat(32) }, keyring: "k.gpg" };
        const crds = { values: {}, charts: "vendor/crds.tgz" };
        expect(parseConfig({ ...required, verify, crds })).toEqual({ ...config, verify, crds });
    });

    it.each([
        [{ sha256: { a: "0F".repeat(32) } }, "verify.sha256.a", /must be a SHA-256/],
        [{ sha256: { a: "0f" } }, "verify.sha256.a", /must be a SHA-256/],
        [{ keyring: "" }, "verify.keyring", /must be the path of a keyring/],
        [{ sha512: {} }, "verify", /Unrecognized key/],
    ])("but %o is refused: a check that is not made must not look made", (verify, key, rule) => {
        expect(faultsOf({ ...required, verify })).toMatchObject([
            { subject: key, rule: expect.stringMatching(rule) as string },
        ]);
    });

    it.each([{ values: { a: 1 } }, { charts: "vendor" }])(
        "and rendered YAML is instead of a chart: %o beside it would have no effect",
        (more) => {
            const crds = { manifests: "crds.yaml" };
            expect(parseConfig({ ...required, crds })).toMatchObject({ crds });
            expect(faultsOf({ ...required, crds: { ...crds, ...more } })).toEqual([
                {
                    subject: "crds",
                    rule: "comes from manifests, which are rendered: charts and values are for the chart",
                    next: "edit crds; Pulumi.yaml describes each key",
                },
            ]);
        },
    );

    it("and what is adopted keeps its webhook certificates, unless the file says how they move", () => {
        const webhooks = (raw: object) => {
            const parsed = parseConfig({ ...required, ...raw });
            return parsed.mesh === "linkerd" ? parsed.certificates.webhooks : undefined;
        };
        expect(webhooks({ adopt: true })).toBe("adopted");
        expect(webhooks({ adopt: true, certificates: { webhooks: "swap" } })).toBe("swap");
    });

    it.each([
        [{ issuer: "q2" }, { issuer: "q2" }],
        // YAML reads a year as a number.
        [
            { anchor: 2027, stage: "bundle" },
            { anchor: "2027", stage: "bundle" },
        ],
    ])("and a rotation is named: %o", (rotation, expected) => {
        const identity = { source: "adopted", rotation };
        expect(parseConfig({ ...required, identity })).toMatchObject({
            identity: { source: "adopted", rotation: expected },
        });
    });

    it.each([
        { identity: { source: "generated", rotation: { anchor: "x" } } },
        { identity: { source: "generated", rotation: { issuer: "Not A Name" } } },
        { identity: { source: "generated", rotation: { anchor: "x", stage: "restart" } } },
        { certificates: { refuseBefore: "1w" } },
        { certificates: { renewWebhooksBefore: "701d" } },
        { certificates: { webhooks: "mine" } },
        // A warning refuses nothing.
        { checks: { ignore: ["l5d-viz-prometheus"] } },
    ])("but not %o", (raw) => {
        expect(faultsOf({ ...required, ...raw })).toHaveLength(1);
    });

    it("and chart values are handed on as they are", () => {
        const values = { proxy: { cores: 2 }, list: [1, { a: null }], "x.y": false };
        const viz = { enabled: false, values };
        const rest = { crds: { values }, controlPlane: { values }, viz };
        expect(parseConfig({ ...required, ...rest })).toMatchObject(rest);
    });
});

describe("the switches adopt and prune", () => {
    it.each([
        ["true", true],
        ["false", false],
        ["", false],
        [undefined, false],
    ])("read %j as %j, as the engine hands it on", (text, meant) => {
        const config = parseConfig({ ...required, adopt: text, prune: text });
        expect(config).toMatchObject({ adopt: meant, prune: meant });
    });

    it("are told apart from anything else", () => {
        expect(() => parseConfig({ ...required, adopt: "yes" })).toThrow("adopt");
    });
});

describe("settings for Linkerd", () => {
    const istio = { revisions: [{ version: "1.27.1" }] };
    const raw = { ...required, linkerdVersion: "", istio };

    it.each([
        ["adopt", "true"],
        ["prune", true],
        ["identity", { source: "adopted" }],
        ["certificates", { refuseBefore: "48h" }],
        ["backup", { directory: "../backup" }],
        ["crds", { values: { a: 1 } }],
        ["controlPlane", { values: { a: 1 } }],
        ["viz", { enabled: false }],
    ])("%s: would be ignored by a stack of Istio, and is refused", (key, value) => {
        expect(faultsOf({ ...raw, [key]: value })).toMatchObject([
            { subject: key, rule: "is a setting for Linkerd, and this stack is of Istio" },
        ]);
    });

    it("may stand there empty, as the engine hands them on", () => {
        const nothing = { adopt: "", prune: "false", identity: {}, certificates: {}, backup: {} };
        const charts = { crds: {}, controlPlane: {}, viz: {} };
        expect(parseConfig({ ...raw, ...nothing, ...charts }).mesh).toBe("istio");
    });
});

describe("a mistake in the stack file", () => {
    it("never hides another: all are reported at once, each with key, value, rule and next step", () => {
        const error = refusal({
            context: "",
            clusterUid: "",
            linkerdVersion: "24.7",
            identity: { source: "vault" },
            controlPlane: { values: [1] },
            viz: { enabled: "yes" },
            rollout: { timeout: "1.5h", tmeout: "5m" },
        });
        expect(error.faults).toEqual([
            {
                subject: "context",
                value: "",
                rule: "must name a context of the kubeconfig",
                next: CONTEXT,
            },
            {
                subject: "clusterUid",
                value: "",
                rule: "must be the uid of namespace kube-system, so that no other cluster is ever changed",
                next: UID,
            },
            {
                subject: "identity.source",
                rule: "Invalid discriminator value. Expected 'generated' | 'adopted' | 'config' | 'cert-manager'",
                next: IDENTITY,
            },
            {
                subject: "controlPlane.values",
                rule: "Invalid input: expected record, received array",
                next: "edit controlPlane.values; Pulumi.yaml describes each key",
            },
            {
                subject: "viz.enabled",
                value: "yes",
                rule: "Invalid input: expected boolean, received string",
                next: "edit viz.enabled; Pulumi.yaml describes each key",
            },
            {
                subject: "rollout.timeout",
                value: "1.5h",
                rule: "must be a duration such as 90s, 10m or 1h",
                next: "edit rollout.timeout; Pulumi.yaml describes each key",
            },
            {
                subject: "rollout",
                rule: 'Unrecognized key: "tmeout"',
                next: "edit rollout; Pulumi.yaml describes each key",
            },
            {
                subject: "linkerdVersion",
                value: "24.7",
                rule: "a Linkerd version reads edge-YY.M.N (year, month 1-12, number) from edge-24.3.1 on, or stable-2.14.N up to stable-2.14.10, without leading zeros",
                next: "pulumi config set linkerdVersion edge-24.7.5 (or another of these releases)",
            },
        ]);
        const lines = error.message.split("\n");
        expect(lines[0]).toBe("mesh-upgrade refused; nothing was changed:");
        expect(lines[1]).toBe('  1. context = "": must name a context of the kubeconfig');
        expect(lines[2]).toBe(`     next: ${CONTEXT}`);
        expect(lines).toHaveLength(1 + 2 * error.faults.length);
    });

    it.each([
        [
            { linkerdVersion: "" },
            "linkerdVersion",
            "must name the Linkerd version, such as edge-24.7.5",
        ],
        [{ charts: 3 }, "charts", "Invalid input: expected string, received number"],
        [{ crds: { value: {} } }, "crds", 'Unrecognized key: "value"'],
        [{ viz: true }, "viz", "Invalid input: expected object, received boolean"],
        [{ linkerdVerison: "x" }, "config", 'Unrecognized key: "linkerdVerison"'],
    ])("%j is reported once, as %s", (raw, subject, rule) => {
        expect(faultsOf({ ...required, ...raw })).toMatchObject([{ subject, rule }]);
    });
});

describe("a secret", () => {
    const SECRET = "hunter2-hunter2";
    const pem = (kind: string) => `-----BEGIN ${kind}-----\n${SECRET}\n-----END ${kind}-----\n`;
    const identity = {
        source: "config",
        trustAnchors: pem("CERTIFICATE"),
        issuer: { certificate: pem("CERTIFICATE"), key: pem("EC PRIVATE KEY") },
    };

    it("is accepted from an encrypted key of the stack file", () => {
        expect(parseConfig({ ...required, identity })).toMatchObject({ identity });
    });

    it.each([
        SECRET,
        { source: SECRET },
        { source: "generated", note: SECRET },
        { source: "config", trustAnchors: SECRET, issuer: SECRET },
        { ...identity, issuer: { certificate: SECRET, key: SECRET } },
        { ...identity, issuer: { ...identity.issuer, key: pem("CERTIFICATE"), more: [SECRET] } },
    ])("of the identity never stands in the refusal (%#)", (given) => {
        const error = refusal({
            ...required,
            unknown: 1,
            rollout: { timeout: "x" },
            identity: given,
        });
        expect(error.message).not.toContain(SECRET);
        expect(JSON.stringify(error.faults)).not.toContain(SECRET);
        expect(error.faults.some((one) => one.subject.startsWith("identity"))).toBe(true);
    });

    it("never stands in the refusal, wherever in the identity it is", () => {
        const value = fc.oneof(fc.constant(SECRET), fc.constant(1), fc.constant(null));
        const given = fc.oneof(
            value,
            fc.array(value, { minLength: 1 }),
            fc.record({ source: value, trustAnchors: value, issuer: value }),
            fc.record({
                source: fc.constant("config"),
                trustAnchors: value,
                issuer: fc.record({ certificate: value, key: fc.oneof(value, fc.array(value)) }),
            }),
        );
        fc.assert(
            fc.property(given, (one) => {
                expect(refusal({ ...required, x: 1, identity: one }).message).not.toContain(SECRET);
            }),
        );
    });

    it("that stands in plaintext in the stack file is refused, and so is one that state would show", () => {
        expect(faultsOf({ ...required, identity }, new Set(["crds", "viz"]))).toEqual([
            {
                subject: "identity.issuer.key",
                rule: "stands in plaintext in the stack file",
                next: "pulumi config set --secret --path identity.issuer.key < KEY.pem, and make a new key: this one has been seen",
            },
            ...["crds", "viz"].map((key) => ({
                subject: `${key}.values`,
                rule: "holds a secret; values of a chart stand in plaintext in the state",
                next: "put it into a Secret of the cluster that the chart refers to",
            })),
        ]);
    });
});

describe("a stack is of one mesh", () => {
    const { linkerdVersion, ...place } = required;
    const istio = { revisions: [{ version: "1.27.1" }] };

    it("which is Istio where the section istio is there", () => {
        expect(parseConfig({ ...place, linkerdVersion: "", istio })).toMatchObject({
            mesh: "istio",
            charts: "https://istio-release.storage.googleapis.com/charts",
            istio: { namespace: "istio-system", revisions: [{ name: "1-27-1" }] },
        });
    });

    it.each([
        [
            "both",
            { linkerdVersion, istio },
            {
                subject: "istio",
                rule: "and linkerdVersion are both set; a stack upgrades one mesh",
                next: "remove one of them, and make a stack of its own for the other mesh",
            },
        ],
        ...[{}, { linkerdVersion: "", istio: {} }].map((raw): [string, object, Fault] => [
            "neither",
            raw,
            {
                subject: "linkerdVersion",
                rule: "must name the Linkerd version, such as edge-24.7.5",
                next: "pulumi config set linkerdVersion edge-24.7.5; for Istio set istio.revisions instead",
            },
        ]),
    ] satisfies [string, object, Fault][])("%s is refused: %j", (_, raw, expected) => {
        expect(faultsOf({ ...place, ...raw })).toEqual([expected]);
    });

    it("and every mistake in the names of Istio is told in one report, once each", () => {
        const label = (most: number) =>
            `must be an RFC 1123 label: lower-case letters, digits and dashes, at most ${most} characters`;
        const long = "t".repeat(64);
        const error = refusal({
            ...place,
            rollout: { waves: [{ name: "canary", select: [{ namespaces: ["shop"] }] }] },
            istio: {
                revisions: [
                    { version: "1.26.4" },
                    { version: "1.26.4", name: "again" },
                    { version: "1.27.1", name: "Blue" },
                ],
                tags: { "1-26-4": "again", [long]: "again", stable: "nobody" },
                namespaces: { shop: "1-26-4", zoo: "prod", Bank: "1-26-4" },
                waves: { canary: "1-26-4" },
            },
        });
        const expected = [
            ["istio.revisions.2.name", "Blue", `${label(56)} (Service istiod-NAME)`],
            ["istio.revisions", "1.26.4", "two names for one version: 1-26-4 and again"],
            [
                "istio.tags.1-26-4",
                "again",
                "a tag may not have the name of a revision, and 1-26-4 is one (istio/istio#56128)",
            ],
            [`istio.tags.${long}`, long, label(63)],
            [
                "istio.tags.stable",
                "nobody",
                "is no revision; Istio would inject nothing, without an error",
            ],
            [
                "istio.namespaces.zoo",
                "prod",
                "is no tag or revision; Istio would inject nothing, without an error",
            ],
            ["istio.namespaces.Bank", "Bank", label(63)],
            [
                "istio.waves.canary",
                "shop",
                "the namespace is mapped already by istio.namespaces.shop",
            ],
        ];
        expect(error.faults.map(({ subject, value, rule }) => [subject, value, rule])).toEqual(
            expected,
        );
        const lines = error.message.split("\n");
        expect(lines).toHaveLength(1 + 2 * expected.length);
        expect(lines[0]).toBe("mesh-upgrade refused; nothing was changed:");
    });

    it("and both ways of choosing a mesh are checked before either: a bad version beside istio", () => {
        const subjects = faultsOf({ ...place, linkerdVersion: "24.7", istio }).map(
            ({ subject }) => subject,
        );
        expect(subjects).toEqual(["linkerdVersion", "istio"]);
    });
});

describe("what the user decided about rules and notices", () => {
    it("is handed on", () => {
        const policy = { override: ["no-downgrade"], acknowledge: ["shutdown-endpoint"] };
        expect(parseConfig({ ...required, policy }).policy).toEqual({
            override: new Set(["no-downgrade"]),
            acknowledge: new Set(["shutdown-endpoint"]),
        });
    });

    it("an id that nothing has is refused, and so is one of a rule that cannot be broken", () => {
        const policy = { override: ["linkerd-one-chart"], acknowledge: ["shutdown"] };
        const faults = faultsOf({ ...required, policy });
        expect(faults.map(({ subject, value, rule }) => `${subject} = ${value}: ${rule}`)).toEqual([
            "policy.override.0 = linkerd-one-chart: is the id of no rule that may be overridden",
            "policy.acknowledge.0 = shutdown: is the id of no notice",
        ]);
        expect(faults[0]?.next).toContain("linkerd-one-minor, linkerd-skew, no-downgrade");
        expect(faults[1]?.next).toContain("traffic-split");
    });

    it("the key of before says where it went", () => {
        const istio = { revisions: [{ version: "1.27.1" }], override: ["kubernetes-range"] };
        expect(faultsOf({ ...required, linkerdVersion: "", istio })).toEqual([
            {
                subject: "istio.override",
                rule: "has moved: it is policy.override",
                next: "move its ids to policy.override, and take istio.override out: pulumi config rm --path istio.override",
            },
        ]);
    });
});
