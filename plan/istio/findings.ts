import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import type { PathVerdict } from "../review";
import type { Wave } from "../waves";
import type { IstioConfig } from "./config";
import { defaultFaults, foreignFaults, leavingFaults } from "./foreign";
import { gatewayFaults, gatewayLines } from "./gateways";
import type { Manifests } from "./manifests";
import { namespaceFaults, namespaceLines, podLabelLines } from "./namespaces";
import { ownershipFaults } from "./ownership";
import { pathOf } from "./path";
import { foreignOptions, optionWarnings, renderedFaults } from "./rendered";
import { inPlaceFaults, revisionLines, valueFaults } from "./revisions";
import { tagLines, validatorLines } from "./tags";
import { gateFaults, sharedNamespaceFaults, waveFaults } from "./waves";

/** What is said of a plan before anything changes, in the order in which it is read. */
export interface IstioFindings {
    readonly path: PathVerdict;
    readonly faults: readonly Fault[];
    readonly lines: readonly string[];
}

export function findingsOf(
    config: IstioConfig,
    waves: readonly Wave[],
    live: LiveIstio,
    stack: string,
    manifests: Manifests,
    overrides: ReadonlySet<string>,
): IstioFindings {
    const { findings, path } = pathOf(config, live, overrides);
    return {
        path,
        faults: [
            ...ownershipFaults(config, live, stack),
            ...findings.faults,
            ...inPlaceFaults(config, live),
            ...valueFaults(config),
            ...waveFaults(waves),
            ...gateFaults(waves),
            ...sharedNamespaceFaults(waves),
            ...namespaceFaults(config, live),
            ...gatewayFaults(config, live, stack),
            ...foreignFaults(config, live),
            ...renderedFaults(config, live, manifests),
            ...defaultFaults(config, live),
            ...leavingFaults(config, live),
            ...[...manifests.values()].flatMap(({ faults }) => faults),
        ],
        lines: [
            ...revisionLines(config, live, stack),
            ...tagLines(config, live),
            ...namespaceLines(config, live),
            ...gatewayLines(config, live, manifests),
            ...findings.warnings.map((text) => `warning: ${text}`),
            ...optionWarnings([...foreignOptions(config), ...config.revisions]).map(
                (text) => `warning: ${text}`,
            ),
            ...podLabelLines(config, live),
            ...validatorLines(config, live, stack),
        ],
    };
}
