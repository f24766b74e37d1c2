import { at } from "../values";
import type { Evaluators } from "./evaluator";
import { COMPONENTS, controlPlanePods } from "./existence";
import type { HealthPod, LinkerdHealth } from "./observation";
import { given, noneOf, ok, skipped, type Finding } from "./result";

/** Meshed pods outside the control plane's namespace. */
function dataPlanePods(pods: readonly HealthPod[]): readonly HealthPod[] {
    return pods.filter(({ namespace, meshed, gone }) => namespace !== "linkerd" && meshed && !gone);
}

export const nameOf = ({ namespace, name }: HealthPod) => `${namespace}/${name}`;

/** Pods whose proxy is not ready and had the time to be, each with its reason. */
export function unready(pods: readonly HealthPod[], since: Date): string[] {
    return pods
        .filter(({ running, proxyReady }) => !running || !proxyReady)
        .filter(({ created }) => created <= since.getTime())
        .map((pod) => `${nameOf(pod)} (${pod.trouble ?? "its proxy is not ready"})`);
}

/** Pods whose proxy is of another version. */
export function otherVersion(pods: readonly HealthPod[], { expected }: LinkerdHealth): string[] {
    return pods
        .filter(({ proxy }) => proxy !== expected.proxy)
        .map((pod) => `${nameOf(pod)} (${pod.proxy ?? "no version"})`);
}

export const identityDataPlaneChecks: Evaluators = {
    "l5d-identity-data-plane-proxies-certs-match-ca": ({ pods }) =>
        given(pods, (all) =>
            noneOf(
                dataPlanePods(all)
                    .filter(({ trusts }) => trusts === false)
                    .map(nameOf),
                "pods with other trust anchors than those of now; a restart brings them",
                "each proxy has the trust anchors of now",
            ),
        ),
};

export const versionChecks: Evaluators = {
    "l5d-version-control": ({ live, expected, pods }) =>
        given(pods, (all) => {
            const others = controlPlanePods(all)
                .filter(({ component = "" }) => COMPONENTS.includes(component))
                .filter(({ tags }) => !isOf(tags, expected.version))
                .map(({ name, tags }) => `${name} (${tags.join(", ")})`);
            const named = live.linkerdVersion;
            return noneOf(
                [...(named === expected.version ? [] : [`linkerd-config (${named})`]), ...others],
                `not of ${expected.version}`,
                `the control plane is of ${expected.version}`,
            );
        }),
};

/** A digest, or an image of the user's own, has no tag that could be compared. */
function isOf(tags: readonly string[], version: string): boolean {
    const told = tags.filter((tag) => /^(edge|stable)-/.test(tag));
    return told.every((tag) => tag === version);
}

export const controlPlaneProxyChecks: Evaluators = {
    "l5d-cp-proxy-healthy": ({ pods, since }) =>
        given(pods, (all) =>
            noneOf(
                unready(
                    controlPlanePods(all).filter(({ meshed }) => meshed),
                    since,
                ),
                "proxies that are not ready",
                "the control plane's proxies are ready",
            ),
        ),
    "l5d-cp-proxy-version": (health) =>
        given(health.pods, (all) =>
            noneOf(
                otherVersion(
                    controlPlanePods(all).filter(({ meshed }) => meshed),
                    health,
                ),
                `proxies not of ${health.expected.proxy}`,
                `the control plane's proxies are of ${health.expected.proxy}`,
            ),
        ),
};

export const dataPlaneChecks: Evaluators = {
    "l5d-data-plane-ready": ({ pods, since }) =>
        ofDataPlane(pods, (own) =>
            noneOf(
                unready(own, since),
                "proxies that are not ready",
                `${own.length} proxies are ready`,
            ),
        ),
    "l5d-data-plane-version": (health) =>
        ofDataPlane(health.pods, (own) =>
            noneOf(
                otherVersion(own, health),
                `proxies not of ${health.expected.proxy}`,
                `${own.length} proxies are of ${health.expected.proxy}`,
            ),
        ),
    "l5d-data-plane-pod-labels": ({ pods }) =>
        ofDataPlane(pods, (own) =>
            noneOf(
                own.filter(({ misplaced }) => misplaced.length > 0).map(labelled),
                "labels that should be annotations",
                "no pod has an annotation as a label",
            ),
        ),
    "l5d-data-plane-services-labels": ({ services }) =>
        given(services, (all) =>
            noneOf(
                all
                    .filter(({ misplacedLabels }) => misplacedLabels.length > 0)
                    .map((one) => `${one.namespace}/${one.name}: ${one.misplacedLabels.join(" ")}`),
                "labels that should be annotations",
                "no Service has an annotation as a label",
            ),
        ),
    "l5d-data-plane-services-annotations": ({ services }) =>
        given(services, (all) =>
            noneOf(
                all
                    .filter(({ misplacedAnnotations }) => misplacedAnnotations.length > 0)
                    .map(
                        (one) =>
                            `${one.namespace}/${one.name}: ${one.misplacedAnnotations.join(" ")}`,
                    ),
                "annotations that should be labels",
                "no Service has a label as an annotation",
            ),
        ),
};

const labelled = (pod: HealthPod) => `${nameOf(pod)}: ${pod.misplaced.join(" ")}`;

function ofDataPlane(
    pods: LinkerdHealth["pods"],
    judge: (own: readonly HealthPod[]) => Finding,
): Finding {
    return given(pods, (all) => {
        const own = dataPlanePods(all);
        return own.length === 0 ? ok("there are no meshed pods") : judge(own);
    });
}

export const haChecks: Evaluators = {
    "l5d-control-plane-replicas": ({ live, available }) =>
        at(live.values, "highAvailability") === true
            ? given(available, (replicas) =>
                  noneOf(
                      COMPONENTS.map((one) => `linkerd-${one}`)
                          .filter((name) => (replicas[name] ?? 0) <= 1)
                          .map((name) => `${name} (${replicas[name] ?? 0})`),
                      "fewer than two available replicas",
                      "each Deployment has more than one available replica",
                  ),
              )
            : skipped("highAvailability is not set"),
};
