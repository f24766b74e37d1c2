import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { LocatedChart } from "../../charts/source";
import { checkChangedIstio } from "../../cluster/health/check";
import type { Connection } from "../../cluster/connection";
import type { LiveIstio } from "../../cluster/istio/observe";
import type { IstioStackConfig } from "../../config";
import type { IstioPlan } from "../../plan/istio/plan";
import type { GuardInput, LabelsInput, RemoveInput } from "../../rollout/istio/input";
import { declareBegun } from "../begun";
import { checkDeclared } from "../check";
import { providerFor } from "../cluster";
import { DataPlaneRollout, declareBaseline } from "../dataPlane/rollout";
import { collectDeclared } from "../declared";
import { programCommand } from "../programCommand";
import { reportsOf } from "../reports";
import { adoption, sharedService } from "./adopted";
import { IstioBase } from "./base";
import { IstioGateway } from "./gateway";
import { IstioRevision } from "./revision";
import { defaultValidator, IstioRevisionTag } from "./tag";

export interface IstioDeclaration {
    readonly config: IstioStackConfig;
    readonly stack: string;
    readonly plan: IstioPlan;
    readonly live: LiveIstio;
    readonly charts: readonly LocatedChart[];
    readonly connection: Connection;
}

type Resources = readonly pulumi.Resource[];

/**
 * Declares the whole of Istio in its order: what revisions share, revisions, then wave by wave the tags and labels that it
 * is the first to use and the restart, the gateways, the default validator, and what goes.
 */
