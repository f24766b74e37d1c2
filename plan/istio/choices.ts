import type { Fault } from "../faults";
import { isFault } from "../versions";
import type { Wave } from "../waves";
import { SYSTEM_NAMESPACES, type Choice } from "./injection";
import { nameFaults } from "./nameFaults";
import type { Names } from "./names";
import type { IstioSection } from "./section";
import { parseIstioVersion, type IstioVersion } from "./versions";

/** What somebody is bound to: `choice` as it stands in the stack file, and what it resolves to. */
export interface Target extends Choice {
    readonly choice: string;
}

/** A gateway with what it is bound to. */
export interface IstioGateway extends Target {
    readonly name: string;
    readonly namespace: string;
    /** Of the chart gateway. */
    readonly version: IstioVersion;
    readonly values: Readonly<Record<string, unknown>>;
}

export type NamedWave = Pick<Wave, "name"> & {
    readonly select: readonly Pick<Wave["select"][number], "namespaces">[];
};

interface Claim {
    readonly subject: string;
    readonly namespace: string;
    readonly choice: string;
}

export function targetsOf(
    section: IstioSection,
    waves: readonly NamedWave[],
    names: Names,
    faults: Fault[],
): ReadonlyMap<string, Target> {
    const target = new Map<string, Target>();
    const claimedBy = new Map<string, string>();
    const resolved = new Map<string, Choice | undefined>();
    for (const { subject, namespace, choice } of claimsOf(section, waves, faults)) {
        faults.push(...namespaceFaults(subject, namespace, section.namespace));
        const earlier = claimedBy.get(namespace);
        if (earlier !== undefined) {
            faults.push({
                subject,
                value: namespace,
                rule: `the namespace is mapped already by ${earlier}`,
                next: "leave it in one of the two places",
            });
            continue;
        }
        claimedBy.set(namespace, subject);
        // A wave has one choice for all its namespaces: one fault for it.
        if (!resolved.has(subject)) {
            resolved.set(subject, names.resolveAt(subject, choice));
        }
        const found = resolved.get(subject);
        if (found) {
            target.set(namespace, { choice, ...found });
        }
    }
    return target;
}

function claimsOf(section: IstioSection, waves: readonly NamedWave[], faults: Fault[]): Claim[] {
    const direct = Object.entries(section.namespaces).map(([namespace, choice]) => ({
        subject: `istio.namespaces.${namespace}`,
        namespace,
        choice,
    }));
    const byWave = Object.entries(section.waves).flatMap(([name, choice]) => {
        const subject = `istio.waves.${name}`;
        const wave = waves.find((one) => one.name === name);
        const namespaces = new Set(wave?.select.flatMap((one) => one.namespaces ?? []));
        if (!wave) {
            faults.push({
                subject,
                value: choice,
                rule: "rollout.waves has no wave of this name",
                next: `add it to rollout.waves, or choose one of: ${waves.map((one) => one.name).join(", ")}`,
            });
        } else if (namespaces.size === 0) {
            faults.push({
                subject,
                value: choice,
                rule: "the wave's select names no namespaces, so there is nothing to label",
                next: `add namespaces to the select of wave ${name}, or use istio.namespaces`,
            });
        }
        return [...namespaces].map((namespace) => ({ subject, namespace, choice }));
    });
    return [...direct, ...byWave];
}

function namespaceFaults(subject: string, namespace: string, own: string): Fault[] {
    if (namespace !== own && !SYSTEM_NAMESPACES.includes(namespace)) {
        return nameFaults(subject, namespace, "");
    }
    return [
        {
            subject,
            value: namespace,
            rule:
                namespace === own
                    ? "is the namespace of the control planes, which are not injected"
                    : "is a system namespace, which Istio never injects",
            next: "remove it",
        },
    ];
}

export function gatewaysOf(
    section: IstioSection,
    names: Names,
    target: ReadonlyMap<string, Target>,
    faults: Fault[],
): IstioGateway[] {
    return section.gateways.flatMap((one, index) => {
        const { name, namespace, revision: choice, version: given, ...rest } = one;
        const key = `istio.gateways.${index}`;
        faults.push(
            ...nameFaults(`${key}.name`, name, ""),
            ...nameFaults(`${key}.namespace`, namespace, ""),
        );
        const first = section.gateways.findIndex(
            (other) => other.name === name && other.namespace === namespace,
        );
        if (first !== index) {
            faults.push({
                subject: `${key}.name`,
                value: name,
                rule: `namespace ${namespace} has a gateway of this name already (istio.gateways.${first})`,
                next: "give one of them another name or namespace",
            });
        }
        const found = names.resolveAt(`${key}.revision`, choice);
        if (!found) {
            return [];
        }
        faults.push(...gatewayNamespaceFaults(key, namespace, { choice, ...found }, target));
        const version = gatewayVersion(key, given, names.versionOf(found.revision));
        if (isFault(version)) {
            faults.push(version);
            return [];
        }
        return [{ ...rest, ...found, name, namespace, choice, version }];
    });
}

/** The pod's istio.io/rev, which the gateway sets, is ignored where the namespace has a label (istio/istio#42654). */
function gatewayNamespaceFaults(
    key: string,
    namespace: string,
    own: Target,
    target: ReadonlyMap<string, Target>,
): Fault[] {
    const other = target.get(namespace);
    return other && other.revision !== own.revision
        ? [
              {
                  subject: `${key}.revision`,
                  value: own.choice,
                  rule: `the namespace ${namespace} is mapped to ${other.choice} (revision ${other.revision}), and a namespace goes before its pods`,
                  next: "give the gateway a namespace of its own, or map both to one revision",
              },
          ]
        : [];
}

function gatewayVersion(
    key: string,
    given: string | undefined,
    ofRevision: IstioVersion | undefined,
): IstioVersion | Fault {
    if (given !== undefined) {
        return parseIstioVersion(given, `${key}.version`);
    }
    return (
        ofRevision ?? {
            subject: `${key}.version`,
            rule: "is needed: the gateway's revision is foreign, and its version is not told",
            next: `set ${key}.version, or the version in istio.foreign`,
        }
    );
}
