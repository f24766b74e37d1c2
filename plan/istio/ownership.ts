import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import type { IstioConfig } from "./config";
import { chartGatewayNames, type PlannedGateway } from "./gateways";
import type { KubeObject, ObjectName } from "./manifests";
import type { PlannedSource } from "./revisions";
import { DEFAULT } from "./section";
import { DEFAULT_VALIDATOR } from "./tags";

export function ownershipFaults(config: IstioConfig, live: LiveIstio, stack: string): Fault[] {
    const faults: Fault[] = [];
    const { namespace, base, revisions } = config;
    if (live.namespaceStack !== undefined && live.namespaceStack !== stack) {
        faults.push({
            subject: `Namespace ${namespace}`,
            value: live.namespaceStack,
            rule: "holds the installation of another stack",
            next: `pulumi stack select ${live.namespaceStack}; after a rename of the stack: kubectl annotate namespace ${namespace} mesh-upgrade/stack=${stack} --overwrite`,
        });
    }
    const foreignCrds = live.crds.filter((one) => one.stack !== stack);
    if (foreignCrds.length > 0 && !base.adopt && faults.length === 0) {
        faults.push({
            subject: "CustomResourceDefinitions",
            value: `${foreignCrds[0]?.name} and ${foreignCrds.length - 1} more`,
            rule: "exist already and were not made by this stack",
            next: "set istio.base.adopt: true to take over what all revisions share (CRDs, accounts, the default validator)",
        });
    }
    faults.push(...(base.adopt ? [] : sharedFaults(config, live)));
    for (const { name } of revisions) {
        const found = live.istiods.find(({ revision }) => revision === name);
        if (found && found.stack !== stack) {
            faults.push({
                subject: `istio revision ${name}`,
                value: `Deployment ${namespace}/${found.name}`,
                rule: "is in the cluster and was not made by this stack",
                next: `name it in istio.foreign (revision: ${name}) and give the new one another name`,
            });
        }
    }
    return faults;
}

/** Tags and the default validator that somebody else made: they would be moved, and gone after the way back. */
function sharedFaults({ tags, defaultRevision, foreign }: IstioConfig, live: LiveIstio): Fault[] {
    const wanted = new Map([...tags].map(([tag]) => [`istio-revision-tag-${tag}`, `tag ${tag}`]));
    if (defaultRevision !== undefined) {
        wanted.set(DEFAULT_VALIDATOR, "the default validator");
        if (!foreign.some(({ revision }) => revision === DEFAULT)) {
            wanted.set(`istio-revision-tag-${DEFAULT}`, `tag ${DEFAULT}`);
        }
    }
    return live.webhooks
        .filter((one) => wanted.has(one.name) && one.stack === undefined)
        .map(({ kind, name, revision }) => ({
            subject: `${kind} ${name}`,
            value: revision,
            rule: `${wanted.get(name)} is in the cluster and was not made by this stack`,
            next: `set istio.base.adopt: true to take it over; the way back is then to let it point to ${revision ?? "what it points to now"} again (named in istio.foreign), not to take the line out`,
        }));
}

/** What somebody else may have made that becomes the stack's: shared objects and gateways, but no CRDs. */
export function adoptedNames(
    shared: readonly KubeObject[],
    gateways: readonly PlannedGateway[],
): ObjectName[] {
    return [
        ...[...shared, ...gateways.flatMap(({ source }) => objectsOf(source))]
            .filter(({ kind }) => kind !== "CustomResourceDefinition")
            .map(nameOf),
        ...gateways.flatMap((one) => ("version" in one.source ? chartGatewayNames(one) : [])),
    ];
}

function objectsOf(source: PlannedSource): readonly KubeObject[] {
    return "objects" in source ? source.objects : [];
}

function nameOf({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): ObjectName {
    return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
}
