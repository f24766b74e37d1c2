import type { EmbeddedCluster } from "../../../../embedded/cluster";
import { layout } from "../../../../embedded/directory";
import { belongsTo, recordedPids, signal } from "../../../../embedded/processes";
import { fault, type Fault } from "./fault";

/** Halts etcd for `pauseMs` at the beginning of every `everyMs`, for `limitMs` at most. */
export async function slowEtcd(
    cluster: EmbeddedCluster,
    { pauseMs, everyMs, limitMs = 60_000 }: { pauseMs: number; everyMs: number; limitMs?: number },
): Promise<Fault> {
    if (pauseMs >= everyMs) throw new Error("etcd needs time between its pauses.");
    const pid = (await recordedPids(layout(cluster.directory).kwok)).get("etcd") ?? NaN;
    const send = (name: "SIGSTOP" | "SIGCONT") => {
        if (belongsTo(cluster.directory, pid)) signal(pid, name);
    };
    let going: NodeJS.Timeout | undefined;
    const pause = () => {
        send("SIGSTOP");
        going = setTimeout(() => send("SIGCONT"), pauseMs);
    };
    const rhythm = setInterval(pause, everyMs);
    const end = setTimeout(() => void slow.undo(), limitMs);
    const slow = fault(() => {
        clearInterval(rhythm);
        clearTimeout(going);
        clearTimeout(end);
        send("SIGCONT");
        return Promise.resolve();
    });
    pause();
    return slow;
}
