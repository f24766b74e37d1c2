import { imageTag } from "../images";
import { isFrom, parseIstioVersion } from "./versions";
import { isFault } from "../versions";

type Labels = Readonly<Record<string, string>>;

/** As in Kubernetes (meta/v1 LabelSelector): all of it must hold; an empty one selects everything. */
export interface LabelSelector {
    readonly matchLabels?: Labels | undefined;
    readonly matchExpressions?:
        | readonly {
              readonly key: string;
              /** In, NotIn, Exists or DoesNotExist; any other matches nothing. */
              readonly operator: string;
              readonly values?: readonly string[] | undefined;
          }[]
        | undefined;
}

/** One webhook that injects sidecars, as it is found in the cluster. */
export interface Injector {
    /** Name of the MutatingWebhookConfiguration. */
    readonly name: string;
    /** Name of the webhook in it: `rev.namespace.sidecar-injector.istio.io`. */
    readonly webhook: string;
    /** Its label istio.io/rev; `default` for the install without a revision name. */
    readonly revision: string;
    /** Its label istio.io/tag. */
    readonly tag: string | undefined;
    /** Name of the Service that it calls. */
    readonly service: string;
    readonly namespaceSelector: LabelSelector;
    readonly objectSelector: LabelSelector;
}

export interface NamespaceLabels {
    readonly name: string;
    readonly labels: Labels;
}

/** What a pod says about injection when it is made. */
export interface PodWish {
    readonly labels: Labels;
    readonly annotations: Labels;
    readonly hostNetwork: boolean;
}

interface Container {
    readonly name: string;
    readonly image: string;
}

/** What a running pod tells about its sidecar. */
export interface InjectedPod {
    readonly labels: Labels;
    readonly annotations: Labels;
    readonly containers: readonly Container[];
    readonly initContainers: readonly Container[];
}

/** The revision that injects, and the tag through which it was chosen. */
export interface Choice {
    readonly revision: string;
    readonly tag: string | undefined;
}

const REV = "istio.io/rev";
const INJECTION = "istio-injection";
const INJECT = "sidecar.istio.io/inject";
const STATUS = "sidecar.istio.io/status";

/** Never injected by any version. Source: pkg/kube/inject of istio, IgnoredNamespaces. */
export const SYSTEM_NAMESPACES: readonly string[] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "local-path-storage",
];

/** Whether labels satisfy a selector. As in Kubernetes, NotIn holds where the key is absent. */
export function matches(selector: LabelSelector, labels: Labels): boolean {
    return (
        Object.entries(selector.matchLabels ?? {}).every(
            ([key, value]) => valueOf(labels, key) === value,
        ) &&
        (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
            const value = valueOf(labels, key);
            switch (operator) {
                case "In":
                    return value !== undefined && values.includes(value);
                case "NotIn":
                    return value === undefined || !values.includes(value);
                case "Exists":
                    return value !== undefined;
                case "DoesNotExist":
                    return value === undefined;
                default:
                    return false;
            }
        })
    );
}

