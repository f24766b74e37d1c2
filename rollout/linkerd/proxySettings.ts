// Writes the proxies' settings onto namespaces, takes away what is no longer declared, and records since when new pods get
// them: pods that were made before are stale. What others wrote is left alone.
import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readProxySettings } from "../../cluster/proxySettings";
import { meshMoves, PROXY_SETTINGS, sameSettings, type SettingsRecord } from "../../plan/proxySettings";
import { serverTime } from "../clock";
import { proxySettingsInput, readInput } from "../input";
import { runProgram } from "../program";

/** Until the injector's watch has seen the namespace, with what is left of the second in which it was changed. */
const SEEN_MS = 2_000;

runProgram(async () => {
    const { cluster, declared } = await readInput(proxySettingsInput);
    const connection = await connect(cluster);
    const api = new KubeApi(connection);
    try {
        const live = await readProxySettings(connection.core);
        const since = new Date((await serverTime(api)) + SEEN_MS).toISOString();
        let changed = 0;
        for (const { name, record } of live) {
            const isMesh = name === "linkerd";
            const after = isMesh ? {} : (declared.namespaces[name] ?? {});
            const before = record?.set ?? {};
            const same = isMesh ? record?.digest === declared.digest : sameSettings(before, after);
            if (same) {
                continue;
            }
            const moves = !isMesh || meshMoves(record?.digest, declared.digest);
            const from = moves ? since : record?.since;
            const next: SettingsRecord = {
                ...(isMesh ? { digest: declared.digest } : { set: after }),
                ...(from === undefined ? {} : { since: from }),
            };
            const gone = Object.keys(before).map((key) => [key, null] as const);
            await api.mergePatch(`/api/v1/namespaces/${name}`, {
                metadata: {
                    annotations: {
                        ...Object.fromEntries(gone),
                        ...after,
                        [PROXY_SETTINGS]: JSON.stringify(next),
                    },
                },
            });
            if (moves) {
                changed++;
                process.stderr.write(
                    `proxy settings of ${isMesh ? "the mesh" : `namespace ${name}`}: changed\n`,
                );
            }
        }
        if (changed > 0) {
            await sleep(SEEN_MS);
        }
    } finally {
        api.close();
    }
    process.stdout.write(JSON.stringify(declared));
});
