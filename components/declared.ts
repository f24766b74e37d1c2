import * as pulumi from "@pulumi/pulumi";

/** A Kubernetes object as the stack declares it. */
export interface DeclaredObject {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: {
        readonly name: string;
        readonly namespace?: string;
        readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly [field: string]: unknown;
}

/**
 * Collects every Kubernetes object that the program registers, children of charts included, so that the end of
 * an update can look whether each of them is there.
 */
export function collectDeclared(): readonly DeclaredObject[] {
    const declared: DeclaredObject[] = [];
    pulumi.runtime.registerResourceTransform(({ type, custom, props, opts }) => {
        if (!custom || !/^kubernetes:(?!helm|yaml|kustomize)[^:]+:/.test(type)) {
            return undefined;
        }
        declared.push(props as unknown as DeclaredObject);
        // Whoever hands on a Secret's fields has to keep them secret; nobody waits for its deletion anyway.
        if (type === "kubernetes:core/v1:Secret") {
            return undefined;
        }
        return { props, opts: { ...opts, customTimeouts: deletionLimit(type) } };
    });
    return declared;
}

/**
 * Provider 4.18 can miss the end of a deletion (seen); it then looks once more, but only when the time is up, after ten
 * minutes by default. Pods need their time to end, other objects are gone at once.
 */
function deletionLimit(type: string): pulumi.CustomTimeouts {
    return { delete: /:(Deployment|DaemonSet)$/.test(type) ? "3m" : "30s" };
}

/** The object when everything in it is known. */
export function plain(object: DeclaredObject): Promise<DeclaredObject> {
    return new Promise((resolve) => {
        pulumi.output(object).apply((value) => resolve(value as DeclaredObject));
    });
}
