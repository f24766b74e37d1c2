import { expect } from "vitest";
import type { LiveIstio, LiveIstiod } from "../../../cluster/istio/observe";
import { resolveIstio } from "../../../plan/istio/config";
import type { Injector } from "../../../plan/istio/injection";
import type { KubeObject, Manifests, SplitManifests } from "../../../plan/istio/manifests";
import { planIstio } from "../../../plan/istio/plan";
import { istioSection } from "../../../plan/istio/section";
import { rollout } from "../../../plan/waves";
import { liveOf } from "./istioCluster";

export const STACK = "acme/mesh/prod";
export const OTHER = "acme/mesh/dev";
const WAVES = [
    { name: "canary", select: [{ namespaces: ["etl", "batch"] }] },
    { name: "shops", select: [{ namespaces: ["shop"] }] },
];
export const SECTION = { revisions: [{ version: "1.26.4" }, { version: "1.27.1" }] };

/** What a plan is made from, where it differs from a stack of two revisions and an empty cluster. */
export interface Given {
    /** Of the section istio, beside two revisions. */
    readonly section?: object;
    readonly waves?: readonly object[];
    /** Labels by namespace; those of the stack file are there. */
    readonly labels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly live?: Partial<LiveIstio>;
    readonly manifests?: Manifests;
    /** Rules that are overridden. */
    readonly override?: readonly string[];
}

export function planOf({
    section = {},
    waves = WAVES,
    labels = {},
    live,
    manifests,
    override,
}: Given) {
    const resolved = rollout.parse({ waves }).waves;
    const { config, faults } = resolveIstio(
        istioSection.parse({ ...SECTION, ...section }),
        resolved,
    );
    expect(faults).toEqual([]);
    const there = [...config.target.keys()].map((name) => [name, {}] as const);
    const injectors = live?.injection?.injectors ?? [];
    const found = liveOf({
        users: {
            namespaces: new Map([...there, ...Object.entries(labels)]),
            injectors,
            pods: [],
        },
        ...live,
    });
    return planIstio(
        config,
        resolved,
        found,
        STACK,
        manifests ?? new Map(),
        new Set(override ?? []),
    );
}

export const istiodOf = (revision: string, version: string, stack: string | undefined = STACK) => ({
    name: revision === "default" ? "istiod" : `istiod-${revision}`,
    revision,
    version,
    stack,
});

/** Somebody else's. */
export const foreignOf = (revision: string, version: string): LiveIstiod => ({
    ...istiodOf(revision, version),
    stack: undefined,
});

export const webhooksOf = (
    name: string,
    stack: string | undefined,
): LiveIstio["webhooks"][number] => ({
    kind: "MutatingWebhookConfiguration",
    name,
    revision: "theirs",
    stack,
    caBundle: undefined,
    complete: true,
    tagged: true,
    services: [],
});

export const injecting = (...injectors: Injector[]) => ({
    injection: { injectors, proxies: new Map<string, string>() },
});

export const split = (fields: Partial<SplitManifests> = {}): SplitManifests => ({
    crds: [],
    own: [],
    shared: [],
    gateways: [],
    version: "1.27.1",
    faults: [],
    ...fields,
});

export const objectOf = (kind: string, name: string): KubeObject => ({
    apiVersion: "v1",
    kind,
    metadata: { name },
});

/** Faults as `subject = value: rule`; none where the plan is not refused. */
export type Refused = [name: string, given: Given, ...faults: string[]];

/** The plan is refused for exactly these reasons, each with a next step. */
export function expectRefused(given: Given, expected: readonly string[]) {
    const { faults } = planOf(given);
    expect(faults.map(({ subject, value, rule }) => `${subject} = ${value}: ${rule}`)).toEqual(
        expected,
    );
    expect(faults.every(({ next }) => next !== "")).toBe(true);
}

/** Lines of the preview that begin with `start`. */
export const linesOf = (start: string, given: Given) =>
    planOf(given).lines.filter((line) => line.startsWith(start));
