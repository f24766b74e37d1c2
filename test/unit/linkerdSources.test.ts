import { describe, expect, it } from "vitest";
import { isLinkerdCrd, madeBy } from "../../cluster/linkerd";
import { parseConfig, type LinkerdStackConfig } from "../../config";
import { chartsOf } from "../../program/linkerdSources";
import { versionAt } from "./support/releases";

const EDGE = "https://helm.linkerd.io/edge";
const STABLE = "https://helm.linkerd.io/stable";

describe("the charts of a release", () => {
    const of = (tag: string, crds: string, more: Record<string, unknown> = {}) => {
        const config = parseConfig({
            ...{ context: "kind", clusterUid: "0a1b", linkerdVersion: tag, cni: { enabled: true } },
            ...more,
        }) as LinkerdStackConfig;
        return chartsOf(config, versionAt(crds)).map(
            ({ name, version, source }) => `${source} ${name} ${version}`,
        );
    };

    it.each<[string, string, Record<string, unknown>, string[]]>([
        [
            "stable-2.14.10",
            "stable-2.14.10",
            {},
            [
                `${STABLE} linkerd-crds 1.8.0`,
                `${STABLE} linkerd-control-plane 1.16.11`,
                `${STABLE} linkerd-viz 30.12.11`,
                `${STABLE} linkerd2-cni 30.12.2`,
            ],
        ],
        [
            "stable-2.14.10",
            "edge-26.8.3",
            {},
            [
                `${EDGE} linkerd-crds 2026.8.3`,
                `${STABLE} linkerd-control-plane 1.16.11`,
                `${STABLE} linkerd-viz 30.12.11`,
                `${STABLE} linkerd2-cni 30.12.2`,
            ],
        ],
        [
            "edge-24.7.5",
            "edge-24.7.5",
            { charts: "all", viz: { charts: "own" } },
            [
                "all linkerd-crds 2024.7.5",
                "all linkerd-control-plane 2024.7.5",
                "own linkerd-viz 2024.7.5",
                "all linkerd2-cni 2024.7.5",
            ],
        ],
    ])("%s with the CRDs of %s, with %j", (tag, crds, more, expected) => {
        expect(of(tag, crds, more)).toEqual(expected);
    });
});

describe("a CRD tells the chart that it came with", () => {
    const made = (chart: string | undefined, maker: string | undefined) =>
        madeBy({
            metadata: {
                labels: chart === undefined ? {} : { "helm.sh/chart": `linkerd-crds-${chart}` },
                annotations: maker === undefined ? {} : { "linkerd.io/created-by": maker },
            },
            spec: { group: "", names: { kind: "", plural: "" }, scope: "Namespaced", versions: [] },
        });

    it.each<[string | undefined, string | undefined, string | undefined, boolean]>([
        ["2024.7.5", "linkerd/helm edge-24.7.5", "2024.7.5", true],
        ["1.8.0", "linkerd/helm stable-2.14.10", "1.8.0", true],
        ["0.0.0-undefined", "linkerd/cli edge-24.7.5", "2024.7.5", true],
        ["1.8.0", "linkerd/cli stable-2.14.10", "1.8.0", true],
        [undefined, "linkerd/cli stable-2.14.3", "1.8.0", true],
        ["1.4.0", "linkerd/cli stable-2.12.6", "1.4.0", true],
        [undefined, "linkerd/cli stable-2.12.6", undefined, true],
        [undefined, undefined, undefined, false],
    ])("label %s, made by %s", (chart, maker, chartVersion, linkerd) => {
        expect(made(chart, maker)).toEqual({ chartVersion, linkerd });
    });

    it.each([
        ["egressnetworks.policy.linkerd.io", true],
        ["tlsroutes.gateway.networking.k8s.io", true],
        ["tcproutes.gateway.networking.k8s.io", true],
        ["gateways.gateway.networking.k8s.io", false],
        ["trafficsplits.split.smi-spec.io", false],
    ])("%s is of Linkerd's chart: %s", (name, expected) => {
        expect(isLinkerdCrd(name)).toBe(expected);
    });
});
