import * as k8s from "@kubernetes/client-node";
import { Agent, type AgentOptions } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "./backoff";

/** Until the server has answered once: one that is not there is told soon. */
const FIRST_MS = 5_000;
const PATIENCE_MS = 60_000;

/** Less than any server or proxy leaves an idle connection open. */
const IDLE_MS = 5_000;

/** The network's reasons that pass by themselves. */
const PASSING = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EAI_AGAIN"];

type Answer = k8s.ResponseContext | Error;

/**
 * A kubeconfig whose typed clients are patient: what the API server turned down unseen (429), and a read that failed on the
 * way or on its side (5xx, lost connection), is tried again with growing pauses, not before Retry-After. Reads share connections.
 */
export class PatientKubeConfig extends k8s.KubeConfig {
    private patienceMs = FIRST_MS;
    private readonly library = new k8s.IsomorphicFetchHttpLibrary();
    private kept: Agent | undefined;

    /** The server is there: an outage will pass. */
    expectOutages(): void {
        this.patienceMs = PATIENCE_MS;
    }

    override makeApiClient<T extends k8s.ApiType>(type: k8s.ApiConstructor<T>): T {
        const cluster = this.getCurrentCluster();
        if (!cluster) {
            throw new Error("the kubeconfig has no current cluster");
        }
        return new type(
            k8s.createConfiguration({
                baseServer: new k8s.ServerConfiguration(cluster.server, {}),
                authMethods: { default: this },
                httpApi: k8s.wrapHttpLibrary({ send: (request) => this.send(request) }),
            }),
        );
    }

    /**
     * The library makes an agent for each request, and so a TLS handshake. A write has its own connection still: on one that the
     * other side just closed it would fail, and cannot be repeated.
     */
    private share(request: k8s.RequestContext): void {
        const agent = request.getAgent();
        // Those for proxies extend it.
        if (request.getHttpMethod() !== k8s.HttpMethod.GET || agent?.constructor !== Agent) {
            return;
        }
        const { options } = agent;
        if (!this.kept || credentialsIn(this.kept.options) !== credentialsIn(options)) {
            this.kept = new Agent({ ...options, keepAlive: true, timeout: IDLE_MS });
        }
        request.setAgent(this.kept);
    }

    private async send(request: k8s.RequestContext): Promise<k8s.ResponseContext> {
        this.share(request);
        const deadline = performance.now() + this.patienceMs;
        const backoff = new Backoff();
        for (;;) {
            const answer = await this.library
                .send(request)
                .toPromise()
                .catch((error: unknown): Answer => error as Error);
            const pause = backoff.next(retryAfterMs(answer));
            if (!mayPass(request, answer) || performance.now() + pause > deadline) {
                if (answer instanceof Error) {
                    throw answer;
                }
                return answer;
            }
            if (!(answer instanceof Error)) {
                await answer.body.text();
            }
            await sleep(pause);
        }
    }
}

/** An exec plugin's certificate expires, and the next request has another. */
function credentialsIn({ ca, cert, key, servername, rejectUnauthorized }: AgentOptions): string {
    return [ca, cert, key, servername, rejectUnauthorized].map(String).join();
}

function mayPass(request: k8s.RequestContext, answer: Answer): boolean {
    if (!(answer instanceof Error) && answer.httpStatusCode === 429) {
        return true;
    }
    if (request.getHttpMethod() !== k8s.HttpMethod.GET || request.getSignal()?.aborted) {
        return false;
    }
    return answer instanceof Error
        ? PASSING.includes((answer as NodeJS.ErrnoException).code ?? "")
        : answer.httpStatusCode >= 500;
}

function retryAfterMs(answer: Answer): number {
    const seconds = answer instanceof Error ? NaN : Number(answer.headers["retry-after"]);
    return Number.isFinite(seconds) ? seconds * 1_000 : 0;
}
