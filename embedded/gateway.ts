/**
 * The one process that stands beside each embedded cluster. It starts the cluster, plays what the
 * simulation lacks, and takes the cluster down when it is told to or when its parent is gone.
 * Started by cluster.ts as `node bin/run.cjs embedded/gateway.ts DIRECTORY`.
 */
import { bringUp } from "./bringUp";
import { readRecord, writeRecord } from "./directory";
import { type GatewayMessage } from "./messages";
import { startStandIns } from "./mesh/standIns";
import { removeCluster } from "./stop";

async function main(directory: string): Promise<void> {
    const record = await readRecord(directory);
    if (record === undefined) throw new Error(`${directory} holds no cluster.json`);
    await writeRecord(directory, { ...record, gatewayPid: process.pid });
    let starting: Promise<unknown> | undefined;
    let ending = false;
    let ready = false;
    const end = async (reason: string): Promise<void> => {
        if (ending) return;
        ending = true;
        console.log(`${new Date().toISOString()} ending the cluster: ${reason}`);
        try {
            // Not before kwokctl is done: a component that it has forked but not yet written down
            // would stay behind.
            await starting?.catch(() => undefined);
            await removeCluster(directory);
            process.exit(0);
        } catch (error) {
            console.error(error);
            process.exit(1);
        }
    };
    const orphaned = () => {
        if (!record.keep || !ready) void end("the process that started it is gone");
    };
    process.on("SIGTERM", () => void end("SIGTERM"));
    process.on("SIGINT", () => void end("SIGINT"));
    process.on("SIGHUP", () => void end("SIGHUP"));
    process.on("disconnect", orphaned);
    process.on("uncaughtException", (error) => {
        console.error(error);
        void end("an unexpected error");
    });
    // The parent may have gone before there was a listener.
    if (!process.connected) return orphaned();
    try {
        const up = bringUp(directory, record, say, () => {
            if (ending) throw new Error("The start was given up.");
        });
        starting = up;
        const { uid, config } = await up;
        await startStandIns(config, record.socket);
        ready = true;
        tell({ type: "ready", uid });
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        console.error(message);
        tell({ type: "failed", message });
        await end("it could not be started");
    }
}

function say(line: string): void {
    console.log(line);
    tell({ type: "progress", line });
}

function tell(message: GatewayMessage): void {
    // A parent that goes at this moment is noticed by `disconnect`.
    if (process.connected) process.send?.(message, () => undefined);
}

const [directory] = process.argv.slice(2);
if (directory === undefined)
    throw new Error("usage: node bin/run.cjs embedded/gateway.ts DIRECTORY");
void main(directory);
