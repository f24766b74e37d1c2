import type { CoreV1Api, V1Namespace } from "@kubernetes/client-node";
import {
    CONFIG_PREFIX,
    PROXY_SETTINGS,
    type ConfiguredNamespace,
    type SettingsRecord,
} from "../plan/proxySettings";
import { listAll } from "./connection";

/** Every namespace, with how its proxies are configured by it. */
export async function readProxySettings(core: CoreV1Api): Promise<ConfiguredNamespace[]> {
    return (await listAll((page) => core.listNamespace(page))).map(configuredNamespace);
}

function configuredNamespace({ metadata }: V1Namespace): ConfiguredNamespace {
    const annotations = metadata?.annotations ?? {};
    return {
        name: metadata?.name ?? "",
        uid: metadata?.uid ?? "",
        record: recordOf(annotations[PROXY_SETTINGS]),
        config: Object.fromEntries(
            Object.entries(annotations).filter(([name]) => name.startsWith(CONFIG_PREFIX)),
        ),
    };
}

/** One that cannot be read was never written by the program: it is made anew. */
function recordOf(text: string | undefined): SettingsRecord | undefined {
    try {
        return text === undefined ? undefined : (JSON.parse(text) as SettingsRecord);
    } catch {
        return undefined;
    }
}
