import { describe, expect, it } from "vitest";
import type { LiveInstallation } from "../../cluster/adoption";
import { externalCertificateFaults } from "../../plan/externalCertificates";
import { NOTHING } from "./support/live";

const faults = (
    live: Partial<LiveInstallation>,
    adopt = true,
    enabled = true,
    source: "adopted" | "cert-manager" = "adopted",
) =>
    externalCertificateFaults(
        { adopt, viz: { enabled, values: {} }, identity: { source } },
        { ...NOTHING, foreign: true, ...live },
    );
const release = {
    revision: 1,
    status: "deployed",
    chartVersion: "2024.5.3",
    config: { tap: { injectCaFrom: "linkerd-viz/tap" } },
};

describe("an installation that gets its certificates from somebody else is not taken over", () => {
    it.each([
        [{ identity: { externalCA: true } }, "identity.externalCA", "true"],
        [
            { proxyInjector: { injectCaFrom: "linkerd/x" } },
            "proxyInjector.injectCaFrom",
            "linkerd/x",
        ],
        [
            { policyValidator: { injectCaFromSecret: "linkerd/y" } },
            "policyValidator.injectCaFromSecret",
            "linkerd/y",
        ],
    ])("%j", (values, path, value) => {
        expect(faults({ values })).toMatchObject([
            { subject: `controlPlane.values.${path} of the live installation`, value },
        ]);
        expect(faults({ values }, false)).toEqual([]);
        // The stack's own from here on.
        expect(faults({ values, foreign: false })).toEqual([]);
    });

    it("nor is viz, where the stack has it", () => {
        expect(faults({ release })).toMatchObject([
            { subject: "viz.values.tap.injectCaFrom of the live installation" },
        ]);
        expect(faults({ release }, true, false)).toEqual([]);
    });

    it("but cert-manager's injections are, where the stack has that source, too", () => {
        const values = {
            identity: { externalCA: true },
            proxyInjector: { injectCaFrom: "linkerd/x" },
        };
        expect(faults({ values, release }, true, true, "cert-manager")).toMatchObject([
            { subject: "controlPlane.values.identity.externalCA of the live installation" },
        ]);
    });

    it("as charts and CLI have them by default, nothing is refused", () => {
        const none = { externalSecret: false, injectCaFrom: "", injectCaFromSecret: "" };
        const values = { identity: { externalCA: false }, proxyInjector: none };
        expect(faults({ values, release: { ...release, config: { tap: none } } })).toEqual([]);
    });
});
