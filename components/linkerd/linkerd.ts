import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { LocatedChart } from "../../charts/source";
import type { Connection } from "../../cluster/connection";
import type { Config } from "../../config";
import type { LinkerdPlan } from "../../plan/linkerd";
import { controlPlaneValues, crdValues, vizValues } from "../../plan/values";
import { firstExpiry } from "../../plan/webhooks";
import { checkDeclared } from "../check";
import { DataPlaneRollout, declareBaseline } from "../dataPlane/rollout";
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

    const target = { version: plan.version.tag, proxy: plan.proxy };
    const { rollout } = config;
    const baseline = declareBaseline({ rollout, target, cluster: address });
    const crds = new LinkerdCrds(
        "linkerd-crds",
        {
            chart: chart("linkerd-crds"),
            values: crdValues(config.crds.values, plan.crds),
            version: plan.crds.chartVersion,
            cluster: address,
            stack,
        },
        { provider, dependsOn: baseline },
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
    const dataPlane = new DataPlaneRollout("data-plane", {
        rollout,
        target,
        cluster: address,
        baseline,
        after: [crds, controlPlane, ...(viz ? [viz] : [])],
    });
    const reports = pulumi.output(dataPlane.reports);
    return {
        linkerdVersion: plan.version.tag,
        crdVersion: plan.crds.tag,
        webhookCertificatesUntil: firstExpiry(plan.webhooks),
        rollout: reports.apply((texts) =>
            Object.fromEntries(
                Object.entries(texts).map(([wave, text]) => [wave, JSON.parse(text) as unknown]),
            ),
        ),
        declaredObjects: checkDeclared(connection, declared, reports, viz?.release),
    };
}

function missingChart(name: string): never {
    throw new Error(`the plan has no chart ${name}`);
}
