import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    injectorsOf,
    matches,
    runningOf,
    unknownChoice,
    wantedOf,
    wishOf,
    type Injector,
    type LabelSelector,
    type PodWish,
} from "../../plan/istio/injection";

type Expression = NonNullable<LabelSelector["matchExpressions"]>[number];
const has = (key: string, ...values: string[]): Expression => ({ key, operator: "In", values });
const lacks = (key: string): Expression => ({ key, operator: "DoesNotExist" });
const REV = "istio.io/rev";
const INJECTION = "istio-injection";
const INJECT = "sidecar.istio.io/inject";
const notFalse: Expression = { key: INJECT, operator: "NotIn", values: ["false"] };

type Owner = Pick<Injector, "name" | "revision" | "tag" | "service">;

function webhook(
    owner: Owner,
    name: string,
    namespace: Expression[],
    object: Expression[],
): Injector {
    return {
        ...owner,
        webhook: `${name}.sidecar-injector.istio.io`,
        namespaceSelector: { matchExpressions: namespace },
        objectSelector: { matchExpressions: object },
    };
}

/** The two webhooks of a revision or tag. */
function named(owner: Owner, label: string): Injector[] {
    return [
        webhook(owner, "rev.namespace", [has(REV, label), lacks(INJECTION)], [notFalse]),
        webhook(owner, "rev.object", [lacks(REV), lacks(INJECTION)], [notFalse, has(REV, label)]),
    ];
}

/** The two more of the install without a name, and of tag default. */
function unnamed(owner: Owner): Injector[] {
    return [
        webhook(owner, "namespace", [has(INJECTION, "enabled")], [notFalse]),
        webhook(owner, "object", [lacks(INJECTION), lacks(REV)], [has(INJECT, "true"), lacks(REV)]),
    ];
}

function revision(name: string): Injector[] {
    const suffix = name === "default" ? "" : `-${name}`;
    const owner = {
        name: `istio-sidecar-injector${suffix}`,
        revision: name,
        tag: undefined,
        service: `istiod${suffix}`,
    };
    return [...named(owner, name), ...(name === "default" ? unnamed(owner) : [])];
}

function tag(name: string, of: string): Injector[] {
    const owner = {
        name: `istio-revision-tag-${name}`,
        revision: of,
        tag: name,
        service: `istiod-${of}`,
    };
    return [...named(owner, name), ...(name === "default" ? unnamed(owner) : [])];
}

/** One webhook, the namespace decides. */
function asm(name: string): Injector {
    const suffix = name === "default" ? "" : `-${name}`;
    return {
        name: `istio-sidecar-injector${suffix}`,
        webhook: "sidecar-injector.istio.io",
        revision: name,
        tag: undefined,
        service: `istiod${suffix}`,
        namespaceSelector:
            name === "default"
                ? { matchLabels: { [INJECTION]: "enabled" } }
                : { matchExpressions: [lacks(INJECTION), has(REV, name)] },
        objectSelector: {},
    };
}

const both = [...revision("1-26-4"), ...revision("1-27-1")];
const tagged = [...both, ...tag("stable", "1-26-4"), ...tag("canary", "1-27-1")];
const SETS: Record<string, Injector[]> = {
    none: [],
    unrevisioned: revision("default"),
    mixed: [...revision("default"), ...revision("1-27-1")],
    revisions: both,
    tags: tagged,
    "tags and default": [...tagged, ...tag("default", "1-26-4")],
};
const ASM: Record<string, Injector[]> = {
    "ASM 1.5": [asm("default")],
    "ASM 1.5 and 1.6": [asm("default"), asm("asm-1614-2")],
};

const wish = (labels: PodWish["labels"] = {}, more: Partial<PodWish> = {}): PodWish => ({
    labels,
    annotations: {},
    hostNetwork: false,
    ...more,
});
const names = (injectors: readonly Injector[]) =>
    new Set(injectors.map((one) => one.tag ?? one.revision));

/** The table of the facts, row by row; what it asks for, whoever may have it. */
function asked(namespace: PodWish["labels"], pod: PodWish["labels"]): string | undefined {
    if (pod[INJECT] === "false" || namespace[INJECTION] === "disabled") {
        return undefined;
    }
    if (namespace[INJECTION] === "enabled") {
        return "default";
    }
    if (namespace[REV] !== undefined) {
        return namespace[REV];
    }
    return pod[REV] ?? (pod[INJECT] === "true" ? "default" : undefined);
}

const REVS = ["default", "1-26-4", "1-27-1", "stable", "canary", "gone"].map((one) => ({
    [REV]: one,
}));
const namespaces = [{}, { [INJECTION]: "enabled" }, { [INJECTION]: "disabled" }].flatMap((one) =>
    [{}, ...REVS].map((rev) => ({ ...one, ...rev })),
);
const pods = [{}, { [INJECT]: "true" }, { [INJECT]: "false" }].flatMap((one) =>
    [{}, ...REVS].map((rev) => ({ ...one, ...rev })),
);

