import * as command from "@pulumi/command";
import type { LocatedChart } from "../../charts/source";
import type { Connection } from "../../cluster/connection";
import type { LinkerdStackConfig } from "../../config";
import type { LinkerdPlan } from "../../plan/linkerd";
import { controlPlaneValues, crdValues, vizValues } from "../../plan/values";
import { firstExpiry } from "../../plan/webhooks";
import type { ServedInput } from "../../rollout/input";
import { checkDeclared } from "../check";
import { providerFor } from "../cluster";
import { DataPlaneRollout, declareBaseline } from "../dataPlane/rollout";
import { collectDeclared } from "../declared";
import { programCommand } from "../programCommand";
import { reportsOf } from "../reports";
import { LinkerdControlPlane } from "./controlPlane";
import { LinkerdCrds } from "./crds";
import { LinkerdViz } from "./viz";

export interface LinkerdDeclaration {
    readonly config: LinkerdStackConfig;
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
    const { provider, address } = providerFor(config);

    const { issuedAt } = plan.identity;
    const target = {
        mesh: "linkerd" as const,
        version: plan.version.tag,
        proxy: plan.proxy,
        trustRoot: plan.trustRoot,
        ...(issuedAt === undefined ? {} : { issuedAt }),
    };
    const { rollout } = config;
    const triggers = [target.version, target.proxy, target.trustRoot, issuedAt ?? "unchanged"];
    const baseline = declareBaseline({ rollout, target, triggers, cluster: address });
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
                plan.identity,
                plan.webhooks,
                config.clusterUid,
            ),
            identity: plan.identity,
            webhooks: plan.webhooks,
            stack,
        },
        { provider, dependsOn: crds },
    );
    const served = new command.local.Command(
        "linkerd-issuer-served",
        {
            ...programCommand,
            create: "rollout/served.ts",
            stdin: JSON.stringify({ cluster: address } satisfies ServedInput),
            triggers: [issuedAt ?? "unchanged"],
        },
        { dependsOn: controlPlane },
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
        target: () => ({ target, triggers }),
        cluster: address,
        baseline,
        after: [crds, controlPlane, served, ...(viz ? [viz] : [])],
    });
    const { reports, parsed } = reportsOf(dataPlane);
    return {
        linkerdVersion: plan.version.tag,
        crdVersion: plan.crds.tag,
        webhookCertificatesUntil: firstExpiry(plan.webhooks),
        certificates: plan.certificates,
        rollout: parsed,
        declaredObjects: checkDeclared(connection, declared, reports, viz?.release),
    };
}

function missingChart(name: string): never {
    throw new Error(`the plan has no chart ${name}`);
}
