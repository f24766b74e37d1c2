import * as semver from "semver";
import { reaches, releaseOf } from "../releases";
import type { Evaluators } from "./evaluator";
import type { HealthAccess, LinkerdHealth } from "./observation";
import { failed, given, noneOf, ok, skipped, type Finding } from "./result";

/** From which release on which Kubernetes is asked for: the charts' kubeVersion. */
const MINIMUM: readonly (readonly [release: string, kubernetes: string])[] = [
    ["edge-26.5.1", "1.31.0"],
    ["edge-25.2.3", "1.23.0"],
    ["edge-24.3.1", "1.22.0"],
    ["stable-2.14.0", "1.21.0"],
];

/** Clocks may be five minutes and the ten seconds that a certificate allows apart (pkg/healthcheck, pkg/tls). */
const CLOCK_SKEW_MS = 5 * 60_000 + 10_000;

export const apiChecks: Evaluators = {
    // Whoever got this far has asked it.
    "k8s-api": ({ live }) => ok(`the API server answers (${live.serverVersion})`),
};

export const kubernetesVersionChecks: Evaluators = {
    "k8s-version": ({ live, expected }) => {
        const version = releaseOf(expected.version);
        const server = semver.coerce(live.serverVersion);
        if (version === undefined || server === null) {
            return skipped(`no version can be compared with ${live.serverVersion}`);
        }
        const [, minimum = "0.0.0"] = MINIMUM.find(([from]) => reaches(version.tag, from)) ?? [];
        return semver.gte(server, minimum)
            ? ok(`${live.serverVersion} is at least ${minimum}`)
            : failed(`${live.serverVersion} is older than ${minimum}, which ${version.tag} needs`);
    },
};

export const preChecks: Evaluators = {
    "pre-ns": ({ live, install }) => {
        const found = live.namespaces.find(({ name }) => name === "linkerd");
        return found === undefined || found.stack === install?.stack
            ? ok("namespace linkerd is free, or this stack's")
            : failed("namespace linkerd exists and is not this stack's");
    },
    "pre-k8s-cluster-k8s": (health) =>
        accessOf(health, ({ cluster }) =>
            noneOf(refusedOf(cluster), "not allowed", "objects without a namespace may be created"),
        ),
    "pre-k8s": (health) =>
        accessOf(health, ({ namespaced, requestHeaders }) => {
            const refused = refusedOf(namespaced);
            return refused.length === 0 && !requestHeaders
                ? failed(
                      "ConfigMap kube-system/extension-apiserver-authentication has no requestheader-client-ca-file: the API of tap could trust nobody",
                  )
                : noneOf(refused, "not allowed", "objects in namespace linkerd may be created");
        }),
    "pre-k8s-clock-skew": ({ nodes, now }) =>
        given(nodes, (all) =>
            noneOf(
                all
                    .filter(
                        ({ heartbeat }) =>
                            heartbeat !== undefined &&
                            Math.abs(now.getTime() - heartbeat) > CLOCK_SKEW_MS,
                    )
                    .map(({ name }) => name),
                "nodes whose clock is more than 5 minutes off, or whose kubelet is late",
                `${all.length} nodes' clocks agree with this one`,
            ),
        ),
};

function accessOf({ access }: LinkerdHealth, judge: (access: HealthAccess) => Finding) {
    return access === undefined
        ? skipped("only a new installation asks for it")
        : given(access, judge);
}

function refusedOf(rights: Readonly<Record<string, boolean>>): string[] {
    return Object.keys(rights).filter((right) => rights[right] !== true);
}
