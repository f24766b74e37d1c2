import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { DEPENDS_ON, orderManifests } from "../../charts/orderManifests";

interface Manifest {
    kind: string;
    metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
    spec: Record<string, unknown>;
}

/** Reads as Helm does: YAML 1.1, where `yes` is a boolean and `0644` is octal. */
const read = (stream: string) =>
    parseAllDocuments(stream, { version: "1.1", uniqueKeys: false }).map(
        (one) => one.toJS() as Manifest,
    );
const object = (kind: string, namespace: string, name: string, rest = "") =>
    `---\nkind: ${kind}\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\n${rest}`;
const waits = (stream: string) =>
    Object.fromEntries(
        read(orderManifests(stream)).map((one) => [
            `${one.metadata.namespace}/${one.metadata.name}`,
            one.metadata.annotations?.[DEPENDS_ON],
        ]),
    );

describe("a Deployment never starts with the ConfigMap of the old version", () => {
    it("and a Secret for a token not without its ServiceAccount: the cluster would delete it", () => {
        const token = (type: string, of: string) =>
            `  annotations:\n    kubernetes.io/service-account.name: ${of}\ntype: ${type}\n`;
        const stream = [
            object("Secret", "mc", "a", token("kubernetes.io/service-account-token", "remote")),
            object("Secret", "mc", "b", token("Opaque", "remote")),
            object("ServiceAccount", "mc", "remote"),
        ].join("");
        expect(waits(stream)).toEqual({
            "mc/a": "/namespaces/mc/ServiceAccount/remote",
            "mc/b": undefined,
            "mc/remote": undefined,
        });
    });

    it("nor does the DaemonSet of the CNI plugin", () => {
        const stream = [
            object("DaemonSet", "linkerd-cni", "linkerd-cni"),
            object("ConfigMap", "linkerd-cni", "linkerd-cni-config"),
        ].join("");
        expect(waits(stream)["linkerd-cni/linkerd-cni"]).toBe(
            "/namespaces/linkerd-cni/ConfigMap/linkerd-cni-config",
        );
    });

    it("for it waits for all of its namespace's, wherever they stand, and for no other's", () => {
        const stream = [
            object("Deployment", "linkerd", "injector"),
            object("ConfigMap", "linkerd", "linkerd-config"),
            object("ConfigMap", "other", "else"),
            object("ConfigMap", "linkerd", "roots"),
            object("Deployment", "other", "app"),
            object("Deployment", "alone", "app"),
            object("CronJob", "linkerd", "heartbeat"),
        ].join("");
        expect(waits(stream)).toEqual({
            "linkerd/injector":
                "/namespaces/linkerd/ConfigMap/linkerd-config,/namespaces/linkerd/ConfigMap/roots",
            "linkerd/linkerd-config": undefined,
            "linkerd/roots": undefined,
            "linkerd/heartbeat": undefined,
            "other/else": undefined,
            "other/app": "/namespaces/other/ConfigMap/else",
            "alone/app": undefined,
        });
    });

    it("and for the identity service, lest it gets a certificate of the old issuer", () => {
        const stream = [
            object("Deployment", "linkerd", "linkerd-destination"),
            object("Deployment", "linkerd", "linkerd-identity"),
            object("ConfigMap", "linkerd", "linkerd-config"),
            object("Deployment", "other", "app"),
        ].join("");
        expect(waits(stream)).toEqual({
            "linkerd/linkerd-destination":
                "/namespaces/linkerd/ConfigMap/linkerd-config,apps/namespaces/linkerd/Deployment/linkerd-identity",
            "linkerd/linkerd-identity": "/namespaces/linkerd/ConfigMap/linkerd-config",
            "linkerd/linkerd-config": undefined,
            "other/app": undefined,
        });
    });

    it("and keeps the annotations that it has", () => {
        const annotated = `---\nkind: Deployment\nmetadata:\n  name: d\n  namespace: n\n  annotations:\n    a: "1"\n`;
        const [, deployment] = read(orderManifests(object("ConfigMap", "n", "c") + annotated));
        expect(deployment?.metadata.annotations).toEqual({
            a: "1",
            [DEPENDS_ON]: "/namespaces/n/ConfigMap/c",
        });
    });
});

