import * as k8s from "@pulumi/kubernetes";
import type { LocatedChart } from "../../charts/source";
import type { Connection } from "../../cluster/connection";
import type { Config } from "../../config";
import { milliseconds } from "../../plan/durations";
import type { LinkerdPlan } from "../../plan/linkerd";
import { controlPlaneValues, crdValues, vizValues } from "../../plan/values";
import { firstExpiry } from "../../plan/webhooks";
import { checkDeclared } from "../check";
import { DataPlaneRollout } from "../dataPlane/rollout";
import { collectDeclared } from "../declared";
import { LinkerdControlPlane } from "./controlPlane";
import { LinkerdCrds } from "./crds";
import { LinkerdViz } from "./viz";

export interface LinkerdDeclaration {
    readonly config: Config;
    readonly stack: string;
    readonly plan: LinkerdPlan;
    readonly charts: readonly LocatedChart[];
    readonly connection: Connection;
}

/** Declares the whole of Linkerd in its order: CRDs, control plane, viz, data plane, check. */
export function declareLinkerd({ config, stack, plan, charts, connection }: LinkerdDeclaration) {
    const declared = collectDeclared();
    const chart = (name: string) =>
        charts.find((one) => one.name === name)?.path ?? missingChart(name);
    const cluster = {
        ...(config.kubeconfig === undefined ? {} : { kubeconfig: config.kubeconfig }),
        context: config.context,
    };
    const address = { ...cluster, clusterUid: config.clusterUid };
    const provider = new k8s.Provider("cluster", {
        ...cluster,
        // Another kubeconfig for the same cluster must not replace everything.
        clusterIdentifier: config.clusterUid,
        // Otherwise a change replaces them, and a replacement under one name can end as a deletion.
        enableConfigMapMutable: true,
        enableSecretMutable: true,
        // From 4.29 on creating what exists fails: what an interrupted update made, what a destroyed stack left.
        // What is somebody else's has been refused before (plan/linkerd.ts).
        upsertExistingObjects: true,
    });

    const crds = new LinkerdCrds(
        "linkerd-crds",
        {
            chart: chart("linkerd-crds"),
            values: crdValues(config.crds.values, plan.crds),
            version: plan.crds.chartVersion,
            cluster: address,
            stack,
        },
        { provider },
    );
    const controlPlane = new LinkerdControlPlane(
        "linkerd-control-plane",
        {
            chart: chart("linkerd-control-plane"),
            values: controlPlaneValues(
                config.controlPlane.values,
                plan.version,
                plan.identity.trustAnchors,
                plan.webhooks,
                config.clusterUid,
            ),
            identity: plan.identity,
            webhooks: plan.webhooks,
            stack,
        },
        { provider, dependsOn: crds },
    );
    const viz = config.viz.enabled
        ? new LinkerdViz(
              "linkerd-viz",
              {
                  chart: chart("linkerd-viz"),
                  values: vizValues(config.viz.values, plan.version, plan.webhooks),
                  webhooks: plan.webhooks,
                  stack,
              },
              { provider, dependsOn: controlPlane },
          )
        : undefined;
    const rollout = new DataPlaneRollout("data-plane", {
        wave: "rest",
        target: { version: plan.version.tag, proxy: plan.proxy },
        cluster: address,
        timeoutSeconds: milliseconds(config.rollout.timeout) / 1000,
        after: [crds, controlPlane, ...(viz ? [viz] : [])],
    });
    return {
        linkerdVersion: plan.version.tag,
        crdVersion: plan.crds.tag,
        webhookCertificatesUntil: firstExpiry(plan.webhooks),
        rollout: rollout.report.apply((report) => JSON.parse(report) as unknown),
        declaredObjects: checkDeclared(connection, declared, rollout.report, viz?.release),
    };
}

function missingChart(name: string): never {
    throw new Error(`the plan has no chart ${name}`);
}
