/** Settings that the target's chart does not know: refused where an edit saves them, told by name otherwise. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import type { ChartValues } from "../../config";
import type { Defaults } from "../../plan/adoption";
import { placeOf, sectionsToAsk, unknownToTarget } from "../../plan/movedSettings";

const OLD = "2024.5.3";
const NEW = "2026.8.3";
const chart = (name: string) => ({
    before: { name, version: OLD },
    target: { name, version: NEW },
});
const CHARTS = {
    crds: chart("linkerd-crds"),
    controlPlane: chart("linkerd-control-plane"),
    viz: chart("linkerd-viz"),
};
const BEFORE = {
    controlPlaneTracing: false,
    policyController: { image: { name: "" }, logLevel: "info" },
    webhook: { timeout: 1 },
    gone: 1,
};
const TARGET = {
    controller: { tracing: { enabled: false } },
    policyController: { logLevel: "info" },
    injector: { timeout: 1 },
};
const chartOf = (values: ChartValues, templates = "") => ({ values, templates });
const defaults: Defaults = new Map([
    [`linkerd-control-plane ${OLD}`, chartOf(BEFORE)],
    [`linkerd-control-plane ${NEW}`, chartOf(TARGET, "{{ .Values.tolerations }}")],
    [`linkerd-crds ${NEW}`, chartOf({ enableHttpRoutes: true })],
]);
const config = (controlPlane: ChartValues, crds: ChartValues = {}) => ({
    crds: { values: crds },
    controlPlane: { values: controlPlane },
    viz: { enabled: true, values: {} },
});
const ask = (values: ChartValues, change: "install" | "upgrade" | "revert" | "none" = "upgrade") =>
    unknownToTarget(config(values), CHARTS, defaults, change);
const CHART = `chart linkerd-control-plane ${NEW}`;

describe("a setting that has another name in the target's chart", () => {
    const line = `setting controlPlane.values.controlPlaneTracing is not known to ${CHART}: without effect there; it is controlPlane.values.controller.tracing.enabled in other releases`;

    it.each(["install", "upgrade"] as const)(
        "is refused, with its new place, before an %s loses it",
        (change) => {
            expect(ask({ controlPlaneTracing: true }, change)).toEqual({
                faults: [
                    {
                        subject: "controlPlane.values.controlPlaneTracing",
                        value: "true",
                        rule: `is not known to ${CHART} and would do nothing; there it is controlPlane.values.controller.tracing.enabled`,
                        next: "set controlPlane.values.controller.tracing.enabled (its form may be another); controlPlaneTracing may stay beside it for the way back",
                    },
                ],
                lines: [],
            });
        },
    );

    it("is told only where the new place is set as well", () => {
        const values = { controlPlaneTracing: true, controller: { tracing: { enabled: true } } };
        expect(ask(values)).toEqual({ faults: [], lines: [line] });
    });

    it.each(["revert", "none"] as const)("is told only where the update is a %s", (change) => {
        expect(ask({ controlPlaneTracing: true }, change)).toEqual({ faults: [], lines: [line] });
    });

    it("is known by its new name to the older chart's refusal, too", () => {
        const { faults } = unknownToTarget(
            config({}, { installGatewayAPI: true }),
            CHARTS,
            defaults,
            "install",
        );
        expect(faults).toMatchObject([
            {
                subject: "crds.values.installGatewayAPI",
                rule: `is not known to chart linkerd-crds ${NEW} and would do nothing; there it is crds.values.enableHttpRoutes`,
            },
        ]);
    });
});

describe("a setting that nothing takes the place of", () => {
    const told = (name: string, more: string) =>
        `setting controlPlane.values.${name} is not known to ${CHART}: without effect there${more}`;

    it.each([
        [
            "with what counts instead, where that is known",
            { policyController: { image: { name: "mine" } } },
            told(
                "policyController.image.name",
                "; the policy controller comes with controllerImage",
            ),
        ],
        [
            "with what is new of the same name, where the charts' values show any",
            { webhook: { timeout: 9 } },
            told("webhook.timeout", "; new there: injector.timeout"),
        ],
        ["as one that went", { gone: 2 }, told("gone", "; the chart of before had it")],
        ["as one that never was, such as a slip", { logLevle: "debug" }, told("logLevle", "")],
    ])("is told %s", (_, values, line) => {
        expect(ask(values)).toEqual({ faults: [], lines: [line] });
    });

    it("is not told of one that only a template names, or that the chart has", () => {
        const values = { tolerations: [{}], policyController: { logLevel: "debug" } };
        expect(ask(values)).toEqual({ faults: [], lines: [] });
    });

    it("is not told of a chart that could not be read, which is refused elsewhere", () => {
        const nothing = unknownToTarget(config({ gone: 1 }), CHARTS, new Map(), "upgrade");
        expect(nothing).toEqual({ faults: [], lines: [] });
    });
});

describe("sections without settings of the stack file", () => {
    it("are not asked: none are set, they are rendered elsewhere, or viz is off", () => {
        const rendered = { values: { a: 1 }, manifests: "x.yaml" };
        const viz = { enabled: false, values: { a: 1 } };
        expect(sectionsToAsk({ ...config({}), controlPlane: rendered, viz })).toEqual([]);
        expect(sectionsToAsk(config({ a: 1 }, { a: 1 }))).toEqual(["crds", "controlPlane"]);
    });
});

it("a setting of a taken-over installation is told with its place as well", () => {
    expect(placeOf("controlPlane", ["proxyInit", "resources", "cpu"])).toBe(
        "; proxy.resources count for proxy-init",
    );
    expect(placeOf("viz", ["proxyInit", "resources"])).toBe("");
});

it("the pair of the test charts has such a setting: proxyInit.resources", () => {
    const read = (version: string) =>
        parse(
            readFileSync(
                join(
                    import.meta.dirname,
                    `../fixtures/charts/linkerd-control-plane-${version}/values.yaml`,
                ),
                "utf8",
            ),
        ) as { proxyInit: object };
    expect(read("2024.5.3").proxyInit).toHaveProperty("resources");
    expect(read("2024.7.5").proxyInit).not.toHaveProperty("resources");
});