/** Keys are anybody's: `constructor` is no label unless it is set. */
function valueOf(labels: Labels, key: string): string | undefined {
    return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/**
 * Every webhook that the API server would call for the pod and that would inject it; several of one configuration are all
 * told. Empty for what Istio leaves alone by itself: pods on the host's network, system namespaces, and
 * `sidecar.istio.io/inject` that is not a yes (the label goes before the annotation).
 */
export function injectorsOf(
    injectors: readonly Injector[],
    namespace: NamespaceLabels,
    pod: PodWish,
): readonly Injector[] {
    return isExcluded(namespace, pod)
        ? []
        : injectors.filter(
              ({ namespaceSelector, objectSelector }) =>
                  matches(namespaceSelector, labelsOf(namespace)) &&
                  matches(objectSelector, pod.labels),
          );
}

/** The API server sets the name's label itself, and some injectors select by it. */
function labelsOf({ name, labels }: NamespaceLabels): Labels {
    return { ...labels, "kubernetes.io/metadata.name": name };
}

/** YAML 1.1's ways to say yes; any other value but "" is a no. Source: pkg/kube/inject, injectRequired. */
const YES = /^(y|yes|true|on)$/i;

function isExcluded({ name }: NamespaceLabels, pod: PodWish): boolean {
    const asked = valueOf(pod.labels, INJECT) ?? valueOf(pod.annotations, INJECT) ?? "";
    return (
        pod.hostNetwork || SYSTEM_NAMESPACES.includes(name) || (asked !== "" && !YES.test(asked))
    );
}

/**
 * Which revision injects the pod when it is made anew; undefined: none. `several`: more than one configuration would, and
 * which of them comes first is chance.
 */
export function wantedOf(
    injectors: readonly Injector[],
    namespace: NamespaceLabels,
    pod: PodWish,
): Choice | "several" | undefined {
    const found = injectorsOf(injectors, namespace, pod);
    const [first] = found;
    if (!first) {
        return undefined;
    }
    return found.some(({ name }) => name !== first.name)
        ? "several"
        : { revision: first.revision, tag: first.tag };
}

/**
 * The revision or tag that namespace or pod asks for and that no injector has: Istio says nothing then, and the pod stays
 * without a sidecar. `default` where istio-injection=enabled, or the pod's inject=true, has nobody to serve it. Undefined:
 * nothing is asked for, or somebody has it.
 */
export function unknownChoice(
    injectors: readonly Injector[],
    namespace: NamespaceLabels,
    pod: PodWish,
): string | undefined {
    const choice = isExcluded(namespace, pod) ? undefined : choiceOf(namespace.labels, pod.labels);
    const known =
        choice === "default"
            ? // Somebody called default may serve a label of that name only, as ASM 1.6's do not.
              injectorsOf(injectors, namespace, pod).length > 0
            : injectors.some(({ tag, revision }) => (tag ?? revision) === choice);
    return known ? undefined : choice;
}

/** Precedence: istio-injection, the namespace's istio.io/rev, the pod's own. Source: istio.io, sidecar injection. */
function choiceOf(namespace: Labels, pod: Labels): string | undefined {
    const injection = valueOf(namespace, INJECTION);
    if (injection !== undefined) {
        return injection === "enabled" ? "default" : undefined;
    }
    return (
        valueOf(namespace, REV) ??
        valueOf(pod, REV) ??
        (valueOf(pod, INJECT) === "true" ? "default" : undefined)
    );
}

/**
 * Version (the proxy's image tag, without `-distroless` and `-debug`; `unknown` for an image without a tag) and revision of
 * the sidecar that a pod runs; undefined for a pod without one. The revision is undefined where the pod does not tell.
 */
export function runningOf(
    pod: InjectedPod,
): { readonly version: string; readonly revision: string | undefined } | undefined {
    const proxy = [...pod.containers, ...pod.initContainers].find(
        ({ name }) => name === "istio-proxy",
    );
    if (!proxy) {
        return undefined;
    }
    const version = imageTag(proxy.image)?.replace(/-(distroless|debug)$/, "") ?? "unknown";
    return { version, revision: revisionOf(pod, eraOf(version)) };
}

/** How a proxy of that age has its revision written on the pod; an unknown age counts as new. */
type Era = "none" | "label" | "status";

function eraOf(version: string): Era {
    const parsed = parseIstioVersion(version, "");
    if (isFault(parsed) || isFrom(parsed, "1.11")) {
        return "status";
    }
    return isFrom(parsed, "1.6") ? "label" : "none";
}

function revisionOf({ labels, annotations }: InjectedPod, era: Era): string | undefined {
    switch (era) {
        case "none":
            return "default";
        case "label":
            return valueOf(labels, REV);
        case "status":
            // From 1.11 on the label is what the user wishes, and may be a tag.
            return statusRevision(annotations) ?? valueOf(annotations, REV);
    }
}

/** `.revision` of the JSON that the injector writes; undefined for any other text. */
function statusRevision(annotations: Labels): string | undefined {
    try {
        const status: unknown = JSON.parse(valueOf(annotations, STATUS) ?? "");
        const revision = (status as { revision?: unknown } | null)?.revision;
        return typeof revision === "string" && revision !== "" ? revision : undefined;
    } catch {
        return undefined;
    }
}

/**
 * What a new pod of the same template says: without the marks of the injector that made this one (status, the
 * annotation istio.io/rev, and, of 1.6 to 1.10, the label istio.io/rev, which is the user's from 1.11 on).
 */
export function wishOf(pod: InjectedPod & Pick<PodWish, "hostNetwork">): PodWish {
    const running = runningOf(pod);
    const { [STATUS]: status, [REV]: written, ...annotations } = pod.annotations;
    const { [REV]: label, ...labels } = pod.labels;
    const byInjector = running !== undefined && eraOf(running.version) === "label";
    return {
        labels: byInjector ? labels : pod.labels,
        annotations,
        hostNetwork: pod.hostNetwork,
    };
}
