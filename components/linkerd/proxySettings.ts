import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { ProxySettingsInput } from "../../rollout/input";
import { programCommand } from "../programCommand";

/**
 * Writes the proxies' settings onto namespaces, before the waves. One command for all, and always there: what leaves the
 * stack file has to go before pods restart, and the engine deletes at the end.
 */
export function declareProxySettings(input: ProxySettingsInput, dependsOn: pulumi.Resource[]) {
    return new command.local.Command(
        "proxy-settings",
        {
            ...programCommand,
            create: "rollout/linkerd/proxySettings.ts",
            update: "rollout/linkerd/proxySettings.ts",
            delete: "rollout/linkerd/proxySettingsGone.ts",
            stdin: JSON.stringify(input),
        },
        { dependsOn },
    );
}