describe("who injects a pod is what the table of the documentation says", () => {
    it.each(Object.keys(SETS))("with %s, for every combination of labels", (key) => {
        const injectors = SETS[key] ?? [];
        for (const labels of namespaces) {
            for (const pod of pods) {
                const where = { name: "shop", labels };
                const wanted = wantedOf(injectors, where, wish(pod));
                const choice = asked(labels, pod);
                const known = choice !== undefined && names(injectors).has(choice);
                const got =
                    wanted === "several" ? wanted : wanted && (wanted.tag ?? wanted.revision);
                expect([labels, pod, got]).toEqual([labels, pod, known ? choice : undefined]);
                expect([labels, pod, unknownChoice(injectors, where, wish(pod))]).toEqual([
                    labels,
                    pod,
                    known ? undefined : choice,
                ]);
                const configurations = injectorsOf(injectors, where, wish(pod)).map(
                    (one) => one.name,
                );
                expect(new Set(configurations).size).toBeLessThanOrEqual(1);
            }
        }
    });

    it.each(Object.keys(ASM))("with %s, where only namespaces choose", (key) => {
        const injectors = ASM[key] ?? [];
        const wanted = (labels: PodWish["labels"], pod = wish()) =>
            wantedOf(injectors, { name: "shop", labels }, pod);
        const six = key.includes("1.6") ? { revision: "asm-1614-2", tag: undefined } : undefined;
        const five = { revision: "default", tag: undefined };
        expect(wanted({ [INJECTION]: "enabled" })).toEqual(five);
        expect(wanted({ [INJECTION]: "enabled", [REV]: "asm-1614-2" })).toEqual(five);
        expect(wanted({ [REV]: "asm-1614-2" })).toEqual(six);
        expect(wanted({ [REV]: "default" })).toBeUndefined();
        expect(wanted({}, wish({ [REV]: "asm-1614-2" }))).toBeUndefined();
        expect(wanted({ [INJECTION]: "enabled" }, wish({ [INJECT]: "false" }))).toBeUndefined();
        expect(wanted({ [INJECTION]: "disabled" })).toBeUndefined();
    });

    it("a tag tells which revision is behind it", () => {
        const labels = { [REV]: "canary" };
        expect(wantedOf(tagged, { name: "shop", labels }, wish())).toEqual({
            revision: "1-27-1",
            tag: "canary",
        });
    });

    it("two configurations for one pod are told, two webhooks of one are not held against it", () => {
        const where = { name: "shop", labels: { [INJECTION]: "enabled" } };
        const twice = [...revision("default"), ...tag("default", "1-27-1")];
        expect(wantedOf(twice, where, wish())).toBe("several");
        const [first] = revision("default").filter((one) => one.webhook.startsWith("namespace"));
        const same = first ? [first, { ...first, webhook: "again" }] : [];
        expect(injectorsOf(same, where, wish())).toHaveLength(2);
        expect(wantedOf(same, where, wish())).toEqual({ revision: "default", tag: undefined });
    });

    it.each<[string, string, PodWish, boolean]>([
        ["an ordinary pod", "shop", wish(), true],
        ["the host's network", "shop", wish({}, { hostNetwork: true }), false],
        ...["kube-system", "kube-public", "kube-node-lease", "local-path-storage"].map(
            (name): [string, string, PodWish, boolean] => [
                "a system namespace",
                name,
                wish(),
                false,
            ],
        ),
        ["annotation false", "shop", wish({}, { annotations: { [INJECT]: "false" } }), false],
        ["annotation off", "shop", wish({}, { annotations: { [INJECT]: "off" } }), false],
        ["annotation true", "shop", wish({}, { annotations: { [INJECT]: "true" } }), true],
        [
            "label before annotation",
            "shop",
            wish({ [INJECT]: "true" }, { annotations: { [INJECT]: "false" } }),
            true,
        ],
    ])("%s in %s", (_, name, pod, injected) => {
        const where = { name, labels: { [INJECTION]: "enabled" } };
        expect(injectorsOf(revision("default"), where, pod).length > 0).toBe(injected);
        expect(unknownChoice([], where, pod)).toBe(injected ? "default" : undefined);
    });

    it("holds for any labels: at most one configuration", () => {
        const value = fc.constantFrom(
            "enabled",
            "disabled",
            "true",
            "false",
            "default",
            "1-26-4",
            "stable",
            "",
        );
        const labels = fc.dictionary(fc.constantFrom(REV, INJECTION, INJECT, "constructor"), value);
        const set = fc.constantFrom(...Object.values({ ...SETS, ...ASM }));
        fc.assert(
            fc.property(set, labels, labels, (injectors, namespace, pod) => {
                expect(
                    wantedOf(injectors, { name: "shop", labels: namespace }, wish(pod)),
                ).not.toBe("several");
            }),
            { numRuns: 500 },
        );
    });
});

