import { matches, type Injector, type LabelSelector } from "./injection";

/** What of the cluster can be bound to a revision. */
export interface IstioUsers {
    /** Labels by namespace. */
    readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
    readonly injectors: readonly Injector[];
    /** Pods that have not finished, with a sidecar or a wish for one. */
    readonly pods: readonly IstioUser[];
}

export interface IstioUser {
    readonly namespace: string;
    readonly name: string;
    /** Revision of its sidecar; undefined: it has none. */
    readonly running: string | undefined;
    /** Its own label istio.io/rev, a revision or a tag. */
    readonly asked: string | undefined;
    /** It asks for a sidecar of the default revision: sidecar.istio.io/inject=true, and names none. */
    readonly asksDefault: boolean;
    readonly gateway: boolean;
}

/** The revision of a pod that does not tell it: it may be any. */
export const UNKNOWN = "unknown";

const DEFAULT = "default";

/** One reason to keep a revision or a tag: `namespace shop (istio.io/rev=stable)`. */
export type Use = string;

const REV = "istio.io/rev";
const INJECTION = "istio-injection";
const NAMED = 3;

/**
 * What is bound to a revision: tags, namespaces and pods by label, and pods by the sidecar that they run. `default`
 * stands for the install without a revision name, which istio-injection=enabled chooses unless a tag `default` does.
 */
export function usesOfRevision(revision: string, users: IstioUsers): readonly Use[] {
    const tags = tagsOf(users.injectors).filter(
        // istioctl makes a tag `default` of the install without a revision name, which goes with it.
        (one) => one.revision === revision && one.tag !== revision,
    );
    const byInjection = choosesByInjection(revision, users);
    return [
        ...tags.map(({ tag }) => `tag ${tag}`),
        ...labelled(new Set([revision]), users, byInjection),
        ...podsUsing(
            users,
            (pod) =>
                pod.running === revision ||
                pod.running === UNKNOWN ||
                pod.asked === revision ||
                (byInjection && choosesDefault(pod, users)),
        ),
    ];
}

/** What is bound to a tag by label. A tag `default` serves istio-injection=enabled. */
export function usesOfTag(tag: string, users: IstioUsers): readonly Use[] {
    const byInjection = tag === DEFAULT;
    return [
        ...labelled(new Set([tag]), users, byInjection),
        ...podsUsing(
            users,
            (pod) => pod.asked === tag || (byInjection && choosesDefault(pod, users)),
        ),
    ];
}

/** A label of its namespace goes before the pod's own. */
function choosesDefault(
    { namespace, asksDefault }: IstioUser,
    { namespaces }: IstioUsers,
): boolean {
    const labels = namespaces.get(namespace) ?? {};
    return asksDefault && labels[INJECTION] === undefined && labels[REV] === undefined;
}

function labelled(names: ReadonlySet<string>, { namespaces }: IstioUsers, byInjection: boolean) {
    const uses: Use[] = [];
    for (const [name, labels] of [...namespaces].sort(([a], [b]) => a.localeCompare(b))) {
        if (labels[INJECTION] === "enabled") {
            if (byInjection) {
                uses.push(`namespace ${name} (${INJECTION}=enabled)`);
            }
        } else if (names.has(labels[REV] ?? "")) {
            uses.push(`namespace ${name} (${REV}=${labels[REV]})`);
        }
    }
    return uses;
}

/** Whether istio-injection=enabled alone leads to this revision: another's tag `default` counts as a tag. */
function choosesByInjection(revision: string, { injectors }: IstioUsers): boolean {
    const enabled = { [INJECTION]: "enabled" };
    return injectors.some(
        (one) =>
            (one.tag === undefined || one.tag === revision) &&
            one.revision === revision &&
            selectsNamespace(one.namespaceSelector, enabled) &&
            !selectsNamespace(one.namespaceSelector, {}),
    );
}

function selectsNamespace(selector: LabelSelector, labels: Readonly<Record<string, string>>) {
    return matches(selector, labels);
}

function tagsOf(injectors: readonly Injector[]) {
    const tags = new Map<string, string>();
    for (const { tag, revision } of injectors) {
        if (tag !== undefined) {
            tags.set(tag, revision);
        }
    }
    return [...tags].map(([tag, revision]) => ({ tag, revision }));
}

function podsUsing(users: IstioUsers, uses: (pod: IstioUser) => boolean): Use[] {
    const found = users.pods.filter(uses);
    const shown = found
        .slice(0, NAMED)
        .map((pod) => `${pod.gateway ? "gateway pod" : "pod"} ${pod.namespace}/${pod.name}`);
    const rest = found.length - shown.length;
    return rest > 0 ? [...shown, `${rest} pods more`] : shown;
}
