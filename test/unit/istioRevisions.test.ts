import { describe, expect, it } from "vitest";
import { injectorOf } from "./support/istioCluster";
import {
    expectRefused,
    foreignOf,
    injecting,
    istiodOf,
    linesOf,
    OTHER,
    planOf,
    type Refused,
} from "./support/istioPlans";

describe("what is refused before anything changes", () => {
    it.each<Refused>([
        [
            "another minor in place",
            {
                section: { revisions: [{ version: "1.27.1", name: "blue" }] },
                live: { istiods: [istiodOf("blue", "1.26.4")] },
            },
            "istio.revisions blue = 1.26.4 -> 1.27.1: another minor under the same name would change the control plane under its proxies",
        ],
        [
            "not another patch in place",
            {
                section: { revisions: [{ version: "1.27.1", name: "blue" }] },
                live: { istiods: [istiodOf("blue", "1.27.0")] },
            },
        ],
        [
            "values that the program sets",
            {
                section: {
                    revisions: [
                        { version: "1.27.1", values: { revision: "x", revisionTags: ["y"] } },
                    ],
                    base: { values: { defaultRevision: "z" } },
                },
            },
            ...[
                'istio.revisions 1-27-1: values.revision = "x"',
                'istio.revisions 1-27-1: values.revisionTags = ["y"]',
                'istio.base.values.defaultRevision = "z"',
            ].map(
                (one) =>
                    `${one}: is set by the program, from the name of the revision, tags and defaultRevision`,
            ),
        ],
    ])("%s", (_, given, ...expected) => expectRefused(given, expected));
});

describe("values of the chart istiod", () => {
    it("the program decides whose objects a revision makes; other values pass through", () => {
        const values = { pilot: { replicas: 2 }, global: { hub: "h" } };
        const { revisions } = planOf({
            section: {
                namespace: "mesh",
                revisions: [{ version: "1.27.1", name: "blue", values }],
            },
        });
        expect(revisions).toEqual([
            {
                name: "blue",
                source: {
                    version: "1.27.1",
                    values: {
                        pilot: { replicas: 2 },
                        global: { hub: "h", istioNamespace: "mesh" },
                        revision: "blue",
                        revisionTags: [],
                    },
                },
            },
        ]);
    });
});

describe("what a reader is told before it happens", () => {
    it("each control plane, ours and those of others", () => {
        expect(
            linesOf("istio revision", {
                section: {
                    revisions: [
                        { version: "1.26.4" },
                        { version: "1.26.9", name: "patched" },
                        { version: "1.27.1" },
                    ],
                    foreign: [
                        { revision: "default" },
                        { revision: "leaving", remove: true },
                        { revision: "left", remove: true },
                    ],
                    tags: { stable: "1-26-4" },
                },
                labels: { shop: { "istio.io/rev": "used" } },
                live: {
                    istiods: [
                        istiodOf("1-26-4", "1.26.4"),
                        istiodOf("patched", "1.26.8"),
                        istiodOf("used", "1.25.2"),
                        istiodOf("unused", "1.25.1"),
                        foreignOf("default", "1.26.0"),
                        foreignOf("leaving", "1.25.3"),
                        foreignOf("stranger", "1.25.4"),
                        istiodOf("theirs", "1.25.5", OTHER),
                    ],
                    ...injecting(injectorOf("used"), injectorOf("used", "prod")),
                },
            }),
        ).toEqual([
            "istio revision 1-26-4: 1.26.4 (unchanged)",
            "istio revision patched: 1.26.9 (in place from 1.26.8)",
            "istio revision 1-27-1: 1.27.1 (new)",
            "istio revision default: 1.26.0, not made by this stack (stays)",
            "istio revision leaving: 1.25.3, not made by this stack (goes at the end, if nothing uses it)",
            "istio revision used: 1.25.2 goes, if nothing uses it then; used now by: tag prod; namespace shop (istio.io/rev=used)",
            "istio revision unused: 1.25.1 goes, if nothing uses it then; used now by: nothing",
            "istio revision stranger: 1.25.4 was not made by this stack and is not in istio.foreign: it is left alone",
            "istio revision theirs: 1.25.5 was not made by this stack and is not in istio.foreign: it is left alone",
        ]);
    });
});
