import { matches, type LabelSelector } from "../istio/injection";

/** The little of a NetworkPolicy that tells which ports it admits. */
export interface NetworkPolicy {
    readonly namespace: string;
    readonly name: string;
    readonly podSelector?: LabelSelector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
}

interface Rule {
    readonly ports?: readonly PolicyPort[];
}

interface PolicyPort {
    readonly protocol?: string;
    readonly port?: number | string;
    readonly endPort?: number;
}

/** Labels of meshed pods. */
export interface Meshed {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
}

const PROXY_PORT = 4143;
/** Its name in the proxy's container (_proxy.tpl of linkerd2); no other container can have it. */
const PROXY_PORT_NAME = "linkerd-proxy";
/** Nearly every policy of egress admits it, to servers that have no proxy. */
const DNS = 53;

/**
 * Policies by which meshed pods are cut off from other proxies. Policies add up: a pod is cut off where those that select it
 * admit some ports, and none admits the proxy's. Who is admitted to a port is not looked at.
 */
export function cutOff(
    policies: readonly NetworkPolicy[],
    meshed: readonly Meshed[],
): readonly NetworkPolicy[] {
    const found = new Set<NetworkPolicy>();
    for (const { namespace, labels } of meshed) {
        const selecting = policies.filter(
            (one) => one.namespace === namespace && matches(one.podSelector ?? {}, labels),
        );
        for (const rulesOf of [ingressOf, egressOf]) {
            const admitted = selecting.map((policy) => ({ policy, rules: rulesOf(policy) }));
            if (!admitted.some(({ rules }) => rules.some(admitsProxy))) {
                admitted
                    .filter(({ rules }) => rules.some(admitsOthers))
                    .forEach(({ policy }) => found.add(policy));
            }
        }
    }
    return policies.filter((one) => found.has(one));
}

/** Without types a policy is of ingress, and of egress where it has such rules. */
function ingressOf({ policyTypes, ingress = [] }: NetworkPolicy): readonly Rule[] {
    return policyTypes?.includes("Ingress") === false ? [] : ingress;
}

function egressOf({ policyTypes, egress = [] }: NetworkPolicy): readonly Rule[] {
    return policyTypes?.includes("Egress") === false ? [] : egress;
}

/** A rule without ports admits all of them. */
function admitsProxy({ ports = [] }: Rule): boolean {
    return ports.length === 0 || ports.filter(isTcp).some(isProxyPort);
}

function admitsOthers({ ports = [] }: Rule): boolean {
    return ports.filter(isTcp).some(({ port }) => port !== DNS);
}

function isTcp({ protocol = "TCP" }: PolicyPort): boolean {
    return protocol === "TCP";
}

function isProxyPort({ port = PROXY_PORT, endPort }: PolicyPort): boolean {
    return typeof port === "number"
        ? port <= PROXY_PORT && (endPort ?? port) >= PROXY_PORT
        : port === PROXY_PORT_NAME;
}
