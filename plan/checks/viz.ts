import { tapCertificateChecks } from "./certificates";
import type { Evaluators } from "./evaluator";
import type { HealthPod, LinkerdHealth } from "./observation";
import { nameOf, otherVersion, unready } from "./proxies";
import { allOf, failed, given, noneOf, ok, skipped, unless, type Finding } from "./result";

const ROLES = [
    "linkerd-linkerd-viz-tap",
    "linkerd-linkerd-viz-metrics-api",
    "linkerd-linkerd-viz-tap-admin",
    "linkerd-tap-injector",
];
const BINDINGS = [
    "linkerd-linkerd-viz-tap",
    "linkerd-linkerd-viz-metrics-api",
    "linkerd-linkerd-viz-tap-auth-delegator",
    "linkerd-tap-injector",
];
const PROMETHEUS = "linkerd-linkerd-viz-prometheus";
const COMPONENTS = ["web", "tap", "metrics-api", "tap-injector"];

/** Every check asks first whether there is a viz. */
function withViz(evaluators: Evaluators): Evaluators {
    return Object.fromEntries(
        Object.entries(evaluators).map(([id, evaluate]) => [
            id,
            (health: LinkerdHealth) =>
                health.viz ? evaluate(health) : skipped("there is no linkerd-viz"),
        ]),
    );
}

export const vizChecks = withViz({
    "l5d-viz-ns-exists": ({ live }) =>
        live.namespaces.some(({ name }) => name === "linkerd-viz")
            ? ok("namespace linkerd-viz exists")
            : failed("namespace linkerd-viz does not exist"),
    "l5d-viz-cr-exists": ({ clusterRoles }) =>
        given(clusterRoles, (found) => allOf(ROLES, found, "ClusterRole")),
    "l5d-viz-crb-exists": ({ clusterRoleBindings }) =>
        given(clusterRoleBindings, (found) => allOf(BINDINGS, found, "ClusterRoleBinding")),
    ...tapCertificateChecks,
    "l5d-tap-api": ({ tap }) =>
        tap === undefined
            ? skipped("there is no API of tap")
            : given(tap, (problem) => unless(problem, "the API of tap is available")),
    "l5d-viz-pods-injection": ({ pods }) =>
        ofViz(pods, (own) =>
            noneOf(
                own.filter(({ meshed }) => !meshed).map(nameOf),
                "pods without a proxy",
                "viz's pods have a proxy",
            ),
        ),
    "l5d-viz-pods-running": ({ pods, since }) =>
        ofViz(pods, (own) => {
            const missing = COMPONENTS.filter((name) => !own.some((pod) => pod.component === name));
            return noneOf(
                missing.length > 0
                    ? missing.map((name) => `${name} (no pod)`)
                    : unready(
                          own.filter(({ meshed }) => meshed),
                          since,
                      ),
                "components that do not run",
                "viz's components run",
            );
        }),
    "l5d-viz-proxy-healthy": ({ pods, since }) =>
        ofViz(pods, (own) =>
            noneOf(
                [
                    ...unready(
                        own.filter(({ meshed }) => meshed),
                        since,
                    ),
                    ...own
                        .filter(({ trusts }) => trusts === false)
                        .map((pod) => `${nameOf(pod)} (other trust anchors than those of now)`),
                ],
                "proxies that are not healthy",
                "viz's proxies are healthy",
            ),
        ),
    "l5d-viz-proxy-cp-version": (health) =>
        ofViz(health.pods, (own) =>
            noneOf(
                otherVersion(
                    own.filter(({ meshed }) => meshed),
                    health,
                ),
                `proxies not of ${health.expected.proxy}`,
                `viz's proxies are of ${health.expected.proxy}`,
            ),
        ),
    "l5d-viz-prometheus": (health) => {
        const { pods, clusterRoles, clusterRoleBindings, extensions, prometheusConfig } = health;
        const external =
            "value" in extensions && extensions.value.some((one) => one.externalPrometheus);
        if (external || prometheusConfig === undefined) {
            return skipped("viz uses a Prometheus of the user's");
        }
        return given(clusterRoles, (roles) =>
            given(clusterRoleBindings, (bindings) =>
                given(prometheusConfig, (config) =>
                    ofViz(pods, (own) =>
                        noneOf(
                            [
                                ...(roles.includes(PROMETHEUS) ? [] : ["ClusterRole"]),
                                ...(bindings.includes(PROMETHEUS) ? [] : ["ClusterRoleBinding"]),
                                ...(config ? [] : ["ConfigMap prometheus-config"]),
                                ...(own.some(({ component }) => component === "prometheus")
                                    ? []
                                    : ["pod"]),
                            ],
                            "of the Prometheus of viz is missing",
                            "the Prometheus of viz is there",
                        ),
                    ),
                ),
            ),
        );
    },
});

function ofViz(
    pods: LinkerdHealth["pods"],
    judge: (own: readonly HealthPod[]) => Finding,
): Finding {
    return given(pods, (all) =>
        judge(all.filter(({ namespace, gone }) => namespace === "linkerd-viz" && !gone)),
    );
}
