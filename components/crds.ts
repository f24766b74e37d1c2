import * as pulumi from "@pulumi/pulumi";
import { STACK_ANNOTATION } from "../cluster/linkerd";

/**
 * For what outlives the stack: after a destroy the old stack's field manager still holds the fields, and a new
 * installation has to take them over.
 */
export const TAKE_OVER = { "pulumi.com/patchForce": "true" };

interface CrdProps {
    metadata?: { annotations?: Record<string, string>; creationTimestamp?: unknown };
    spec?: { names?: Record<string, unknown> };
}

/** CRDs are the stack's and stay when it is destroyed: deleting a CRD deletes every object of its kind. */
export function keepCrd(stack: string): pulumi.ResourceTransform {
    return ({ type, props, opts }) => {
        if (!type.endsWith(":CustomResourceDefinition")) {
            return undefined;
        }
        const crd = props as CrdProps;
        const { creationTimestamp: _null, ...metadata } = crd.metadata ?? {};
        return {
            props: {
                ...props,
                metadata: {
                    ...metadata,
                    annotations: {
                        ...metadata.annotations,
                        [STACK_ANNOTATION]: stack,
                        ...TAKE_OVER,
                    },
                },
                spec: { ...crd.spec, names: withoutEmptyLists(crd.spec?.names ?? {}) },
            },
            opts: pulumi.mergeOptions(opts, { retainOnDelete: true }),
        };
    };
}

/** The API server drops `shortNames: []`; declared, it would show as a change for ever. */
function withoutEmptyLists(names: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(names).filter(([, value]) => !Array.isArray(value) || value.length > 0),
    );
}