export function declareIstio({ config, stack, plan, live, charts, connection }: IstioDeclaration) {
    const declared = collectDeclared();
    const { provider, address } = providerFor(config);
    const { istio, rollout } = config;
    const { namespace } = istio;
    const chart = (name: string, version: string) =>
        charts.find((one) => one.name === name && one.version === version)?.path ??
        missingChart(name, version);
    const place = { cluster: address, namespace };

    const baseline = declareBaseline({
        rollout,
        cluster: address,
        triggers: plan.waves.map(({ trigger }) => trigger),
        target: { mesh: "istio", version: plan.newest, namespace, namespaces: plan.namespaces },
    });
    const begun = declareBegun(
        { ...place, version: plan.newest },
        plan.waves.map(({ trigger }) => trigger),
        [baseline],
    );
    const { adopt } = istio.base;
    const adopted = adopt && plan.adopted.length > 0 ? [adoption(place, plan.adopted, begun)] : [];
    const base = new IstioBase(
        "istio-base",
        {
            chart: plan.base && chart("base", plan.base),
            values: istio.base.values,
            objects: plan.shared,
            namespace,
            adopt,
            stack,
            ran: plan.ran,
        },
        { provider, dependsOn: [begun, ...adopted] },
    );
    const service = (moved: boolean, after: Resources) =>
        plan.service?.moved === moved
            ? [sharedService(plan.service.object, { provider, dependsOn: [...after] })]
            : [];
    // It leaves out the pods of revisions before there are any.
    const kept = service(false, [base]);
    const revisions = new Map<string, IstioRevision>();
    for (const { name, source } of plan.revisions) {
        revisions.set(
            name,
            new IstioRevision(
                `istiod-${name}`,
                {
                    revision: name,
                    source:
                        "version" in source
                            ? { chart: chart("istiod", source.version), values: source.values }
                            : source,
                    ...place,
                    grace: istio.guard.grace,
                    stack,
                },
                { provider, dependsOn: [base, ...kept] },
            ),
        );
    }
    const guards: Resources = [...revisions.values()].map(({ guard }) => guard);
    /** Live where the revision serves already; else what its istiod wrote when it first did. */
    const caBundleOf = (revision: string) =>
        live.webhooks.find(
            (one) =>
                one.kind === "MutatingWebhookConfiguration" &&
                one.revision === revision &&
                !one.tagged,
        )?.caBundle ?? revisions.get(revision)?.caBundle;
    const served = (revision: string) => ({ namespace, revision, caBundle: caBundleOf(revision) });
    const validator = (after: Resources) =>
        istio.defaultRevision === undefined
            ? []
            : [
                  defaultValidator(
                      { ...served(istio.defaultRevision), stack },
                      { provider, dependsOn: [...after] },
                  ),
              ];
    const declareTag = (tag: string, revision: string, after: Resources) =>
        new IstioRevisionTag(
            `tag-${tag}`,
            { tag, ...served(revision), cluster: address, stack },
            { provider, dependsOn: [...guards, ...after] },
        );
    const bind = (name: string, choice: string, after: Resources) =>
        new command.local.Command(
            `namespace-${name}`,
            {
                ...programCommand,
                create: "rollout/istio/labels.ts",
                update: "rollout/istio/labels.ts",
                delete: "rollout/istio/restore.ts",
                stdin: JSON.stringify({
                    ...place,
                    name,
                    choice,
                    settings: plan.settings,
                } satisfies LabelsInput),
            },
            { dependsOn: [...guards, ...after] },
        );

    const choiceOf = (name: string) => istio.target.get(name)?.choice ?? "";
    const tags = new Map<string, pulumi.Resource>();
    const early = plan.tags
        .filter(({ wave }) => wave === undefined)
        .map(({ tag, revision }) => declareTag(tag, revision, []));
    const dataPlane = new DataPlaneRollout("data-plane", {
        rollout,
        cluster: address,
        baseline,
        checks: { viz: false, ignore: [...config.checks.ignore] },
        after: [...guards, ...early],
        target: (wave) => {
            const { version, namespaces, trigger } = plan.wave(wave);
            return {
                target: {
                    mesh: "istio",
                    version,
                    namespace,
                    namespaces: [...namespaces],
                    choices: Object.fromEntries(namespaces.map((name) => [name, choiceOf(name)])),
                },
                triggers: [trigger],
            };
        },
        prepare: (wave, after) => {
            const moved = plan.tags
                .filter((one) => one.wave === wave)
                .map(({ tag, revision }) => {
                    const resource = declareTag(tag, revision, after);
                    tags.set(tag, resource);
                    return resource;
                });
            const bound = plan
                .wave(wave)
                .namespaces.map((name) =>
                    bind(name, choiceOf(name), [...after, ...moved, ...tags.values()]),
                );
            return [...moved, ...bound];
        },
    });
    const gateways = plan.gateways.map(
        ({ name, choice, revision, source, namespace: place }) =>
            new IstioGateway(
                `gateway-${place}-${name}`,
                {
                    name,
                    namespace: place,
                    choice,
                    revision,
                    source:
                        "version" in source
                            ? { chart: chart("gateway", source.version), values: source.values }
                            : source,
                    adopt,
                    stack,
                },
                { provider, dependsOn: [...guards, dataPlane.last] },
            ),
    );
    const leaving = istio.foreign.filter(({ remove }) => remove);
    // Before anything that they need moves to another revision.
    const unused = leaving.map(
        ({ revision }) =>
            new command.local.Command(
                `unused-${revision}`,
                {
                    ...programCommand,
                    create: "rollout/istio/guard.ts",
                    stdin: JSON.stringify({
                        ...place,
                        kind: "revision",
                        name: revision,
                        grace: istio.guard.grace,
                    } satisfies GuardInput),
                },
                { dependsOn: [...guards, dataPlane.last, ...gateways] },
            ),
    );
    const settled = [...guards, dataPlane.last, ...gateways, ...unused];
    const moved = service(true, settled);
    const validators = validator(settled);
    const removed = leaving.map(
        ({ revision }) =>
            new command.local.Command(
                `remove-${revision}`,
                {
                    ...programCommand,
                    create: "rollout/istio/remove.ts",
                    stdin: JSON.stringify({
                        ...place,
                        revision,
                    } satisfies RemoveInput),
                    triggers: [revision],
                },
                { dependsOn: [...settled, ...moved, ...validators] },
            ),
    );
    for (const { tag, revision } of plan.lateTags) {
        declareTag(tag, revision, removed);
    }
    const health = {
        namespace,
        namespaces: plan.namespaces,
        validates: istio.defaultRevision !== undefined,
        ignore: config.checks.ignore,
    };
    const { reports, parsed } = reportsOf(dataPlane);
    return {
        istioRevisions: plan.revisions.map(({ name }) => name),
        rollout: parsed,
        declaredObjects: checkDeclared(
            connection,
            declared,
            pulumi.all([
                reports,
                pulumi.output(
                    [...gateways, ...moved, ...validators, ...removed].map((one) => one.urn),
                ),
            ]),
            {
                release: undefined,
                health: () => checkChangedIstio(connection, health, "end"),
                namespace,
            },
        ),
    };
}

function missingChart(name: string, version: string): never {
    throw new Error(`the plan has no chart ${name} ${version}`);
}
