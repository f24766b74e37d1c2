import { at } from "../values";
import { reaches } from "../releases";
import type { Evaluators } from "./evaluator";
import type { HealthService, HealthWebhooks, LinkerdHealth } from "./observation";
import { allOf, failed, given, noneOf, ok, skipped, type Finding, type Read } from "./result";

/** ClusterRoles and ClusterRoleBindings of the control plane that are checked. */
const ROLES = ["linkerd-linkerd-identity", "linkerd-linkerd-proxy-injector"];
const ACCOUNTS = ["linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"];
/** Since stable-2.12, whose charts are the first that a stack installs. */
const CRDS = [
    "authorizationpolicies.policy.linkerd.io",
    "httproutes.policy.linkerd.io",
    "meshtlsauthentications.policy.linkerd.io",
    "networkauthentications.policy.linkerd.io",
    "serverauthorizations.policy.linkerd.io",
    "servers.policy.linkerd.io",
    "serviceprofiles.linkerd.io",
];
/** The first chart with externalworkloads. */
const EXTERNAL_WORKLOADS = "edge-24.2.1";

const INJECTOR = ["linkerd-proxy-injector-webhook-config"];
const VALIDATORS = [
    "linkerd-sp-validator-webhook-config",
    "linkerd-policy-validator-webhook-config",
];

export const configChecks: Evaluators = {
    "l5d-existence-ns": ({ live }) =>
        live.namespaces.some(({ name }) => name === "linkerd")
            ? ok("namespace linkerd exists")
            : failed("namespace linkerd does not exist"),
    "l5d-existence-cr": ({ clusterRoles }) =>
        given(clusterRoles, (found) => allOf(ROLES, found, "ClusterRole")),
    "l5d-existence-crb": ({ clusterRoleBindings }) =>
        given(clusterRoleBindings, (found) => allOf(ROLES, found, "ClusterRoleBinding")),
    "l5d-existence-sa": ({ serviceAccounts }) =>
        given(serviceAccounts, (found) => allOf(ACCOUNTS, found, "ServiceAccount")),
    "l5d-existence-crd": ({ live }) =>
        allOf(
            crdsOf(live.linkerdVersion),
            live.crds.map(({ name }) => name),
            "CustomResourceDefinition",
        ),
    "l5d-existence-mwc": (health) =>
        webhooks(INJECTOR, health.mutating, health, "MutatingWebhookConfiguration"),
    "l5d-existence-vwc": (health) =>
        webhooks(VALIDATORS, health.validating, health, "ValidatingWebhookConfiguration"),
    "l5d-proxy-init-run-as-root": ({ live, nodes, cni }) => {
        if (cni !== undefined) {
            return skipped("the CNI plugin does the work of proxy-init");
        }
        if (at(live.values, "proxyInit.runAsRoot") === true) {
            return ok("proxy-init runs as root");
        }
        return given(nodes, (all) =>
            noneOf(
                all.filter(({ runtime }) => runtime.startsWith("docker:")).map(({ name }) => name),
                "proxyInit.runAsRoot has to be true for nodes whose runtime is Docker",
                "no node's runtime is Docker",
            ),
        );
    },
};

function crdsOf(version: string | undefined): string[] {
    return reaches(version, EXTERNAL_WORKLOADS)
        ? [...CRDS, "externalworkloads.workload.linkerd.io"]
        : CRDS;
}

/** The configurations exist, and so does each Service that they call. */
function webhooks(
    wanted: readonly string[],
    configurations: Read<readonly HealthWebhooks[]>,
    { services }: LinkerdHealth,
    kind: string,
): Finding {
    return given(configurations, (found) => {
        const exist = allOf(
            wanted,
            found.map(({ name }) => name),
            kind,
        );
        if (exist.result === "failed") {
            return exist;
        }
        return given(services, (all) => {
            const lost = found
                .filter(({ name }) => wanted.includes(name))
                .flatMap((one) => one.services.filter((service) => !isThere(all, service)));
            return noneOf(lost, `${kind} calls a Service that does not exist`, exist.message);
        });
    });
}

function isThere(services: readonly HealthService[], wanted: string): boolean {
    return services.some(({ namespace, name }) => `${namespace}/${name}` === wanted);
}
