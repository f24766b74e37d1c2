// Writes the proxies' settings onto namespaces, takes away what is no longer declared, and records since when new pods get
// them: pods that were made before are stale. What others wrote is left alone.
import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readProxySettings } from "../../cluster/proxySettings";
import {
    MESH,
    meshMoves,
    PROXY_SETTINGS,
    sameSettings,
    type SettingsRecord,
} from "../../plan/proxySettings";
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
        const annotate = (name: string, annotations: Readonly<Record<string, string | null>>) =>
            api.mergePatch(`/api/v1/namespaces/${name}`, { metadata: { annotations } });
        const wanted = live.map(({ name, record }) => {
            const isMesh = name === MESH;
            const after = isMesh ? {} : (declared.namespaces[name] ?? {});
            const before = record?.set ?? {};
            const same = isMesh ? record?.digest === declared.digest : sameSettings(before, after);
            return { name, isMesh, record, before, after, same };
        });
        const changing = wanted.filter(({ same }) => !same);
        const record = async (annotations: boolean) => {
            const since = new Date((await serverTime(api)) + SEEN_MS).toISOString();
            for (const one of changing) {
                const { name, isMesh, before, after } = one;
                const from = moves(one) ? since : one.record?.since;
                const next: SettingsRecord = {
                    ...(isMesh ? { digest: declared.digest } : { set: after }),
                    ...(from === undefined ? {} : { since: from }),
                };
                const gone = Object.fromEntries(Object.keys(before).map((key) => [key, null]));
                await annotate(name, {
                    ...(annotations ? { ...gone, ...after } : {}),
                    [PROXY_SETTINGS]: JSON.stringify(next),
                });
            }
        };
        const moves = ({ isMesh, record: before }: (typeof wanted)[number]) =>
            !isMesh || meshMoves(before?.digest, declared.digest);
        await record(true);
        if (changing.length > 1) {
            // Now that all are there: a pod that was made while they were written counts as one of before.
            await record(false);
        }
        const moving = changing.filter(moves);
        for (const { name, isMesh } of moving) {
            process.stderr.write(
                `proxy settings of ${isMesh ? "the mesh" : `namespace ${name}`}: changed\n`,
            );
        }
        if (moving.length > 0) {
            await sleep(SEEN_MS);
        }
    } finally {
        api.close();
    }
    process.stdout.write(JSON.stringify(declared));
});