it("the chart's own Secret of the issuer, which holds a placeholder, is dropped; others stay", () => {
    const stream = [
        object("Secret", "linkerd", "linkerd-identity-issuer"),
        object("Secret", "linkerd", "other"),
    ].join("");
    expect(read(orderManifests(stream)).map((one) => one.metadata.name)).toEqual(["other"]);
});

describe("what the chart says arrives as it was meant", () => {
    it.each([
        ["yes", true],
        ["off", false],
        ["True", true],
        ["~", null],
        ["0644", 420],
        ["0x1f", 31],
        ["1e3", 1000],
        ["1_000", 1000],
        ['"yes"', "yes"],
        ["'on'", "on"],
        ['"0644"', "0644"],
        ['"123"', "123"],
        ['"null"', "null"],
        ['""', ""],
        ['"2024-05-03"', "2024-05-03"],
        ["edge-24.7.5", "edge-24.7.5"],
        ["1.30", 1.3],
        ['"1.30"', "1.30"],
        ["|\n    a: yes\n     b\n\n    c\n", "a: yes\n b\n\nc\n"],
        [">-\n    folded\n    text", "folded text"],
        ["[yes, 'no', 010]", [true, "no", 8]],
    ])("%j stays %j", (text, value) => {
        const given = object("Deployment", "n", "d", `spec:\n  value: ${text}\n`);
        const [, deployment] = read(orderManifests(object("ConfigMap", "n", "c") + given));
        expect(deployment?.spec).toEqual({ value });
    });

    it.each(["2024-05-03", "12:30:45", "190:20", "9007199254740993", "y", "N"])(
        "plain %s is written as it stood: what it means is the reader's to say",
        (text) => {
            const given = object("Deployment", "n", "d", `spec:\n  value: ${text}\n`);
            expect(orderManifests(object("ConfigMap", "n", "c") + given)).toContain(
                `\n  value: ${text}\n`,
            );
        },
    );

    it("for any text in a ConfigMap", () => {
        fc.assert(
            fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
                const data = `data:\n  text: ${JSON.stringify(text)}\n`;
                const stream = object("ConfigMap", "n", "c", data) + object("Deployment", "n", "d");
                const [configMap] = read(orderManifests(stream));
                expect(configMap).toMatchObject({ data: { text } });
            }),
        );
    });
});

describe("streams as charts make them", () => {
    it.each(["", "\n", "---\n", "# nothing\n", "---\n---\n# nothing\n---\nnull\n"])(
        "%j holds no object",
        (stream) => {
            expect(orderManifests(stream)).toBe("");
        },
    );

    it("documents without an object between others are left out, others keep their order", () => {
        const stream = `---\n# Source: a.yaml\n${object("A", "n", "a")}---\n---\nnull\n${object("B", "n", "b")}`;
        expect(read(orderManifests(stream)).map((one) => one.kind)).toEqual(["A", "B"]);
    });

    it("a key that stands twice, as in the chart of viz, is no reason to stop", () => {
        const twice = object("Deployment", "n", "d", "spec:\n  value: 1\n  value: 2\n");
        expect(read(orderManifests(twice))[0]?.spec).toEqual({ value: 2 });
    });

    it("the same stream comes out again: a second pass changes nothing", () => {
        const stream = object("ConfigMap", "n", "c") + object("Deployment", "n", "d");
        const once = orderManifests(stream);
        expect(orderManifests(once)).toBe(once);
    });

    it.each(["a: [1\n", 'a: "open\n', "a: b: c\n", "\ta: 1\n"])(
        "a manifest that cannot be read is refused, never cut short: %j",
        (text) => {
            expect(() => orderManifests(`---\nkind: A\n${text}`)).toThrow();
        },
    );
});
