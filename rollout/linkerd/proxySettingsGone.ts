// Takes the settings that the stack wrote off the namespaces, when the stack is destroyed.
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readProxySettings } from "../../cluster/proxySettings";
import { PROXY_SETTINGS } from "../../plan/proxySettings";
import { proxySettingsGoneInput, readInput } from "../input";
import { runProgram } from "../program";

runProgram(async () => {
    const { cluster } = await readInput(proxySettingsGoneInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    try {
        for (const { name, record } of await readProxySettings(connection.core)) {
            if (record) {
                const keys = [...Object.keys(record.set ?? {}), PROXY_SETTINGS];
                const annotations = Object.fromEntries(keys.map((key) => [key, null]));
                await api.mergePatch(`/api/v1/namespaces/${name}`, { metadata: { annotations } });
            }
        }
    } finally {
        api.close();
    }
});
