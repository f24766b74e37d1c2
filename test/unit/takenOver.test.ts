import { describe, expect, it } from "vitest";
import { keepChecksums } from "../../charts/keepChecksums";
import { absent, differences, droppedFields, undeclared } from "../../cluster/takenOver";
import { takenOverLines, undeclaredLines, vizLines } from "../../report/takenOver";

describe("what preview tells of an object that is taken over", () => {
    it.each([
        {
            name: "a value",
            before: { spec: { replicas: 1 } },
            after: { spec: { replicas: 2 } },
            paths: ["spec.replicas"],
        },
        { name: "nothing", before: { a: [{ b: 1 }] }, after: { a: [{ b: 1 }] }, paths: [] },
        {
            name: "an element",
            before: { a: [{ b: 1 }] },
            after: { a: [{ b: 2 }] },
            paths: ["a[0].b"],
        },
        { name: "a longer list", before: { a: [1] }, after: { a: [1, 2] }, paths: ["a"] },
        {
            name: "a map that comes",
            before: {},
            after: { labels: { "x.io/y": "z" } },
            paths: ['labels["x.io/y"]'],
        },
    ])("names the fields that differ: $name", ({ before, after, paths }) => {
        expect(differences(before, after)).toEqual(paths);
    });

    it("names what the old installer set and nobody declares", () => {
        const fields = {
            "f:metadata": { "f:labels": { ".": {}, "f:old": {}, "f:kept": {} } },
            "f:spec": {
                "f:ports": {
                    'k:{"port":80,"protocol":"TCP"}': { "f:port": {} },
                    'k:{"port":81}': {},
                },
            },
        };
        const declared = { metadata: { labels: { kept: "a" } }, spec: { ports: [{ port: 80 }] } };
        expect(undeclared(fields, declared)).toEqual(["metadata.labels.old", "spec.ports[81]"]);
    });

    it("goes by what kubectl was told, not by the defaults that the server added", () => {
        const told = {
            metadata: { labels: { old: "a" } },
            spec: { ports: [{ port: 80, name: "x" }] },
        };
        const declared = { metadata: { labels: {} }, spec: { ports: [{ port: 80 }] } };
        expect(absent(told, declared)).toEqual(["metadata.labels.old", "spec.ports[0].name"]);
    });

    it("says that what an installer applied goes, and not what somebody else applied beside it", () => {
        const field = (name: string) => ({ "f:spec": { [name]: {} } });
        const entries = [
            { manager: "kubectl-client-side-apply", operation: "Update", fieldsV1: field("f:a") },
            { manager: "kubectl", operation: "Apply", fieldsV1: field("f:b") },
            { manager: "platform-team", operation: "Apply", fieldsV1: field("f:c") },
            { manager: "kube-controller-manager", operation: "Update", fieldsV1: field("f:d") },
        ];
        const declared = { spec: { e: 1 } };
        expect(droppedFields(entries, undefined, declared)).toEqual(["spec.a", "spec.b"]);
        const told = JSON.stringify({ spec: { told: 1, e: 1 } });
        expect(droppedFields(entries, told, declared)).toEqual(["spec.told", "spec.b"]);
    });

    it("is one line an object, and bounded", () => {
        const object = { name: "Service a/b", managers: ["kubectl"], changed: [], dropped: [] };
        const many = Array.from({ length: 10 }, (_, index) => `spec.f${index}`);
        expect(takenOverLines([object, { ...object, changed: many, dropped: ["x"] }])).toEqual([
            "adopt: 2 objects are taken over",
            "  takes over Service a/b (kubectl): as it is",
            "  takes over Service a/b (kubectl): differs in spec.f0, spec.f1, spec.f2, spec.f3, spec.f4, spec.f5, spec.f6, spec.f7 and 2 fields more; drops x",
        ]);
        expect(takenOverLines(Array.from({ length: 121 }, () => object)).at(-1)).toBe(
            "  and 1 objects more",
        );
    });

    it("says that pods restart where their template changes", () => {
        const name = "Deployment a/b";
        const changed = ["spec.template.spec.containers[0].args"];
        expect(takenOverLines([{ name, managers: ["kubectl"], changed, dropped: [] }]).at(-1)).toBe(
            "  takes over Deployment a/b (kubectl): differs in spec.template.spec.containers[0].args; its pods restart",
        );
    });

    it("says of viz what Helm would change or add, its own marks aside", () => {
        const changed = [
            'metadata.labels["app.kubernetes.io/managed-by"]',
            'metadata.annotations["meta.helm.sh/release-name"]',
        ];
        const object = { name: "Role linkerd/web", managers: ["kubectl"], changed, dropped: [] };
        expect(vizLines([object], [])).toEqual(["adopt: Helm changes nothing of viz"]);
        const other = { ...object, changed: [...changed, "rules"] };
        expect(vizLines([object, other], ["ClusterRole x"])).toEqual([
            "adopt: viz would not stay as it is; what viz.values should say else:",
            "  Helm changes Role linkerd/web: differs in rules",
            "  Helm adds ClusterRole x",
        ]);
    });

    it("says of what nobody declares whether it goes", () => {
        expect(undeclaredLines(["Secret a/b"], false)[0]).toContain("left alone: Secret a/b");
        expect(undeclaredLines(["Secret a/b"], true)[0]).toContain("prune: deletes Secret a/b");
    });
});

describe("viz's post-renderer", () => {
    const manifest = (annotations: string) =>
        `---\nkind: Deployment\nmetadata:\n  name: tap\nspec:\n  template:\n    metadata:\n      annotations:\n${annotations}`;

    it("puts the kept checksum in the place of the chart's and takes its own mark away", () => {
        const mark = `        mesh-upgrade/checksums: '{"tap":"kept","web":"x"}'\n`;
        const own = `        checksum/config: made\n`;
        expect(keepChecksums(manifest(own + mark))).toBe(
            manifest("        checksum/config: kept\n"),
        );
    });

    it("leaves everything else as it stands, to the byte", () => {
        const stream = manifest("        checksum/config: yes # 0644\n");
        expect(keepChecksums(stream)).toBe(stream);
    });
});
