import { createServer } from "node:net";
import { randomInt } from "node:crypto";

// Below the range that systems hand to outgoing connections: a port from that range can be taken by
// any client between our look and the component's own bind.
const lowest = 10_000;
const highest = 32_000;

/** Picks `count` different ports that are free on 127.0.0.1 at this moment. */
export async function freePorts(count: number): Promise<number[]> {
    const ports = new Set<number>();
    for (let tries = 0; ports.size < count; tries++) {
        if (tries > 1000) throw new Error("Found no free ports on 127.0.0.1.");
        const port = randomInt(lowest, highest);
        if (await isFree(port)) ports.add(port);
    }
    return [...ports];
}

function isFree(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const server = createServer();
        server.once("error", () => resolve(false));
        server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
}
