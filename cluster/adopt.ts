import { ApiException, type V1ManagedFieldsEntry } from "@kubernetes/client-node";
import type { ObjectName } from "../plan/istio/manifests";
import type { Connection } from "./connection";

/** Field manager of what the stack took over from somebody else. */
export const ADOPTED_MANAGER = "mesh-upgrade-adopted";

/** Who installs a mesh, by update or by apply; everybody else goes on setting what it set, and keeps its fields. */
const INSTALLERS = new Set([
    "kubectl",
    "kubectl-client-side-apply",
    "kubectl-create",
    "linkerd",
    "istioctl",
    "istio-operator", // istioctl's server-side apply
    "Helm",
    "helm",
    // Installers that run in the cluster; one that still does would fight with the stack over every field.
    "helm-controller",
    "kustomize-controller",
    "argocd-controller",
]);

/** Stacks of Pulumi and of Terraform: the name goes on with a number or a version. */
const PROVIDERS = /^(pulumi-kubernetes|pulumi-resource-kubernetes|terraform-provider-helm)/;

/** Whether a field manager is an installer's, whose fields the stack takes over. */
export function isInstaller(manager = ""): boolean {
    return INSTALLERS.has(manager) || PROVIDERS.test(manager);
}

type Fields = { readonly [key: string]: Fields };

/**
 * Hands the fields that an installer set over to `ADOPTED_MANAGER`. Otherwise what the next manifests drop would stay: two
 * ports of one name in a Service, for one, which is refused. The object itself does not change.
 * @returns whether there was something to hand over
 */
export async function adopt({ objects }: Connection, name: ObjectName): Promise<boolean> {
    const { apiVersion, kind, ...metadata } = name;
    for (;;) {
        try {
            const live = await objects.read({ apiVersion, kind, metadata });
            const managedFields = handedOver(live.metadata?.managedFields ?? [], apiVersion);
            if (managedFields === undefined) {
                return false;
            }
            const { resourceVersion } = live.metadata ?? {};
            await objects.patch(
                {
                    apiVersion,
                    kind,
                    metadata: { ...metadata, resourceVersion, managedFields },
                } as never,
                undefined,
                undefined,
                undefined,
                undefined,
                "application/merge-patch+json",
            );
            return true;
        } catch (error) {
            if (error instanceof ApiException && error.code === 404) {
                return false;
            }
            // Somebody else was faster: look again.
            if (!(error instanceof ApiException && error.code === 409)) {
                throw error;
            }
        }
    }
}

/** Undefined where nobody has anything to hand over. */
export function handedOver(
    entries: readonly V1ManagedFieldsEntry[],
    apiVersion: string,
): V1ManagedFieldsEntry[] | undefined {
    const isOurs = (one: V1ManagedFieldsEntry) =>
        one.apiVersion === apiVersion &&
        one.subresource === undefined &&
        (one.manager === ADOPTED_MANAGER || isInstaller(one.manager));
    const given = entries.filter(isOurs);
    if (given.every(({ manager }) => manager === ADOPTED_MANAGER)) {
        return undefined;
    }
    const fieldsV1 = given.map((one) => one.fieldsV1 as Fields).reduce(union, {});
    const own = {
        manager: ADOPTED_MANAGER,
        operation: "Apply",
        apiVersion,
        fieldsType: "FieldsV1",
        fieldsV1,
    };
    return [own, ...entries.filter((one) => !isOurs(one))];
}

function union(a: Fields, b: Fields): Fields {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return Object.fromEntries([...keys].map((key) => [key, union(a[key] ?? {}, b[key] ?? {})]));
}
