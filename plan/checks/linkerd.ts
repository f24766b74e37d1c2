import { apiChecks, kubernetesVersionChecks, preChecks } from "./api";
import { identityChecks, webhookChecks } from "./certificates";
import { cniChecks } from "./cni";
import { configChecks } from "./config";
import type { Evaluators } from "./evaluator";
import { existenceChecks } from "./existence";
import { gatewayApiChecks } from "./gatewayApi";
import type { LinkerdHealth } from "./observation";
import {
    controlPlaneProxyChecks,
    dataPlaneChecks,
    haChecks,
    identityDataPlaneChecks,
    versionChecks,
} from "./proxies";
import type { CheckResult } from "../review";
import { given, noneOf } from "./result";
import { LINKERD_CHECKS, linkerdHint, type Stage } from "./table";
import { vizChecks } from "./viz";

const extensionChecks: Evaluators = {
    "l5d-extension-namespaces": ({ extensions }) =>
        given(extensions, (found) => {
            const namespacesOf = (wanted: string) =>
                found.filter(({ extension }) => extension === wanted).map(({ name }) => name);
            return noneOf(
                [...new Set(found.map(({ extension }) => extension))]
                    .filter((one) => namespacesOf(one).length > 1)
                    .map((one) => `${one} (${namespacesOf(one).join(", ")})`),
                "extensions with more than one namespace",
                "each extension has one namespace",
            );
        }),
};

/** By category; each id of the table has its evaluator here, and no other. */
export const LINKERD_EVALUATORS: Readonly<Record<string, Evaluators>> = {
    "kubernetes-api": apiChecks,
    "kubernetes-version": kubernetesVersionChecks,
    "gateway-api-crd": gatewayApiChecks,
    "pre-kubernetes-setup": preChecks,
    "linkerd-config": configChecks,
    "linkerd-existence": existenceChecks,
    "linkerd-cni-plugin": cniChecks,
    "linkerd-identity": identityChecks,
    "linkerd-webhooks-and-apisvc-tls": webhookChecks,
    "linkerd-identity-data-plane": identityDataPlaneChecks,
    "control-plane-version": versionChecks,
    "linkerd-control-plane-proxy": controlPlaneProxyChecks,
    "linkerd-data-plane": dataPlaneChecks,
    "linkerd-ha-checks": haChecks,
    "linkerd-extension-checks": extensionChecks,
    "linkerd-viz": vizChecks,
};

/** Where nothing is installed, there is nothing else to look at. */
const OF_INSTALL = new Set([
    "kubernetes-api",
    "kubernetes-version",
    "gateway-api-crd",
    "pre-kubernetes-setup",
]);

/** The results of a stage, in the order of the table. */
export function checkLinkerd(health: LinkerdHealth, stage: Stage): CheckResult[] {
    return LINKERD_CHECKS.filter(
        ({ category, when }) =>
            when.includes(stage) &&
            (health.install === undefined
                ? category !== "pre-kubernetes-setup"
                : OF_INSTALL.has(category)),
    ).map(({ id, category, severity }) => {
        const evaluate = LINKERD_EVALUATORS[category]?.[id];
        if (evaluate === undefined) {
            throw new Error(`check ${category}/${id} is in the table and cannot be evaluated`);
        }
        return { id, category, severity, ...evaluate(health), hint: linkerdHint(id) };
    });
}
