import { imageTag } from "../plan/images";
import type { KubeApi } from "./api";

/** Containers that the injector adds to the control plane's pods as well. */
const INJECTED = ["linkerd-proxy", "linkerd-init"];

interface Pod {
    readonly spec?: {
        readonly containers?: readonly { readonly name: string; readonly image?: string }[];
    };
    readonly status?: { readonly phase?: string };
}

/** Image tags of Linkerd's running control plane, each once. */
export async function readRunningVersions(api: KubeApi): Promise<readonly string[]> {
    const { items } = await api.list(
        "/api/v1/namespaces/linkerd/pods",
        (item) => {
            const { spec, status } = item as Pod;
            return status?.phase === "Running"
                ? (spec?.containers ?? [])
                      .filter(({ name }) => !INJECTED.includes(name))
                      .map(({ image }) => imageTag(image ?? "") ?? "unknown")
                : undefined;
        },
        {
            labelSelector:
                "linkerd.io/control-plane-component in (identity,destination,proxy-injector)",
        },
    );
    return [...new Set(items.flat())].sort();
}
