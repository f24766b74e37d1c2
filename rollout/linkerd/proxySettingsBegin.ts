// Records, before the control plane changes, that new pods may get other settings of the mesh from now on; then begins the
// command that writes settings, as begin.ts does a wave.
import { randomUUID } from "node:crypto";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readProxySettings } from "../../cluster/proxySettings";
import { begunRecord, MESH, PROXY_SETTINGS } from "../../plan/proxySettings";
import { serverTime } from "../clock";
import { proxySettingsBeginInput, readInput } from "../input";
import { runProgram } from "../program";

runProgram(async () => {
    const { cluster, digest } = await readInput(proxySettingsBeginInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    try {
        const namespaces = await readProxySettings(connection.core);
        const record = namespaces.find(({ name }) => name === MESH)?.record;
        if (record) {
            const now = new Date(await serverTime(api)).toISOString();
            const next = begunRecord(record, digest, now);
            if (next) {
                const annotations = { [PROXY_SETTINGS]: JSON.stringify(next) };
                await api.mergePatch(`/api/v1/namespaces/${MESH}`, { metadata: { annotations } });
            }
        }
    } finally {
        api.close();
    }
    process.stdout.write(randomUUID());
});
