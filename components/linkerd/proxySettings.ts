import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { settingsDigest } from "../../plan/proxySettings";
import type { ProxySettingsBeginInput, ProxySettingsInput } from "../../rollout/input";
import { programCommand } from "../programCommand";

type Declared = Pick<ProxySettingsInput, "cluster" | "declared">;

/**
 * Comes before the control plane, once for each change of what is declared, and prints a fresh id. An update that fails
 * leaves the inputs of before in the state of what follows; by the id that runs again when the change is taken back.
 */
export function beginProxySettings({ cluster, declared }: Declared, dependsOn: pulumi.Resource[]) {
    const { digest } = declared;
    return new command.local.Command(
        "proxy-settings-begin",
        {
            ...programCommand,
            create: "rollout/linkerd/proxySettingsBegin.ts",
            stdin: JSON.stringify({ cluster, digest } satisfies ProxySettingsBeginInput),
            triggers: [settingsDigest(declared) ?? "none"],
        },
        { dependsOn },
    );
}

/**
 * Writes the proxies' settings onto namespaces, before the waves. One command for all, and always there: what leaves the
 * stack file has to go before pods restart, and the engine deletes at the end.
 */
export function declareProxySettings(
    declared: Declared,
    begin: command.local.Command,
    dependsOn: pulumi.Resource[],
) {
    return new command.local.Command(
        "proxy-settings",
        {
            ...programCommand,
            create: "rollout/linkerd/proxySettings.ts",
            update: "rollout/linkerd/proxySettings.ts",
            delete: "rollout/linkerd/proxySettingsGone.ts",
            stdin: begin.stdout.apply((begun) =>
                JSON.stringify({ ...declared, begun } satisfies ProxySettingsInput),
            ),
        },
        { dependsOn },
    );
}