describe("selectors as Kubernetes has them", () => {
    it.each<[LabelSelector, boolean]>([
        [{}, true],
        [{ matchLabels: { a: "1" } }, true],
        [{ matchLabels: { a: "2" } }, false],
        [{ matchExpressions: [{ key: "a", operator: "Exists" }] }, true],
        [{ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, false],
        [{ matchExpressions: [{ key: "b", operator: "DoesNotExist" }] }, true],
        [{ matchExpressions: [{ key: "b", operator: "NotIn", values: ["1"] }] }, true],
        [{ matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] }, false],
        [{ matchExpressions: [{ key: "a", operator: "In", values: ["2", "1"] }] }, true],
        [{ matchExpressions: [{ key: "b", operator: "In", values: ["1"] }] }, false],
        [{ matchExpressions: [{ key: "a", operator: "Gt", values: ["0"] }] }, false],
        [{ matchLabels: { a: "1" }, matchExpressions: [lacks("a")] }, false],
    ])("%j", (selector, expected) => {
        expect(matches(selector, { a: "1" })).toBe(expected);
    });
});

describe("which revision a pod runs", () => {
    const pod = (image: string, more: object = {}) => ({
        labels: { app: "web" },
        annotations: {},
        containers: [
            { name: "web", image: "web:1" },
            { name: "istio-proxy", image },
        ],
        initContainers: [],
        hostNetwork: false,
        ...more,
    });
    const status = (text: string, rev?: string) => ({
        annotations: { "sidecar.istio.io/status": text, ...(rev ? { [REV]: rev } : {}) },
    });
    const label = { labels: { app: "web", [REV]: "asm-1614-2" } };
    it.each<[string, ReturnType<typeof pod>, string, string | undefined]>([
        ["1.5", pod("gcr.io/gke-release/asm/proxyv2:1.5.10-asm.2"), "1.5.10-asm.2", "default"],
        [
            "1.6",
            pod("gcr.io/gke-release/asm/proxyv2:1.6.14-asm.2", label),
            "1.6.14-asm.2",
            "asm-1614-2",
        ],
        ["1.6 without the label", pod("p:1.6.14-asm.2"), "1.6.14-asm.2", undefined],
        ["1.10", pod("p:1.10.6-distroless", label), "1.10.6", "asm-1614-2"],
        [
            "1.11",
            pod("p:1.11.0", { ...label, ...status('{"revision":"1-11-0"}') }),
            "1.11.0",
            "1-11-0",
        ],
        ["1.18, annotation", pod("p:1.18.0", status("{", "1-18-0")), "1.18.0", "1-18-0"],
        ["1.27, both", pod("p:1.27.1@sha256:ab", status('{"revision":"a"}', "b")), "1.27.1", "a"],
        ["null", pod("p:1.27.1", status("null")), "1.27.1", undefined],
        ["a list", pod("p:1.27.1", status("[1]")), "1.27.1", undefined],
        ["a number", pod("p:1.27.1", status('{"revision":3}')), "1.27.1", undefined],
        ["a tag of one's own", pod("p:mine", status('{"revision":"a"}')), "mine", "a"],
        ["a digest only", pod("p@sha256:ab", status('{"revision":"a"}')), "unknown", "a"],
    ])("%s", (_, given, version, revision) => {
        expect(runningOf(given)).toEqual({ version, revision });
    });

    it("is found in a native sidecar, and nowhere in a pod without one", () => {
        const { containers } = pod("p:1.27.1");
        const native = { containers: [], initContainers: containers };
        expect(runningOf(pod("", { ...native, ...status('{"revision":"a"}') }))).toEqual({
            version: "1.27.1",
            revision: "a",
        });
        expect(
            runningOf(pod("", { containers: [{ name: "web", image: "web:1" }] })),
        ).toBeUndefined();
    });

    it("what the injector wrote is no wish of the pod's: a 1.6 pod follows its namespace to the new revision", () => {
        const written = {
            ...label,
            annotations: { "sidecar.istio.io/status": "{}", [REV]: "x", team: "a" },
        };
        const rest = { annotations: { team: "a" }, hostNetwork: false };
        expect(wishOf(pod("p:1.6.14-asm.2", written))).toEqual({ labels: { app: "web" }, ...rest });
        expect(wishOf(pod("p:1.10.1", written))).toEqual({ labels: { app: "web" }, ...rest });
        expect(wishOf(pod("p:1.11.0", written))).toEqual({ labels: label.labels, ...rest });
        expect(wishOf(pod("p:1.5.10", written))).toEqual({ labels: label.labels, ...rest });
        expect(wishOf(pod("", { ...written, containers: [] }))).toEqual({
            labels: label.labels,
            ...rest,
        });
    });
});
