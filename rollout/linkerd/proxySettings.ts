// Writes the proxies' settings onto namespaces, takes away what is no longer declared, and records since when new pods get
// them: pods that were made before are stale. What others wrote is left alone.
import { setTimeout as sleep } from "node:timers/promises";
import { KubeApi } from "../../cluster/api";
import { connect } from "../../cluster/connection";
import { readProxySettings } from "../../cluster/proxySettings";
import {
    MESH,
    PROXY_SETTINGS,
    sameSettings,
    settledRecord,
    type ConfiguredNamespace,
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
    /** What is written onto a namespace; undefined: nothing. */
    const changeOf = ({ name, record }: ConfiguredNamespace, now: string) => {
        if (name === MESH) {
            const settled = settledRecord(record, declared.digest, now);
            return settled && { ...settled, set: {} };
        }
        const [before, set] = [record?.set ?? {}, declared.namespaces[name] ?? {}];
        const gone = Object.fromEntries(Object.keys(before).map((key) => [key, null]));
        return sameSettings(before, set)
            ? undefined
            : { record: { set, since: now }, moves: true, set: { ...gone, ...set } };
    };
    try {
        const live = await readProxySettings(connection.core);
        const write = async () => {
            const now = new Date((await serverTime(api)) + SEEN_MS).toISOString();
            const changes = live.flatMap((one) => {
                const change = changeOf(one, now);
                return change ? [{ name: one.name, ...change }] : [];
            });
            for (const { name, record, set } of changes) {
                const annotations = { ...set, [PROXY_SETTINGS]: JSON.stringify(record) };
                await api.mergePatch(`/api/v1/namespaces/${name}`, { metadata: { annotations } });
            }
            return changes;
        };
        const changes = await write();
        if (changes.length > 1) {
            // Now that all are there: a pod that was made while they were written counts as one of before.
            await write();
        }
        const moving = changes.filter(({ moves }) => moves);
        for (const { name } of moving) {
            const what = name === MESH ? "the mesh" : `namespace ${name}`;
            process.stderr.write(`proxy settings of ${what}: changed\n`);
        }
        if (moving.length > 0) {
            await sleep(SEEN_MS);
        }
    } finally {
        api.close();
    }
    process.stdout.write(JSON.stringify(declared));
});
