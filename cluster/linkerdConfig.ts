import type { CoreV1Api, V1ConfigMap } from "@kubernetes/client-node";
import { parse } from "yaml";
import { ISSUED_AT, ISSUER_SECRET, servedSince } from "../plan/identity";
import { ADOPTED_MANAGER } from "./adopt";
import { found } from "./connection";

/** ConfigMap linkerd-config: what the control plane was installed with. */
export interface LinkerdConfig {
    /** Values of its chart; null where there are none. */
    readonly values: unknown;
    /** `edge-24.7.5`. */
    readonly version: string | undefined;
    /** Whether it is of somebody else's making. */
    readonly foreign: boolean;
}

/** Undefined where there is no control plane. */
export async function readLinkerdConfig(core: CoreV1Api): Promise<LinkerdConfig | undefined> {
    const config = await found(
        core.readNamespacedConfigMap({ namespace: "linkerd", name: "linkerd-config" }),
    );
    const values: unknown = parse(config?.data?.["values"] ?? "");
    const version = (values as { linkerdVersion?: string } | null)?.linkerdVersion;
    return config && { values, version, foreign: isForeign(config) };
}

/** Whether no stack has declared linkerd-config so far. */
export function isForeign({ metadata }: V1ConfigMap): boolean {
    return !metadata?.managedFields?.some(({ manager }) => manager === ADOPTED_MANAGER);
}

/** ConfigMap linkerd-identity-trust-roots, which the injector gives to new proxies; undefined where there is none. */
export async function readTrustRoots(core: CoreV1Api): Promise<string | undefined> {
    const roots = await found(
        core.readNamespacedConfigMap({
            namespace: "linkerd",
            name: "linkerd-identity-trust-roots",
        }),
    );
    return roots?.data?.["ca-bundle.crt"];
}

/**
 * Since when the issuer of `issuedAt` is served, in ms since the epoch; undefined where it never changed, Infinity where it
 * was not recorded yet.
 */
export async function readIssuerSince(
    core: CoreV1Api,
    issuedAt: string | undefined,
): Promise<number | undefined> {
    if (issuedAt === undefined) {
        return undefined;
    }
    const secret = await found(
        core.readNamespacedSecret({ namespace: "linkerd", name: ISSUER_SECRET }),
    );
    const annotations = secret?.metadata?.annotations;
    const since = annotations?.[ISSUED_AT] === issuedAt ? servedSince(annotations) : undefined;
    return since ?? Infinity;
}
