import { beforeAll, describe, expect, it } from "vitest";
import type { LinkerdStackConfig } from "../../config";
import { gatewayApiOf } from "../../plan/checks/gatewayApi";
import { checkLinkerd } from "../../plan/checks/linkerd";
import type { LinkerdHealth } from "../../plan/checks/observation";
import { LINKERD_CHECKS } from "../../plan/checks/table";
import { judgeBefore, type Update } from "../../plan/checks/verdict";
import { LINKERD_NOTICES } from "../../plan/policy/linkerdNotices";
import { noticeResults } from "../../plan/policy/notices";
import { NO_SETTINGS } from "../../plan/settings";
import { healthy } from "./support/health";
import { EMPTY, NOTHING } from "./support/live";
import { versionAt } from "./support/releases";

const crd = (name: string, chartVersion?: string) => ({
    ...{ name, chartVersion, linkerd: chartVersion !== undefined, stack: undefined },
});
const ROUTE = crd("httproutes.gateway.networking.k8s.io");
const OLD_MESH = { ...EMPTY, installed: true, linkerdVersion: "edge-25.2.1" };

describe("whether an update brings the CRDs of the Gateway API", () => {
    const config = (tag: string, values: object) =>
        ({ linkerdVersion: versionAt(tag), crds: { values } }) as unknown as LinkerdStackConfig;

    // values.yaml and gateway.networking.k8s.io_httproutes.yaml of linkerd-crds at these tags
    it.each<[tag: string, values: object, live: object, brought: boolean]>([
        ["edge-25.3.4", {}, {}, true],
        ["edge-25.9.3", {}, {}, true],
        ["edge-25.9.4", {}, {}, false],
        ["edge-25.9.4", { installGatewayAPI: true }, {}, true],
        ["edge-25.9.4", { enableHttpRoutes: true }, {}, true],
        ["edge-25.9.4", { installGatewayAPI: true, enableHttpRoutes: false }, {}, false],
        ["edge-25.4.4", { installGatewayAPI: false }, {}, false],
        ["edge-26.8.3", { enableTcpRoutes: true, enableTlsRoutes: true }, {}, false],
        // CRDs move forward only: those of a later chart stay.
        ["edge-25.4.4", {}, { crds: [crd("servers.policy.linkerd.io", "2025.10.7")] }, false],
    ])("%s with %j beside %j: %s", (tag, values, live, brought) => {
        expect(gatewayApiOf(config(tag, values), { ...EMPTY, ...live }, undefined)).toEqual({
            target: tag,
            brought,
        });
    });

    it("of a mesh that was adopted without routes it does not, whatever the chart's default", () => {
        const crds = { enableHttpRoutes: false };
        const taken = { ...NO_SETTINGS, crds };
        const live = { ...OLD_MESH, installation: { ...NOTHING, taken } };
        const asked = config("edge-25.4.4", { installGatewayAPI: true });
        expect(gatewayApiOf(asked, live, undefined).brought).toBe(false);
        const plan = { values: { ...NO_SETTINGS, crds } };
        expect(gatewayApiOf(asked, OLD_MESH, plan).brought).toBe(false);
    });
});

it("the notice does not tell by values what the check tells by the cluster", () => {
    const notices = LINKERD_NOTICES.filter(({ id }) => id === "gateway-api-mandatory");
    const told = (crds: object) =>
        noticeResults(notices, {
            ...{ evidence: new Map(), values: { crds }, acknowledge: new Set(), acting: true },
        }).map(({ applies, evidence, blocking }) => ({ applies, evidence, blocking }));
    const everybody = [{ applies: "yes", evidence: [], blocking: false }];
    expect(told({})).toEqual(everybody);
    expect(told({ installGatewayAPI: true })).toEqual(everybody);
});

describe("an update to a release that needs the CRDs of the Gateway API", () => {
    let well: LinkerdHealth;
    beforeAll(async () => {
        well = await healthy();
    });
    const resultOf = (target: string, brought: boolean, more: Partial<LinkerdHealth> = {}) =>
        checkLinkerd({ ...well, gatewayApi: { target, brought }, ...more }, "before").find(
            ({ id }) => id === "gateway-api-crd",
        );

    it.each<[target: string, brought: boolean, route: boolean, result: string, message: RegExp]>([
        ["edge-25.3.3", false, false, "skipped", /^the target does without/],
        ["edge-25.3.4", false, false, "failed", /^edge-25\.3\.4 needs the CRDs/],
        ["edge-25.3.4", true, false, "ok", /^the chart linkerd-crds brings the CRDs/],
        ["edge-26.8.3", false, true, "ok", /^there: httproutes\.gateway\.networking\.k8s\.io$/],
    ])("%s, brought %s, there %s: %s", (target, brought, route, result, message) => {
        const live = { ...well.live, crds: [...well.live.crds, ...(route ? [ROUTE] : [])] };
        const found = resultOf(target, brought, { live });
        expect(found?.result).toBe(result);
        expect(found?.message).toMatch(message);
    });

    // CheckGatewayAPICRDs in pkg/healthcheck/healthcheck.go at edge-26.8.3
    it.each<[name: string, versions: string[], chart: string | undefined, result: string]>([
        ["grpcroutes", ["v1"], undefined, "ok"],
        ["httproutes", ["v1beta1"], undefined, "failed"],
        ["httproutes", ["v1beta1"], "2024.7.5", "ok"],
        ["tcproutes", ["v1"], undefined, "failed"],
        ["tlsroutes", ["v1"], "2024.11.8", "failed"],
    ])("%s with %j of chart %s alone: %s", (name, versions, chart, result) => {
        const route = { ...crd(`${name}.gateway.networking.k8s.io`, chart), versions };
        const live = { ...well.live, crds: [...well.live.crds, route] };
        expect(resultOf("edge-26.8.3", false, { live })?.result).toBe(result);
    });

    it.each<[Update["change"], boolean]>([
        ["install", true],
        ["upgrade", true],
        ["none", false],
        ["revert", false],
    ])("without them: %s is refused: %s", (change, refuses) => {
        const install = change === "install" ? { stack: "demo" } : undefined;
        const failed = resultOf("edge-25.9.4", false, { install });
        const [verdict] = judgeBefore(failed ? [failed] : [], LINKERD_CHECKS, {
            ...{ change, unfinished: undefined, target: "edge-25.9.4", ignore: [], replaced: [] },
            ...{ running: undefined, preview: false },
        });
        expect(verdict?.refuses).toBe(refuses);
    });
});
