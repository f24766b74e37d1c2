import { KubeConfig } from "@kubernetes/client-node";
import type { IncomingMessage } from "node:http";
import { request, type RequestOptions } from "node:https";

export interface Answer {
    status: number;
    headers: IncomingMessage["headers"];
    text: string;
}

/** What a request to a kubeconfig's cluster needs: address, trust and the user's credentials. */
export async function optionsOf(kubeconfig: string): Promise<RequestOptions> {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const options: RequestOptions = { headers: {} };
    await config.applyToHTTPSOptions(options);
    const { hostname, port } = new URL(config.getCurrentCluster()?.server ?? "");
    // A connection of its own: what happens to one request says nothing of another.
    return { ...options, hostname, port, agent: false };
}

/**
 * One request, bare: no retry, and any status is an answer. Fails where the connection does, and
 * after the limit.
 */
export async function callApi(
    kubeconfig: string,
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    body?: object,
    limit = 10_000,
): Promise<Answer> {
    const options = await optionsOf(kubeconfig);
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return new Promise((resolve, reject) => {
        const call = request({
            ...options,
            method,
            path,
            headers: { ...options.headers, "content-type": type },
            signal: AbortSignal.timeout(limit),
        });
        call.once("error", reject);
        call.once("response", (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (chunk: string) => (text += chunk));
            response.once("error", reject);
            response.once("end", () => {
                resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
            });
        });
        call.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

/** A request that must succeed; `also` names another status that is as good. */
export async function mustCall(
    kubeconfig: string,
    method: Parameters<typeof callApi>[1],
    path: string,
    body?: object,
    also?: number,
): Promise<Answer> {
    const answer = await callApi(kubeconfig, method, path, body);
    if (answer.status >= 300 && answer.status !== also) {
        throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    }
    return answer;
}
