import type { CoreV1Api } from "@kubernetes/client-node";
import { parse } from "yaml";
import { found } from "./connection";

/** ConfigMap linkerd-config: what the control plane was installed with. */
export interface LinkerdConfig {
    /** Values of its chart; null where there are none. */
    readonly values: unknown;
    /** `edge-24.7.5`. */
    readonly version: string | undefined;
}

/** Undefined where there is no control plane. */
export async function readLinkerdConfig(core: CoreV1Api): Promise<LinkerdConfig | undefined> {
    const config = await found(
        core.readNamespacedConfigMap({ namespace: "linkerd", name: "linkerd-config" }),
    );
    const values: unknown = parse(config?.data?.["values"] ?? "");
    const version = (values as { linkerdVersion?: string } | null)?.linkerdVersion;
    return config && { values, version };
}
