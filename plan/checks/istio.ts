import type { DataPlane } from "../../cluster/dataPlane";
import type { LiveIstio } from "../../cluster/istio/observe";
import { istioTarget, SEVERAL_SIDECARS } from "../istio/target";
import { NO_SIDECAR } from "../dataPlane";
import type { CheckResult } from "../review";
import { given, noneOf, ok, skipped, type Finding, type Read } from "./result";
import { ISTIO_CHECKS, type Stage } from "./table";

/** Whether an istiod serves. That its rollout is complete is asked by the waves (cluster/istio/serving.ts). */
export interface HealthIstiod {
    readonly name: string;
    readonly revision: string;
    /** Pods that serve, and pods that should. */
    readonly available: number;
    readonly wanted: number;
}

/** What was looked at for the checks of Istio. */
export interface IstioHealth {
    readonly live: Pick<LiveIstio, "webhooks" | "injection" | "crds" | "users" | "serverVersion">;
    readonly istiods: Read<readonly HealthIstiod[]>;
    /** Of the Services that webhooks call, those that exist: `istio-system/istiod`. */
    readonly services: Read<readonly string[]>;
    readonly dataPlane: Read<Pick<DataPlane, "pods">>;
    /** Whether the stack file names a default revision, which validates. */
    readonly validates: boolean;
}

const VALIDATING = "ValidatingWebhookConfiguration";

const EVALUATORS: Readonly<Record<string, (health: IstioHealth) => Finding>> = {
    "istio-api": ({ live }) => ok(`the API server answers (${live.serverVersion})`),
    "istio-istiod-ready": ({ live, istiods }) =>
        given(istiods, (all) => {
            // One that nobody uses yet, or any more, harms nobody.
            const used = new Set(live.users.pods.map(({ running }) => running));
            const own = all.filter(({ revision }) => used.has(revision));
            return own.length === 0
                ? skipped("no pod uses an istiod")
                : noneOf(
                      own
                          .filter(({ available }) => available === 0)
                          .map(({ name, wanted }) => `${name} (0 of ${wanted} pods available)`),
                      "istiods in use that do not serve",
                      `${own.length} istiods in use serve`,
                  );
        }),
    "istio-webhook-services": ({ live, services }) =>
        given(services, (found) =>
            noneOf(
                live.webhooks.flatMap(({ name, services: called }) =>
                    called
                        .filter((one) => !found.includes(one))
                        .map((one) => `${name} calls ${one}`),
                ),
                "webhooks that call a Service that does not exist",
                `${live.webhooks.length} webhook configurations call Services that exist`,
            ),
        ),
    "istio-default-validator": ({ live, validates }) =>
        validates
            ? noneOf(
                  live.webhooks.some(({ kind, revision }) => {
                      const shared = revision === undefined || revision === "default";
                      return kind === VALIDATING && shared;
                  }) || live.webhooks.some(({ name }) => name === "istiod-default-validator")
                      ? []
                      : [VALIDATING],
                  "nothing validates Istio's objects without a revision's label",
                  "Istio's objects are validated",
              )
            : skipped("istio.defaultRevision is not set"),
    "istio-single-injector": ({ live, dataPlane }) =>
        given(dataPlane, ({ pods }) => {
            const target = istioTarget(live.injection);
            return noneOf(
                pods
                    .filter(({ proxy }) => proxy !== NO_SIDECAR)
                    .filter((pod) => target.of(pod) === SEVERAL_SIDECARS)
                    .map(({ namespace, name }) => `${namespace}/${name}`),
                "pods that several webhooks would inject",
                "no pod has more than one injector",
            );
        }),
    "istio-crd-versions": ({ live }) => {
        const versions = [...new Set(live.crds.flatMap(({ chartVersion }) => chartVersion ?? []))];
        return versions.length === 0
            ? skipped("no CRD tells its release")
            : noneOf(
                  versions.length > 1 ? versions : [],
                  "CRDs of several releases",
                  `the CRDs are of ${versions.join()}`,
              );
    },
};

/** Ids that have an evaluator. */
export const ISTIO_EVALUATED = Object.keys(EVALUATORS);

/** The results of a stage, in the order of the table. */
export function checkIstio(health: IstioHealth, stage: Stage): CheckResult[] {
    return ISTIO_CHECKS.filter(({ when }) => when.includes(stage)).map(
        ({ id, category, severity }) => {
            const evaluate = EVALUATORS[id];
            if (evaluate === undefined) {
                throw new Error(`check ${id} is in the table and cannot be evaluated`);
            }
            return { id, category, severity, ...evaluate(health) };
        },
    );
}
