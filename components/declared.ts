import * as pulumi from "@pulumi/pulumi";

/** A Kubernetes object as the stack declares it. */
export interface DeclaredObject {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly [field: string]: unknown;
}

/**
 * Collects every Kubernetes object that the program registers, children of charts included, so that the end of
 * an update can look whether each of them is there.
 */
export function collectDeclared(): readonly DeclaredObject[] {
    const declared: DeclaredObject[] = [];
    pulumi.runtime.registerResourceTransform(({ type, custom, props }) => {
        if (custom && /^kubernetes:(?!helm|yaml|kustomize)[^:]+:/.test(type)) {
            declared.push(props as unknown as DeclaredObject);
        }
        return undefined;
    });
    return declared;
}
