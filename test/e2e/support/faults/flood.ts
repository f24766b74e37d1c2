import type { ClientRequest } from "node:http";
import { request, type RequestOptions } from "node:https";
import type { EmbeddedCluster } from "../../../../embedded/cluster";
import { mustCall, optionsOf } from "./api";
import { fault, type Fault } from "./fault";
import { route, userKubeconfig } from "./users";

const priorityLevels = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
const tickMs = 50;
/**
 * After a request that was turned down. From three a second on, the API server doubles what Retry-After asks for, up to
 * 32 s, for everybody of the level: a fault of that length is not meant.
 */
const calmMs = 600;

/**
 * Leaves a user of `userKubeconfig` a share of the API server that is tiny, and that a flood of
 * another user fills up for `busyMs` of every `everyMs`: what the user asks meanwhile is turned down
 * with 429 and Retry-After. Lasts `limitMs` at most.
 */
export async function flood429(
    cluster: EmbeddedCluster,
    {
        user,
        busyMs = 1_000,
        everyMs = 2_000,
        limitMs = 60_000,
    }: { user: string; busyMs?: number; everyMs?: number; limitMs?: number },
): Promise<Fault> {
    const flooder = `${user}-flood`;
    const level = `tiny-${user}`;
    const options = await optionsOf(await userKubeconfig(cluster, flooder));
    await mustCall(cluster.kubeconfig, "POST", priorityLevels, priorityLevel(level), 409);
    await route(cluster, user, level);
    await route(cluster, flooder, level);

    const held = new Set<ClientRequest>();
    const release = () => {
        for (const call of held) call.destroy();
        held.clear();
    };
    const began = Date.now();
    let calmUntil = 0;
    const turnedDown = () => (calmUntil = Date.now() + calmMs);
    const tick = () => {
        const busy = (Date.now() - began) % everyMs < busyMs;
        // One more than there is room for is turned down; it goes in when the user lets a seat go.
        if (!busy) release();
        else if (Date.now() >= calmUntil) hold(options, held, turnedDown);
    };
    const timer = setInterval(tick, tickMs);
    const end = setTimeout(() => void flood.undo().catch(() => undefined), limitMs);
    const flood = fault(async () => {
        clearInterval(timer);
        clearTimeout(end);
        release();
        await route(cluster, user);
        await route(cluster, flooder);
        await mustCall(cluster.kubeconfig, "DELETE", `${priorityLevels}/${level}`, undefined, 404);
    });
    for (let seat = 0; seat < 4; seat++) tick();
    return flood;
}

/**
 * A request that keeps its seat at the cost of nothing: the API server waits for a body that does
 * not come. Many quick requests would keep both sides' processors busy instead.
 */
function hold(options: RequestOptions, held: Set<ClientRequest>, turnedDown: () => void): void {
    const call = request({
        ...options,
        method: "POST",
        path: "/api/v1/namespaces/default/configmaps?dryRun=All",
        headers: { ...options.headers, "content-type": "application/json", "content-length": 100 },
    });
    held.add(call);
    const drop = () => void held.delete(call);
    call.once("response", (response) => {
        response.resume();
        call.destroy();
        drop();
        turnedDown();
    });
    call.on("error", drop);
    call.flushHeaders();
}

function priorityLevel(name: string): object {
    return {
        metadata: { name },
        spec: {
            type: "Limited",
            limited: {
                nominalConcurrencyShares: 1,
                lendablePercent: 0,
                borrowingLimitPercent: 0,
                limitResponse: { type: "Reject" },
            },
        },
    };
}
